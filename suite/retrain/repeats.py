"""Trainings that are repeated on the workers at hand: what a backend asks for, besides a search.

A fold from events to commands, as suite.run.conductor is: the same events cause the same commands. Each
training goes to one worker, to its end, and is scored there at once, so that no checkpoint is needed.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from suite.core import types as t
from suite.results.privacy import clean
from suite.run.agreement import Agreement
from suite.run.workforce import Workforce

MOST_ATTEMPTS = 3
"""Workers that one training may cost; then it counts as failed."""


@dataclass(slots=True)
class Repeat:
    """One training: a role's configuration by one seed, and what came of it.

    number: 0, 1, ... within the role.
    curve: the objective after each epoch, minimised. validation, test: the metric's values at the end; None
    until it is scored. failure: why it has none.
    """

    role: str
    number: int
    config: t.Config
    seed: int
    curve: list[float] = field(default_factory=list)
    validation: float | None = None
    test: float | None = None
    failure: str = ""
    train_s: float = 0.0
    failed_on: set[int] = field(default_factory=set)
    n_attempts: int = 0

    @property
    def is_scored(self) -> bool:
        return self.test is not None


class Repeats:
    """Trains and scores every repeat, in order; a suite.run.driver.Decider.

    value: an objective in the metric's own direction. joined: told of each worker's facts, before it gets
    work; what it raises ends the work. said: told of each repeat that ended.

    A repeat whose worker is lost, or fails for no reason of its own, goes to another one, from its first
    epoch; after MOST_ATTEMPTS, or where no other worker is left to try, it counts as failed. Values do not
    depend on who trains: a repeat's seed is its own.
    """

    def __init__(
        self,
        repeats: Sequence[Repeat],
        max_epochs: int,
        agreement: Agreement,
        *,
        value: Callable[[float], float],
        joined: Callable[[Mapping[str, Any]], object],
        said: Callable[[Repeat], object],
    ) -> None:
        self.now: Callable[[], float] | None = None
        self.time_s = 0.0
        self.agreement = agreement
        self.min_workers = 1
        self.shutdown: t.Shutdown | None = None
        self.n_workers = 0
        """Workers that have joined."""
        self._max_epochs, self._value, self._joined, self._said = max_epochs, value, joined, said
        self._queue = deque(repeats)
        self._n_open = len(repeats)
        self._force = Workforce(resident_trials=1)
        # job_id -> its worker, what it trains or tests, and itself
        self._in_flight: dict[int, tuple[int, Repeat, t.Job]] = {}
        self._next_job = 0
        self._on: Mapping[type, Callable[[Any], list[t.Command] | None]] = {
            t.WorkerJoined: self._join,
            t.WorkerLost: self._lost,
            t.EpochReport: self._epoch,
            t.JobFinished: self._finished,
            t.JobFailed: self._failed,
            t.Scored: self._scored,
        }

    @property
    def ending(self) -> bool:
        """No budget ends it."""
        return False

    def ends_instead(self) -> bool:
        return False

    def budget_used(self, now_s: float) -> t.BudgetUsed | None:
        return None

    def handle(self, events: Sequence[t.Event]) -> list[t.Command]:
        commands: list[t.Command] = []
        for event in events:
            self.time_s = max(self.time_s, event.time_s)
            # Of a worker that is lost, or after the end: nobody waits for it.
            if self.shutdown is None and (handler := self._on.get(type(event))) is not None:
                commands += handler(event) or []
        return commands + self._dispatch() if self.shutdown is None else commands

    def tick(self) -> None:
        """Nothing is written before the end."""

    # --- events -----------------------------------------------------------------------------------

    def _join(self, event: t.WorkerJoined) -> None:
        self._joined(event.facts)
        self._force.join(event.worker)
        self.n_workers += 1

    def _lost(self, event: t.WorkerLost) -> list[t.Command]:
        if event.worker not in self._force.jobs:
            return []
        job_id = self._force.leave(event.worker)
        if job_id is not None:
            self._again(self._in_flight.pop(job_id)[1], f"worker {event.worker}: {event.message}")
        return self._check_workers(event.message)

    def _check_workers(self, why: str) -> list[t.Command]:
        if self._force.jobs or not self._n_open:
            return []
        self.shutdown = t.Shutdown("failed", f"no worker is left ({why})")
        return [self.shutdown]

    def _epoch(self, event: t.EpochReport) -> None:
        if (repeat := self._repeat(event)) is not None:
            repeat.curve.append(event.objective)
            repeat.train_s += event.train_s + event.eval_s

    def _finished(self, event: t.JobFinished) -> list[t.Command]:
        if (repeat := self._repeat(event)) is None:
            return []
        trained = self._release(event.job_id)
        job = dataclasses.replace(trained, job_id=self._next_job, from_epoch=trained.to_epoch)
        self._send(event.worker, repeat, job)
        return [t.Score(event.worker, job)]

    def _scored(self, event: t.Scored) -> None:
        if (repeat := self._repeat(event)) is None:
            return
        self._release(event.job_id)
        self._force.forgive([event.worker])
        repeat.validation, repeat.test = self._value(repeat.curve[-1]), event.test_value
        self._end(repeat)

    def _failed(self, event: t.JobFailed) -> list[t.Command]:
        if (repeat := self._repeat(event)) is None:
            return []
        self._release(event.job_id)
        repeat.failed_on.add(event.worker)
        message = f"{event.reason}: {event.message}"
        others = self._force.jobs.keys() - repeat.failed_on
        if event.reason not in ("retry", "checkpoint") or not others:
            # The training is at fault, not those workers.
            self._force.forgive(repeat.failed_on)
            self._give_up(repeat, message)
            return []
        if self._force.strike(event.worker):
            self._force.leave(event.worker)
        self._again(repeat, message)
        return []

    # --- work -------------------------------------------------------------------------------------

    def _repeat(
        self, event: t.EpochReport | t.JobFinished | t.JobFailed | t.Scored
    ) -> Repeat | None:
        """What the event's job trains; None where it is no longer in flight on that worker."""
        worker, repeat, _ = self._in_flight.get(event.job_id, (None, None, None))
        return repeat if worker == event.worker else None

    def _release(self, job_id: int) -> t.Job:
        worker, _, job = self._in_flight.pop(job_id)
        self._force.release(worker)
        return job

    def _again(self, repeat: Repeat, why: str) -> None:
        repeat.curve.clear()
        repeat.train_s = 0.0
        repeat.n_attempts += 1
        if repeat.n_attempts >= MOST_ATTEMPTS:
            self._give_up(repeat, f"cost {repeat.n_attempts} workers, last: {why}")
        else:
            self._queue.appendleft(repeat)

    def _give_up(self, repeat: Repeat, why: str) -> None:
        repeat.failure = clean(why)
        self._end(repeat)

    def _end(self, repeat: Repeat) -> None:
        self._n_open -= 1
        self._said(repeat)

    def _dispatch(self) -> list[t.Command]:
        """Work for every idle worker; the end, where all is done."""
        if not self._n_open:
            self.shutdown = t.Shutdown("completed")
            return [self.shutdown]
        commands: list[t.Command] = []
        for worker in list(self._force.idle):
            repeat = next((one for one in self._queue if self._may(worker, one)), None)
            if repeat is None:
                continue
            self._queue.remove(repeat)
            # A trial a job: nothing that a lost or failed attempt left behind is used again.
            number = self._next_job
            job = t.Job(number, number, 0, self._max_epochs, repeat.config, repeat.seed)
            self._send(worker, repeat, job)
            commands.append(t.Start(worker, job))
        return commands

    def _may(self, worker: int, repeat: Repeat) -> bool:
        """A repeat does not go where it failed, unless it failed everywhere."""
        return worker not in repeat.failed_on or repeat.failed_on >= self._force.jobs.keys()

    def _send(self, worker: int, repeat: Repeat, job: t.Job) -> None:
        self._next_job += 1
        self._in_flight[job.job_id] = (worker, repeat, job)
        self._force.occupy(worker, job.job_id, job.trial_id)
