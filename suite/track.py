"""Floor 4: journals into MLflow, in a process of its own; a run never waits for a data base.

    python -m suite.track runs/...             import every run at or below these folders
    python -m suite.track --follow runs/...    and go on while they grow
    python -m suite.track --ui                 look at them

Experiment suite/<model>; a run there is one algorithm x seed, its children are trials. A trial's
step is its epoch; a run's step is the number of epochs of all trials, and its metrics say what was
the best value then and what it had cost. Time stamps are the header's date plus time_s.

Importing again changes nothing: a run is found by its run_id, carries the digest of what was read of
its journal, and of a longer journal only the rest is added. The digest is written last, and MLflow
ignores a metric's row that it has, so an import that was cut is simply repeated.
Deviation: what an earlier import saw of a running search stays, as points of its curves.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite import records
from suite.core.errors import ConfigError, JournalError, SuiteError
from suite.privacy import clean
from suite.projection import load_run, usage
from suite.run.journal import NAME
from suite.store import ENVIRONMENT, Row, Store
from suite.views import RunView, TrialView

POLL_S = 5.0
QUIET_S = 3600.0
GRACE_S = 10.0  # a sweep's next run begins within it
_STATES = {"completed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Import, follow, or show. 0; 1: something could not be imported; 130: interrupted."""
    parser = argparse.ArgumentParser(prog="python -m suite.track", description="Runs into MLflow.")
    parser.add_argument("folders", nargs="*", type=Path, help="run folders, or folders of them")
    parser.add_argument(
        "--follow", action="store_true", help="import while runs go on, to their end"
    )
    parser.add_argument("--store", help="folder of the store (default: SUITE_STORE, else ./store)")
    parser.add_argument("--uri", help="an MLflow server in the store's place, http://...")
    parser.add_argument(
        "--ui", action="store_true", help="MLflow's UI on the store; takes its arguments"
    )
    parser.add_argument(
        "--quiet-s", type=float, default=QUIET_S, metavar="S",
        help="with --follow: leave a journal that has not grown for so long (default: %(default)g)",
    )  # fmt: skip
    given, rest = parser.parse_known_args(arguments)
    usual = Path(os.environ.get("SUITE_STORE") or "store").expanduser().resolve()
    folder = Path(given.store).expanduser().resolve() if given.store else usual
    store = Store(None if given.uri else folder, given.uri)
    try:
        if given.ui:
            return _show(store, [*map(str, given.folders), *rest])
        if rest or not given.folders:
            parser.error(f"unknown: {' '.join(rest)}" if rest else "name run folders, or runs/")
        if given.follow:
            n_failed = follow(given.folders, store, quiet_s=given.quiet_s)
        else:
            n_failed = import_all(given.folders, store)
    except KeyboardInterrupt:
        return 130
    except SuiteError as error:
        print(f"track: {error}", file=sys.stderr)
        return 1
    where = "" if folder == usual else f" --store {store.name}"
    print(f"look at it: {given.uri or f'./bench ui{where}'}", flush=True)
    return 1 if n_failed else 0


def _show(store: Store, arguments: Sequence[str]) -> int:
    """Become MLflow's UI. On a shared machine any user who can reach the port can read it."""
    if store.folder is None:
        raise ConfigError(f"uri={store.uri}: a server shows itself; open it in a browser.")
    with store.lock():
        store.prepare()
    environment = {**os.environ, **ENVIRONMENT}
    print(f"store {store.name}: MLflow UI at http://127.0.0.1:5000 (Ctrl-C ends it)", flush=True)
    command = [sys.executable, "-m", "mlflow", *store.ui_command(arguments)]
    os.execve(sys.executable, command, environment)


def find(folders: Iterable[Path]) -> list[Path]:
    """Run folders at or below these, each once."""
    found: dict[Path, None] = {}
    for folder in folders:
        for path, below, files in os.walk(folder.parent if folder.name == NAME else folder):
            below.sort()
            if NAME in files:
                below.clear()  # a run holds checkpoints, not runs
                found.setdefault(Path(path).resolve())
    return list(found)


def import_all(folders: Sequence[Path], store: Store) -> int:
    """Import each run below `folders`; returns how many failed, or held no run."""
    empty = [folder for folder in folders if not find([folder])]
    for folder in empty:
        _complain(folder, ConfigError(f"no {NAME} at or below it; name run folders, or runs/."))
    with store.lock():
        return len(empty) + sum(_try(folder, store) is None for folder in find(folders))


