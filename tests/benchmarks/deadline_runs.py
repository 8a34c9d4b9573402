"""One table, machine and seed of `price_deadlines.py`: each search in simulated time, read at deadlines."""

from __future__ import annotations

import copy
import functools
import math
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kit.driving import compose
from suite.backends.forecasts import Forecaster
from suite.backends.simulate import Simulation
from suite.core import types as t
from suite.core.brackets import MAX_TRIALS
from suite.core.plugins import make
from suite.core.run_settings import RunSettings
from suite.launch.assemble import assemble
from suite.launch.epoch_seconds import epoch_s
from suite.run.conductor import Conductor
from suite.run.driver import Driver
from suite.schedulers.time_left import TimeBudget

SHORT, MAKESPAN = "1.25 R", "Hyperband's"
TRAININGS = {SHORT: 1.25, "1.5 R": 1.5, "2 R": 2.0}
"""Deadlines in mean trainings. MAKESPAN is the other kind."""
DEADLINES = (SHORT, MAKESPAN)
EVERY_DEADLINE = (*TRAININGS, MAKESPAN)
BASELINE = "hyperband_looped"
BASELINES: dict[str, tuple[str, ...]] = {
    BASELINE: (),
    "asha": ("scheduler.eta=2", "scheduler.n_trials=${budget.n_trials}"),
    "random_search_filling": (),
    "bohb_looped": (),
}
NO_FOREST = f"scheduler.n_least={MAX_TRIALS}"
OURS: dict[str, tuple[str, ...]] = {
    "price_rank": (),
    "price": (),
    "price_rank, no forest": (NO_FOREST,),
    "price_rank, no deadline": (),
    "price_rank, straight 0.1": ("scheduler.straight=0.1",),
    "price_rank, straight 0.2": ("scheduler.straight=0.2",),
    "price, no forest": (NO_FOREST,),
    "price, no deadline": (),
}
NOTHING = 1.5
"""Regret where no trial has come to R in time."""


@dataclass(frozen=True)
class Unit:
    """overhead: epochs that each job takes besides. names: of BASELINES and OURS, which are wanted.
    deadlines: of EVERY_DEADLINE.
    """

    task: str
    family: str
    workers: int
    seed: int
    overhead: int
    names: tuple[str, ...]
    deadlines: tuple[str, ...] = DEADLINES


@dataclass
class Run:
    """finished: (seconds, objective) of trials at R. steps: after each event its seconds, jobs in flight,
    trials that have begun. handed_back: the share of node time that the search had no use for.
    """

    finished: list[tuple[float, float]] = field(default_factory=list)
    steps: list[tuple[float, int, int]] = field(default_factory=list)
    handed_back: float | None = None
    end_s: float = 0.0

    def busy(self, workers: int, end_s: float) -> float:
        """The share of the node time until end_s in which workers had a job."""
        busy_s = 0.0
        for (at, n, _), (to, _, _) in zip(
            self.steps, [*self.steps[1:], (end_s, 0, 0)], strict=True
        ):
            busy_s += n * max(min(to, end_s) - at, 0.0)
        return busy_s / (workers * end_s)

    def begun(self, end_s: float) -> int:
        place = bisect_right(self.steps, end_s, key=lambda step: step[0])
        return self.steps[place - 1][2] if place else 0


class _PassedError(Exception):
    """Ends a simulation whose later events are of no interest."""


class _Blind(TimeBudget):
    """An end that is not looked at: whatever would be worth its epochs begins, until it comes."""

    def fit(self, trial_ids: Sequence[int], epochs: NDArray[np.int_]) -> NDArray[np.bool_]:
        return np.full(len(trial_ids), self._left_ms > 0)

    def fit_fresh(self) -> float:
        return float(self._left_ms > 0)


@functools.cache
def _composed(task: str, name: str) -> dict[str, Any]:
    words = BASELINES.get(name) or OURS.get(name, ())
    algorithm = name.partition(",")[0]
    fixed = (
        "backend=simulate",
        "score_test=false",
        "tracking=later",
        "eta=2",
        "budget.allow_short=true",
    )
    return compose(*fixed, f"task={task}", f"algorithm={algorithm}", *words)


