"""Journals into MLflow.

Experiment suite/<model>; a run there is one algorithm x seed, its children are trials (suite.track.rows).
Time stamps are the header's date plus time_s.

Importing again changes nothing: a run is found by its run_id and carries the digest of what was
read of its journal; of a longer journal the rest is added. The digest is written last, and MLflow
ignores a row that it has: an import that was cut is simply repeated. What an import saw of a
running search stays, as points of its curves. Into a folder, a run is one transaction.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from suite.core.errors import ConfigError, JournalError, SuiteError
from suite.core.printable import printable
from suite.files import UnsafeFileError, open_regular
from suite.results import record
from suite.results.find import find_runs
from suite.results.fold import load_run
from suite.results.privacy import clean
from suite.results.run_view import RunView, TrialView
from suite.run.journal import NAME
from suite.track import about
from suite.track.address import without_credentials
from suite.track.contract import StoreError
from suite.track.mlflow_store import Store
from suite.track.names import mlflow_name
from suite.track.progress import Progress
from suite.track.rows import (
    LAYOUT,
    Row,
    best_parameters,
    ms,
    parameters,
    run_counts,
    run_name,
    run_rows,
    run_tags,
    trial_rows,
)
from suite.track.sink import Sink, Stored

POLL_S = 5.0
QUIET_S = 3600.0
# A sweep's next run begins within it.
GRACE_S = 10.0
_MARK = re.compile(r"(\d{1,18}) ([0-9a-f]{64}) (\d[\d.e+-]{0,30})")
_STATES = {"completed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class Tally(NamedTuple):
    """Runs that the store now holds, and those that could not be imported or were not there."""

    n_held: int
    n_failed: int


def import_all(folders: Sequence[Path], store: Store) -> Tally:
    """Import each run below `folders`. A run that fails is said, and the others go in.

    Raises StoreError where the store cannot be written: no other run is tried then; ConfigError where the
    environment is wrong.
    """
    empty = [folder for folder in folders if not find_runs([folder])]
    for folder in empty:
        _complain(folder, ConfigError(f"no {NAME} at or below it; name run folders, or runs/."))
    runs = find_runs(folders)
    n_held = 0
    if not runs:
        return Tally(0, len(empty))
    with store.lock():
        store.open()
        for folder in runs:
            n_held += _try(folder, store) is not None
    return Tally(n_held, len(empty) + len(runs) - n_held)


def follow(
    folders: Sequence[Path],
    store: Store,
    *,
    poll_s: float = POLL_S,
    quiet_s: float = QUIET_S,
    grace_s: float = GRACE_S,
) -> Tally:
    """Import as journals grow, until each is closed, or quiet for `quiet_s`.

    Journals that appear meanwhile are followed too; for one more, `grace_s` are waited.
    """
    # Size, when it last grew, status.
    seen: dict[Path, tuple[int, float, str]] = {}
    last = time.monotonic()
    while True:
        now = time.monotonic()
        for folder in find_runs(folders):
            size = _size(folder)
            if size and (folder not in seen or seen[folder][0] != size):
                with store.lock():
                    store.open()
                    try:
                        view = _try(folder, store, calm=folder in seen)
                    except StoreError as error:
                        # It may be mended until the journal grows again.
                        _complain(folder, error)
                        view = None
                seen[folder] = (size, now, "import failed" if view is None else view.status)
                last = now
        waiting = [grown for _, grown, status in seen.values() if status == "unfinished"]
        patience_s = quiet_s if waiting or not seen else grace_s
        if now - max([last, *waiting]) >= patience_s:
            break
        time.sleep(poll_s)
    if not seen:
        print(f"track: no {NAME} came within {quiet_s:g} s", file=sys.stderr)
    n_failed = sum(status == "import failed" for *_, status in seen.values())
    return Tally(len(seen) - n_failed, n_failed + (not seen))


def _size(folder: Path) -> int:
    try:
        return (folder / NAME).stat().st_size
    except OSError:
        # Removed since it was listed.
        return 0


def _try(folder: Path, store: Store, *, calm: bool = False) -> RunView | None:
    """Import one run and print what was added (calm: only at its end). None: it failed."""
    began = time.monotonic()
    try:
        imported = import_run(folder, store)
    except StoreError:
        raise
    except Exception as error:
        # One damaged folder must not keep the others out.
        _complain(folder, error)
        return None
    view = imported.view
    label = printable(f"{run_name(view)} ({view.status})", most=300)
    if calm and (view.status == "unfinished" or imported.n_rows is None):
        return view
    for doubt in view.doubts:
        print(f"track: {printable(folder.name)}: warning: {doubt}", file=sys.stderr, flush=True)
    if imported.n_rows is None:
        print(f"{label}: nothing new", flush=True)
    else:
        print(
            f"{label}: {len(view.trials)} trials, {view.n_epochs} epochs; {imported.n_rows:,} new rows "
            f"in {imported.experiment}, {time.monotonic() - began:.1f} s",
            flush=True,
        )
    return view


def _complain(folder: Path, error: Exception) -> None:
    """Say on stderr, in one line, why a folder could not be imported."""
    message = without_credentials((str(error).strip().splitlines() or [""])[0])
    kind = "" if isinstance(error, SuiteError) else f"{type(error).__name__}: "
    line = f"{folder.name}: {kind}{clean(message)}"
    print(f"track: {printable(line, most=500)}", file=sys.stderr, flush=True)


# --- one run -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Imported:
    """n_rows: metric rows sent; None: the journal had nothing new."""

    view: RunView
    experiment: str
    n_rows: int | None


def import_run(folder: Path, store: Store) -> Imported:
    """Bring the store to where the folder's journal stands. The caller holds the store's lock.

    Raises JournalError: no journal, a damaged one, or not the one that was imported under its id;
    StoreError: the store cannot be written. Nothing of the run is half written then.
    """
    with contextlib.nullcontext() if store.uri is None else _alone(folder):
        return _import_alone(folder, store)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other imports of this run folder waiting: a server has no lock, and each would make the run.

    Whoever imports a run reads its journal, so that is what is locked. Nothing is locked where the journal
    cannot be opened (reading it says why) or its file system has no locks: two imports at once may then make
    a run twice.
    """
    with contextlib.ExitStack() as opened:
        with contextlib.suppress(OSError, UnsafeFileError):
            file = opened.enter_context(open_regular(folder / NAME))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"{printable(folder.name)}: another import of it runs; waiting", flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _import_alone(folder: Path, store: Store) -> Imported:
    view = load_run(folder)
    run_id, name = view.header.run_id, mlflow_name(f"suite/{view.header.model}")
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", run_id):
        raise JournalError(f"run_id={run_id}: must be letters, digits, _ . and -. Run it again.")
    experiment = store.experiment(name)
    with store.writing() as sink:
        return Imported(view, name, _import(view, experiment, sink))


