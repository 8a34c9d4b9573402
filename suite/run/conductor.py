"""The conductor: a deterministic fold from events to commands.

It keeps workers, jobs, retries and curves; it does no I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from suite.core import types as t
from suite.core.errors import ConfigError, JournalError, check_integer
from suite.core.scheduler import Scheduler, ranking
from suite.core.searcher import Searcher
from suite.core.seeds import stream_seed
from suite.core.space import Space
from suite.run.budget import Spending, milliseconds, words_of_end
from suite.run.machine_log import MachineLog
from suite.run.questions import Questions
from suite.run.reported_curve import ReportCounts
from suite.run.trials import (
    NOTHING,
    GivenUp,
    GivenUpReason,
    Notes,
    Step,
    TrialState,
    TrialsView,
    best_checkpointed,
    check_proposal,
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
        self.winner: int | None = None
        self.given_up: dict[int, GivenUp] = {}
        self.shutdown: t.Shutdown | None = None
        self.counts = ReportCounts()
        # Messages of jobs that were not in flight.
        self.n_dropped = 0
        # (objective, trial_id) over all epochs so far, for the progress line.
        self.best: tuple[float, int] | None = None
        self.spending = Spending()
        # How the reason of a run begins whose budget is used up, or has no room for what is left to train.
        self.spent = self._no_room = ""
        self.spending.adjust(budget or {})
        self._notes = Notes()
        self._trials: dict[int, TrialState] = {}
        # (trial_id, to_epoch) to hand out again, before anything new.
        self._queue: deque[tuple[int, int]] = deque()
        self._questions = Questions()
        self._next_job = 0
        self._n_stopped = 0
        # Jobs that the end of the budget has stopped.
        self._cut: list[t.Job] = []
        # The scheduler said DONE.
        self._over = False
        self._scored = not score
        # The job that evaluates the winner.
        self._scoring: int | None = None
        self._unscored = ""
        # For a scheduler that decides by the clock; it holds nothing that is not in the events.
        self._machine = MachineLog(self.force, self.spending) if scheduler.reads_clock else None
        if self._machine is not None:
            scheduler.on_machine(self._machine)
        if scheduler.chooses_trials and not searcher.adaptive:
            scheduler.on_candidates(searcher.n_configurations, self._points)
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
            t.BudgetUsed: self._budget_used,
            t.JobStopped: self._job_stopped,
        }

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
    def goes_on(self) -> bool:
        """Whether the search, where it has ended, goes on with a larger budget."""
        return bool(self.spent or self._no_room)

    @property
    def is_ending(self) -> bool:
        """Whether the search is over but for the jobs in flight, or the winner's score."""
        return bool(self.spent) or self._scoring in self.in_flight or self.shutdown is not None

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
        if (job := self._current(event.worker, event.job_id)) is None:
            return
        trial = self._trials[job.trial_id]
        if trial.report(job, event.epoch, event.objective, self.counts):
            self._improve(event.objective, job.trial_id)

    def _epochs(self, event: t.EpochBatch) -> None:
        """A batch; where all of its epochs are new, without a step for each."""
        if (job := self._current(event.worker, event.job_id)) is None:
            return
        trial = self._trials[job.trial_id]
        if trial.extend(job, event.epoch, event.objectives, self.counts):
            self._improve(min(event.objectives), job.trial_id)
            return
        for epoch, objective in enumerate(event.objectives, start=event.epoch):
            if trial.report(job, epoch, objective, self.counts):
                self._improve(objective, job.trial_id)

    def _improve(self, objective: float, trial_id: int) -> None:
        if self.best is None or objective < self.best[0]:
            self.best = (objective, trial_id)

    def _checkpointed(self, event: t.Checkpointed) -> None:
        if (job := self._current(event.worker, event.job_id)) is not None:
            self._trials[job.trial_id].checkpointed(event.epoch)

    def _finished(self, event: t.JobFinished) -> None:
        job = self._current(event.worker, event.job_id)
        if job is None or job.job_id == self._scoring:
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
            and job.job_id != self._scoring
            and trial.forget_checkpoint(job.from_epoch)
        ):
            # It starts again from an older one.
            self._again(job)
        elif event.reason == "storage" or event.reason == "contract":
            # A resumed run scores its winner anew.
            if job.job_id != self._scoring:
                self._again(job)
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
        if len(self.workers) >= self.min_workers:
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
        self._scored = not self.score
        if self.spent and self.spending.used_up(milliseconds(event.time_s)) is None:
            # It has a larger budget now.
            self.spent, self.winner = "", None
        if self._no_room and is_larger:
            self._no_room, self.winner, self._over = "", None, False
        cut = [job for _, job in self.in_flight.values() if job.job_id != self._scoring]
        for job in sorted(cut + self._cut, key=lambda job: job.job_id, reverse=True):
            self._again(job)
        self.in_flight.clear()
        self._cut.clear()
        return self._questions.ask_again()

    def _score_came(self, event: t.Scored) -> None:
        if self._current(event.worker, event.job_id) is not None:
            self._release(event.job_id)
            self._scored = True

    def _budget_used(self, event: t.BudgetUsed) -> None:
        self.spent = self.spending.reached(event)

    def _job_stopped(self, event: t.JobStopped) -> None:
        """The trial goes on where a resume has a larger budget."""
        if (job := self._current(event.worker, event.job_id)) is not None:
            self._release(job.job_id)
            self.force.evicted(job.trial_id)
            self._cut.append(job)

    # --- jobs -------------------------------------------------------------------------------------

    def _release(self, job_id: int) -> None:
        worker, _ = self.in_flight.pop(job_id)
        self.force.release(worker)

    def _again(self, job: t.Job) -> None:
        """Put the trial at the front of the queue, to be sent as a new job."""
        self._queue.appendleft((job.trial_id, job.to_epoch))

    def _retry(self, job: t.Job, message: str) -> None:
        trial = self._trials[job.trial_id]
        trial.attempts += 1
        if trial.attempts >= self.max_attempts:
            cost = f"cost {trial.attempts} workers (max_attempts={self.max_attempts})"
            self._give_up(job, "attempts", f"{cost}, last: {message}")
        elif job.job_id != self._scoring:
            self._again(job)

    def _give_up(self, job: t.Job, reason: GivenUpReason, message: str) -> None:
        why = GivenUp(reason, message)
        if job.job_id == self._scoring:
            self._scored = True
            self._unscored = f"the winner could not be scored: {why}"
            return
        # The trial was at fault, not these workers.
        self.force.forgive(self._trials[job.trial_id].failed_on)
        self.given_up[job.trial_id] = self._notes.given_up[job.trial_id] = why
        self.scheduler.tell(job.trial_id, None)

    def _points(self, trial_ids: Sequence[int]) -> list[Sequence[float]]:
        """What these trials' encoded configurations are, of a searcher that looks at no results."""
        return [self.space.encode(self.searcher.propose(i, {})) for i in trial_ids]

    def _meet(self, trial_id: int) -> TrialState:
        if (trial := self._trials.get(trial_id)) is None:
            config = self.searcher.propose(trial_id, self.trials)
            check_proposal(config, type(self.searcher).__name__)
            trial = self._trials[trial_id] = TrialState(
                config, stream_seed(self.seed, "trial", trial_id)
            )
            self.scheduler.on_config(trial_id, self.space.encode(config))
            bracket = self.scheduler.bracket_of.get(trial_id)
            self._notes.trials[trial_id] = {
                "config": config,
                "seed": trial.seed,
                "bracket": bracket,
            }
        return trial

    def _dispatch(self) -> list[t.Command]:
        """Ask for a decision for each idle worker; a trial stays on its worker where possible."""
        if len(self.workers) < self.min_workers:
            # The run begins when enough have joined.
            return []
        if self.spent:
            return [] if self.in_flight else self._end()
        n_idle = len(self.force.idle)
        commands: list[t.Command] = []
        todo: list[tuple[int, int]] = []
        while len(todo) < n_idle and not self._over:
            if self._queue and (again := self._take_again()) is not None:
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
                self._over = isinstance(decision, t.Done)
                break
        if self._over and not self._no_room and self.scheduler.wants_time:
            self._no_room = self.spending.no_room()
        if todo:
            workers = self.force.place([(i, self._trials[i].failed_on) for i, _ in todo])
            for worker, (trial_id, to_epoch) in zip(workers, todo, strict=True):
                commands.append(self._start(worker, trial_id, to_epoch))
        if self._over and not self.in_flight:
            commands += self._end()
        elif n_idle and not (todo or self.in_flight or self._questions or self._queue):
            raise ConfigError(
                f"scheduler={type(self.scheduler).__name__}: waits although nothing is in flight; "
                "ask() must return Train, Predict or DONE then."
            )
        return commands

    def _take_again(self) -> tuple[int, int] | None:
        """The first trial to be sent again that need not go back to a worker on which it failed."""
        for place, (trial_id, _) in enumerate(self._queue):
            failed_on = self._trials[trial_id].failed_on
            if self.force.may_take(failed_on):
                again = self._queue[place]
                del self._queue[place]
                return again
        return None

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
            self._scoring = job.job_id
            return t.Score(worker, job)
        return t.Start(worker, job)

    def _end(self) -> list[t.Command]:
        finalists = {i: trial.curve for i, trial in self.trials.items() if i not in self.given_up}
        ranked = ranking(finalists, self.scheduler.max_epochs)
        self.winner = ranked[0] if ranked else None
        if self.winner is None and self.spent:
            self.winner = best_checkpointed(self._trials, finalists)
        if self.spent and (self.winner is None or self._scored):
            return self._stop("completed", self._said_spent())
        if self.winner is None:
            why = f"no trial reached max_epochs={self.scheduler.max_epochs}; nothing to score."
            # If all diverged, that is a result; if workers raised on every trial, the run failed.
            raised = [why for why in self.given_up.values() if why.reason != "diverged"]
            return (
                self._stop("failed", f"{why} First: {raised[0]}")
                if raised
                else self._stop("completed", f"{self._no_room}; {why}" if self._no_room else why)
            )
        if self._scored:
            ended_by = self.scheduler.ended_by
            said = [why for why in (self._no_room, ended_by, self._unscored) if why]
            return self._stop("completed", "; ".join(said))
        if not self.force.idle:
            return []
        (worker,) = self.force.place([(self.winner, ())])
        return [self._start(worker, self.winner, len(finalists[self.winner]), score=True)]

    def _said_spent(self) -> str:
        """The reason of a run whose budget is used up: what is left of the search."""
        cut = {trial_id for trial_id, _ in self._queue} | {job.trial_id for job in self._cut}
        n_planned, most = self.scheduler.plan().n_epochs, self.scheduler.max_epochs
        won = None if self.winner is None else len(self.trials[self.winner].curve)
        said = words_of_end(self.spent, self.n_epochs, n_planned, len(cut), won, most)
        return f"{said}; {self._unscored}" if self._unscored else said

    def _stop(self, status: t.EndStatus, reason: str) -> list[t.Command]:
        self.shutdown = t.Shutdown(status, reason)
        parts = {"searcher": self.searcher.diagnostics, "scheduler": self.scheduler.diagnostics}
        self._notes.measured = {name: dict(values) for name, values in parts.items() if values}
        for trial_id, n in (self.scheduler.visible_epochs or {}).items():
            if trial_id in self._trials and 0 <= n < len(self._trials[trial_id].curve):
                self._notes.counted[trial_id] = n
        return [self.shutdown]
