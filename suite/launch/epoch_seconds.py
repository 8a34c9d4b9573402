"""How long an epoch takes, by what is known without measuring; what so many trainings are in hours; and
whether a budget of hours has room for one.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from typing import Any

from suite.backends.contract import Backend
from suite.core.errors import ConfigError
from suite.core.plugins import make
from suite.core.run_settings import Epochs, Hours, RunSettings
from suite.core.scheduler import Scheduler
from suite.core.settings import checked
from suite.core.target import Target, make_target


def epoch_s(target: Target, backend: Backend) -> tuple[float, str]:
    """Seconds of an epoch, and what they rest on: the target's figure; where time is simulated, the mean of
    the recordings, or else the backend's.
    """
    yours = "give yours: epoch_s=S, or --measure"
    if not backend.simulated:
        where = f"{type(target).__module__.replace('.', '/')}"
        return target.epoch_s, f"as {where} states it for the hardware named there; {yours}"
    recordings = [target.replay(row, 0) for row in target.space.rows or ()]
    seconds = [
        a + b
        for one in recordings
        if one.train_s
        for a, b in zip(one.train_s, one.eval_s or (0.0,) * len(one.train_s), strict=True)
    ]
    if seconds:
        return math.fsum(seconds) / len(seconds), "the mean of the recorded ones"
    simulated = getattr(backend, "epoch_s", None)
    if simulated is None:
        return target.epoch_s, "the target's"
    return float(simulated), f"made up (backend.epoch_s={simulated:g})"


def hours_of_trainings(
    trainings: Any, max_epochs: Any, model: Mapping[str, Any], backend: Mapping[str, Any]
) -> float:
    """What budget.trainings stands for: hours that so many mean trainings to max_epochs take, one after the
    other. model, backend: leaves.

    Raises ConfigError where it is no number > 0, or nothing states how long an epoch takes; DataError.
    """
    name = "budget.trainings"
    n: float = checked(trainings, Hours, name)
    most: int = checked(max_epochs, Epochs, "max_epochs")
    seconds = _stated_s(json.dumps([model, backend]))
    if not seconds > 0:
        raise ConfigError(
            f"{name}={n:g}: nothing states how long an epoch of this target takes; give budget.hours."
        )
    return n * most * seconds / 3600


@functools.lru_cache(maxsize=64)
def _stated_s(leaves: str) -> float:
    """Seconds of an epoch of a model on a backend, both leaves, as JSON. A sweep asks for each run."""
    model, backend = json.loads(leaves)
    made: Backend = make(backend, "backend", Backend)
    return epoch_s(make_target(model), made)[0]


def check_hours(
    settings: RunSettings, scheduler: Scheduler, target: Target, backend: Backend
) -> None:
    """Raise ConfigError where the run ends by hours, node-hours or epochs before one mean training does."""
    budget = settings.budget
    n_epochs, most = budget.all_epochs, scheduler.max_epochs
    if n_epochs is not None and n_epochs < most and not budget.allow_short:
        raise ConfigError(
            f"budget.all_epochs={n_epochs}: less than one training to max_epochs={most}; raise it, lower "
            "max_epochs, or run what can be run with budget.allow_short=true."
        )
    if (budget.hours is None and budget.node_hours is None) or budget.allow_short:
        return
    seconds, basis = epoch_s(target, backend)
    needed_h = scheduler.max_epochs * seconds / 3600
    # Which workers share a node, only a run knows.
    n_nodes = backend.n_workers() if backend.simulated else 1
    for name, given_h, needed, whose in (
        ("hours", budget.hours, needed_h, "h"),
        ("node_hours", budget.node_hours, needed_h * n_nodes, f"h, times {n_nodes} nodes"),
    ):
        if given_h is not None and given_h < needed:
            raise ConfigError(
                f"budget.{name}={given_h:g}: one training to max_epochs={scheduler.max_epochs} takes about "
                f"{needed_h:.3g} {whose} ({seconds:.4g} s an epoch, {basis}); raise it, lower max_epochs, or "
                "run what can be run with budget.allow_short=true."
            )
