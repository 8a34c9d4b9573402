"""Hyperparameters of curve tables that no interval says: an order without distances, a number that some
configurations do not have. Either is one number of [0, 1] to a searcher, as a Float is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from suite.core.errors import ConfigError
from suite.core.printable import printable

if TYPE_CHECKING:
    from suite.core.space import Float, Int


@dataclass(frozen=True, slots=True)
class Ordered:
    """One of `values`, which have an order and no distances: the i-th of n is encoded as i / (n - 1).

    Raises ConfigError where there are fewer than two, or one stands twice.
    """

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        if len(values) < 2 or len(set(values)) < len(values):
            shown = printable(f"Ordered{values}", most=200)
            raise ConfigError(f"{shown}: needs two or more different values; mend the space.")
        object.__setattr__(self, "values", values)

    def decode(self, u: float) -> Any:
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def encode(self, value: Any) -> tuple[float, ...]:
        return (self.values.index(value) / (len(self.values) - 1),)

    def round_draws(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """What encode(decode(u)) is: the points of the values."""
        n = len(self.values)
        return np.asarray(np.minimum((u * n).astype(int), n - 1) / (n - 1))

    def check(self, value: Any) -> str | None:
        if value in self.values:
            return None
        return f"must be one of {printable(', '.join(map(str, self.values)), most=1000)}"


ACTIVE = 0.25
"""Where the active half of a Conditional begins in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Conditional:
    """A number where it plays a part, and `inactive` where it does not (the momentum of an optimiser that
    has none). Inactive is 0 and the others lie in [1/4, 1], so that no model takes it for their neighbour.

    Source: imputation by a value outside the range, as SMAC's forests do it (Hutter et al. 2011, LION 5).
    Deviation: one number, and no second one that says which half it is.
    """

    active: Float | Int
    inactive: Any

    def decode(self, u: float) -> Any:
        return self.inactive if u < ACTIVE else self.active.decode((u - ACTIVE) / (1.0 - ACTIVE))

    def encode(self, value: Any) -> tuple[float, ...]:
        if value == self.inactive:
            return (0.0,)
        return (ACTIVE + (1.0 - ACTIVE) * self.active.encode(value)[0],)

    def round_draws(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """What encode(decode(u)) is."""
        inner = self.active.round_draws(np.maximum(u - ACTIVE, 0.0) / (1.0 - ACTIVE))
        return np.where(u < ACTIVE, 0.0, ACTIVE + (1.0 - ACTIVE) * inner)

    def check(self, value: Any) -> str | None:
        rule = None if value == self.inactive else self.active.check(value)
        return rule and f"{rule}, or {self.inactive} where it plays no part"
