"""From the settings of a run to its end: journal, backend, record."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import sys
import traceback
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from suite import __version__
from suite.backends.contract import Backend, RunContext, Runner
from suite.backends.forecasts import Forecaster
from suite.core.errors import ConfigError, PausedError, SuiteError
from suite.core.metric import Metric
from suite.core.printable import printable
from suite.core.run_settings import NOT_KEPT, RunSettings
from suite.core.target import Target, mark
from suite.files import UnsafeFileError, read_bytes, read_json
from suite.launch import slurm_energy
from suite.launch.assemble import Parts, assemble, made_backend, work_of
from suite.launch.ending import BEFORE, RESUME, Outcome, Status, reason_of
from suite.launch.job_end import job_end_of
from suite.launch.progress import Progress, Sweep
from suite.launch.siblings import check_overlap
from suite.launch.signals import Signals
from suite.run import batch
from suite.run import budget as budgets
from suite.run import journal as journals
from suite.run.agreement import Agreement
from suite.run.budget import CTRL_C
from suite.run.driver import Driver, reopen
from suite.run.journal import Journal
from suite.run.lock import FolderLock
from suite.worker import facts
from suite.worker.checkpoints import CheckpointPlace, Checkpoints

RECORD = "record.json"
STOPPED = f"stopped by a signal; continue with {RESUME}."
_MAX_JOURNAL = 2**30
_MAX_RECORD = 2**28
"""Bytes of a record; that of 3,000 trials has some 100 kB."""
_FREE = f"free space or permit writing there, then continue with {RESUME}"


def run(
    settings: RunSettings,
    folder: Path,
    *,
    resume: bool = False,
    command: Sequence[str] = (),
    sweep: Sweep | None = None,
) -> Outcome:
    """One run in `folder`, to its end. Raises nothing for what goes wrong inside it (see Outcome).

    command: the words of the command line that asked for it, for the journal's header. sweep: whose run it
    is, for the lines of progress.

    Raises KeyboardInterrupt where a signal came after the run had ended, once its journal is closed and its
    record written.
    """
    running = _Running(settings, folder, command, sweep or Sweep())
    status: Status
    with Signals(running.ends_by_hand) as signals:
        try:
            status, reason = running.trained(resume)
        except KeyboardInterrupt:
            status, reason = "interrupted", STOPPED
        except PausedError as error:
            status, reason = running.paused(error)
        except SuiteError as error:
            status, reason = "failed", str(error)
        except OSError as error:
            status, reason = "failed", f"{reason_of(error)}; {_FREE}."
        except Exception as error:
            traceback.print_exc()
            status, reason = "failed", f"{type(error).__name__}: {error}"
        signals.defer()
        return running.closed(status, reason)


def tidy_completed(settings: RunSettings, folder: Path) -> Outcome:
    """What the end of a completed run left out, because its process died or the disk was full: the record,
    and checkpoints that nobody needs. Where nothing is missing, nothing is written.

    settings: the run's own; they say where its checkpoints are.
    """
    from suite.results.fold import load_run

    label = settings.label
    path = folder / journals.NAME
    try:
        header, lines, n_bytes = journals.read(path)
        label += mark(journals.data_label(header) or "")
        whole = read_bytes(path, max_bytes=_MAX_JOURNAL)[:n_bytes]
        if _is_tidy(folder, hashlib.sha256(whole).hexdigest()):
            return Outcome("completed", BEFORE, folder, label)
        backend = made_backend(settings)
        lock = FolderLock(folder)
    except (SuiteError, OSError) as error:
        left = f"its record is missing: {reason_of(error)}; mend it, then resume=auto writes it."
        return Outcome("completed", BEFORE, folder, label, left)
    try:
        place = backend.checkpoint_place(folder, journals.run_id(header))
        kept = None if budgets.ended(lines) else place
        untidied = _tidied(settings, folder, kept, lambda: load_run(folder).winner)
    finally:
        lock.release(clean=True)
    reason = BEFORE if untidied else f"{BEFORE}; its record was missing and is written now"
    return Outcome("completed", reason, folder, label, untidied)


def _is_tidy(folder: Path, sha256: str) -> bool:
    """Whether the run folder holds the record of just this journal: it is written after everything else."""
    try:
        found = read_json(folder / RECORD, max_bytes=_MAX_RECORD)
        return bool(found["journal"]["sha256"] == sha256)
    except (OSError, ValueError, LookupError, TypeError, UnsafeFileError):
        return False


class _Running:
    """A run on its way: what is open and must be closed, whatever happens."""

    def __init__(
        self, settings: RunSettings, folder: Path, command: Sequence[str], sweep: Sweep
    ) -> None:
        self._settings, self._folder = settings, folder
        self._command, self._sweep, self._label = command, sweep, settings.label
        self._driver: Driver | None = None
        self._progress: Progress | None = None
        self._meter: slurm_energy.JobMeter | None = None
        self._backend: Backend | None = None
        self._metric: Metric | None = None
        self._is_by_hand = False

    def trained(self, resume: bool) -> tuple[Status, str]:
        """Status and reason of a run that came to its own end."""
        settings, folder = self._settings, self._folder
        parts = assemble(settings)
        conductor, target = parts.conductor, parts.target
        self._backend, self._metric = parts.backend, target.goal
        self._label += mark(target.data)
        _check_workers(parts)
        job_end = job_end_of(settings, parts.backend)
        n_epochs, work = parts.scheduler.plan().n_epochs, work_of(parts)
        self._sweep.next(work)
        self._progress = Progress(
            self._label,
            n_epochs,
            target.goal,
            sweep=self._sweep,
            work=work,
            is_real=not parts.backend.simulated,
        )
        if resume:
            self._driver = reopen(
                folder, conductor, [self._progress], batch.restarts(),
                agreement=_agreement(parts), process=_process(target), job_end=job_end,
            )  # fmt: skip
            for change in self._driver.changes:
                said = f"{self._label}: {change}, as the run was begun; noted in the journal"
                print(printable(said), file=sys.stderr, flush=True)
        else:
            check_overlap(settings, folder)
            # The journal exists before MPI is touched: a folder that is taken costs nothing.
            journal = Journal(folder, header(settings, parts, self._command))
            self._driver = Driver(conductor, journal, [self._progress], _agreement(parts), job_end)
            # Of a run that lost its journal: their weights are of other configurations.
            Checkpoints(_place(parts.backend, folder, journal)).drop_all_but(None)
        if conductor.shutdown is None:  # else the run lacked only its closing line
            runner = _runner(settings, parts, folder, self._driver)
            if batch.slurm_job_id() and not parts.backend.simulated:
                self._meter = slurm_energy.JobMeter(timeout_s=3)
            runner.run(self._driver)
        assert conductor.shutdown is not None
        return conductor.shutdown.status, conductor.shutdown.reason

    def ends_by_hand(self) -> bool:
        """Ctrl-C came. True: the run has a budget of time, and ends as if it were used up."""
        is_real = self._backend is not None and not self._backend.simulated
        if self._driver is None or not is_real or not self._driver.ask_for_end(CTRL_C):
            return False
        self._is_by_hand = True
        print(
            f"{self._label}: Ctrl-C: ends with the present epochs and the winner's test; once more cuts it",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        return True

    def paused(self, error: PausedError) -> tuple[Status, str]:
        """Status and reason of a run whose job ends: it failed where pauses bring it no further."""
        driver = self._driver
        if driver is not None and (why := driver.progress.stalled(driver.conductor)):
            return "failed", f"{error}; {why}."
        return "paused", f"{error}; run the same command with resume=auto to continue."

    def closed(self, status: Status, reason: str) -> Outcome:
        """The outcome, with the journal's closing line, the checkpoints tidied and the record written."""
        if self._progress is not None:
            self._progress.close()
        untidied = ""
        if self._driver is not None:
            # A signal leaves a quarter of a second: no question to the batch system then.
            asked = self._meter is not None and status != "interrupted"
            energy_used = self._meter.reading() if self._meter is not None and asked else None
            written = "interrupted" if status == "paused" else status
            try:
                self._driver.close(written, reason, energy_used)
            except (SuiteError, OSError) as error:  # what stands in the journal is whole
                status, reason = "failed", reason_of(error)
            untidied = self._tidied(status)
        return Outcome(
            status, reason, self._folder, self._label, untidied, self._outlook(), self._is_by_hand
        )

    def _outlook(self) -> str:
        if self._driver is None or self._backend is None or self._metric is None:
            return ""
        if (expected := self._driver.conductor.scheduler.expected_gain) is None:
            return ""
        made_up = " (simulated)" if self._backend.simulated else ""
        return (
            f"the next {expected[0]:g} node-hours{made_up} would be expected to gain {expected[1]:.2g} of "
            f"{self._metric.name}"
        )

    def _tidied(self, status: Status) -> str:
        driver, backend = self._driver, self._backend
        if driver is None or driver.journal is None or backend is None:
            return ""
        if driver.journal.is_taken:
            # Record and checkpoints are those of another run now.
            return ""
        place = _place(backend, self._folder, driver.journal)
        # A larger budget goes on with the trials that this one has stopped.
        is_over = status == "completed" and not driver.conductor.ending.goes_on
        return _tidied(
            self._settings,
            self._folder,
            place if is_over else None,
            lambda: driver.conductor.winner,
        )


