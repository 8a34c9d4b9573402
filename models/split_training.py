"""A trial with one `evaluate` for the validation split and the test split."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from suite.core.errors import DivergedError
from suite.core.target import Target, Training
from suite.core.types import Config


def one_batch(target: Target, config: Config | None = None) -> None:
    """Train one batch of a trial that is thrown away: a target's `warm_up`.

    Its trials have `train(epoch, n_batches)`. config: None takes the space's lowest, whose network is small.
    """
    training: Any = target.start(config or target.space.lowest(), 0)
    training.train(1, n_batches=1)


class SplitTraining(Training):
    """Needs `evaluate`; its target holds the splits as `valid` and `test`."""

    target: Any
    train_loss: float | None = None
    """Mean training loss of the last epoch; None before the first one after start or load."""

    @abstractmethod
    def evaluate(self, split: Any) -> dict[str, float]:
        """The metrics of the current weights on a split of the target."""

    def validate(self) -> Mapping[str, float]:
        """The metrics on the validation split, and train_loss where an epoch was trained."""
        metrics = self.evaluate(self.target.valid)
        return metrics if self.train_loss is None else metrics | {"train_loss": self.train_loss}

    def test(self) -> Mapping[str, float]:
        return self.evaluate(self.target.test)

    def note_loss(self, train_loss: float, epoch: int, is_finite: bool = True) -> None:
        """Keep the epoch's mean training loss. Raises DivergedError where it, or a weight, is not finite."""
        self.train_loss = train_loss
        if not (math.isfinite(train_loss) and is_finite):
            raise DivergedError(f"train_loss={train_loss} in epoch {epoch}")
