"""What so many further epochs are expected to gain over the best trial so far, if they are spent by price."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from suite.surrogates.price_table import MEANS, N_MEANS, STEP, expectation, shortfall

_PRICES = np.geomspace(1e-5, 8.0, 28)
_BELOW = np.linspace(0.0, 5.0, 26)
"""Distances below the best at which a distribution is reckoned."""

Boxes = Sequence[NDArray[np.float64]]
"""By state (fresh, at rung 0, 1, ... below R): (n,) means of what is believed of the trials in it."""


def expected_gain(
    best: float, explained: Sequence[float], costs: Sequence[float], first: int,
    boxes: Boxes, trainings: float,
) -> float:  # fmt: skip
    """E[max(best - the lowest final value, 0)] after `trainings` R of epochs, in standard normal units.

    explained, costs, first: as of `PriceTable`. The epochs go to the trials whose price is highest, at one
    price for all: that at which their expected cost is `trainings`. A trial's rung is bought where its value
    at that price, against `best`, is above 0; so each has a probability to end below a value and an expected
    cost, by recursion over rungs. Final values are taken as independent, and `best` as it is until all are
    spent. Approximation; for its calibration see `suite.schedulers.price_outlook`.
    """
    spent, survive = _by_price(best, explained, costs, first, boxes)
    # From dear to cheap: cost rises. Between two prices a share of the trials is bought.
    at = [0.0, *np.maximum.accumulate(spent[::-1])]
    logs = [np.interp(trainings, at, [0.0, *of_distance[::-1]]) for of_distance in survive.T]
    return float(np.trapezoid(1 - np.exp(logs), _BELOW))


def _by_price(
    best: float, explained: Sequence[float], costs: Sequence[float], first: int, boxes: Boxes
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(28,), (28, 26): of buying whatever is worth each price, the expected cost, and the logarithm of the
    probability that nothing ends below best - _BELOW.
    """
    n, n_prices = len(explained), len(_PRICES)
    worth: list[NDArray[np.float64]] = [np.empty(0)] * n
    cost: list[NDArray[np.float64]] = [np.empty(0)] * n
    # (28, 26, 81): the probability to end below best - _BELOW.
    ends: list[NDArray[np.float64]] = [np.empty(0)] * n
    spent, survive = np.zeros(n_prices), np.zeros((n_prices, len(_BELOW)))
    for state in reversed(range(n)):
        then = state + 1 if state else 1 + first
        if then < n:
            step = expectation(math.sqrt(max(explained[then] - explained[state], 0.0))).T
            gain, later, below = worth[then] @ step, cost[then] @ step, ends[then] @ step
        else:
            sd = math.sqrt(1 - explained[state])
            gain = shortfall(np.subtract(best, MEANS, dtype=float), sd)[None]
            later = np.zeros((n_prices, N_MEANS))
            below = np.broadcast_to(_ends(best, sd), (n_prices, len(_BELOW), N_MEANS))
        net = gain - _PRICES[:, None] * costs[state]
        goes_on = net > 0
        worth[state] = np.maximum(net, 0.0)
        cost[state] = np.where(goes_on, costs[state] + np.clip(later, 0.0, None), 0.0)
        ends[state] = np.where(goes_on[:, None], np.clip(below, 0.0, 1.0), 0.0)
        weight = _binned(boxes[state])
        spent += cost[state] @ weight
        survive += np.log1p(-np.minimum(ends[state], 1 - 1e-12)) @ weight
    return spent, survive


def _ends(best: float, sd: float) -> NDArray[np.float64]:
    """(26, 81): P(m + sd N < best - distance)."""
    from scipy.special import ndtr

    u = best - _BELOW[:, None] - MEANS[None]
    return np.asarray(ndtr(u / max(sd, 1e-9)))


def _binned(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """(81,): how many trials each of the table's means stands for."""
    at = np.clip((means - MEANS[0]) / STEP, 0, N_MEANS - 1)
    low = np.minimum(at.astype(int), N_MEANS - 2)
    weight = np.zeros(N_MEANS)
    np.add.at(weight, low, 1 - (at - low))
    np.add.at(weight, low + 1, at - low)
    return weight