def _import(view: RunView, experiment: str, sink: Sink) -> int | None:
    """The number of metric rows that were sent; None: the journal had nothing new."""
    run_id = view.header.run_id
    tags = {"suite.run_id": run_id, "suite.kind": "run"}
    run = next(iter(sink.stored(experiment, tags)), None)
    had = {} if run is None else run.tags
    before = had.get("suite.imported", "")
    mark = f"{view.journal.n_bytes} {view.journal.sha256} {view.time_s!r}"
    files = dict(about.report_files(view))
    report = hashlib.sha256(files.get("report.html", b"")).hexdigest() if files else ""
    is_old = bool(before) and had.get("suite.layout") != LAYOUT
    if before == mark and not is_old and report in ("", had.get("suite.report")):
        return None
    since = _imported_until(view, before) if before else float("-inf")
    if run is None:
        run = sink.create(experiment, run_name(view), ms(view, 0.0), tags | run_tags(view))
    rows = run_rows(view, float("-inf") if is_old else since)
    # Parameters cannot be changed, and what `clean` knows depends on the machine: they go in once.
    params = {} if before else parameters(view)
    params |= {} if had.get("suite.winner") else best_parameters(view)
    sink.log(run.identity, rows, params)
    if (data := about.data_set(view)) is not None:
        sink.use(experiment, run.identity, data)
    n_rows = len(rows) + _import_trials(sink, experiment, run.identity, view, since)
    # A lone surrogate, which JSON may hold and UTF-8 not, becomes JSON's own escape.
    content = record.dumps(record.of(view)).encode("utf-8", "backslashreplace")
    sink.attach(run, record.NAME, content)
    for name, data_of_file in files.items():
        sink.attach(run, f"{about.REPORT}/{name}", data_of_file)
    sink.end(run.identity, _STATES.get(view.status, "RUNNING"), ms(view, view.time_s))
    ends: dict[str, Any] = {
        "suite.status": view.status,
        "suite.reason": view.reason,
        "suite.layout": LAYOUT,
    }
    ends |= {"suite.report": report or None, "mlflow.note.content": about.note(view)}
    # The mark is the last: without it an import is repeated.
    sink.log(
        run.identity, tags={**ends, **run_tags(view), **run_counts(view), "suite.imported": mark}
    )
    return n_rows


