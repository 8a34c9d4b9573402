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
    """Raise ConfigError where a scheduler ends by budget.hours, and no mean training ends before."""
    budget = settings.budget
    if budget.hours is None or budget.allow_short or not scheduler.reads_clock:
        return
    seconds, basis = epoch_s(target, backend)
    needed_h = scheduler.max_epochs * seconds / 3600
    if budget.hours < needed_h:
        raise ConfigError(
            f"budget.hours={budget.hours:g}: one training to max_epochs={scheduler.max_epochs} takes about "
            f"{needed_h:.3g} h ({seconds:.4g} s an epoch, {basis}); raise it, lower max_epochs, or run what "
            "can be run with budget.allow_short=true."
        )
