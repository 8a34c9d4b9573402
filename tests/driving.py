"""Small builders for the tests: schedulers driven by hand, searches run inline on a constant clock,
and conf/ composed.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.table_target import TableTarget
from suite.backends.ask import Forecaster
from suite.backends.inline import Inline
from suite.checkpoints import Checkpoints
from suite.core import types as t
from suite.core.scheduler import Scheduler, rank
from suite.core.seeds import stream
from suite.core.target import Target
from suite.run.conductor import Conductor
from suite.run.driver import Driver, reopen
from suite.run.journal import Journal
from suite.searchers.random import Random
from suite.worker import Worker

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"
DATA = Path(os.environ.get("SUITE_DATA") or ROOT.parent / "shared" / "data")
"""Where recorded curves are, if anywhere: SUITE_DATA, or a folder beside the checkout."""
if DATA.is_dir():
    os.environ["SUITE_DATA"] = str(DATA)
SVR = {"_target_": "suite.predictors.svr.SVR"}


def names(group: str) -> list[str]:
    """The YAML files of one group of conf/: the registry that the conformance tests are
    parametrised over.
    """
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def compose(*overrides: str) -> dict[str, Any]:
    """The resolved configuration that these overrides give, as plain dicts and lists."""
    import hydra
    from omegaconf import OmegaConf

    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose("config", list(overrides))
    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


# --- a scheduler without conductor, journal or worker ---------------------------------------------


def power_law(trial_id: int, to_epoch: int) -> t.Curve:
    """A curve that is a function of the trial id alone: level, speed and a little noise."""
    draws = stream(7, "power_law", trial_id)
    level, speed = draws.uniform(0.0, 1.0), draws.uniform(0.3, 1.2)
    noise = draws.normal(0.0, 0.01, 512)
    return tuple(float(level + (e + 1) ** -speed + noise[e]) for e in range(to_epoch))


def last_value(request: t.Predict) -> list[float | None]:
    """The simplest forecast: the curve stays where it is."""
    return [row[-1] for row in request.X_new]


@dataclass
class Played:
    """What a scheduler asked for, and what it was told."""

    trains: list[t.Train] = field(default_factory=list)
    predicts: list[t.Predict] = field(default_factory=list)
    curves: dict[int, t.Curve | None] = field(default_factory=dict)
    max_epochs: int = 0

    @property
    def epochs(self) -> dict[int, int]:
        """trial_id -> epochs trained; a diverged trial counts what was asked for."""
        asked: dict[int, int] = {}
        for train in self.trains:
            asked[train.trial_id] = max(asked.get(train.trial_id, 0), train.to_epoch)
        return asked

    @property
    def n_epochs(self) -> int:
        return sum(self.epochs.values())

    @property
    def winner(self) -> int | None:
        return next(iter(rank(self.curves, self.max_epochs)), None)


def play(
    scheduler: Scheduler,
    curve: Callable[[int, int], t.Curve | None] = power_law,
    *,
    workers: int = 1,
    shuffle: int | None = None,
    forecast: Callable[[t.Predict], Sequence[float | None] | None] = last_value,
    limit: int = 100_000,
) -> Played:
    """Drive `scheduler` to DONE. `shuffle` seeds the order in which `workers` jobs in flight finish
    (None: first in, first out).
    """
    order = random.Random(shuffle) if shuffle is not None else None
    played = Played(max_epochs=scheduler.max_epochs)
    flying: list[t.Train | t.Predict] = []
    met: set[int] = set()
    for _ in range(limit):
        busy = sum(isinstance(job, t.Train) for job in flying)
        decision = scheduler.ask() if busy < workers else t.WAIT
        if isinstance(decision, t.Train):
            assert decision.trial_id not in {
                j.trial_id for j in flying if isinstance(j, t.Train)
            }, "asked twice at once"
            if decision.trial_id not in met:
                scheduler.meet(decision.trial_id, (0.5,))
                met.add(decision.trial_id)
            played.trains.append(decision)
            flying.append(decision)
        elif isinstance(decision, t.Propose):
            scheduler.meet(decision.trial_id, (0.5,))
            met.add(decision.trial_id)
        elif isinstance(decision, t.Predict):
            played.predicts.append(decision)
            flying.append(decision)
        elif flying:
            job = flying.pop(order.randrange(len(flying)) if order else 0)
            if isinstance(job, t.Predict):
                scheduler.tell_forecast(job.key, forecast(job))
            else:
                told = curve(job.trial_id, job.to_epoch)
                played.curves[job.trial_id] = told
                scheduler.tell(job.trial_id, told)
        else:
            assert decision == t.DONE, f"{decision} although nothing is in flight"
            return played
    raise AssertionError(f"not done after {limit} steps")


# --- a search with everything but MPI, on a clock that stands still -------------------------------


class LastValue(Forecaster):
    """In the Forecaster's place: no library, so journals are the same bytes on every machine."""

    def __init__(self) -> None:
        super().__init__(None, 0)

    def warm_up(self) -> None:
        """Nothing to import."""

    def answer(self, request: t.Predict) -> t.Forecast:
        stds = (0.01,) * len(request.X_new) if request.with_std else None
        return t.Forecast(request.key, tuple(last_value(request)), 0.0, 0.0, stds=stds)


