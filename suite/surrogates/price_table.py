"""The price of a trial: the highest cost an epoch at which it still pays to train it further."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_LOW, _HIGH, N_MEANS = -5.0, 3.0, 81
MEANS = np.linspace(_LOW, _HIGH, N_MEANS)
"""Of what is believed of a trial; between them is interpolated."""
STEP = (_HIGH - _LOW) / (N_MEANS - 1)
_PRICES = np.geomspace(1e-5, 8.0, 28)
THETA_STEP, EXPLAINED_STEP = 0.02, 0.015
"""A table is made anew where the aim, or the explained variance of a state, has moved by more."""


class PriceTable:
    """Prices of trials in each state (fresh, at rung 0, 1, ...) by the mean of what is believed of them.

    A trial is a box that can be opened a rung at a time. Its final value, in standard normal units with
    low as good, is believed to be N(m, 1 - explained[state]); a rung moves m by a normal step of variance
    explained[next] - explained[state], and costs `price` for each R epochs. The reward of a trial at R is
    max(theta - m, 0). A state's value is that of going on or stopping, whichever is better,

        V(m) = max(0, E[V_next(m + step)] - price cost),

    and its price the largest with V > 0: the Gittins index of the box (Weitzman 1979, Econometrica 47:641,
    of one that is opened once). Deviation: solved on 28 prices and 81 means, both interpolated between;
    below -5 V is continued as a line, above 3 it is that of 3.
    """

    def __init__(
        self, theta: float, explained: Sequence[float], costs: Sequence[float], first: int = 0
    ) -> None:
        """explained: of fresh trials, then at each rung below R; rising, below 1. costs: of the step from
        each of these states to the next, the last one's to R; as shares of R. first: the rung to which
        fresh trials are trained.
        """
        self.theta, self.explained = theta, tuple(explained)
        self._costs, self._first = tuple(costs), first
        n = len(self.explained)
        # What each state is worth, by price and mean.
        worth = [np.empty(0)] * n
        self._rows = [np.empty(0)] * n
        for state in reversed(range(n)):
            then = state + 1 if state else 1 + first
            if then < n:
                sd = math.sqrt(max(self.explained[then] - self.explained[state], 0.0))
                gain = worth[then] @ expectation(sd).T
            else:
                gain = shortfall(
                    np.subtract(theta, MEANS, dtype=float), math.sqrt(1 - self.explained[state])
                )[None]
            gain = gain - _PRICES[:, None] * self._costs[state]
            self._rows[state] = _roots(gain)
            worth[state] = np.maximum(gain, 0.0)

    def stands_for(
        self, theta: float, explained: Sequence[float], costs: Sequence[float], first: int = 0
    ) -> bool:
        """Whether this table is near enough to that of these numbers."""
        moved = (abs(a - b) for a, b in zip(self.explained, explained, strict=True))
        return (
            (tuple(costs), first) == (self._costs, self._first)
            and abs(self.theta - theta) <= THETA_STEP
            and max(moved) <= EXPLAINED_STEP
        )

    def price(self, state: int, m: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Prices of trials in a state with these means; 0: not worth anything that is measured here."""
        return np.asarray(np.interp(m, MEANS, self._rows[state]))


def shortfall(x: NDArray[np.float64], sd: float) -> NDArray[np.float64]:
    """E[max(x - sd N, 0)] of each x, N standard normal."""
    from scipy.special import ndtr

    if sd < 1e-9:
        return np.maximum(x, 0.0)
    u = x / sd
    density = np.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    return np.asarray(sd * (u * ndtr(u) + density))


def expectation(sd: float) -> NDArray[np.float64]:
    """(81, 81): values at the means -> expected values after a normal step of this deviation; exact for
    values that are lines between the means.
    """
    # Of mean i and point j: [j - i + 80].
    offsets = np.arange(1.0 - N_MEANS, N_MEANS)
    by_offset = shortfall(STEP * offsets, sd) / STEP
    g = by_offset[np.arange(N_MEANS)[None, :] - np.arange(N_MEANS)[:, None] + N_MEANS - 1]
    matrix = np.empty((N_MEANS, N_MEANS))
    # Hats between the ends are second differences; the first two go on as a line, the last as it is.
    matrix[:, 2:-1] = g[:, 1:-2] - 2 * g[:, 2:-1] + g[:, 3:]
    matrix[:, 0], matrix[:, 1] = g[:, 1], g[:, 2] - 2 * g[:, 1]
    matrix[:, -1] = 1 - (g[:, -1] - g[:, -2])
    return matrix


def _roots(gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """(81,): where the gain, falling with the price (28, 81), is 0; 0 where it is nowhere above."""
    n = (gain > 1e-12).sum(axis=0)
    i = np.clip(n - 1, 0, len(_PRICES) - 2)
    columns = np.arange(gain.shape[1])
    above, below = gain[i, columns], gain[i + 1, columns]
    share = np.clip(above / np.maximum(above - below, 1e-300), 0.0, 1.0)
    between = _PRICES[i] + share * (_PRICES[i + 1] - _PRICES[i])
    return np.where(n == 0, 0.0, np.where(n == len(_PRICES), _PRICES[-1], between))