def _agreement(parts: Parts) -> Agreement:
    """What every process of this run must have in common: rank 0's code and versions, one data set."""
    return Agreement(facts.agreed(parts.target), parts.target.data, parts.backend.agreement)


def _process(target: Target) -> dict[str, Any]:
    """What a resume notes of this process, as the header does of the first."""
    image = facts.image()
    return {**facts.agreed(target), "git": facts.git(), **({"image": image} if image else {})}


def _runner(settings: RunSettings, parts: Parts, folder: Path, driver: Driver) -> Runner:
    """This run on its backend, ready."""
    assert driver.journal is not None
    return parts.backend.open(
        RunContext(
            model=settings.model,
            target=parts.target,
            checkpoints=_place(parts.backend, folder, driver.journal),
            forecaster=Forecaster(settings.predictor, settings.seed, folder=folder),
            seed=settings.seed,
            max_epochs=parts.scheduler.max_epochs,
            measured_epoch_s=driver.progress.epoch_s,
        )
    )


def _place(backend: Backend, folder: Path, journal: Journal) -> CheckpointPlace:
    return backend.checkpoint_place(folder, journals.run_id(journal.header))


def _tidied(
    settings: RunSettings,
    folder: Path,
    place: CheckpointPlace | None,
    winner: Callable[[], int | None],
) -> str:
    """After the end: drop checkpoints that nobody needs, then write the record. Returns what failed, with the
    reason; empty where all was done. It must not take a sweep's other runs with it.

    place: of the checkpoints; None where the run can be continued and needs them.
    """

    def drop() -> None:
        if place is not None and settings.keep_checkpoints == "winner":
            Checkpoints(place).drop_all_but(winner())

    def write() -> None:
        from suite.results import record

        record.write(folder)

    failed = []
    for what, step in (("checkpoints", drop), (RECORD, write)):
        try:
            step()
        except (SuiteError, OSError) as error:
            reason = reason_of(error)
            failed.append(reason if what in reason else f"{what}: {reason}")
        except Exception as error:
            traceback.print_exc()
            failed.append(f"{what}: {type(error).__name__}: {error}")
    if not failed:
        return ""
    again = "mend it, then the same command with resume=auto does the rest" if place else "mend it"
    return f"{'; '.join(failed)}; {again}."