def follow(
    folders: Sequence[Path],
    store: Store,
    *,
    poll_s: float = POLL_S,
    quiet_s: float = QUIET_S,
    grace_s: float = GRACE_S,
) -> int:
    """Import as journals grow, until each is closed, or quiet for `quiet_s`; how many failed.

    Journals that appear meanwhile are followed too; for one more, `grace_s` are waited.
    """
    seen: dict[Path, tuple[int, float, str]] = {}  # size, when it last grew, status
    last = time.monotonic()
    while True:
        now = time.monotonic()
        for folder in find(folders):
            size = (folder / NAME).stat().st_size
            if folder not in seen or seen[folder][0] != size:
                with store.lock():
                    view = _try(folder, store)
                seen[folder] = (size, now, "import failed" if view is None else view.status)
                last = now
        waiting = [grown for _, grown, status in seen.values() if status == "unfinished"]
        patience_s = quiet_s if waiting or not seen else grace_s
        if now - max([last, *waiting]) >= patience_s:
            break
        time.sleep(poll_s)
    if not seen:
        print(f"track: no {NAME} came within {quiet_s:g} s", file=sys.stderr)
    return sum(status == "import failed" for *_, status in seen.values()) + (not seen)


def _try(folder: Path, store: Store) -> RunView | None:
    """Import one run and say so; None: it failed, and why was said."""
    began = time.monotonic()
    try:
        done = import_run(folder, store)
    except Exception as error:  # one damaged folder must not keep the others out
        _complain(folder, error)
        return None
    view = done.view
    said = f"{_run_name(view)} ({view.status})"
    if done.n_rows is None:
        print(f"{said}: nothing new", flush=True)
    else:
        print(
            f"{said}: {len(view.trials)} trials, {view.n_epochs} epochs, {done.n_rows:,} rows into "
            f"{done.experiment} in {time.monotonic() - began:.1f} s",
            flush=True,
        )
    return view


def _complain(folder: Path, error: Exception) -> None:
    said = (str(error).strip().splitlines() or [""])[0]
    kind = "" if isinstance(error, SuiteError) else f"{type(error).__name__}: "
    print(f"track: {folder.name}: {kind}{clean(said)[:500]}", file=sys.stderr, flush=True)


# --- one run -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Imported:
    """n_rows: metric rows sent; None: the journal had nothing new."""

    view: RunView
    experiment: str
    n_rows: int | None


def import_run(folder: Path, store: Store) -> Imported:
    """Bring the store to where the folder's journal stands. The caller holds the store's lock.

    Raises JournalError: no journal, a damaged one, or not the one that was imported under its id.
    """
    view = load_run(folder)
    run_id, name = str(view.header["run_id"]), f"suite/{view.header['model']}"
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", run_id):
        raise JournalError(f"run_id={run_id}: must be letters, digits, _ . and -. Run it again.")
    experiment = store.experiment(name)
    tags = {"suite.run_id": run_id, "suite.kind": "run"}
    run = next(store.search(experiment, tags), None)
    before = "" if run is None else run.data.tags.get("suite.imported", "")
    mark = f"{view.n_bytes} {view.sha256} {view.time_s!r}"
    if before == mark:
        return Imported(view, name, None)
    if before and not _continues(view, before):
        raise JournalError(
            f"run_id={run_id}: the store holds another journal of this run; delete that run in the "
            "UI, or use another --store."
        )
    since = float(before.split()[2]) if before else float("-inf")
    if run is None:
        run = store.create(experiment, _run_name(view), _ms(view, 0.0), tags | _run_tags(view))
    mlflow_id = run.info.run_id
    rows = _run_rows(view, since)
    # Parameters cannot be changed, and what `clean` knows depends on the machine: they go in once.
    store.log(mlflow_id, rows, params={} if before else _parameters(view))
    n_rows = len(rows) + _import_trials(store, experiment, mlflow_id, view, since)
    store.attach(run, records.NAME, records.dumps(records.of(view)))
    store.end(mlflow_id, _STATES.get(view.status, "RUNNING"), _ms(view, view.time_s))
    ends = {"suite.status": view.status, "suite.reason": view.reason, "suite.imported": mark}
    store.log(mlflow_id, tags=ends)
    return Imported(view, name, n_rows)


def _continues(view: RunView, mark: str) -> bool:
    """Whether what was imported is how this journal begins."""
    n_bytes, digest, _ = mark.split()
    with open(view.folder / NAME, "rb") as file:
        data = file.read(int(n_bytes))
    return len(data) == int(n_bytes) and hashlib.sha256(data).hexdigest() == digest


