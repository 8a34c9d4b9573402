"""From a configuration to checked parts: scheduler, searcher, predictor, target, conductor."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import TypeVar

from suite.backends.contract import Backend
from suite.core.errors import ConfigError
from suite.core.plugins import make
from suite.core.predictor import Features, Predictor
from suite.core.run_settings import Leaf, RunSettings
from suite.core.scheduler import Scheduler
from suite.core.searcher import Searcher
from suite.core.target import Target, make_target
from suite.launch.epoch_seconds import check_hours
from suite.run.budget import EPOCHS, LIMITS, limits_of
from suite.run.conductor import Conductor
from suite.schedulers.forecasting import Forecasting
from suite.schedulers.joint import Joint as JointScheduler
from suite.schedulers.virtual_cluster import VirtualCluster
from suite.searchers.joint import Joint as JointSearcher
from suite.track.contract import make_tracker

T = TypeVar("T")


@dataclass(frozen=True)
class Parts:
    """The objects that a configuration names."""

    scheduler: Scheduler
    target: Target
    conductor: Conductor
    backend: Backend


@dataclass(frozen=True)
class Search:
    """The parts that decide: who trains on, which configuration next, of which space.

    joint: the scheduler inside, where it is a joint optimizer's; None: another.
    """

    scheduler: Scheduler
    searcher: Searcher
    target: Target
    joint: JointScheduler | None = None


def assemble(settings: RunSettings) -> Parts:
    """Make and check every part. Raises ConfigError; imports no framework, makes no folder."""
    search = search_of(settings)
    scheduler, target = search.scheduler, search.target
    if search.joint is not None:
        search.joint.check()
    backend = made_backend(settings)
    backend.check(target)
    _check_predictor(settings, scheduler)
    make_tracker(settings.tracking)
    _check_table(settings, scheduler, target)
    check_hours(settings, scheduler, target, backend)
    conductor = conductor_of(settings, search, resident_trials=backend.resident_trials)
    return Parts(scheduler, target, conductor, backend)


def _check_table(settings: RunSettings, scheduler: Scheduler, target: Target) -> None:
    """Raise ConfigError where the plan asks a table for more than it holds: now, and not after the last epoch
    that it has.
    """
    plan, given = scheduler.plan(), f"max_epochs={settings.max_epochs}"
    rows, n_epochs = target.space.rows, target.most_epochs
    # One that chooses among the rows takes as many as there are.
    if rows is not None and plan.n_trials > len(rows) and not scheduler.chooses_trials:
        raise ConfigError(
            f"{given}: the scheduler asks for {plan.n_trials} configurations, the table has {len(rows)}; "
            "lower max_epochs (or n_trials), or take a larger table."
        )
    if n_epochs is not None and plan.max_epochs > n_epochs:
        raise ConfigError(
            f"{given}: the curves of {settings.model_name} have {n_epochs} epochs; "
            f"use max_epochs={n_epochs} or fewer."
        )


def work_of(parts: Parts) -> float:
    """A run's planned work, to compare its time with others': seconds, or epochs in a simulation."""
    n_epochs = parts.scheduler.plan().n_epochs
    return n_epochs * (1.0 if parts.backend.simulated else parts.target.epoch_s or 1.0)


def search_of(settings: RunSettings) -> Search:
    """The parts that decide, and no backend, predictor or tracker. Raises ConfigError, DataError."""
    searcher = _made(Searcher, settings.searcher, "searcher")  # type: ignore[type-abstract]
    scheduler = _scheduler(settings, searcher)
    inside: Scheduler = scheduler
    while isinstance(inside, VirtualCluster | Forecasting):
        inside = inside.scheduler
    joint = inside if isinstance(inside, JointScheduler) else None
    return Search(scheduler, searcher, make_target(settings.model), joint)


def conductor_of(settings: RunSettings, search: Search, *, resident_trials: int) -> Conductor:
    """A new conductor of this search. resident_trials: the backend's."""
    return Conductor(
        search.scheduler, search.searcher, search.target.space,
        seed=settings.seed,
        max_attempts=settings.max_attempts,
        min_workers=settings.min_workers,
        resident_trials=resident_trials,
        score=settings.score_test,
        budget=limits_of(dataclasses.asdict(settings.budget)),
    )  # fmt: skip


