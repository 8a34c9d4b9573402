"""Small builders for the tests: schedulers driven by hand, searches run inline on a constant clock,
and conf/ composed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from models.synthetic_curves import TableTarget
from suite.backends.forecasts import Forecaster
from suite.backends.inline import InlineRunner
from suite.core import types as t
from suite.core.run_settings import RunSettings
from suite.core.scheduler import Scheduler
from suite.core.searcher import Searcher
from suite.core.target import Target
from suite.launch import compose as launch
from suite.launch import tables
from suite.run.conductor import Conductor
from suite.run.driver import Driver, reopen
from suite.run.journal import Journal
from suite.run.limit import Limit
from suite.schedulers.forecasting import Forecasting
from suite.schedulers.joint import Joint as JointScheduler
from suite.searchers.joint import Joint as JointSearcher
from suite.searchers.random import Random
from suite.testing.driving import Played as Played
from suite.testing.driving import last_value as last_value
from suite.testing.driving import play as play
from suite.testing.driving import power_law as power_law
from suite.worker.checkpoints import CheckpointPlace, Checkpoints
from suite.worker.worker import Worker

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
DATA = Path(os.environ.get("SUITE_DATA") or ROOT.parent / "shared" / "data")
"""Where recorded curves are, if anywhere: SUITE_DATA, or a folder beside the checkout."""
if DATA.is_dir():
    os.environ["SUITE_DATA"] = str(DATA)
SVR = {"_target_": "suite.predictors.svr.SVR"}


def names(group: str) -> list[str]:
    """The YAML files of one group of conf/, and what the catalogue of tables adds: the registry that the
    conformance tests are parametrised over.
    """
    files = {path.stem for path in (CONF / group).glob("*.yaml")}
    return sorted(files | set(tables.names(group)))


def compose(*overrides: str) -> dict[str, Any]:
    """The resolved configuration that these overrides give, as plain dicts and lists."""
    return launch.compose(overrides)


def configured(*overrides: str) -> RunSettings:
    """The typed settings of the run that these overrides give."""
    return RunSettings.of(compose(*overrides))


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
    """A conductor with random search, or what a joint optimizer proposes; settings: any of Conductor's, over
    those of conf/config.yaml.
    """
    space = (target or TableTarget()).space
    searcher: Searcher = Random()
    inside = scheduler.scheduler if isinstance(scheduler, Forecasting) else scheduler
    if isinstance(inside, JointScheduler):
        searcher = JointSearcher()
        searcher.follow(inside)
    return Conductor(
        scheduler, searcher, space, seed=seed, **{"max_attempts": 2, "score": True, **settings}
    )


def inline(folder: Path, target: Target, predictor: Any = None, seed: int = 0) -> InlineRunner:
    """An inline backend whose clocks stand still. predictor: a YAML leaf, or an object with
    `answer`.
    """
    limit = Limit(120.0)
    checkpoints = Checkpoints(CheckpointPlace.of(folder, None, "test"))
    worker = Worker(target, checkpoints, clock=lambda: 0.0, paused=limit.due)
    asked = predictor
    if not isinstance(asked, Forecaster):
        asked = Forecaster(predictor, seed, clock=lambda: 0.0)
    return InlineRunner(worker, asked, limit, clock=lambda: 0.0)


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


def finish(driver: Driver, backend: InlineRunner) -> Driver:
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
        "stopped": dict(done.scheduler.stopped_at),
        "given_up": {i: str(why) for i, why in done.given_up.items()},
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
        assert done.handle(report).commands == []
    return done.handle(t.JobFinished(start.worker, start.job.job_id)).commands


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
            ).commands
        elif isinstance(command, t.Score):
            todo += done.handle(t.Scored(command.worker, command.job.job_id, 1.0)).commands


def finite(values: Iterable[float]) -> bool:
    return all(math.isfinite(value) for value in values)
