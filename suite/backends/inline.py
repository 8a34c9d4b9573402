"""The inline backend: one worker in this process. A loop over commands; nothing runs beside it."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.backends.clock import Clock
from suite.backends.contract import Backend, RunContext
from suite.backends.forecasts import Forecaster
from suite.core import types as t
from suite.core.errors import PausedError, StoppedError
from suite.core.extras import naming_extras
from suite.run.driver import Decider
from suite.run.limit import Limit
from suite.worker import devices, energy, facts, power_trace
from suite.worker.checkpoints import open_checkpoints
from suite.worker.worker import Worker


@dataclass(frozen=True, kw_only=True)
class Inline(Backend):
    """backend=inline: jobs run one after the other, in this process."""

    def n_workers(self) -> int:
        return 1

    def open(self, run: RunContext) -> InlineRunner:
        limit = Limit(self.pause_before_s)
        limit.check(run.epoch_s)
        devices.limit_threads(self.threads)
        device = devices.pin(self.device, 0)
        run.forecaster.warm_up()
        worker = Worker(
            run.target,
            open_checkpoints(self.checkpoint, run.checkpoints, run.target),
            resident_trials=self.resident_trials,
            checkpoint_every_s=self.checkpoint_every_s,
            paused=limit.due,
        )
        return InlineRunner(
            worker, run.forecaster, limit, device=device,
            facts=facts.worker(device, "node0", self.threads), meter=lambda: energy.Meter(device),
            beside=run.checkpoints.beside,
        )  # fmt: skip


class InlineRunner:
    """Runs jobs one after the other.

    limit: that of `worker.paused`. facts: describe the host for the record. clock: seconds, replaced in
    tests. beside: the run folder, where a trace of power is written if one is asked for.
    """

    def __init__(
        self,
        worker: Worker,
        forecaster: Forecaster,
        limit: Limit,
        *,
        device: str = "cpu",
        facts: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
        meter: Callable[[], energy.Meter] | None = None,
        beside: Path | None = None,
    ) -> None:
        self._limit, self._worker, self._forecaster, self._device = (
            limit,
            worker,
            forecaster,
            device,
        )
        self._facts, self._clock, self._make_meter = dict(facts or {}), clock, meter
        self._beside = beside
        # The job whose end was the last event.
        self._over: int | None = None

    def run(self, driver: Decider) -> None:
        # A run's clock starts when it can train: imports and first kernels are not its own.
        began = self._clock()
        with naming_extras():
            self._worker.target.stage(self._device)
        staged_s = self._clock() - began
        self._worker.warm_up()
        seconds = {"stage_s": staged_s, "warm_up_s": self._clock() - began}
        meter = self._make_meter() if self._make_meter is not None else None
        trace = power_trace.start(meter, self._beside, 0) if self._beside is not None else None
        try:
            self._run(driver, seconds, meter)
        finally:
            if trace is not None:
                trace.close()

    def _run(
        self, driver: Decider, seconds: Mapping[str, float], meter: energy.Meter | None
    ) -> None:
        clock = Clock(driver.time_s, self._clock)
        driver.now = clock.now
        todo: deque[t.Command] = deque()
        # The shorter of two epochs: one may have been disturbed.
        epochs_s: deque[float] = deque(maxlen=2)

        def ends() -> bool:
            """Whether a budget is used up: the job that trains ends with its epoch."""
            used = driver.budget_used(clock.now())
            todo.extend(driver.handle([used]) if used is not None else ())
            return driver.ending

        def due() -> str:
            """Why the run must pause; empty also where it ends instead (budget.end=job)."""
            why = self._limit.due()
            return "" if why and driver.ends_instead() else why

        self._worker.paused = lambda: due() or ends()

        def send(event: t.Event) -> None:
            self._over = event.job_id if isinstance(event, t.JobFinished | t.JobFailed) else None
            if isinstance(event, t.EpochReport):
                epochs_s.append(event.train_s + event.eval_s)
                self._limit.measured(min(epochs_s))
            if meter is not None and isinstance(event, t.JobFinished):
                event = dataclasses.replace(event, energy_j=meter.joules())
            stamped = dataclasses.replace(event, time_s=round(clock.now(), 6))
            todo.extend(driver.handle([stamped]))

        data = self._data(seconds, meter)
        # Code and versions are this process's own.
        stated = driver.agreement.own | self._facts | data
        if why := driver.agreement.admit(stated, "backend=inline"):
            raise StoppedError(why)
        send(t.WorkerJoined(0, facts=self._facts | data))
        while todo and not due():
            ends()
            match todo.popleft():
                case t.Start(worker, job):
                    self._train(worker, job, send, driver)
                case t.Score(worker, job):
                    self._worker.score(worker, job, send)
                case t.Ask(request):
                    send(self._forecaster.answer(request))
                case t.Shutdown():
                    return
        if driver.shutdown is None and (why := due()):
            raise PausedError(why)
        if driver.shutdown is None:
            raise StoppedError(
                f"min_workers={driver.min_workers}: backend=inline has one; lower it."
            )

    def _data(self, seconds: Mapping[str, float], meter: energy.Meter | None) -> dict[str, Any]:
        """What this worker says of itself besides its facts. seconds: what getting ready took."""
        staged = dict(self._worker.target.provenance)
        data: dict[str, Any] = {"data_set": staged} if staged else {}
        if self._facts:
            data |= {name: round(value, 3) for name, value in seconds.items()}
        if meter is not None:
            data["energy"] = meter.facts()
        return data

    def _train(
        self, worker: int, job: t.Job, send: Callable[[t.Event], None], driver: Decider
    ) -> None:
        """Not at all where the budget was used up before; and to the end of an epoch if it is meanwhile."""
        self._over = None
        if not driver.ending:
            self._worker.run(worker, job, send)
        if driver.ending and self._over != job.job_id:
            send(t.JobStopped(worker, job.job_id))