def made_backend(settings: RunSettings) -> Backend:
    """The run's backend alone; nothing is trained on it yet. Raises ConfigError."""
    return _made(Backend, settings.backend, "backend")  # type: ignore[type-abstract]


def _made(base: type[T], leaf: Leaf, group: str) -> T:
    """The class is checked before it is called: a class of another kind may do anything."""
    part: T = make(leaf, group, base)
    return part


def _scheduler(settings: RunSettings, searcher: Searcher) -> Scheduler:
    """The scheduler; with forecasts where it can use those of the predictor; on a virtual cluster where
    overlap is logical.
    """
    leaf, logical = settings.scheduler, settings.overlap == "logical"
    if logical and isinstance(leaf.get("scheduler"), Mapping):
        raise ConfigError(
            "overlap=logical: a search that is begun when a real worker is free is not one of a virtual "
            "cluster; use overlap=true."
        )
    if logical and "overlap" in leaf:
        leaf = {**leaf, "overlap": True}  # on the logical clock
    scheduler = _made(Scheduler, leaf, "scheduler")  # type: ignore[type-abstract]
    if settings.budget.price is not None and (logical or not scheduler.knows_prices):
        why = f"{type(scheduler).__name__} does not know what its trials are worth; use algorithm=price"
        why = "a virtual cluster has no clock; use overlap=true" if logical else why
        raise ConfigError(f"budget.price={settings.budget.price:g}: {why}, or budget.price=null.")
    _join(scheduler, searcher)
    if scheduler.takes_forecasts and settings.predictor.get("_target_") and settings.forecast:
        features = Features.of(settings.predictor.get("features"))
        scheduler = Forecasting(
            scheduler, features=features, **dataclasses.asdict(settings.forecast)
        )
    if not logical:
        return scheduler
    limits = limits_of(dataclasses.asdict(settings.budget))
    if scheduler.reads_clock and (of_time := [key for key in limits if key != EPOCHS]):
        named = ", ".join(LIMITS.get(key, "budget.end") for key in of_time)
        raise ConfigError(
            f"overlap=logical: a virtual cluster has no clock, and {type(scheduler).__name__} plans by one "
            f"({named}); use overlap=true, or {named}=null."
        )
    return VirtualCluster(
        scheduler,
        settings.virtual_cluster.nominal_workers,
        ahead=not searcher.adaptive,
        speculate=settings.virtual_cluster.speculate,
    )


def _join(scheduler: Scheduler, searcher: Searcher) -> None:
    """A joint optimizer is both at once; a half of it alone is refused."""
    joint = isinstance(scheduler, JointScheduler), isinstance(searcher, JointSearcher)
    if joint == (True, False):
        raise ConfigError(
            f"searcher={type(searcher).__name__}: scheduler=joint proposes configurations itself; use "
            "searcher=joint."
        )
    if joint == (False, True):
        raise ConfigError(
            f"searcher=joint: hands on what scheduler=joint proposes, and {type(scheduler).__name__} "
            "proposes nothing; use searcher=random, or another."
        )
    if isinstance(scheduler, JointScheduler) and isinstance(searcher, JointSearcher):
        searcher.follow(scheduler)


def _check_predictor(settings: RunSettings, scheduler: Scheduler) -> None:
    """A wrong argument is found now, not at the first decision."""
    leaf = {key: value for key, value in settings.predictor.items() if key != "features"}
    Features.of(settings.predictor.get("features"))
    if leaf.get("_target_"):
        predictor = _made(Predictor, leaf, "predictor")  # type: ignore[type-abstract]
        predictor.check()
        if scheduler.needs_std and "return_std" not in signature(predictor.predict).parameters:
            raise ConfigError(
                f"predictor={type(predictor).__name__}: {type(scheduler).__name__} needs standard "
                "deviations, predict(X, return_std=True); use predictor=loo_svr."
            )
    elif "features" in settings.scheduler or "features" in settings.scheduler.get("scheduler", ()):
        raise ConfigError(
            f"predictor=none: {type(scheduler).__name__} needs one; use predictor=svr or "
            "predictor=qsvr."
        )