def conductor(
    scheduler: Scheduler, target: Target | None = None, seed: int = 0, **settings: Any
) -> Conductor:
    return Conductor(scheduler, Random(), (target or TableTarget()).space, seed=seed, **settings)


def inline(folder: Path, target: Target, predictor: Any = None, seed: int = 0) -> Inline:
    """An inline backend whose clocks stand still. predictor: a YAML leaf, or an object with
    `answer`.
    """
    worker = Worker(target, Checkpoints(folder / "checkpoints"), clock=lambda: 0.0)
    asked = predictor
    if not isinstance(asked, Forecaster):
        asked = Forecaster(predictor, seed, clock=lambda: 0.0)
    return Inline(worker, asked, clock=lambda: 0.0)


def search(
    folder: Path,
    scheduler: Scheduler,
    target: Target | None = None,
    *,
    predictor: Any = None,
    seed: int = 0,
    header: dict[str, Any] | None = None,
    journal: Journal | None = None,
    **settings: Any,
) -> Driver:
    """One search from the beginning to its closing line."""
    target = target or TableTarget()
    log = journal or Journal(folder, header or {"run_id": "test"})
    driver = Driver(conductor(scheduler, target, seed, **settings), log)
    return finish(driver, inline(folder, target, predictor, seed))


def resumed(
    folder: Path,
    scheduler: Scheduler,
    target: Target | None = None,
    *,
    predictor: Any = None,
    seed: int = 0,
    **settings: Any,
) -> Driver:
    """The folder's search, re-folded and carried on to its closing line."""
    target = target or TableTarget()
    driver = reopen(folder, conductor(scheduler, target, seed, **settings))
    return finish(driver, inline(folder, target, predictor, seed))


def finish(driver: Driver, backend: Inline) -> Driver:
    backend.run(driver)
    shutdown = driver.conductor.shutdown
    assert shutdown is not None
    driver.close(shutdown.status, shutdown.reason)
    return driver


def result(driver: Driver) -> dict[str, Any]:
    """What must not depend on who trained, and when."""
    done = driver.conductor
    return {
        "curves": {i: trial.curve for i, trial in done.trials.items()},
        "configs": {i: trial.config for i, trial in done.trials.items()},
        "winner": done.winner,
        "n_epochs": done.n_epochs,
        "stopped": dict(done.scheduler.stopped),
        "given_up": dict(done.given_up),
        "status": done.shutdown.status if done.shutdown else None,
    }


# --- a conductor fed by hand ----------------------------------------------------------------------


def starts(commands: Iterable[t.Command]) -> list[t.Start]:
    return [command for command in commands if isinstance(command, t.Start)]


def reports(
    start: t.Start,
    to_epoch: int | None = None,
    objective: Callable[[int, int], float] | None = None,
) -> list[t.EpochReport]:
    """The epoch reports of a job, up to `to_epoch` (default: its end)."""
    job = start.job
    value = objective or (lambda trial_id, epoch: power_law(trial_id, epoch)[-1])
    return [
        t.EpochReport(start.worker, job.job_id, e, value(job.trial_id, e), {}, 0.0, 0.0)
        for e in range(job.from_epoch + 1, (to_epoch or job.to_epoch) + 1)
    ]


def do(
    done: Conductor, start: t.Start, objective: Callable[[int, int], float] | None = None
) -> list[t.Command]:
    """The whole job, well done; returns what comes next."""
    for report in reports(start, objective=objective):
        assert done.handle(report) == []
    return done.handle(t.JobFinished(start.worker, start.job.job_id))


def carry_out(
    done: Conductor,
    commands: Iterable[t.Command],
    objective: Callable[[int, int], float] | None = None,
) -> None:
    """All commands, and those they cause, until the run is over."""
    todo = list(commands)
    while todo:
        command = todo.pop(0)
        if isinstance(command, t.Start):
            todo += do(done, command, objective)
        elif isinstance(command, t.Ask):
            todo += done.handle(
                t.Forecast(command.request.key, tuple(last_value(command.request)), 0.0, 0.0)
            )
        elif isinstance(command, t.Score):
            todo += done.handle(t.Scored(command.worker, command.job.job_id, 1.0))


def finite(values: Iterable[float]) -> bool:
    return all(math.isfinite(value) for value in values)
