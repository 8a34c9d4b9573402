"""Medians, spreads, intervals and paired tests. Every number carries its n; few pairs get none."""

from __future__ import annotations

import functools
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from suite.core.errors import ConfigError

LEAST = 6
"""Pairs needed for a test or an interval: with five, a one-sided signed-rank test cannot fall below
p = 0.03, which Holm's adjustment for two algorithms already lifts above 0.05."""

ALPHA = 0.05

N_RESAMPLES = 9_999


@dataclass(frozen=True, slots=True)
class Margin:
    """How far apart two values of the objective still count as equivalent; set before looking.

    value > 0: in the metric's unit, or (relative) a share of the baseline's median best value.
    """

    value: float = 0.05
    relative: bool = True

    def absolute(self, baseline: float) -> float:
        return self.value * abs(baseline) if self.relative else self.value

    def __str__(self) -> str:
        return f"{100 * self.value:g} %" if self.relative else f"{self.value:g}"


def parse_margin(text: str) -> Margin:
    """`5%` (of the baseline's median best value) or `0.002` (in the metric's unit).

    Raises ConfigError for anything but a number > 0.
    """
    relative = text.strip().endswith("%")
    try:
        value = float(text.strip().rstrip("%")) / (100 if relative else 1)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(
            f"margin={text}: must be > 0, as a share (5%) or in the metric's unit (0.002)."
        )
    return Margin(value, relative)


def paired(
    values: Mapping[int, float | None], baseline: Mapping[int, float | None]
) -> list[tuple[float, float]]:
    """(value, baseline) for each seed that has both, in order of seeds."""
    return [
        (mine, theirs)
        for seed, theirs in sorted(baseline.items())
        if theirs is not None and (mine := values.get(seed)) is not None
    ]


def mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean; None of no values, or where it is beyond the range of a float.

    >>> mean([1.0, 2.0]), mean([]), mean([1e308, 1e308, 1e308])
    (1.5, None, None)
    """
    try:
        value = statistics.fmean(values)
    except (statistics.StatisticsError, OverflowError, ValueError):
        return None
    return value if math.isfinite(value) else None


def fewer(differences: Sequence[float]) -> float:
    """One-sided p of Wilcoxon's signed-rank test on value - baseline (n,); small: values are less.

    Differences of zero are left out. Source: Wilcoxon 1945 (Biometrics Bulletin 1:80), as in
    scipy.stats.wilcoxon.
    """
    return _wilcoxon(differences, "less")


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Bootstrap confidence interval (95 %) of the median; None below LEAST finite values.

    Source: Efron and Tibshirani 1993, chapter 13: percentiles of 9,999 resamples, as in
    scipy.stats.bootstrap. Not BCa: its jackknife fails for medians, and where most values are tied.
    The draw is seeded: one sample has one interval.
    """
    finite = tuple(value for value in values if math.isfinite(value))
    return _interval(finite, "median") if len(finite) >= LEAST else None


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """As `interval`, of the mean; None below LEAST finite values."""
    finite = tuple(value for value in values if math.isfinite(value))
    return _interval(finite, "mean") if len(finite) >= LEAST else None


@functools.lru_cache(maxsize=4096)
def _interval(
    values: tuple[float, ...], statistic: Literal["mean", "median"]
) -> tuple[float, float]:
    import numpy as np
    from scipy.stats import bootstrap

    # Sums of values near the end of the range overflow; a bootstrap of a scaled sample is the same.
    scale = max(map(abs, values)) / 1e100
    scale = scale if scale > 1 else 1.0
    ends = bootstrap(
        (tuple(value / scale for value in values),), getattr(np, statistic),
        confidence_level=1 - ALPHA, n_resamples=N_RESAMPLES, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return float(ends.low) * scale, float(ends.high) * scale


def equivalence(differences: Sequence[float], margin: float) -> float:
    """p of two one-sided signed-rank tests against -margin and +margin; small: equivalent.

    Source: Schuirmann 1987 (J. Pharmacokinet. Biopharm. 15:657).
    Deviation: signed ranks in place of Student's t, as differences between best trials are seldom
    normal (many are exactly zero).
    """
    above = _wilcoxon([d + margin for d in differences], "greater")
    below = _wilcoxon([d - margin for d in differences], "less")
    return max(above, below)


def _wilcoxon(differences: Sequence[float], alternative: str) -> float:
    if not any(differences):
        return 1.0
    from scipy.stats import wilcoxon  # a second of import, spared where no test is due

    # Only ranks count: a difference that overflowed is the largest there can be.
    largest = sys.float_info.max
    bounded = [min(max(d, -largest), largest) for d in differences]
    # What differs by the last bits of a subtraction only is a tie.
    scale = max(abs(d) for d in bounded)
    rounded = [round(d / scale, 12) for d in bounded]
    return float(wilcoxon(rounded, alternative=alternative).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, in the order given.

    Source: Holm 1979 (Scand. J. Statist. 6:65).
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - place) * p_values[i]))
        adjusted[i] = highest
    return adjusted