@dataclass(frozen=True)
class Table:
    """training_s: seconds of a mean training to R, epoch_s: of an epoch. reference: best and median."""

    most: int
    epoch_s: float
    value: Any
    reference: Mapping[str, float]

    @property
    def training_s(self) -> float:
        return self.most * self.epoch_s

    def regret(self, run: Run, end_s: float) -> tuple[float, int]:
        """0: the table's best, 1: its median, NOTHING; and how many trials are at R."""
        in_time = [value for at, value in run.finished if at <= end_s]
        if not in_time:
            return NOTHING, 0
        best, median = self.reference["best"], self.reference["median"]
        return float((self.value(min(in_time)) - best) / (median - best)), len(in_time)


@functools.cache
def table(task: str) -> Table:
    parts = assemble(RunSettings.of(_composed(task, "hyperband")))
    most = parts.scheduler.max_epochs
    seconds = epoch_s(parts.target, parts.backend)[0]
    return Table(most, seconds, parts.target.goal.value, parts.target.reference(most))


def simulated(unit: Unit, name: str, end_s: float, hours: float | None = None) -> Run:
    """A search until end_s; hours: until it ends by itself, because its budget has so many."""
    config = copy.deepcopy(_composed(unit.task, name))
    config["seed"], config["backend"]["workers"] = unit.seed, unit.workers
    config["backend"]["job_overhead_s"] = unit.overhead * table(unit.task).epoch_s
    if hours is not None:
        config["budget"]["hours"] = hours
    if name == "random_search_filling":
        # So many that time or rows end it.
        trainings = 2 * math.ceil(end_s / table(unit.task).training_s) + 2
        config["scheduler"] |= {"n_workers": unit.workers, "per_worker": trainings}
    if name == BASELINE or name == "bohb_looped":
        config["scheduler"]["hours"] = end_s / 3600
    parts = assemble(RunSettings.of(config))
    if name.endswith("no deadline"):
        parts.scheduler._left.__class__ = _Blind  # type: ignore[attr-defined]
    most, run = parts.scheduler.max_epochs, Run()

    def watch(event: t.Event, conductor: Conductor) -> None:
        if event.time_s > end_s:
            raise _PassedError
        if isinstance(event, t.EpochBatch) and event.epoch + len(event.objectives) - 1 == most:
            run.finished.append((event.time_s, event.objectives[-1]))
        # Of a job that fails, the epochs are told afterwards, with the time of the last one.
        at_s = max(event.time_s, run.steps[-1][0] if run.steps else 0.0)
        run.steps.append((at_s, len(conductor.in_flight), len(conductor.trials)))

    driver = Driver(parts.conductor, None, [watch])
    forecaster = Forecaster(config["predictor"], unit.seed)
    try:
        Simulation(
            parts.target, make(config["backend"], "backend"), forecaster, unit.seed, most
        ).run(driver)
        run.end_s = driver.time_s
    except _PassedError:
        run.end_s = end_s
    budget = parts.scheduler.diagnostics.get("budget") or {}
    run.handed_back = budget.get("handed_back")
    return run


def rows_of(unit: Unit) -> list[dict[str, Any]]:
    """A row for each search and deadline of a unit."""
    known = table(unit.task)
    makespan_s = simulated(unit, "hyperband", math.inf).end_s
    ends = {
        deadline: makespan_s if deadline == MAKESPAN else TRAININGS[deadline] * known.training_s
        for deadline in unit.deadlines
    }
    rows = []
    for name in unit.names:
        began, run = time.perf_counter(), None
        if name in BASELINES:
            run = simulated(unit, name, max(ends.values()))
        for deadline, end_s in ends.items():
            read = run or simulated(unit, name, math.inf, hours=end_s / 3600)
            regret, n_finished = known.regret(read, end_s)
            rows.append({
                "task": unit.task, "family": unit.family, "workers": unit.workers, "seed": unit.seed,
                "overhead": unit.overhead, "algorithm": name, "deadline": deadline,
                "end": round(end_s / known.training_s, 4), "regret": round(regret, 6),
                "busy": round(read.busy(unit.workers, end_s), 4), "handed_back": read.handed_back,
                "trials": read.begun(end_s), "trainings": n_finished,
                "wall_s": round((time.perf_counter() - began) / len(ends), 2),
            })  # fmt: skip
    return rows
