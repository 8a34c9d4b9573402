"""From how many epochs on a model of objectives is used: a fixed share of max_epochs, or as far as the
ranks of trials there were measured to agree with their ranks at max_epochs.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.core.brackets import share_in_epochs
from suite.core.checked_rounds import octaves
from suite.core.types import Curve

PRIOR = 0.88
"""Agreement over an octave that nothing is known of."""
N_PRIOR = 6
"""Trials that the prior counts as."""
N_LEAST = 4
"""Trials at an octave's end, for a measurement of it."""
_MOST, _LEAST = 0.985, 0.02


@dataclass(frozen=True, slots=True)
class RankAgreement:
    """points: epochs, rising to max_epochs, an octave apart and rounded as rungs are. values[i]: the
    agreement between points[i] and points[i + 1], in (0, 1). n_trials[i]: that it was measured on; 0:
    it is the prior.
    """

    points: tuple[int, ...]
    values: tuple[float, ...]
    n_trials: tuple[int, ...]

    def with_end(self, epochs: int) -> float:
        """Agreement of ranks at `epochs` (1 to max_epochs) with those at max_epochs: the product over
        the octaves between, of one that is begun a power.
        """
        i = bisect_left(self.points, epochs)
        value = math.prod(self.values[i:])
        if self.points[i] > epochs:
            low, high = self.points[i - 1], self.points[i]
            value *= self.values[i - 1] ** (math.log(high / epochs) / math.log(high / low))
        return value

    def least_epochs(self, least: float) -> int:
        """The fewest epochs whose agreement with the end is at least `least` (in [0, 1])."""
        return bisect_left(range(1, self.points[-1]), least, key=self.with_end) + 1

    @property
    def diagnostics(self) -> dict[str, Any]:
        return {
            "epochs": list(self.points),
            "octaves": [round(value, 4) for value in self.values],
            "n_trials": list(self.n_trials),
        }


class Floor:
    """Epochs from which on a model is made of what trials have come to.

    share: of max_epochs, rounded as a rung is; None: where the agreement with max_epochs, measured anew
    each time, is at least `agreement`. Both in [0, 1].
    """

    def __init__(self, max_epochs: int, share: float | None, agreement: float) -> None:
        self._max_epochs, self._agreement = max_epochs, agreement
        self._fixed = None if share is None else share_in_epochs(share, max_epochs)
        # the first and the last that were measured
        self._measured: tuple[tuple[int, RankAgreement], ...] = ()

    def epochs(self, curves: Mapping[int, Curve | None]) -> int:
        """A function of the curves: what is kept serves the record alone."""
        if self._fixed is not None:
            return self._fixed
        measured = measure(curves, self._max_epochs)
        epochs = measured.least_epochs(self._agreement)
        self._measured = (*self._measured[:1], (epochs, measured))
        return epochs

    @property
    def diagnostics(self) -> dict[str, Any]:
        """The last measurement, and the first and last floor; empty where it is fixed."""
        if self._fixed is not None:
            return {}
        found = self._measured
        return {
            "least_agreement": self._agreement,
            "least_epochs": {"first": found[0][0], "last": found[-1][0]} if found else {},
            "rank_agreement": found[-1][1].diagnostics if found else {},
        }


def measure(curves: Mapping[int, Curve | None], max_epochs: int) -> RankAgreement:
    """The agreement of each octave up to max_epochs, from the trials that have come to its end.

    An octave's agreement is the correlation rho of normal scores (values that the ranks would have were
    they drawn from a normal distribution) that all trials would show. The trials at its end were
    selected at its beginning, which makes their own correlation r smaller. With sx, the spread of
    their scores at the beginning (1 for trials that nobody selected):

        kappa = r / (sx sqrt(1 - r^2)),   rho = kappa / sqrt(1 + kappa^2),

    Thorndike's case 2. rho is shrunk to PRIOR, which counts as N_PRIOR trials; the measurement counts
    as n min(sx^2, 1). Scores of the selected are put on the scale of all by the same regression, and
    serve for the next octave. r < 0 counts as 0. A failed trial (None) is left out; trials that are
    equal have the mean of their ranks. A function of the order of the values alone: any increasing
    transformation of the objectives gives the same numbers.
    Source: none published for this use. Range restriction: Thorndike 1949, Personnel Selection, p. 173.
    """
    points = (*octaves(max_epochs, per_octave=1), max_epochs)
    known = {i: curve for i, curve in sorted(curves.items()) if curve}
    # trial -> score at the last point, as if no trial had been selected
    scores = _scores(known, points[0])
    values, counts = [], []
    for epochs in points[1:]:
        ranks = _scores(known, epochs)
        ids = [i for i in ranks if i in scores]
        x = np.array([scores[i] for i in ids])
        u = np.array([ranks[i] for i in ids])
        z, value, n = corrected(x, u)
        values.append(value)
        counts.append(n)
        scores = dict(zip(ids, z.tolist(), strict=True))
    return RankAgreement(points, tuple(values), tuple(counts))


def corrected(
    x: NDArray[np.float64], u: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float, int]:
    """Scores at an octave's end as if no trial had been selected, its agreement, and the number of
    trials that this was measured on (0: it is the prior). As `measure` says it.

    x: (n,) scores at the beginning; u: (n,) scores of the same trials among themselves at the end.
    """
    n, spread, at_end = len(x), float(x.std()) if len(x) else 0.0, float(u.std()) if len(u) else 0.0
    if at_end > 0:
        u = u / at_end
    if n < N_LEAST or spread < 1e-6 or at_end == 0:
        return PRIOR * x + math.sqrt(1 - PRIOR**2) * u, PRIOR, 0
    # of n scores of mean and deviation known
    r = float(((x - x.mean()) * (u - u.mean())).mean()) / spread
    r = min(max(r, 0.0), _MOST)
    kappa = r / (spread * math.sqrt(1 - r * r))
    weight = n * min(spread**2, 1.0)
    rho = (weight * kappa / math.sqrt(1 + kappa * kappa) + N_PRIOR * PRIOR) / (weight + N_PRIOR)
    rho = min(max(rho, _LEAST), _MOST)
    kappa = rho / math.sqrt(1 - rho * rho)
    scale = 1 / math.sqrt(1 + (kappa * spread) ** 2)
    middle = float(u.mean()) - kappa * scale * float(x.mean())
    return (u - middle) / (scale * math.sqrt(1 + kappa * kappa)), rho, n


def normal_scores(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Phi^-1((rank - 1/2) / n) of each value; low is good, equal values have the mean of their ranks."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    ranks = rankdata(values)
    return np.asarray(ndtri((ranks - 0.5) / len(ranks)))


def _scores(curves: Mapping[int, Curve], epochs: int) -> dict[int, float]:
    """Normal scores of the trials that have come so far, by their values there; low is good."""
    values = {i: curve[epochs - 1] for i, curve in curves.items() if len(curve) >= epochs}
    if not values:
        return {}
    return dict(zip(values, normal_scores(list(values.values())).tolist(), strict=True))
