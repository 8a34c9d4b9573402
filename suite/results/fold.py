"""Floor 4: a run as its journal tells it: what records, figures and MLflow share.

`load_run(folder)` folds the journal once and needs neither the scheduler nor the target: a crashed,
interrupted or still running journal gives a view too. What a view holds is said in suite.results.run_view.

An epoch that was trained again keeps its first report, unless no decision rests on it and its value
differs: the rule of the Conductor (suite.results.folding). Strings leave here without paths, user, host
names and secrets (suite.results.privacy).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from suite.core.errors import JournalError
from suite.core.printable import printable
from suite.core.types import Allocation
from suite.results import doubts
from suite.results.fold_state import Job, Life, Trial
from suite.results.folding import Fold
from suite.results.header import RunHeader, as_trained, parse_header
from suite.results.privacy import cleaner
from suite.results.run_view import Incumbent, JobView, JournalRead, RunView, TrialStatus, TrialView
from suite.results.workers import WorkerView, usage
from suite.run import journal as journals
from suite.run.budget import EPOCHS, JOB, in_force
from suite.run.journal_reading import ReadJournal, shown
from suite.run.trials import GivenUp

__all__ = ["RunView", "load_run", "usage"]


def load_run(folder: Path) -> RunView:
    """The view of a run folder (or of its journal.jsonl). A torn last line is left out.

    `doubts` of the view says what does not fit, in it and in the record beside it.
    Raises JournalError: no journal, a damaged one, one whose lines are out of order, or a header without
    what every run has; with the line and the key.
    """
    path = folder / journals.NAME if folder.is_dir() else folder
    journal = journals.read_journal(path)
    clean = cleaner()
    header = parse_header(clean(journal.header), path.parent.name)
    fold = folded(journal, header, path, clean)
    return _View(fold, clean).of(path.parent, header, journal)


def folded(
    journal: ReadJournal, header: RunHeader, path: Path, clean: Callable[[Any], Any]
) -> Fold:
    """Every line folded in order. Raises JournalError, with the line, where one does not fit."""
    fold = Fold(header, clean)
    for number, line in enumerate(journal.lines, start=2):
        try:
            fold.line(number, line)
        except (JournalError, ValueError) as error:
            raise JournalError(
                f"{shown(path)}: line {number}: {printable(error, most=400)}; it does not fit the lines "
                "before it. Restore the journal from a copy; swiftbench verify looks at the whole."
            ) from None
    return fold


class _View:
    """A fold as readers see it: frozen, and cleaned of names."""

    def __init__(self, fold: Fold, clean: Callable[[Any], Any]) -> None:
        self._fold, self._clean = fold, clean

    def of(self, folder: Path, header: RunHeader, journal: ReadJournal) -> RunView:
        fold, clean = self._fold, self._clean
        if fold.status != "unfinished":
            fold.cut()
        anytime = list(fold.anytime)
        if anytime and anytime[-1].n_epochs < fold.last[0]:
            end = anytime[-1]
            anytime.append(Incumbent(*fold.last, end.best, end.trial_id, end.epoch))
        fold.count_ahead()
        said = fold.doubts.lines()
        if (wrong := doubts.of_record(folder, journal)) is not None:
            said.append(wrong)
        taken_over = [line.get("process") for line in journal.lines if line["event"] == "resumed"]
        facts = [journal.header, *filter(None, taken_over), *(life.facts for life in fold.lives)]
        trials = {trial_id: self._trial(trial_id, trial) for trial_id, trial in fold.trials.items()}
        return RunView(
            folder=folder,
            header=as_trained(header, facts),
            status=fold.status,
            reason=clean(fold.reason),
            trials=trials,
            jobs=tuple(self._job(job) for job in fold.jobs),
            forecasts=tuple(fold.questions.forecasts),
            workers=tuple(self._worker(life) for life in fold.lives),
            limits=_of_time(
                in_force(journals.settings(journal.header), journal.lines), fold.allocations
            ),
            anytime=tuple(anytime),
            by_time=_by_time(trials),
            winner=fold.winner() if fold.over else None,
            test_value=fold.test_value,
            test_metrics=fold.test_metrics,
            time_s=fold.time_s,
            counts=fold.counts,
            journal=JournalRead(len(journal.lines) + 1, journal.n_bytes, journal.sha256),
            job_energy=tuple(clean(answer) for answer in fold.job_energy),
            allocations=tuple(replace(said, job=clean(said.job)) for said in fold.allocations),
            measured=clean(fold.measured),
            doubts=tuple(clean(said)),
        )

    def _trial(self, trial_id: int, trial: Trial) -> TrialView:
        fold, clean = self._fold, self._clean
        reason = fold.given_up.get(trial_id)
        epochs = tuple(trial.epochs[: fold.counted.get(trial_id)])
        status: TrialStatus
        if reason is not None:
            status = "diverged" if GivenUp.read(reason).reason == "diverged" else "given up"
        elif trial_id in fold.stopped:
            status = "stopped"
        elif len(epochs) >= fold.max_epochs:
            status = "finished"
        else:
            status = "cut" if fold.over else "open"
        return TrialView(
            trial_id, clean(trial.state.config), trial.state.seed, trial.bracket, epochs,
            status, fold.stopped.get(trial_id), clean(reason),
        )  # fmt: skip

    def _job(self, job: Job) -> JobView:
        work = job.job
        return JobView(
            job_id=work.job_id, kind=job.kind, worker=job.worker, trial_id=work.trial_id,
            from_epoch=work.from_epoch, to_epoch=work.to_epoch, start_s=job.start_s, end_s=job.end_s,
            outcome=job.outcome, n_epochs=job.n_epochs, train_s=job.train_s, eval_s=job.eval_s,
            restore_s=job.restore_s, checkpoint_s=job.checkpoint_s, busy_s=job.busy_s,
            message=self._clean(job.message),
        )  # fmt: skip

    def _worker(self, life: Life) -> WorkerView:
        left_s = self._fold.time_s if life.left_s is None else life.left_s
        ends = [(job.start_s, left_s if job.end_s is None else job.end_s) for job in life.jobs]
        busy_s = sum(max(end - start, 0.0) for start, end in ends)
        return WorkerView(
            life.worker,
            life.joined_s,
            left_s,
            self._clean(life.lost),
            self._clean(life.facts),
            busy_s,
            len(life.jobs),
            tuple(life.readings),
            life.released,
        )


def _of_time(limits: Mapping[str, int], allocations: Sequence[Allocation]) -> dict[str, int]:
    ends = {JOB: allocations[-1].end_ms} if allocations else {}
    return {key: limit for key, limit in limits.items() if key != EPOCHS} | ends


def _by_time(trials: Mapping[int, TrialView]) -> tuple[Incumbent, ...]:
    """Improvements in the order in which their epochs ended, and the last epoch of all."""
    points = sorted(
        (point.time_s, trial_id, point.epoch, point.objective)
        for trial_id, trial in trials.items()
        for point in trial.epochs
    )
    found: list[Incumbent] = []
    for n, (time_s, trial_id, epoch, objective) in enumerate(points, start=1):
        if not found or objective < found[-1].best:
            found.append(Incumbent(n, time_s, objective, trial_id, epoch))
    if points and found[-1].n_epochs < len(points):
        end = found[-1]
        found.append(Incumbent(len(points), points[-1][0], end.best, end.trial_id, end.epoch))
    return tuple(found)
