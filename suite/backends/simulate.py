"""The simulation backend: a discrete-event loop (heap keyed by time and count), same conductor.

A target's recording gives each trial's values; seconds come from the recording where it has them,
else from a stated model. Decisions are those of the real thing, because the code is: only time is
made up here.
"""

from __future__ import annotations

import dataclasses
import gc
import heapq
import itertools
import math
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from suite.backends.contract import Backend, RunContext, Runner
from suite.backends.durations import Durations
from suite.backends.forecasts import Forecaster
from suite.backends.simulated_job import Running
from suite.core import types as t
from suite.core.curve_table import Recording
from suite.core.errors import ConfigError, StoppedError
from suite.core.seeds import stream
from suite.core.target import Target
from suite.run.driver import Driver

# Wall limits in a row without a new epoch after which no later one will bring any.
_IDLE_LIMITS = 10

Share = Annotated[float, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]


@dataclass(frozen=True, kw_only=True)
class Simulate(Backend):
    """backend=simulate: what is simulated. Times in seconds; rates per hour of one worker.

    workers: 1 to 100,000. epoch_s: mean seconds of an epoch where the recording has none, times a
    lognormal factor for each trial (trial_sigma), normal noise for each epoch (epoch_noise, a
    share), and stragglers (straggler_share of epochs take straggler_factor times as long).
    job_overhead_s: dispatch, restore and checkpoint of a job; load_s: a worker's first job loads
    data. predictor_s: from question to answer. deaths_per_hour: a worker dies, its job is lost;
    return_s: until another joins in its place (None: never). wall_limit_s: every worker goes at
    once, and comes back requeue_s later (None: no limit). speeds: workers' speeds, in turn.
    checkpoint_every_s: what a lost worker trained since its last checkpoint is trained again.
    dispatch: free; or waves, as the published driver: no worker gets a job before all have answered.
    """

    simulated: ClassVar[bool] = True

    workers: Annotated[int, Meta(ge=1, le=100_000)]
    epoch_s: Annotated[float, Meta(gt=0)]
    trial_sigma: Share
    epoch_noise: Share
    straggler_share: Share
    straggler_factor: Share
    job_overhead_s: Seconds
    load_s: Seconds
    predictor_s: Seconds
    deaths_per_hour: Share
    return_s: Seconds | None
    wall_limit_s: Seconds | None
    requeue_s: Seconds
    speeds: tuple[float, ...]
    dispatch: Literal["free", "waves"]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.speeds or min(self.speeds) <= 0:
            raise ConfigError(f"backend.speeds={list(self.speeds)}: must be numbers > 0.")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"backend.{field.name}={value}: must be a finite number.")

    def n_workers(self) -> int:
        return self.workers

    def check(self, target: Target) -> None:
        super().check(target)
        # A table was read when it was made; another recording may not be there, or the target really trains.
        if target.space.rows is None:
            target.replay(target.space.lowest(), 0)

    def open(self, run: RunContext) -> Runner:
        return Simulation(run.target, self, run.forecaster, run.seed, run.max_epochs)


