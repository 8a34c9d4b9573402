"""A scheduler driven by hand, without conductor, journal or worker."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from suite.core import types as t
from suite.core.scheduler import Scheduler, ranking
from suite.core.seeds import stream


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
        return next(iter(ranking(self.curves, self.max_epochs)), None)


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
                scheduler.on_config(decision.trial_id, (0.5,))
                met.add(decision.trial_id)
            played.trains.append(decision)
            flying.append(decision)
        elif isinstance(decision, t.Propose):
            scheduler.on_config(decision.trial_id, (0.5,))
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