def _import_trials(store: Store, experiment: str, parent: str, view: RunView, since: float) -> int:
    """The run's children, one a trial; returns the number of metric rows."""
    tags = {"suite.run_id": str(view.header["run_id"]), "suite.kind": "trial"}
    known = {int(r.data.tags["suite.trial_id"]): r for r in store.search(experiment, tags)}
    spans: dict[int, list[float]] = {}
    for job in view.jobs:
        times = [job.start_s, view.time_s if job.end_s is None else job.end_s]
        spans.setdefault(job.trial_id, []).extend(times)
    n_rows = 0
    for trial in view.trials.values():
        begin, end = min(spans[trial.trial_id]), max(spans[trial.trial_id])
        run = known.get(trial.trial_id)
        rows = _trial_rows(view, trial, since if run is not None else float("-inf"))
        if run is None:
            own = {"suite.trial_id": trial.trial_id, "suite.bracket": trial.bracket}
            own |= {"mlflow.parentRunId": parent}
            name = f"trial {trial.trial_id}"
            run = store.create(experiment, name, _ms(view, begin), tags | own)
        was = run.data.tags.get("suite.status")
        open_ = trial.status == "open"
        state = "FAILED" if trial.status in ("diverged", "given up") else "FINISHED"
        if open_:
            state = "KILLED" if view.status in ("failed", "interrupted") else "RUNNING"
        if rows or was != trial.status:
            fate = {"suite.status": trial.status, "suite.reason": trial.reason}
            fate |= {"suite.stopped_at_epoch": trial.stopped_at}
            store.log(run.info.run_id, rows, {} if was else trial.config, fate)
        if run.info.status != state or (rows and not open_):
            store.end(run.info.run_id, state, _ms(view, end))
        n_rows += len(rows)
    return n_rows


# --- view -> rows --------------------------------------------------------------------------------


def _run_name(view: RunView) -> str:
    data = (view.header.get("target") or {}).get("data")
    label = "" if data == "real" else f" [{str(data or 'unknown data').upper()}]"
    return f"{view.header['algorithm']} seed {view.header['seed']}{label}"


def _run_tags(view: RunView) -> dict[str, Any]:
    header = view.header
    git = header.get("git") or {}
    return {
        "suite.algorithm": header["algorithm"],
        "suite.experiment": header.get("experiment"),
        "suite.data": header["target"].get("data"),
        "suite.metric": f"{view.metric} ({view.mode})",
        "suite.reproducible": header.get("reproducible"),
        "suite.version": header.get("suite_version"),
        "mlflow.source.git.commit": git.get("revision"),
    }


def _parameters(view: RunView) -> dict[str, Any]:
    """The search's settings: the configuration's leaves by their dotted names."""
    header = view.header
    named = ("algorithm", "seed", "max_epochs", "n_workers", "overlap")
    return dict(_leaves(header.get("config") or {})) | {name: header.get(name) for name in named}


def _leaves(node: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{at}{key}.")
        else:
            yield f"{at}{key}", value


def _run_rows(view: RunView, since: float) -> list[Row]:
    """The anytime curves, and where the journal stands; what is older than `since` was imported."""
    rows: list[Row] = []

    def add(time_s: float, n_epochs: int, values: Mapping[str, float | None]) -> None:
        if time_s >= since:
            at = _ms(view, time_s)
            rows.extend((k, float(v), at, n_epochs) for k, v in values.items() if v is not None)

    for point in view.anytime:
        best = {f"best_{view.metric}": view.value(point.best), "epochs": float(point.n_epochs)}
        add(point.time_s, point.n_epochs, best | _costs(view, point.time_s))
    states = Counter(trial.status for trial in view.trials.values())
    end: dict[str, float | None] = {
        "epochs": view.n_epochs,
        "epochs_retrained": view.n_retrained,
        "trials": len(view.trials),
        "trials_stopped": states["stopped"],
        "trials_diverged": states["diverged"],
        "trials_given_up": states["given up"],
        "workers_lost": sum(worker.lost is not None for worker in view.workers),
        "predictor_s": view.predictor_s,
        "overhead_s": view.overhead.total_s,
        "idle_share": view.idle_share,
        f"test_{view.metric.removeprefix('val_')}": view.test_value,
    }
    if view.winner is not None:
        curve = view.trials[view.winner].curve
        end[f"winner_{view.metric}"] = view.value(curve[int(view.header["max_epochs"]) - 1])
    add(view.time_s, view.n_epochs, end | _costs(view, view.time_s))
    return rows


def _costs(view: RunView, time_s: float) -> dict[str, float | None]:
    used = usage(view.workers, time_s)
    seconds = {"worker": used.worker_s, "node": used.node_s, "core": used.core_s, "gpu": used.gpu_s}
    hours = {f"{k}_hours": None if v is None else v / 3600 for k, v in seconds.items()}
    return {"wall_s": time_s, **hours}


def _trial_rows(view: RunView, trial: TrialView, since: float) -> list[Row]:
    return [
        (key, value, _ms(view, point.time_s), point.epoch)
        for point in trial.epochs
        if point.time_s >= since
        for key, value in {
            **point.metrics,
            "train_s": point.train_s,
            "eval_s": point.eval_s,
        }.items()
    ]


def _ms(view: RunView, time_s: float) -> int:
    return round((view.began.timestamp() + time_s) * 1000)


if __name__ == "__main__":
    sys.exit(main())
