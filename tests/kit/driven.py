"""A cheat who drives the suite's own conductor: lines that follow each other, from events that never were."""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from kit.submissions import Cheat
from suite.backends.forecasts import Forecaster
from suite.core import types as t
from suite.run import journal as journals
from suite.run.driver import Driver
from suite.verify.replay import parts_of

EPOCH_S = 0.1


class Driven:
    """The first `n` lines of a journal (the header is one), and then what the cheat lets happen.

    values: (trial, epoch) -> objective, of the journal's own epochs; for others the target has a recording.
    """

    def __init__(self, cheat: Cheat, n: int) -> None:
        self.cheat = cheat
        parts = parts_of(cheat.header)
        self.conductor, self._target = parts.conductor, parts.target
        self.values = _values(cheat)
        driver = Driver(self.conductor, None)
        for number, line in enumerate(cheat.lines[1:n], start=2):
            driver.replay_line(number, line)
        self.lines, self.time_s = cheat.lines[:n], driver.time_s

    def feed(self, event: t.Event) -> list[t.Command]:
        """One event at the present time, as a line."""
        event = dataclasses.replace(event, time_s=round(self.time_s, 6))
        step = self.conductor.handle(event)
        line = journals.encode([event], step.commands, step.notes)
        self.lines.append(json.loads(json.dumps(line)))
        return step.commands

    def join(self) -> list[t.Command]:
        """The journal's workers, as they joined."""
        joined = self.cheat.of("joined")
        commands = [self.feed(t.WorkerJoined(one["worker"], 0.0, one["facts"])) for one in joined]
        return [command for some in commands for command in some]

    def finish(
        self,
        todo: list[t.Command],
        *,
        fails: Callable[[t.Job], bool] = lambda job: False,
        ends: str = "",
        epoch_s: float = EPOCH_S,
    ) -> None:
        """Let the search come to its end, one job after the other, and put the lines into the journal.

        fails: whether a job fails at once. ends: the limit that is used up after one more epoch.
        """
        waiting, scored = deque(todo), self.cheat.of("scored")[0]
        forecaster = Forecaster(
            dict(self.cheat.header["config"]["predictor"]), self.cheat.header["seed"]
        )
        while waiting:
            match waiting.popleft():
                case t.Start(worker, job) if fails(job):
                    failure = t.JobFailed(worker, job.job_id, "trial", "made up")
                    waiting += self.feed(failure)
                case t.Start(worker, job):
                    waiting += self._train(worker, job, epoch_s, ends)
                    ends = ""
                case t.Ask(request):
                    answer = forecaster.answer(request)
                    if isinstance(answer, t.Forecast):
                        self.time_s += answer.fit_s + answer.predict_s
                    waiting += self.feed(answer)
                case t.Score(worker, job):
                    self.time_s += epoch_s
                    value, metrics = scored["test_value"], scored["metrics"]
                    waiting += self.feed(t.Scored(worker, job.job_id, value, metrics))
        end = self.conductor.shutdown
        assert end is not None
        closing = {"event": "closed", "status": end.status, "reason": end.reason}
        self.cheat.lines[:] = [*self.lines, closing | {"time_s": round(self.time_s, 6)}]

    def _train(self, worker: int, job: t.Job, epoch_s: float, ends: str) -> list[t.Command]:
        for epoch in range(job.from_epoch + 1, job.to_epoch + 1):
            self.time_s += epoch_s
            value = self._value(job, epoch)
            seconds = (0.8 * epoch_s, 0.1 * epoch_s)
            metrics = {self._metric: value}
            self.feed(t.EpochReport(worker, job.job_id, epoch, value, metrics, *seconds))
            if ends:
                return self._stopped(worker, job, epoch, ends)
        self.time_s += epoch_s / 100
        return self.feed(t.JobFinished(worker, job.job_id))

    def _stopped(self, worker: int, job: t.Job, epoch: int, ends: str) -> list[t.Command]:
        self.feed(t.Checkpointed(worker, job.job_id, epoch))
        return [*self.feed(t.BudgetUsed(ends)), *self.feed(t.JobStopped(worker, job.job_id))]

    @property
    def _metric(self) -> str:
        return str(self.cheat.header["target"]["metric"])

    def _value(self, job: t.Job, epoch: int) -> float:
        if (known := self.values.get((job.trial_id, epoch))) is not None:
            return known
        return self._target.replay(dict(job.config), job.seed).values[epoch - 1]


def _values(cheat: Cheat) -> Mapping[tuple[int, int], float]:
    trial_of = {
        command[2]: command[3]
        for line in cheat.lines[1:]
        for command in line.get("do", ())
        if command[0] == "start"
    }
    found: dict[tuple[int, int], float] = {}
    for line in cheat.of("epoch"):
        for event in journals.decode(line):
            assert isinstance(event, t.EpochReport)
            found[trial_of[event.job_id], event.epoch] = event.objective
    return found


def first(cheat: Cheat, event: str, where: Callable[[dict[str, Any]], bool]) -> int:
    """Lines up to the first one of this kind that `where` holds of, itself included."""
    return next(
        n
        for n, line in enumerate(cheat.lines[1:], start=2)
        if line["event"] == event and where(line)
    )
