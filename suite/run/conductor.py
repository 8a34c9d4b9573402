"""The conductor: a deterministic fold from events to commands.

It knows workers, jobs, retries and curves; no I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from suite.core import types as t
from suite.core.errors import ConfigError, JournalError, check_integer
from suite.core.scheduler import Scheduler, rank
from suite.core.searcher import Searcher
from suite.core.seeds import stream_seed
from suite.core.space import Space
from suite.run.trials import Notes, TrialState, TrialsView
from suite.run.workforce import MAX_STRIKES, Workforce


class Conductor:
    """Runs one search: `handle(event) -> [commands]`, the same commands for the same events,
    whoever asks.

    max_attempts: workers a trial may cost before it is given up; min_workers: below this many the
    run stops; resident_trials: how many trials a worker keeps in memory (the last ones it trained);
    score: whether the winner is evaluated on the test split at the end.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        searcher: Searcher,
        space: Space,
        *,
        seed: int = 0,
        max_attempts: int = 2,
        min_workers: int = 1,
        resident_trials: int = 1,
        score: bool = True,
    ) -> None:
        check_integer("max_attempts", max_attempts, 1)
        check_integer("min_workers", min_workers, 1)
        check_integer("resident_trials", resident_trials, 1)
        self.scheduler, self.searcher, self.space, self.seed = scheduler, searcher, space, seed
        self.max_attempts, self.min_workers, self.score = max_attempts, min_workers, score
        searcher.begin(space, seed)
        self.notes = Notes()
        self.in_flight: dict[int, tuple[int, t.Job]] = {}
        self.force = Workforce(resident_trials)
        self.winner: int | None = None
        self.given_up: dict[int, str] = {}
        self.shutdown: t.Shutdown | None = None
        self.n_epochs = 0  # first reports
        self.n_retrained = 0
        self.n_differences = 0
        self.max_difference = 0.0
        self.n_dropped = 0  # messages of jobs that were not in flight
        self.best: tuple[float, int] | None = (
            None  # (objective, trial_id) over all epochs so far: for the progress line
        )
        self._trials: dict[int, TrialState] = {}
        self._queue: deque[tuple[int, int]] = (
            deque()
        )  # (trial_id, to_epoch) to hand out again, before anything new
        self._asked: dict[str, t.Predict] = {}
        self._next_job = 0
        self._n_stopped = 0
        self._over = False  # the scheduler said DONE
        self._scored = not score
        self._scoring: int | None = None  # the job that evaluates the winner
        self._unscored = ""
        self._handlers: dict[type, Any] = {
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
        }

    @property
    def workers(self) -> Mapping[int, int | None]:
        """worker -> the job_id it is doing, None: idle."""
        return self.force.jobs

    @property
    def trials(self) -> Mapping[int, t.Trial]:
        """What a searcher sees: every trial so far, or what the scheduler has seen of them."""
        return TrialsView(self._trials, self.given_up, self.scheduler.seen)

    def handle(self, event: t.Event) -> list[t.Command]:
        """Fold one event in; returns the commands it causes. `notes` then describes this step."""
        self.notes = Notes()
        if self.shutdown is not None and not isinstance(event, t.Resumed):
            self.n_dropped += 1
            return []
        kind = type(event)
        before: list[t.Command] = self._handlers[kind](event) or []
        if kind is t.EpochReport or kind is t.EpochBatch or kind is t.Checkpointed:
            return before
        commands = before if self.shutdown is not None else before + self._dispatch()
        if len(self.scheduler.stopped) > self._n_stopped:
            stopped = self.scheduler.stopped
            self.notes.stopped = dict(list(stopped.items())[self._n_stopped :])
            self._n_stopped = len(stopped)
        return commands

    @property
    def settings(self) -> dict[str, int]:
        """What may be another after a resume: it belongs to the workers, not to the search."""
        return {"min_workers": self.min_workers, "resident_trials": self.force.resident_trials}

    def adjust(self, settings: Mapping[str, int]) -> None:
        self.min_workers = settings.get("min_workers", self.min_workers)
        self.force.resident_trials = settings.get("resident_trials", self.force.resident_trials)

    # --- events -----------------------------------------------------------------------------------

    def _joined(self, event: t.WorkerJoined) -> None:
        self.force.join(event.worker)

    def _current(self, worker: int, job_id: int) -> t.Job | None:
        """The job if it is in flight on this worker; else None: a zombie's message, dropped and
        counted.
        """
        found = self.in_flight.get(job_id)
        if found is None or found[0] != worker:
            self.n_dropped += 1
            return None
        return found[1]

    def _epoch(self, event: t.EpochReport) -> None:
        if (job := self._current(event.worker, event.job_id)) is None:
            return
        trial = self._trials[job.trial_id]
        if event.epoch != trial.reached + 1 or event.epoch > job.to_epoch:
            raise JournalError(
                f"job {job.job_id}: epoch={event.epoch} reported after epoch {trial.reached} of "
                f"{job.to_epoch}: "
                "reports must come in order; the worker and the journal do not agree."
            )
        trial.reached = event.epoch
        if event.epoch > len(trial.curve):
            trial.curve.append(event.objective)
            self.n_epochs += 1
        else:
            self.n_retrained += 1
            if (difference := abs(event.objective - trial.curve[event.epoch - 1])) > 0:
                self.n_differences += 1
                self.max_difference = max(self.max_difference, difference)
            if event.epoch > trial.decided:
                trial.curve[event.epoch - 1] = event.objective
        if self.best is None or event.objective < self.best[0]:
            self.best = (event.objective, job.trial_id)

    def _epochs(self, event: t.EpochBatch) -> None:
        """A batch; where it is all new, without a step for each epoch."""
        if (job := self._current(event.worker, event.job_id)) is None:
            return
        trial = self._trials[job.trial_id]
        n = len(event.objectives)
        if (
            event.epoch == trial.reached + 1 == len(trial.curve) + 1
            and trial.reached + n <= job.to_epoch
        ):
            trial.curve += event.objectives
            trial.reached += n
            self.n_epochs += n
            lowest = min(event.objectives)
            if self.best is None or lowest < self.best[0]:
                self.best = (lowest, job.trial_id)
            return
        for i, objective in enumerate(event.objectives):
            self._epoch(
                t.EpochReport(event.worker, event.job_id, event.epoch + i, objective, {}, 0.0, 0.0)
            )

    def _checkpointed(self, event: t.Checkpointed) -> None:
        if (job := self._current(event.worker, event.job_id)) is not None:
            self._keep(self._trials[job.trial_id], event.epoch)

    @staticmethod
    def _keep(trial: TrialState, epoch: int) -> None:
        if epoch not in trial.checkpoints:
            trial.checkpoints = [0, *[e for e in trial.checkpoints if 0 < e < epoch][-1:], epoch]

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
        self._keep(trial, job.to_epoch)
        self.scheduler.tell(job.trial_id, tuple(trial.curve[: job.to_epoch]))

    def _failed(self, event: t.JobFailed) -> list[t.Command]:
        if (job := self._current(event.worker, event.job_id)) is None:
            return []
        self._release(job.job_id)
        trial = self._trials[job.trial_id]
        self.force.evicted(job.trial_id)
        if event.reason in ("diverged", "trial"):
            self._give_up(job, f"{event.reason}: {event.message}")
        elif self._older(trial, job, event.reason):
            self._again(job)
        elif event.reason == "storage":
            self._again(job)
            return self._stop("failed", event.message)
        else:
            trial.failed_on.add(event.worker)
            benched = self.force.strike(event.worker)
            self._retry(job, event.message)
            if benched and event.worker in self.force.strikes:  # else the trial took the blame
                self.force.leave(event.worker)
                self.notes.benched[event.worker] = event.message
                message = (
                    f"worker {event.worker} failed {MAX_STRIKES} jobs in a row: {event.message}"
                )
                return self._check_workers(message)
        return []

    def _older(self, trial: TrialState, job: t.Job, reason: str) -> bool:
        """Whether the trial can start again from an older checkpoint; forgets the damaged one."""
        if (
            reason != "checkpoint"
            or job.job_id == self._scoring
            or job.from_epoch not in trial.checkpoints[1:]
        ):
            return False
        trial.checkpoints.remove(job.from_epoch)
        return True

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
            "resume=<run folder> goes on with new ones.",
        )

    def _forecast(self, event: t.Forecast) -> None:
        if self._asked.pop(event.key, None) is None:
            self.n_dropped += 1
            return
        self.scheduler.tell_forecast(event.key, event.values, event.stds)

    def _forecast_failed(self, event: t.ForecastFailed) -> None:
        if self._asked.pop(event.key, None) is None:
            self.n_dropped += 1
            return
        self.scheduler.tell_forecast(event.key, None)

    def _resumed(self, event: t.Resumed) -> list[t.Command]:
        self.force.clear()
        self.adjust(event.settings)
        self.shutdown = None
        self._scored = not self.score
        for _, (_, job) in sorted(self.in_flight.items(), reverse=True):
            if job.job_id != self._scoring:
                self._again(job)
        self.in_flight.clear()
        return [t.Ask(request) for request in self._asked.values()]

    def _score_came(self, event: t.Scored) -> None:
        if self._current(event.worker, event.job_id) is not None:
            self._release(event.job_id)
            self._scored = True

    # --- jobs -------------------------------------------------------------------------------------

    def _release(self, job_id: int) -> None:
        worker, _ = self.in_flight.pop(job_id)
        self.force.release(worker)

    def _again(self, job: t.Job) -> None:
        """Back to the front of the queue, to be sent as a new job."""
        self._queue.appendleft((job.trial_id, job.to_epoch))

    def _retry(self, job: t.Job, message: str) -> None:
        trial = self._trials[job.trial_id]
        trial.attempts += 1
        if trial.attempts >= self.max_attempts:
            self._give_up(
                job,
                f"cost {trial.attempts} workers (max_attempts={self.max_attempts}), last: "
                f"{message}",
            )
        elif job.job_id != self._scoring:
            self._again(job)

    def _give_up(self, job: t.Job, why: str) -> None:
        if job.job_id == self._scoring:
            self._scored = True
            self._unscored = f"the winner could not be scored: {why}"
            return
        self.force.forgive(self._trials[job.trial_id].failed_on)  # it was the trial's fault
        self.given_up[job.trial_id] = self.notes.given_up[job.trial_id] = why
        self.scheduler.tell(job.trial_id, None)

    def _meet(self, trial_id: int) -> TrialState:
        if (trial := self._trials.get(trial_id)) is None:
            config = self.searcher.propose(trial_id, self.trials)
            trial = self._trials[trial_id] = TrialState(
                config, stream_seed(self.seed, "trial", trial_id)
            )
            self.scheduler.meet(trial_id, self.space.encode(config))
            bracket = self.scheduler.bracket_of.get(trial_id)
            self.notes.trials[trial_id] = {"config": config, "seed": trial.seed, "bracket": bracket}
        return trial

    def _dispatch(self) -> list[t.Command]:
        """Ask for as many decisions as there are idle workers, and match them so that a trial stays
        where it is.
        """
        if len(self.workers) < self.min_workers:
            return []  # the run begins when enough have joined
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
                self._asked[decision.key] = decision
                commands.append(t.Ask(decision))
            else:
                self._over = isinstance(decision, t.Done)
                break
        if todo:
            workers = self.force.place([(i, self._trials[i].failed_on) for i, _ in todo])
            for worker, (trial_id, to_epoch) in zip(workers, todo, strict=True):
                commands.append(self._start(worker, trial_id, to_epoch))
        if self._over and not self.in_flight:
            commands += self._end()
        elif n_idle and not (todo or self.in_flight or self._asked or self._queue):
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
        n_known = len(trial.curve)
        from_epoch = trial.checkpoints[-1]
        if score:
            from_epoch = to_epoch
        elif from_epoch > n_known:
            from_epoch = max(e for e in trial.checkpoints if e <= n_known)
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
        ranked = rank(finalists, self.scheduler.max_epochs)
        self.winner = ranked[0] if ranked else None
        if self.winner is None:
            why = f"no trial reached max_epochs={self.scheduler.max_epochs}; nothing to score."
            # That all diverged is a result; that workers raised on every trial is none.
            raised = [x for x in self.given_up.values() if not x.startswith("diverged")]
            return (
                self._stop("failed", f"{why} First: {raised[0]}")
                if raised
                else self._stop("completed", why)
            )
        if self._scored:
            return self._stop("completed", self._unscored)
        if not self.force.idle:
            return []
        (worker,) = self.force.place([(self.winner, ())])
        return [self._start(worker, self.winner, self.scheduler.max_epochs, score=True)]

    def _stop(self, status: str, reason: str) -> list[t.Command]:
        self.shutdown = t.Shutdown(status, reason)
        said = {"searcher": self.searcher.measured, "scheduler": self.scheduler.measured}
        self.notes.measured = {name: dict(what) for name, what in said.items() if what}
        for trial_id, n in (self.scheduler.seen or {}).items():
            if trial_id in self._trials and 0 <= n < len(self._trials[trial_id].curve):
                self.notes.counted[trial_id] = n
        return [self.shutdown]