def _imported_until(view: RunView, mark: str) -> float:
    """The journal's time to which it was imported. Raises JournalError where another journal was."""
    parts = _MARK.fullmatch(mark)
    if parts is None or not _begins(view.folder / NAME, int(parts[1]), parts[2]):
        raise JournalError(
            f"run_id={view.header.run_id}: the store holds another journal of this run; delete that run "
            "in the UI, or use another --store."
        )
    return float(parts[3])


def _begins(path: Path, n_bytes: int, digest: str) -> bool:
    """Whether the first `n_bytes` of a file are those of the SHA-256 `digest`."""
    sha256 = hashlib.sha256()
    with open_regular(path) as file:
        while n_bytes > 0 and (data := file.read(min(n_bytes, 1 << 20))):
            sha256.update(data)
            n_bytes -= len(data)
    return n_bytes == 0 and sha256.hexdigest() == digest


def _import_trials(sink: Sink, experiment: str, parent: str, view: RunView, since: float) -> int:
    """The run's children, one a trial; returns the number of metric rows."""
    tags = {"suite.run_id": view.header.run_id, "suite.kind": "trial"}
    known = {run.tags.get("suite.trial_id"): run for run in sink.stored(experiment, tags)}
    spans: dict[int, list[float]] = {}
    for job in view.jobs:
        times = [job.start_s, view.time_s if job.end_s is None else job.end_s]
        spans.setdefault(job.trial_id, []).extend(times)
    n_rows = 0
    progress = Progress(run_name(view), len(view.trials))
    try:
        for n_done, trial in enumerate(view.trials.values()):
            progress(n_done)
            run = known.get(str(trial.trial_id))
            rows = trial_rows(view, trial, since if run is not None else float("-inf"))
            times = spans.get(trial.trial_id, [view.time_s])
            begin_ms, end_ms = ms(view, min(times)), ms(view, max(times))
            if run is None:
                own: dict[str, Any] = {"mlflow.parentRunId": parent, "suite.bracket": trial.bracket}
                own["suite.trial_id"] = trial.trial_id
                run = sink.create(experiment, f"trial {trial.trial_id}", begin_ms, tags | own)
            _import_trial(sink, run, view, trial, rows, end_ms)
            n_rows += len(rows)
    finally:
        progress.close()
    return n_rows


def _import_trial(
    sink: Sink, run: Stored, view: RunView, trial: TrialView, rows: Sequence[Row], end_ms: int
) -> None:
    was = run.tags.get("suite.status")
    is_open = trial.status == "open"
    state = "FAILED" if trial.status in ("diverged", "given up") else "FINISHED"
    if is_open:
        state = "KILLED" if view.status in ("failed", "interrupted") else "RUNNING"
    if rows or was != trial.status:
        fate: dict[str, Any] = {"suite.status": trial.status, "suite.reason": trial.reason}
        fate["suite.stopped_at_epoch"] = trial.stopped_at
        sink.log(run.identity, rows, {} if was else trial.config, fate)
    if run.state != state or (rows and not is_open):
        sink.end(run.identity, state, end_ms)
