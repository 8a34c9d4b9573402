"""Successive halving as a joint optimizer: the smallest that is worth running, and a control for others."""

from __future__ import annotations

from suite.core.errors import ConfigError, check_integer
from suite.core.joint import JointOptimizer, Key, Wish
from suite.core.seeds import stream
from suite.core.space import Space
from suite.core.types import Done, Wait


class Halving(JointOptimizer):
    """Random configurations; of each rung the best 1/eta go on, without waiting. It has no end of its own.

    Rungs are min_epochs·eta^k, and max_epochs. What others do with the same rungs is worth what it gains over
    this one.
    Source: Li et al. 2020 (MLSys 2:230), Algorithm 2; `suite.schedulers.asha` has the same rule.
    Raises ConfigError for a number outside its range.
    """

    def __init__(self, eta: int = 3, min_epochs: int = 1) -> None:
        check_integer("scheduler.optimizer.eta", eta, 2)
        check_integer("scheduler.optimizer.min_epochs", min_epochs, 1)
        self._eta, self._min_epochs = eta, min_epochs

    def open(self, space: Space, seed: int, max_epochs: int) -> None:
        if self._min_epochs > max_epochs:
            raise ConfigError(
                f"scheduler.optimizer.min_epochs={self._min_epochs}: must be at most max_epochs={max_epochs}."
            )
        self._space, self._seed, self._n = space, seed, 0
        self._rungs = rungs(self._min_epochs, self._eta, max_epochs)
        # rung -> (objective, key) of those that came so far, and those that went on
        self._told: list[list[tuple[float, Key]]] = [[] for _ in self._rungs]
        self._gone: list[set[Key]] = [set() for _ in self._rungs]

    def ask(self) -> Wish | Wait | Done:
        for k in range(len(self._rungs) - 2, -1, -1):
            best = sorted(self._told[k])[: len(self._told[k]) // self._eta]
            for _, key in best:
                if key not in self._gone[k]:
                    self._gone[k].add(key)
                    return key, None, self._rungs[k + 1]
        self._n += 1
        config = self._space.sample(stream(self._seed, "halving", self._n))
        return self._n, config, self._rungs[0]

    def tell(self, key: Key, to_epoch: int, objective: float | None) -> None:
        if objective is not None:
            self._told[self._rungs.index(to_epoch)].append((objective, key))


def rungs(min_epochs: int, eta: int, max_epochs: int) -> list[int]:
    """min_epochs·eta^k below max_epochs, and max_epochs.

    >>> rungs(1, 3, 20)
    [1, 3, 9, 20]
    """
    epochs = [min_epochs]
    while epochs[-1] * eta < max_epochs:
        epochs.append(epochs[-1] * eta)
    return epochs if epochs[-1] == max_epochs else [*epochs, max_epochs]
