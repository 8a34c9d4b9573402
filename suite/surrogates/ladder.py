"""The ladder of rungs: who is how good, as if no trial had been selected, and how reliable each rung is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from suite.surrogates.rank_agreement import PRIOR, corrected, normal_scores


class Ladder:
    """Normal scores of trials at each rung, and correlations between rungs, corrected for selection.

    rungs: epochs, rising to R. Trials are numbered 0, 1, 2, ... in the order of `add`. `report` adds a
    value (minimised; infinity: the trial failed there, it ranks last, ties at their mean rank).
    A trial reports every rung up to its highest. Scores of a rung are those of `rank_agreement.corrected`,
    rung by rung; a function of the order of the values alone. Source: see `rank_agreement.measure`.
    """

    def __init__(self, rungs: Sequence[int]) -> None:
        self.rungs = tuple(rungs)
        n = len(self.rungs)
        self._trials: list[list[int]] = [[] for _ in rungs]
        self._values: list[list[float]] = [[] for _ in rungs]
        self._scores = np.full((64, n), np.nan)
        self._highest = np.full(64, -1)
        self._n = 0
        # The lowest rung that was reported to since the last `refresh`.
        self._stale = n
        self.agreement = [PRIOR] * (n - 1)
        """Of rung k with rung k + 1."""
        self.n_measured = [0] * (n - 1)
        """Trials that it was measured on; 0: it is the prior."""

    def add(self) -> int:
        """A new trial's number."""
        if self._n == len(self._highest):
            self._scores = np.vstack([self._scores, np.full_like(self._scores, np.nan)])
            self._highest = np.append(self._highest, np.full_like(self._highest, -1))
        self._n += 1
        return self._n - 1

    def report(self, trial: int, k: int, value: float) -> None:
        self._trials[k].append(trial)
        self._values[k].append(value)
        self._highest[trial] = max(self._highest[trial], k)
        self._stale = min(self._stale, k)

    def refresh(self) -> None:
        """Scores and agreements anew, from the lowest rung with a new report on."""
        for k in range(self._stale, len(self.rungs)):
            if not (trials := self._trials[k]):
                break
            u = normal_scores(self._values[k])
            if k == 0:
                self._scores[trials, 0] = u
                continue
            z, rho, n = corrected(self._scores[trials, k - 1], u)
            self._scores[trials, k] = z
            self.agreement[k - 1], self.n_measured[k - 1] = rho, n
        self._stale = len(self.rungs)

    def n_at(self, k: int) -> int:
        """Trials that reported rung k."""
        return len(self._trials[k])

    def at(self, k: int) -> list[int]:
        """Trials that reported rung k, in the order of their reports."""
        return self._trials[k]

    def scores_at(self, k: int) -> NDArray[np.float64]:
        """(n,) scores at rung k, in the order of `at`; of the last `refresh`."""
        return np.asarray(self._scores[self._trials[k], k])

    def values_at(self, k: int) -> list[float]:
        """Values at rung k, in the order of `at`; infinity: it failed."""
        return self._values[k]

    @property
    def highest(self) -> NDArray[np.int_]:
        """(n_trials,) highest rung of each trial; -1: none."""
        return self._highest[: self._n]

    @property
    def scores(self) -> NDArray[np.float64]:
        """(n_trials,) score of each trial at its highest rung; NaN: none."""
        highest = self.highest
        return np.where(highest >= 0, self._scores[np.arange(self._n), highest], np.nan)

    def with_end(self, k: int) -> float:
        """The correlation of rung k with the last."""
        return math.prod(self.agreement[k:])


def halved_rungs(max_epochs: int, lowest_share: float) -> tuple[int, ...]:
    """R, R/2, R/4, ... rounded, not below lowest_share·R nor 1; rising.

    >>> halved_rungs(100, 0.0625), halved_rungs(1, 0.0625)
    ((6, 12, 25, 50, 100), (1,))
    """
    least = max(1, round(max_epochs * lowest_share))
    rungs = [max_epochs]
    i = 1
    while (r := round(Fraction(max_epochs, 2**i))) >= least and r < rungs[-1]:
        rungs.append(r)
        i += 1
    return tuple(reversed(rungs))