def header(settings: RunSettings, parts: Parts, command: Sequence[str] = ()) -> dict[str, Any]:
    """The first line of a run's journal: what runs, by which names, of which revision, on which host."""
    scheduler, target, searcher = parts.scheduler, parts.target, parts.conductor.searcher
    # What a searcher is shown depends on the order of arrival, but for a virtual cluster.
    repeats = scheduler.deterministic and (settings.overlap == "logical" or not searcher.adaptive)
    # Where it ends depends on how fast epochs are.
    repeats &= parts.backend.simulated or not parts.conductor.spending.has_limit
    plain = dataclasses.asdict(settings)
    return {
        "run_id": uuid.uuid4().hex,
        "suite_version": __version__,
        "date_utc": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **({"command": list(command)} if command else {}),
        "experiment": settings.name,
        "algorithm": settings.choices.algorithm,
        "model": settings.model_name,
        "choices": plain["choices"],
        "seed": settings.seed,
        "n_workers": parts.backend.n_workers(),
        **({"simulated": True} if parts.backend.simulated else {}),
        "overlap": settings.overlap,
        "reproducible": "whole run" if repeats else "prefix only",
        "max_epochs": scheduler.max_epochs,
        **({"reference": dict(known)} if (known := target.reference(scheduler.max_epochs)) else {}),
        "target": {
            "metric": target.goal.name,
            "mode": target.goal.mode,
            "unit": target.goal.unit,
            "data": target.data,
            "framework": target.framework,
            # Names that some trials have only.
            **({"conditional": sorted(target.space.conditions)} if target.space.conditions else {}),
        },
        "config": {key: value for key, value in plain.items() if key not in (*NOT_KEPT, "choices")},
        "code": facts.code(target),
        "versions": facts.versions(),
        "git": facts.git(),
        "host": facts.host(),
        **({"image": image} if (image := facts.image()) else {}),
    }


def _check_workers(parts: Parts) -> None:
    """Raise ConfigError where fewer workers can ever join than the run waits for."""
    n, least = parts.backend.n_workers(), parts.conductor.min_workers
    if n < least:
        raise ConfigError(
            f"min_workers={least}: this run can have {n} worker{'s' * (n != 1)} at most; lower it, or start "
            "more (mpirun -n WORKERS+1; in a simulation backend.workers)."
        )