class Simulation:
    """Runs a search on made-up time. `target.replay` must know the curves."""

    def __init__(
        self, target: Target, cluster: Simulate, forecaster: Forecaster, seed: int, max_epochs: int
    ) -> None:
        self._target, self._cluster, self._forecaster = target, cluster, forecaster
        self._metric = target.goal
        self._durations = Durations(cluster, seed, max_epochs)
        self._deaths = stream(seed, "deaths")
        self._heap: list[tuple[float, int, Any]] = []
        self._count = itertools.count()
        # worker -> the job it trains
        self._running: dict[int, Running] = {}
        self._loaded: set[int] = set()
        self._alive: set[int] = set()
        self._next_worker = 0
        # Answers that a wave holds back.
        self._held: list[t.Event] = []
        self._recordings: dict[int, tuple[Recording, int | None]] = {}
        self.now_s = 0.0
        # When a budget of time, and one of epochs, will be used up, as things are; whether jobs were told.
        self._budget_end_s: float | None = None
        self._epochs_end_s: float | None = None
        self._told_ending = False
        # Of the wall limits in a row without progress: how many, and what had been reached.
        self._idle_limits, self._reached = 0, (0, 0)

    def run(self, driver: Driver) -> None:
        # A search frees almost nothing before its end; garbage collection costs a third of the time.
        rule = gc.get_threshold()
        gc.set_threshold(200_000, 50, 1000)
        try:
            self._run(driver)
        finally:
            gc.set_threshold(*rule)

    def _run(self, driver: Driver) -> None:
        self._driver = driver
        # A simulation trains nothing, but a resumed one must read the same data.
        provenance = dict(self._target.provenance)
        self._data_set = {"data_set": provenance} if provenance else {}
        if why := driver.agreement.admit(
            {**driver.agreement.own, **self._data_set}, "backend=simulate"
        ):
            raise StoppedError(why)
        self.now_s = driver.time_s
        cluster = self._cluster
        self._join(cluster.workers)
        if cluster.wall_limit_s is not None:
            self._at(self.now_s + cluster.wall_limit_s, self._wall_limit)
        while driver.conductor.shutdown is None:
            if not self._heap:
                raise StoppedError("simulation: no worker is left and none will return.")
            self.now_s, _, act = heapq.heappop(self._heap)
            act()

    def _at(self, time_s: float, act: Any) -> None:
        heapq.heappush(self._heap, (time_s, next(self._count), act))

    def _tell(self, *events: t.Event) -> None:
        for command in self._driver.handle(events):
            match command:
                case t.Start(worker, job):
                    self._start(worker, job)
                case t.Score(worker, job):
                    self._at(self.now_s, lambda worker=worker, job=job: self._score(worker, job))
                case t.Release(worker):
                    self._alive.discard(worker)
                case t.Ask(request):
                    # The answer is computed now and comes when the stated latency is over.
                    answer = self._forecaster.answer(request)
                    after_s = self._cluster.predictor_s
                    self._at(self.now_s + after_s, lambda answer=answer: self._answer(answer))
        self._watch_budget()

    # --- the budget ---------------------------------------------------------------------------

    def _watch_budget(self) -> None:
        if self._driver.ending and not self._told_ending:
            self._told_ending = True
            for worker, running in list(self._running.items()):
                self._end_with_epoch(worker, running)
        end_s = self._driver.budget_end_s()
        if end_s is not None and end_s != self._budget_end_s:
            self._budget_end_s = end_s
            self._at(max(end_s, self.now_s), self._check_budget)
        end_s = self._end_of_epochs()
        if end_s is not None and end_s != self._epochs_end_s:
            self._epochs_end_s = end_s
            self._at(max(end_s, self.now_s), lambda end_s=end_s: self._check_epochs(end_s))

    def _end_of_epochs(self) -> float | None:
        """When a budget of epochs is used up by the jobs that train; None: not by them."""
        if (left := self._driver.epochs_left()) is None or left <= 0:
            return None if left is None else self.now_s
        if self._cluster.dispatch == "waves":
            # Answers are held back: its epochs count when the wave is over.
            return None
        if sum(one.job.to_epoch - one.told for one in self._running.values()) < left:
            return None
        ends = [running.ends_s() for running in self._running.values()]
        return next(itertools.islice(heapq.merge(*ends), left - 1, None))

    def _check_epochs(self, end_s: float) -> None:
        """What was trained until now is reported, and the run ends where that is the budget."""
        if end_s != self._epochs_end_s:
            # Reckoned anew since.
            return
        if (self._driver.epochs_left() or 0) > 0:
            for worker, running in list(self._running.items()):
                n = sum(end <= self.now_s + 1e-9 for end in running.ends_s())
                if events := running.reports(worker, running.told + n, self._metric):
                    self._driver.handle(events)
                    running.told += n
        self._check_budget()

    def _check_budget(self) -> None:
        # An earlier reckoning: a worker has come or gone since.
        if (used := self._driver.budget_used(self.now_s)) is not None:
            self._tell(used)

    def _end_with_epoch(self, worker: int, running: Running) -> None:
        """The job ends with its present epoch, where that is not its last."""
        job, ends = running.job, running.ends
        trained = (self.now_s - running.began_s) * running.speed
        last = job.from_epoch + 1
        # An epoch that ends just now has ended.
        while last < job.to_epoch and ends[last] - ends[job.from_epoch] < trained - 1e-9:
            last += 1
        limit = job.to_epoch if running.bad_epoch is None else min(job.to_epoch, running.bad_epoch)
        if last < limit:
            end_s = running.began_s + (ends[last] - ends[job.from_epoch]) / running.speed
            self._at(max(end_s, self.now_s), lambda: self._stopped(worker, running, last))

    def _stopped(self, worker: int, running: Running, last: int) -> None:
        if self._running.get(worker) is not running:
            return
        del self._running[worker]
        job_id, at_s = running.job.job_id, round(self.now_s, 6)
        events = running.reports(worker, last, self._metric)
        events.append(t.Checkpointed(worker, job_id, last, at_s))
        events.append(t.JobStopped(worker, job_id, at_s))
        if self._cluster.dispatch == "waves":
            self._held += events
            self._end_of_wave()
        else:
            self._tell(*events)

    # --- workers ------------------------------------------------------------------------------

    def _join(self, n: int) -> None:
        cluster = self._cluster
        joined: list[t.Event] = []
        for _ in range(n):
            worker = self._next_worker
            self._next_worker += 1
            self._alive.add(worker)
            # The data set once, for all of them.
            facts = {"device": "simulated", **(self._data_set if worker == 0 else {})}
            joined.append(t.WorkerJoined(worker, self.now_s, facts))
            if cluster.deaths_per_hour > 0:
                life_s = float(self._deaths.exponential(3600.0 / cluster.deaths_per_hour))
                self._at(self.now_s + life_s, lambda worker=worker: self._die(worker))
        self._tell(*joined)

    def _die(self, worker: int) -> None:
        if worker not in self._alive:
            return
        self._alive.discard(worker)
        events = self._cut(worker)
        if self._cluster.return_s is not None:
            self._at(self.now_s + self._cluster.return_s, lambda: self._join(1))
        self._tell(*events, t.WorkerLost(worker, "died (simulated)", self.now_s))
        self._end_of_wave()

    def _wall_limit(self) -> None:
        """The batch system's: what was trained since each job's start is lost, all come back."""
        cluster = self._cluster
        events = [event for worker in list(self._running) for event in self._cut(worker)]
        events += self._held
        self._held = []
        self._alive.clear()
        self._loaded.clear()
        self._tell(*events, t.Resumed(self.now_s))
        self._check_progress()
        assert cluster.wall_limit_s is not None
        self._at(self.now_s + cluster.requeue_s, lambda: self._join(cluster.workers))
        self._at(self.now_s + cluster.requeue_s + cluster.wall_limit_s, self._wall_limit)

    def _check_progress(self) -> None:
        conductor = self._driver.conductor
        reached = (conductor.n_epochs, len(conductor.given_up))
        self._idle_limits = self._idle_limits + 1 if reached == self._reached else 0
        self._reached = reached
        if self._idle_limits >= _IDLE_LIMITS:
            raise StoppedError(
                f"backend.wall_limit_s={self._cluster.wall_limit_s:g}: the last {_IDLE_LIMITS} jobs have "
                "brought no new epoch, and no later one will: one epoch (with backend.load_s and "
                "backend.job_overhead_s), or the time to a checkpoint (backend.checkpoint_every_s), takes "
                "longer; raise it, or set it to null."
            )

    # --- jobs ---------------------------------------------------------------------------------

    def _start(self, worker: int, job: t.Job) -> None:
        cluster = self._cluster
        recording, bad = self._recording(job)
        ends = self._durations.ends(job.trial_id, recording)
        if job.to_epoch >= len(ends) or job.to_epoch > len(recording.values):
            raise ConfigError(
                f"max_epochs={job.to_epoch}: the curves have {len(recording.values)} epochs; "
                "lower it."
            )
        began = self.now_s + cluster.job_overhead_s
        if worker not in self._loaded:
            self._loaded.add(worker)
            began += cluster.load_s
        speed = cluster.speeds[worker % len(cluster.speeds)]
        last = job.to_epoch if bad is None else min(job.to_epoch, bad)
        running = Running(job, began, ends, speed, recording, bad, job.from_epoch)
        self._running[worker] = running
        over = began + (ends[last] - ends[job.from_epoch]) / speed
        if not math.isfinite(over):
            raise ConfigError(
                f"trial {job.trial_id}: its simulated seconds are beyond the range of a float; lower "
                "backend.epoch_s, backend.straggler_factor or backend.trial_sigma, or raise backend.speeds."
            )
        self._at(over, lambda: self._over(worker, running))

    def _over(self, worker: int, running: Running) -> None:
        if self._running.get(worker) is not running:
            # Its worker died meanwhile.
            return
        del self._running[worker]
        job = running.job
        bad = running.bad_epoch
        diverged = bad is not None and bad <= job.to_epoch
        events = running.reports(
            worker, bad - 1 if diverged and bad else job.to_epoch, self._metric
        )
        if diverged:
            message = f"{self._metric.name} is not finite after epoch {bad}"
            events.append(t.JobFailed(worker, job.job_id, "diverged", message, self.now_s))
        else:
            overhead_s = self._cluster.job_overhead_s
            busy_s = round(self.now_s - running.began_s + overhead_s, 6)
            events.append(
                t.JobFinished(worker, job.job_id, overhead_s, 0.0, busy_s, round(self.now_s, 6))
            )
        if self._cluster.dispatch == "waves":
            self._held += events
            self._end_of_wave()
        else:
            self._tell(*events)

    def _end_of_wave(self) -> None:
        if self._held and not self._running:
            held, self._held = self._held, []
            self._tell(*held)

    def _cut(self, worker: int) -> list[t.Event]:
        """A job that ends before its time: what it reported until now."""
        running = self._running.pop(worker, None)
        if running is None:
            return []
        trained = (self.now_s - running.began_s) * running.speed
        job, ends = running.job, running.ends
        last = job.from_epoch
        limit = (
            job.to_epoch if running.bad_epoch is None else min(job.to_epoch, running.bad_epoch - 1)
        )
        while last < limit and ends[last + 1] - ends[job.from_epoch] <= trained:
            last += 1
        events = running.reports(worker, last, self._metric)
        saved_s = trained - trained % self._cluster.checkpoint_every_s
        saved = job.from_epoch
        while saved < last and ends[saved + 1] - ends[job.from_epoch] <= saved_s:
            saved += 1
        if saved > job.from_epoch:
            events.append(t.Checkpointed(worker, job.job_id, saved, round(self.now_s, 6)))
        return events

    def _recording(self, job: t.Job) -> tuple[Recording, int | None]:
        """The trial's recording, and the first epoch whose value is not finite."""
        if (known := self._recordings.get(job.trial_id)) is None:
            recording = self._target.replay(job.config, job.seed)
            values = recording.values
            bad = None
            if not math.isfinite(math.fsum(values)):
                bad = next(i for i, value in enumerate(values, 1) if not math.isfinite(value))
            known = self._recordings[job.trial_id] = (recording, bad)
        return known

    def _score(self, worker: int, job: t.Job) -> None:
        """The winner's value once more: a recording holds no test split."""
        value = self._recording(job)[0].values[job.to_epoch - 1]
        self._tell(t.Scored(worker, job.job_id, value, {self._metric.name: value}, self.now_s))

    def _answer(self, answer: t.Forecast | t.ForecastFailed) -> None:
        self._tell(dataclasses.replace(answer, time_s=round(self.now_s, 6)))
