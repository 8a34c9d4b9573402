"""Floor 4: journals into MLflow, in a process of its own; a run never waits for a data base.

    python -m suite.track runs/...             import every run at or below these folders
    python -m suite.track --follow runs/...    and go on while they grow
    python -m suite.track --ui                 look at them

Experiment suite/<model>; a run there is one algorithm x seed, its children are trials (suite.rows).
Time stamps are the header's date plus time_s.

Importing again changes nothing: a run is found by its run_id and carries the digest of what was
read of its journal; of a longer journal the rest is added. The digest is written last, and MLflow
ignores a row that it has: an import that was cut is simply repeated. What an import saw of a
running search stays, as points of its curves.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite import records
from suite.core.errors import ConfigError, JournalError, SuiteError
from suite.privacy import clean
from suite.projection import load_run
from suite.rows import ms, parameters, run_name, run_rows, run_tags, trial_rows
from suite.run.journal import NAME
from suite.store import ENVIRONMENT, Store
from suite.views import RunView

POLL_S = 5.0
QUIET_S = 3600.0
GRACE_S = 10.0  # a sweep's next run begins within it
_STATES = {"completed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Import, follow, or show. 0; 1: something could not be imported; 130: interrupted."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument("--store", help="folder of the store (default: SUITE_STORE, else ./store)")
    common.add_argument("--ui", action="store_true", help="MLflow's UI on it; takes its arguments")
    given, rest = common.parse_known_args(arguments)
    usual = Path(os.environ.get("SUITE_STORE") or "store").expanduser().resolve()
    folder = Path(given.store).expanduser().resolve() if given.store else usual
    try:
        if given.ui:
            return _show(Store(folder), rest)
        parser = argparse.ArgumentParser(
            prog="python -m suite.track", description="Runs into MLflow.", parents=[common]
        )
        parser.add_argument("folders", nargs="+", type=Path, help="run folders, or folders of them")
        parser.add_argument("--follow", action="store_true", help="while runs go on, to their end")
        parser.add_argument("--uri", help="an MLflow server in the store's place, http://...")
        parser.add_argument(
            "--quiet-s", type=float, default=QUIET_S, metavar="S",
            help="leave a journal that has not grown for so long (default: %(default)g)",
        )  # fmt: skip
        given = parser.parse_args(arguments)
        store = Store(None if given.uri else folder, given.uri)
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
    named = [b for a, b in itertools.pairwise(arguments) if a in ("--port", "-p")]
    port = named[-1] if named else "5000"
    print(f"store {store.name}: http://127.0.0.1:{port} (Ctrl-C ends it)", flush=True)
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
            size = _size(folder)
            if size and (folder not in seen or seen[folder][0] != size):
                with store.lock():
                    view = _try(folder, store, calm=folder in seen)
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


def _size(folder: Path) -> int:
    try:
        return (folder / NAME).stat().st_size
    except OSError:  # removed since it was found
        return 0


def _try(folder: Path, store: Store, *, calm: bool = False) -> RunView | None:
    """Import one run and say so (calm: only its end); None: it failed, and why was said."""
    began = time.monotonic()
    try:
        done = import_run(folder, store)
    except Exception as error:  # one damaged folder must not keep the others out
        _complain(folder, error)
        return None
    view = done.view
    said = f"{run_name(view)} ({view.status})"
    if calm and (view.status == "unfinished" or done.n_rows is None):
        return view
    if done.n_rows is None:
        print(f"{said}: nothing new", flush=True)
    else:
        print(
            f"{said}: {len(view.trials)} trials, {view.n_epochs} epochs; {done.n_rows:,} new rows "
            f"in {done.experiment}, {time.monotonic() - began:.1f} s",
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
        run = store.create(experiment, run_name(view), ms(view, 0.0), tags | run_tags(view))
    mlflow_id = run.info.run_id
    rows = run_rows(view, since)
    # Parameters cannot be changed, and what `clean` knows depends on the machine: they go in once.
    store.log(mlflow_id, rows, params={} if before else parameters(view))
    n_rows = len(rows) + _import_trials(store, experiment, mlflow_id, view, since)
    store.attach(run, records.NAME, records.dumps(records.of(view)))
    store.end(mlflow_id, _STATES.get(view.status, "RUNNING"), ms(view, view.time_s))
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
        times = spans.get(trial.trial_id, [view.time_s])
        begin, end = min(times), max(times)
        run = known.get(trial.trial_id)
        rows = trial_rows(view, trial, since if run is not None else float("-inf"))
        if run is None:
            own: dict[str, Any] = {"mlflow.parentRunId": parent, "suite.bracket": trial.bracket}
            own["suite.trial_id"] = trial.trial_id
            name = f"trial {trial.trial_id}"
            run = store.create(experiment, name, ms(view, begin), tags | own)
        was = run.data.tags.get("suite.status")
        open_ = trial.status == "open"
        state = "FAILED" if trial.status in ("diverged", "given up") else "FINISHED"
        if open_:
            state = "KILLED" if view.status in ("failed", "interrupted") else "RUNNING"
        if rows or was != trial.status:
            fate: dict[str, Any] = {"suite.status": trial.status, "suite.reason": trial.reason}
            fate["suite.stopped_at_epoch"] = trial.stopped_at
            store.log(run.info.run_id, rows, {} if was else trial.config, fate)
        if run.info.status != state or (rows and not open_):
            store.end(run.info.run_id, state, ms(view, end))
        n_rows += len(rows)
    return n_rows


if __name__ == "__main__":
    sys.exit(main())
