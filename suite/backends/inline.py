"""The inline backend: one worker in this process. A loop over commands; nothing runs beside it."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from suite import energy
from suite.backends.ask import Forecaster
from suite.core import types as t
from suite.core.errors import PausedError, StoppedError
from suite.run.driver import Driver
from suite.run.limit import Limit
from suite.worker import Worker


class Inline:
    """Runs jobs one after the other.

    `facts` describes the host for the record; `clock` is replaced in tests.
    """

    def __init__(
        self,
        worker: Worker,
        forecaster: Forecaster,
        *,
        device: str = "cpu",
        facts: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
        limit: Limit | None = None,
        meter: Callable[[], energy.Meter] | None = None,
    ) -> None:
        self._limit = limit or Limit()
        worker.paused = self._limit.due
        self._worker, self._forecaster, self._device = worker, forecaster, device
        self._facts, self._clock, self._make_meter = dict(facts or {}), clock, meter

    def run(self, driver: Driver) -> None:
        # A run's clock starts when it can train: imports are not its own.
        self._worker.target.stage(self._device)
        meter = self._make_meter() if self._make_meter is not None else None
        began = self._clock() - driver.time_s
        driver.now = lambda: self._clock() - began
        todo: deque[t.Command] = deque()

        def send(event: t.Event) -> None:
            if meter is not None and isinstance(event, t.JobFinished):
                event = dataclasses.replace(event, energy_j=meter.joules())
            stamped = dataclasses.replace(event, time_s=round(self._clock() - began, 6))
            todo.extend(driver.handle([stamped]))

        staged = dict(self._worker.target.provenance)
        data: dict[str, Any] = {"data_set": staged} if staged else {}
        if meter is not None:
            data["energy"] = meter.facts()
        send(t.WorkerJoined(0, facts=self._facts | data))
        while todo and not self._limit.due():
            match todo.popleft():
                case t.Start(worker, job):
                    self._worker.run(worker, job, send)
                case t.Score(worker, job):
                    self._worker.score(worker, job, send)
                case t.Ask(request):
                    send(self._forecaster.answer(request))
                case t.Shutdown():
                    return
        if driver.conductor.shutdown is None and (why := self._limit.due()):
            raise PausedError(why)
        if driver.conductor.shutdown is None:
            raise StoppedError(
                f"min_workers={driver.conductor.min_workers}: backend=inline has one; lower it."
            )
