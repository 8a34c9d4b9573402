"""The conductor: a deterministic fold from events to commands.

It keeps workers, jobs, retries and curves; it does no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from suite.core import types as t
from suite.core.errors import ConfigError, JournalError, check_integer
from suite.core.scheduler import Scheduler
from suite.core.searcher import Searcher
from suite.core.space import Space
from suite.run.again import SentAgain
from suite.run.budget import Spending
from suite.run.ending import Ending
from suite.run.machine_log import MachineLog
from suite.run.newcomers import Newcomers
from suite.run.questions import Questions
from suite.run.reported_curve import ReportCounts
from suite.run.reports import Reports
from suite.run.trials import (
    NOTHING,
    GivenUp,
    GivenUpReason,
    Notes,
    Step,
    TrialState,
    TrialsView,
)
from suite.run.workforce import MAX_STRIKES, Workforce

# Events that decide nothing: they only add to a trial.
_SILENT = frozenset((t.EpochReport, t.EpochBatch, t.Checkpointed))


class Conductor:
    """Runs one search: `handle(event) -> Step`; the same events always cause the same commands.

    max_attempts: workers a trial may cost before it is given up. min_workers: with fewer the run stops.
    resident_trials: how many trials a worker keeps in memory (the last ones it trained). score: whether
    the winner is evaluated on the test split at the end. budget: limits of suite.run.budget, at which the
    run ends. Raises ConfigError for a number below 1.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        searcher: Searcher,
        space: Space,
        *,
        seed: int,
        max_attempts: int,
        score: bool,
        min_workers: int = 1,
        resident_trials: int = 1,
        budget: Mapping[str, int] | None = None,
    ) -> None:
        check_integer("max_attempts", max_attempts, 1)
        check_integer("min_workers", min_workers, 1)
        check_integer("resident_trials", resident_trials, 1)
        self.scheduler, self.searcher, self.space, self.seed = scheduler, searcher, space, seed
        self.max_attempts, self.min_workers, self.score = max_attempts, min_workers, score
        searcher.begin(space, seed)
        self.in_flight: dict[int, tuple[int, t.Job]] = {}
        self.force = Workforce(resident_trials)
        self.given_up: dict[int, GivenUp] = {}
        self.shutdown: t.Shutdown | None = None
        self.reports = Reports()
        # Messages of jobs that were not in flight.
        self.n_dropped = 0
        self.spending = Spending()
        self.spending.adjust(budget or {})
        self.ending = Ending(self.spending, score, scheduler.max_epochs)
        self._notes = Notes()
        self._trials: dict[int, TrialState] = {}
        self._newcomers = Newcomers(scheduler, searcher, space, seed)
        self._again = SentAgain()
        self._questions = Questions()
        self._next_job = 0
        self._n_stopped = 0
        # For a scheduler that decides by the clock; it holds nothing that is not in the events.
        self._machine = MachineLog(self.force, self.spending) if scheduler.reads_clock else None
        if self._machine is not None:
            scheduler.on_machine(self._machine)
        if scheduler.chooses_trials and not searcher.adaptive:
            scheduler.on_candidates(searcher.n_configurations, self._newcomers.points)
        self._handlers: dict[type, Callable[[Any], list[t.Command] | None]] = {
            t.WorkerJoined: self._joined,
            t.EpochReport: self._epoch,
            t.EpochBatch: self._epochs,
            t.Checkpointed: self._checkpointed,
            t.JobFinished: self._finished,
            t.JobFailed: self._failed,
            t.WorkerLost: self._lost,
            t.Forecast: self._forecast,
            t.ForecastFailed: self._forecast_failed,
            t.Resumed: self._resumed,
            t.Scored: self._score_came,
            t.Allocation: lambda _: None,
            t.BudgetUsed: self.ending.budget_used,
            t.JobStopped: self._job_stopped,
        }

    @property
    def winner(self) -> int | None:
        """The trial that is evaluated at the end; None: none is chosen yet, or there is none."""
        return self.ending.winner

    @property
    def workers(self) -> Mapping[int, int | None]:
        """worker -> the job_id it is doing, None: idle."""
        return self.force.jobs

    @property
    def trials(self) -> Mapping[int, t.Trial]:
        """What a searcher sees: every trial so far, or what the scheduler has seen of them."""
        return TrialsView(self._trials, self.given_up, self.scheduler.visible_epochs)

    def handle(self, event: t.Event) -> Step:
        """Fold one event in; returns the commands that the event causes, and notes for the journal."""
        if self.shutdown is not None and not isinstance(event, t.Resumed):
            self.n_dropped += 1
            return NOTHING
        if self._machine is not None:
            self._machine.saw(event, self.in_flight)
        if self.spending.has_limit or self._machine is not None:
            self.spending.saw(event)
        kind = type(event)
        if kind in _SILENT:
            self._handlers[kind](event)
            return NOTHING
        self._notes = Notes()
        commands = self._handlers[kind](event) or []
        if self.shutdown is None:
            commands = commands + self._dispatch()
        if len(self.scheduler.stopped_at) > self._n_stopped:
            stopped = self.scheduler.stopped_at
            self._notes.stopped = dict(list(stopped.items())[self._n_stopped :])
            self._n_stopped = len(stopped)
        return Step(commands, self._notes)

    @property
    def counts(self) -> ReportCounts:
        return self.reports.counts

    @property
    def best(self) -> tuple[float, int] | None:
        """(objective, trial_id) over all epochs so far, for the progress line."""
        return self.reports.best

    @property
    def n_epochs(self) -> int:
        """Epochs reported for the first time."""
        return self.counts.n_epochs

    @property
    def settings(self) -> dict[str, int]:
        """Settings that may change at a resume: they concern the workers, not the search."""
        own = {"min_workers": self.min_workers, "resident_trials": self.force.resident_trials}
        return own | self.spending.limits

    def adjust(self, settings: Mapping[str, int]) -> None:
        self.min_workers = settings.get("min_workers", self.min_workers)
        self.force.resident_trials = settings.get("resident_trials", self.force.resident_trials)
        self.spending.adjust(settings)

    @property
    def is_ending(self) -> bool:
        """Whether the search is over but for the jobs in flight, or the winner's score."""
        ending = self.ending
        return bool(ending.spent) or ending.scoring in self.in_flight or self.shutdown is not None

    # --- events -----------------------------------------------------------------------------------

    def _joined(self, event: t.WorkerJoined) -> None:
        self.force.join(event.worker)

    def _current(self, worker: int, job_id: int) -> t.Job | None:
        """The job if it is in flight on this worker; else None, and the message is counted as dropped."""
        flight = self.in_flight.get(job_id)
        if flight is None or flight[0] != worker:
            self.n_dropped += 1
            return None
        return flight[1]

    def _epoch(self, event: t.EpochReport) -> None:
        if (job := self._current(event.worker, event.job_id)) is not None:
            self.reports.epoch(self._trials[job.trial_id], job, event)

    def _epochs(self, event: t.EpochBatch) -> None:
        if (job := self._current(event.worker, event.job_id)) is not None:
            self.reports.epochs(self._trials[job.trial_id], job, event)

    def _checkpointed(self, event: t.Checkpointed) -> None:
        if (job := self._current(event.worker, event.job_id)) is not None:
            self._trials[job.trial_id].checkpointed(event.epoch)

    def _finished(self, event: t.JobFinished) -> None:
        job = self._current(event.worker, event.job_id)
        if job is None or job.job_id == self.ending.scoring:
            return
        trial = self._trials[job.trial_id]
        if trial.reached < job.to_epoch:
            raise JournalError(
                f"job {job.job_id}: finished at epoch {trial.reached}, must reach "
                f"{job.to_epoch}; reports are missing."
            )
        self._release(job.job_id)
        self.force.forgive([event.worker])
        trial.decided = max(trial.decided, job.to_epoch)
        trial.checkpointed(job.to_epoch)
        self.scheduler.tell(job.trial_id, tuple(trial.curve[: job.to_epoch]))

    def _failed(self, event: t.JobFailed) -> list[t.Command]:
        if (job := self._current(event.worker, event.job_id)) is None:
            return []
        self._release(job.job_id)
        trial = self._trials[job.trial_id]
        self.force.evicted(job.trial_id)
        if event.reason == "diverged" or event.reason == "trial":
            self._give_up(job, event.reason, event.message)
        elif (
            event.reason == "checkpoint"
            and job.job_id != self.ending.scoring
            and trial.forget_checkpoint(job.from_epoch)
        ):
            # It starts again from an older one.
            self._again.add(job)
        elif event.reason == "storage" or event.reason == "contract":
            # A resumed run scores its winner anew.
            if job.job_id != self.ending.scoring:
                self._again.add(job)
            return self._stop("failed", event.message)
        else:
            trial.failed_on.add(event.worker)
            benched = self.force.strike(event.worker)
            self._retry(job, event.message)
            # Without strikes left, the trial took the blame.
            if benched and event.worker in self.force.strikes:
                self.force.leave(event.worker)
                self._notes.benched[event.worker] = event.message
                failed = f"failed {MAX_STRIKES} jobs in a row: {event.message}"
                return self._check_workers(f"worker {event.worker} {failed}")
        return []

    def _lost(self, event: t.WorkerLost) -> list[t.Command]:
        if event.worker not in self.workers:
            self.n_dropped += 1
            return []
        job_id = self.force.leave(event.worker)
        if job_id is not None:
            job = self.in_flight.pop(job_id)[1]
            self._retry(job, event.message)
        return self._check_workers(event.message)

    def _check_workers(self, last: str) -> list[t.Command]:
        is_enough = len(self.force) >= self.min_workers or bool(self.ending.spent)
        if is_enough and self.workers:
            return []
        return self._stop(
            "failed",
            f"{len(self.workers)} workers left, min_workers={self.min_workers} (last: {last}); "
            "continue with resume=<run folder> and new ones.",
        )

    def _forecast(self, event: t.Forecast) -> None:
        if self._questions.close(event):
            self.scheduler.tell_forecast(event.key, event.values, event.stds)
        else:
            self.n_dropped += 1

    def _forecast_failed(self, event: t.ForecastFailed) -> None:
        if self._questions.close(event):
            self.scheduler.tell_forecast(event.key, None)
        else:
            self.n_dropped += 1

    def _resumed(self, event: t.Resumed) -> list[t.Command]:
        self.force.clear()
        is_larger = self.spending.is_larger(event.settings)
        self.adjust(event.settings)
        self.shutdown = None
        self.ending.resumed(event, is_larger)
        self._again.resume(
            [job for _, job in self.in_flight.values() if job.job_id != self.ending.scoring]
        )
        self.in_flight.clear()
        return self._questions.ask_again()

    def _score_came(self, event: t.Scored) -> None:
        if self._current(event.worker, event.job_id) is not None:
            self._release(event.job_id)
            self.ending.is_scored = True

    def _job_stopped(self, event: t.JobStopped) -> None:
        """The trial goes on where a resume has a larger budget."""
        if (job := self._current(event.worker, event.job_id)) is not None:
            self._release(job.job_id)
            self.force.evicted(job.trial_id)
            self._again.stop(job)

    # --- jobs -------------------------------------------------------------------------------------

    def _release(self, job_id: int) -> None:
        worker, _ = self.in_flight.pop(job_id)
        self.force.release(worker)

    def _retry(self, job: t.Job, message: str) -> None:
        trial = self._trials[job.trial_id]
        trial.attempts += 1
        if trial.attempts >= self.max_attempts:
            cost = f"cost {trial.attempts} workers (max_attempts={self.max_attempts})"
            self._give_up(job, "attempts", f"{cost}, last: {message}")
        elif job.job_id != self.ending.scoring:
            self._again.add(job)

    def _give_up(self, job: t.Job, reason: GivenUpReason, message: str) -> None:
        why = GivenUp(reason, message)
        if job.job_id == self.ending.scoring:
            self.ending.unscored(str(why))
            return
        # The trial was at fault, not these workers.
        self.force.forgive(self._trials[job.trial_id].failed_on)
        self.given_up[job.trial_id] = self._notes.given_up[job.trial_id] = why
        self.scheduler.tell(job.trial_id, None)

    def _meet(self, trial_id: int) -> None:
        if trial_id not in self._trials:
            trial = self._trials[trial_id] = self._newcomers.meet(trial_id, self.trials)
            self._notes.trials[trial_id] = self._newcomers.note(trial_id, trial)

    def _dispatch(self) -> list[t.Command]:
        """Ask for a decision for each idle worker; a trial stays on its worker where possible."""
        if len(self.force) < self.min_workers:
            # The run begins when enough have joined.
            return []
        if self.ending.spent:
            return [] if self.in_flight else self._end()
        n_idle = len(self.force.idle)
        commands: list[t.Command] = []
        todo: list[tuple[int, int]] = []
        while len(todo) < n_idle and not self.ending.is_over:
            if self._again and (again := self._again.take(self._may_take)) is not None:
                todo.append(again)
                continue
            decision = self.scheduler.ask()
            if isinstance(decision, t.Train):
                self._meet(decision.trial_id)
                todo.append((decision.trial_id, decision.to_epoch))
            elif isinstance(decision, t.Propose):
                self._meet(decision.trial_id)
            elif isinstance(decision, t.Predict):
                commands.append(self._questions.ask(decision))
            else:
                if isinstance(decision, t.Done):
                    self.ending.done(self.scheduler.wants_time)
                break
        if todo:
            workers = self.force.place([(i, self._trials[i].failed_on) for i, _ in todo])
            for worker, (trial_id, to_epoch) in zip(workers, todo, strict=True):
                commands.append(self._start(worker, trial_id, to_epoch))
        if self.ending.is_over and not self.in_flight:
            commands += self._end()
        elif n_idle and not (todo or self.in_flight or self._questions or self._again):
            raise ConfigError(
                f"scheduler={type(self.scheduler).__name__}: waits although nothing is in flight; "
                "ask() must return Train, Predict or DONE then."
            )
        elif self.force.idle and not (self.ending.is_over or self._questions or self._again):
            commands += self._released()
        return commands

    def _may_take(self, trial_id: int) -> bool:
        """Whether a trial that is sent again need not go back to a worker on which it failed."""
        return self.force.may_take(self._trials[trial_id].failed_on)

    def _released(self) -> list[t.Command]:
        """Idle workers that the search will not need any more leave it."""
        if (trial_ids := self.scheduler.may_train()) is None:
            return []
        away = self.force.surplus(trial_ids, self.spending.node_of)
        for worker in away:
            self.force.send_away(worker)
            self.spending.released(worker)
        return [t.Release(worker) for worker in away]

    def _start(
        self, worker: int, trial_id: int, to_epoch: int, score: bool = False
    ) -> t.Start | t.Score:
        trial = self._trials[trial_id]
        from_epoch = to_epoch if score else trial.restart_epoch()
        trial.reached = from_epoch
        job = t.Job(self._next_job, trial_id, from_epoch, to_epoch, trial.config, trial.seed)
        self._next_job += 1
        self.in_flight[job.job_id] = (worker, job)
        self.force.occupy(worker, job.job_id, trial_id)
        if score:
            self.ending.scoring = job.job_id
            return t.Score(worker, job)
        return t.Start(worker, job)

    def _end(self) -> list[t.Command]:
        finalists = {i: trial.curve for i, trial in self.trials.items() if i not in self.given_up}
        ending, scheduler = self.ending, self.scheduler
        ending.choose(self._trials, finalists)
        n_planned, n_cut = scheduler.plan().n_epochs, len(self._again.trial_ids)
        left = (self.n_epochs, n_planned, n_cut, scheduler.ended_by)
        if (end := ending.shutdown(finalists, self.given_up.values(), *left)) is not None:
            return self._stop(end.status, end.reason)
        if not self.force.idle:
            return []
        assert ending.winner is not None
        (worker,) = self.force.place([(ending.winner, ())])
        return [self._start(worker, ending.winner, len(finalists[ending.winner]), score=True)]

    def _stop(self, status: t.EndStatus, reason: str) -> list[t.Command]:
        self.shutdown = t.Shutdown(status, reason)
        parts = {"searcher": self.searcher.diagnostics, "scheduler": self.scheduler.diagnostics}
        self._notes.measured = {name: dict(values) for name, values in parts.items() if values}
        for trial_id, n in (self.scheduler.visible_epochs or {}).items():
            if trial_id in self._trials and 0 <= n < len(self._trials[trial_id].curve):
                self._notes.counted[trial_id] = n
        return [self.shutdown]
