"""The calibrated gate: the chance that a trial will still be the best, from what others became."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.core.types import Curve

_RIDGE = 0.05


class Gate:
    """Says which trials will hardly matter: outside the best half of all that were seen at their
    epoch t, and P(objective at T <= best objective at T) < p.

    T: the largest epoch that at least n_least trials have reached, of `horizons`. The objective's
    change y(T) - y(t) is a ridge regression on y(t) (standardised, lambda 0.05) with Student-t
    errors, whose scale is that of leave-one-out residuals.

    The rule measures itself: the leave-one-out residuals of each regression say how often a trial
    became so much better that its chance was below p. Where that is more than 3p (and more than one
    trial) the probabilities are not trusted, and no trial is dropped by them.
    Source: none published; see the docstring of the scheduler that uses it.
    """

    def __init__(
        self, horizons: tuple[int, ...], p: float, n_least: int = 6, n_seen: int = 8
    ) -> None:
        self._horizons, self._p, self._n_least, self._n_seen = horizons, p, n_least, n_seen
        self._curves: dict[int, Curve] = {}
        # horizon -> sorted objectives of the trials that reached it
        self._at: dict[int, list[float]] = {}
        self.n_judged = self.n_dropped = self.n_distrusted = 0
        self._calibration: dict[tuple[int, int], tuple[int, int]] = {}

    def observe(self, trial_id: int, curve: Curve | None) -> None:
        before = len(self._curves.get(trial_id, ()))
        if curve is None:
            # Its epochs before the failure stay evidence for others.
            return
        self._curves[trial_id] = curve
        for T in self._horizons:
            if before < T <= len(curve):
                insort(self._at.setdefault(T, []), curve[T - 1])

    def drops(self, curve: Curve, count: bool = False) -> bool:
        """Whether a trial with this curve is to be dropped; `count`: it is decided now."""
        t = len(curve)
        seen = [c[t - 1] for c in self._curves.values() if len(c) >= t]
        if count:
            self.n_judged += 1
        if len(seen) < self._n_seen or curve[-1] <= float(np.median(seen)):
            return False
        T = max((T for T in self._horizons if len(self._at.get(T, ())) >= self._n_least), default=0)
        if t >= T:
            return False
        pairs = np.array([(c[t - 1], c[T - 1]) for c in self._curves.values() if len(c) >= T])
        chance, surprises = _chance(pairs[:, 0], pairs[:, 1], curve[-1], self._at[T][0], self._p)
        self._calibration[t, T] = (len(pairs), surprises)
        if chance >= self._p:
            return False
        if surprises > max(1.0, 3 * self._p * len(pairs)):
            self.n_distrusted += count
            return False
        self.n_dropped += count
        return True

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        """Counts, and calibration: of `n` leave-one-out forecasts the share below p, best p."""
        n = sum(n for n, _ in self._calibration.values())
        below = sum(k for _, k in self._calibration.values())
        return {
            "judged": self.n_judged,
            "dropped": self.n_dropped,
            "kept_as_uncalibrated": self.n_distrusted,
            "p": self._p,
            "calibration": {"n": n, "share_below_p": round(below / n, 4) if n else None},
        }


def _chance(
    x: NDArray[np.float64], y: NDArray[np.float64], x_new: float, best: float, p: float
) -> tuple[float, int]:
    """P(y_new <= best), and how many leave-one-out forecasts gave their own truth less than p."""
    from scipy.special import stdtr

    n, gain = len(x), y - x
    mean, spread = float(x.mean()), float(x.std()) or 1.0
    z = (x - mean) / spread
    weight = float(z @ z) + _RIDGE * n
    slope = float(z @ gain) / weight
    leverage = 1.0 / n + z * z / weight
    residuals = (gain - gain.mean() - slope * z) / np.maximum(1.0 - leverage, 1e-9)
    scale = math.sqrt(float(residuals @ residuals) / n)
    z_new = (x_new - mean) / spread
    forecast = x_new + float(gain.mean()) + slope * z_new
    if scale == 0.0:
        return (1.0 if forecast <= best else 0.0), 0
    # A leave-one-out residual already holds the error of the fit at a point like the others.
    chance = float(stdtr(n - 2, (best - forecast) / scale))
    return chance, int((stdtr(n - 2, residuals / scale) < p).sum())
