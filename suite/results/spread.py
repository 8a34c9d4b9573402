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
