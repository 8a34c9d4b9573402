"""The two rules by which `suite.schedulers.price` chooses among paused trials."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from suite.surrogates.ladder import Ladder
from suite.surrogates.price_table import PriceTable

_TIE = 1e-9
"""Of equal prices the better belief goes first."""


def dearest(
    table: PriceTable, ladder: Ladder, mean: NDArray[np.float64], paused: NDArray[np.int_]
) -> tuple[int, float]:
    """The paused trial with the highest price, and the price; ties: the better mean, then the first.

    paused: numbers of trials in the ladder, by trial id. (-1, -infinity): there is none.
    """
    if not len(paused):
        return -1, -math.inf
    states, means = ladder.highest[paused] + 1, mean[paused]
    prices = -_TIE * means
    for state in set(states.tolist()):
        at = states == state
        prices[at] += table.price(state, means[at])
    return int(paused[prices.argmax()]), float(prices.max())


def promoted(
    ladder: Ladder,
    mean: NDArray[np.float64],
    ids: Sequence[int],
    failed: Collection[int],
    paused: NDArray[np.int_],
) -> tuple[int | None, int | None]:
    """A paused trial of the best half of its rung, of the highest rung that has one; and the best that is
    paused. By mean, ties by trial id; failed trials come last.
    """
    can = set(paused.tolist())

    def order(i: int) -> tuple[float, int]:
        return (math.inf if i in failed else float(mean[i]), ids[i])

    for k in sorted({int(ladder.highest[i]) for i in can}, reverse=True):
        at = ladder.at(k)
        for i in sorted(at, key=order)[: len(at) // 2]:
            if i in can and ladder.highest[i] == k:
                return i, None
    return None, min(can, key=order) if can else None
