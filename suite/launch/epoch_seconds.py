"""How long an epoch takes, by what is known without measuring; and whether a budget of hours has room for one
training.
"""

from __future__ import annotations

import math

from suite.backends.contract import Backend
from suite.core.errors import ConfigError
from suite.core.run_settings import RunSettings
from suite.core.scheduler import Scheduler
from suite.core.target import Target


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


def check_hours(
    settings: RunSettings, scheduler: Scheduler, target: Target, backend: Backend
) -> None:
    """Raise ConfigError where the run ends by hours or node-hours, and no mean training ends before."""
    budget = settings.budget
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
