"""Median and range of one figure over several runs: the one noun for report and comparison."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, smallest and largest of n values. n_missed: how many of them are infinite (a target that was
    not reached).
    """

    n: int
    median: float
    low: float
    high: float
    n_missed: int = 0


def spread(values: Sequence[float | None]) -> Spread | None:
    """Of the finite values that exist; None where there is none.

    >>> spread([3.0, None, 1.0]).median
    2.0
    """
    return _of([value for value in values if value is not None and math.isfinite(value)])


def spread_of_all(values: Sequence[float | None]) -> Spread | None:
    """Of all values, infinite ones included; None where one is unknown: the others' median would mislead.

    >>> spread_of_all([3.0, None, 1.0]) is None
    True
    """
    known = [value for value in values if value is not None]
    return _of(known) if len(known) == len(values) else None


def _of(values: Sequence[float]) -> Spread | None:
    if not values:
        return None
    missed = sum(map(math.isinf, values))
    return Spread(len(values), statistics.median(values), min(values), max(values), missed)


@dataclass(frozen=True, slots=True)
class Interval:
    """Of the median of what n values were drawn from. coverage: the share of such samples in whose interval
    that median lies, at least.
    """

    n: int
    low: float
    high: float
    coverage: float


def median_interval(values: Sequence[float], level: float = 0.95) -> Interval | None:
    """The narrowest interval between two order statistics that covers the median with `level`; where so few
    values allow none, from the smallest to the largest. None below two values.

    It asks nothing of the distribution, and no resampling. Source: David and Nagaraja 2003, Order Statistics,
    section 7.1: [x(k), x(n+1-k)] covers with 1 - 2 P(B < k), B binomial of n and 1/2.

    >>> median_interval([1.0, 2.0, 3.0])
    Interval(n=3, low=1.0, high=3.0, coverage=0.75)
    >>> median_interval([float(i) for i in range(20)]).low
    5.0
    """
    ordered, n = sorted(values), len(values)
    if n < 2:
        return None
    below, k = 0.0, 0
    while k < n // 2 and (k == 0 or 1 - 2 * (below + math.comb(n, k) / 2**n) >= level):
        below += math.comb(n, k) / 2**n
        k += 1
    return Interval(n, ordered[k - 1], ordered[n - k], 1 - 2 * below)
