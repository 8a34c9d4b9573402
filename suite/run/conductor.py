"""The conductor: a deterministic fold from events to commands.

It knows workers, jobs, retries and curves; no I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from suite.core import types as t
from suite.core.errors import ConfigError, JournalError, check_integer
from suite.core.scheduler import Scheduler, rank
from suite.core.searcher import Searcher
from suite.core.seeds import stream_seed
from suite.core.space import Space


@dataclass(slots=True)
class Notes:
    """What a step decided besides its commands, for the journal's readers (records, figures,
    MLflow).
    """

    trials: dict[int, dict[str, Any]] = field(default_factory=dict)
    stopped: dict[int, int] = field(default_factory=dict)
    given_up: dict[int, str] = field(default_factory=dict)


class _Trial:
    __slots__ = (
        "attempts",
        "avoid",
        "checkpoints",
        "config",
        "curve",
        "decided",
        "reached",
        "resident",
        "seed",
    )

    def __init__(self, config: t.Config, seed: int) -> None:
        self.config = config
        self.seed = seed
        self.curve: list[float] = []
        self.decided = 0  # epochs that a decision rests on: their first report stays
        self.reached = 0  # epochs the job in flight has trained
        self.checkpoints = [0]
        self.avoid: int | None = None  # the worker on which it failed last
        self.attempts = 0  # workers that this trial has cost
        self.resident: int | None = None


class _Trials(Mapping[int, t.Trial]):
    """What a searcher sees: every trial so far, made when looked at."""

    def __init__(self, trials: dict[int, _Trial]) -> None:
        self._trials = trials

    def __getitem__(self, trial_id: int) -> t.Trial:
        found = self._trials[trial_id]
        return t.Trial(trial_id, found.config, found.seed, tuple(found.curve))

    def __iter__(self) -> Iterator[int]:
        return iter(self._trials)

    def __len__(self) -> int:
        return len(self._trials)


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
        self.resident_trials = resident_trials
        searcher.begin(space, seed)
        self.notes = Notes()
        self.in_flight: dict[int, tuple[int, t.Job]] = {}
        self.workers: dict[int, int | None] = {}  # worker -> its job_id
        self._idle: dict[int, None] = {}  # an ordered set: who has waited longest comes first
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
        self._trials: dict[int, _Trial] = {}
        self._queue: deque[tuple[int, int]] = (
            deque()
        )  # (trial_id, to_epoch) to hand out again, before anything new
        self._residents: dict[int, deque[int]] = {}  # worker -> trials in its memory, newest last
        self._asked: dict[str, t.Predict] = {}
        self._next_job = 0
        self._n_stopped = 0
        self._over = False  # the scheduler said DONE
        self._scored = not score
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
    def trials(self) -> Mapping[int, t.Trial]:
        return _Trials(self._trials)

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
        return {"min_workers": self.min_workers, "resident_trials": self.resident_trials}

    def adjust(self, settings: Mapping[str, int]) -> None:
        self.min_workers = settings.get("min_workers", self.min_workers)
        self.resident_trials = settings.get("resident_trials", self.resident_trials)

    # --- events -----------------------------------------------------------------------------------
    # ----------------

    def _joined(self, event: t.WorkerJoined) -> None:
        if event.worker not in self.workers:
            self.workers[event.worker] = None
            self._idle[event.worker] = None

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
    def _keep(trial: _Trial, epoch: int) -> None:
        if epoch not in trial.checkpoints:
            trial.checkpoints = [0, *[e for e in trial.checkpoints if 0 < e < epoch][-1:], epoch]

    def _finished(self, event: t.JobFinished) -> None:
        if (job := self._current(event.worker, event.job_id)) is None:
            return
        trial = self._trials[job.trial_id]
        if trial.reached < job.to_epoch:
            raise JournalError(
                f"job {job.job_id}: finished at epoch {trial.reached}, must reach "
                f"{job.to_epoch}; reports are missing."
            )
        self._release(job.job_id)
        trial.resident = event.worker
        trial.decided = max(trial.decided, job.to_epoch)
        self._keep(trial, job.to_epoch)
        self.scheduler.tell(job.trial_id, tuple(trial.curve[: job.to_epoch]))

    def _failed(self, event: t.JobFailed) -> list[t.Command]:
        if (job := self._current(event.worker, event.job_id)) is None:
            return []
        self._release(job.job_id)
        trial = self._trials[job.trial_id]
        trial.resident, trial.avoid = None, event.worker
        if event.reason in ("diverged", "trial"):
            self._give_up(job, f"{event.reason}: {event.message}")
        elif self._older(trial, job, event.reason):
            self._again(job)
        elif event.reason == "storage":
            self._again(job)
            return self._stop("failed", event.message)
        else:
            self._retry(job, event.message)
        return []

    def _older(self, trial: _Trial, job: t.Job, reason: str) -> bool:
        """Whether the trial can start again from an older checkpoint; forgets the damaged one."""
        if reason != "checkpoint" or self._over or job.from_epoch not in trial.checkpoints[1:]:
            return False
        trial.checkpoints.remove(job.from_epoch)
        return True

    def _lost(self, event: t.WorkerLost) -> list[t.Command]:
        if event.worker not in self.workers:
            self.n_dropped += 1
            return []
        job_id = self.workers.pop(event.worker)
        self._idle.pop(event.worker, None)
        if job_id is not None:
            job = self.in_flight.pop(job_id)[1]
            self._retry(job, event.message)
        if len(self.workers) < self.min_workers:
            return self._stop(
                "failed",
                f"{len(self.workers)} workers left, min_workers={self.min_workers} (last: "
                f"{event.message}); "
                "resume=<run folder> goes on with new ones.",
            )
        return []

    def _forecast(self, event: t.Forecast) -> None:
        if self._asked.pop(event.key, None) is None:
            self.n_dropped += 1
            return
        self.scheduler.tell_forecast(event.key, event.values)

    def _forecast_failed(self, event: t.ForecastFailed) -> None:
        if self._asked.pop(event.key, None) is None:
            self.n_dropped += 1
            return
        self.scheduler.tell_forecast(event.key, None)

    def _resumed(self, event: t.Resumed) -> list[t.Command]:
        self.workers.clear()
        self._idle.clear()
        self._residents.clear()
        self.adjust(event.settings)
        self.shutdown = None
        self._scored = not self.score
        for _, (_, job) in sorted(self.in_flight.items(), reverse=True):
            if not self._over:
                self._again(job)
        self.in_flight.clear()
        return [t.Ask(request) for request in self._asked.values()]

    def _score_came(self, event: t.Scored) -> None:
        if self._current(event.worker, event.job_id) is not None:
            self._release(event.job_id)
            self._scored = True

    # --- jobs -------------------------------------------------------------------------------------
    # ----------------

    def _release(self, job_id: int) -> None:
        worker, _ = self.in_flight.pop(job_id)
        self.workers[worker] = None
        self._idle[worker] = None

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
        elif not self._over:
            self._again(job)

    def _give_up(self, job: t.Job, why: str) -> None:
        if self._over:  # the job was the winner's score
            self._scored = True
            return
        self.given_up[job.trial_id] = self.notes.given_up[job.trial_id] = why
        self.scheduler.tell(job.trial_id, None)

    def _meet(self, trial_id: int) -> _Trial:
        if (trial := self._trials.get(trial_id)) is None:
            config = self.searcher.propose(trial_id, self.trials)
            trial = self._trials[trial_id] = _Trial(
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
        n_idle = len(self._idle)
        commands: list[t.Command] = []
        todo: list[tuple[int, int]] = []
        while len(todo) < n_idle and not self._over:
            if self._queue:
                todo.append(self._queue.popleft())
                continue
            decision = self.scheduler.ask()
            if isinstance(decision, t.Train):
                self._meet(decision.trial_id)
                todo.append((decision.trial_id, decision.to_epoch))
            elif isinstance(decision, t.Predict):
                self._asked[decision.key] = decision
                commands.append(t.Ask(decision))
            else:
                self._over = decision is t.DONE
                break
        if todo:
            commands += self._place(todo)
        if self._over and not self.in_flight:
            commands += self._end()
        elif n_idle and not (todo or self.in_flight or self._asked):
            raise ConfigError(
                f"scheduler={type(self.scheduler).__name__}: waits although nothing is in flight; "
                "ask() must return Train, Predict or DONE then."
            )
        return commands

    def _place(self, todo: list[tuple[int, int]]) -> list[t.Command]:
        """Trials whose home is idle go there, the others to the workers left: there are enough."""
        homes: dict[int, int] = {}
        for trial_id, _ in todo:
            if (home := self._home(trial_id)) is not None and home in self._idle:
                homes[home] = trial_id
        others = (worker for worker in self._idle if worker not in homes)
        # One more than needed, so that a trial can avoid the worker on which it failed.
        free = deque(islice(others, len(todo) - len(homes) + 1))
        commands: list[t.Command] = []
        for trial_id, to_epoch in todo:
            worker = self._home(trial_id)
            if worker is None or homes.get(worker) != trial_id:
                if len(free) > 1 and free[0] == self._trials[trial_id].avoid:
                    free.rotate(-1)
                worker = free.popleft()
            commands.append(self._start(worker, trial_id, to_epoch))
        return commands

    def _home(self, trial_id: int) -> int | None:
        """The worker that still holds this trial in memory."""
        home = self._trials[trial_id].resident
        return home if home is not None and trial_id in self._residents.get(home, ()) else None

    def _start(
        self, worker: int, trial_id: int, to_epoch: int, score: bool = False
    ) -> t.Start | t.Score:
        trial = self._trials[trial_id]
        from_epoch = (
            to_epoch if score else max(e for e in trial.checkpoints if e <= len(trial.curve))
        )
        trial.reached = from_epoch
        job = t.Job(self._next_job, trial_id, from_epoch, to_epoch, trial.config, trial.seed)
        self._next_job += 1
        self.in_flight[job.job_id] = (worker, job)
        self.workers[worker] = job.job_id
        del self._idle[worker]
        trial.resident = worker
        residents = self._residents.setdefault(worker, deque(maxlen=self.resident_trials))
        if trial_id in residents:
            residents.remove(trial_id)
        residents.append(trial_id)
        return t.Score(worker, job) if score else t.Start(worker, job)

    def _end(self) -> list[t.Command]:
        finalists = {i: tuple(x.curve) for i, x in self._trials.items() if i not in self.given_up}
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
            return self._stop("completed", "")
        if not self._idle:
            return []
        home = self._home(self.winner)
        worker = home if home is not None and home in self._idle else next(iter(self._idle))
        return [self._start(worker, self.winner, self.scheduler.max_epochs, score=True)]

    def _stop(self, status: str, reason: str) -> list[t.Command]:
        self.shutdown = t.Shutdown(status, reason)
        return [self.shutdown]
