"""Hyperparameters that no interval says: an order without distances; and, of curve tables, a number that some
configurations do not have. Either is one number of [0, 1] to a searcher, as a Float is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.core.parameters import Float, Int, check_values, place_of
from suite.core.printable import printable


@dataclass(frozen=True, slots=True)
class Ordered:
    """One of `values`, which have an order and no distances: the i-th of n is encoded as i / (n - 1).

    1, 1.0 and true are three values, as of a Choice. Raises ConfigError where there are fewer than two, one
    stands twice, or one is not plain JSON.
    """

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        check_values("Ordered", values, 2)
        object.__setattr__(self, "values", values)

    def decode(self, u: float) -> Any:
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def encode(self, value: Any) -> tuple[float, ...]:
        return ((place_of(value, self.values) or 0) / (len(self.values) - 1),)

    def round_draws(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """What encode(decode(u)) is: the points of the values."""
        n = len(self.values)
        return np.asarray(np.minimum((u * n).astype(int), n - 1) / (n - 1))

    def check(self, value: Any) -> str | None:
        if place_of(value, self.values) is not None:
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
