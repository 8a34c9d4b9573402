"""What is believed of each trial's final value, by the ladder of rungs and a forest of hyperparameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.surrogates.forest import Forest
from suite.surrogates.ladder import Ladder

_MOST_AGREEMENT = 0.999
"""Of a rung with the end: a belief is never certain before R."""
_MOST_TRUST = 0.97
"""Correlation of the forest with the end that is believed, at most."""
_N_DOUBT = 4
"""Trials that count against a forest's correlation, which is measured on n: n / (n + 4)."""

Points = Callable[[Sequence[int]], Sequence[Sequence[float]]]


class Candidates:
    """Trials that have not begun, by id; the next n_ahead of them are known and compared.

    points: ids -> encoded configurations; None: nothing is known of them, and they come in order. n: ids
    are below it; None: any.
    """

    def __init__(self, n_ahead: int, points: Points | None = None, n: int | None = None) -> None:
        self._n_ahead, self._encoded, self._n = n_ahead, points, n
        self._next = 0
        self._ids: list[int] = []
        self._X: list[Sequence[float]] = []
        # Standardised answers of the forest; NaN: not asked yet.
        self._h: list[float] = []
        self._fill()

    def _fill(self) -> None:
        wanted = (self._n_ahead if self._encoded else 1) - len(self._ids)
        ids = range(self._next, self._next + wanted)
        if self._n is not None:
            ids = range(self._next, min(ids.stop, self._n))
        if len(ids):
            self._ids += ids
            self._X += self._encoded(ids) if self._encoded else [()] * len(ids)
            self._h += [float("nan")] * len(ids)
            self._next = ids.stop

    @property
    def points(self) -> list[Sequence[float]]:
        """(n, d) of those that are known."""
        return self._X if self._encoded else []

    @property
    def answers(self) -> list[float]:
        """The forest's, of those that are known; NaN: it was not asked."""
        return self._h

    def answered(self, h: NDArray[np.float64]) -> None:
        """The forest's answers for `points`."""
        if len(h):
            self._h = h.tolist()

    def best(self, by_turn: bool) -> tuple[int, float] | None:
        """(id, h) of the one with the least h, ties and before there is a forest the first; by_turn: of
        the first. None: none is left.
        """
        if not self._ids:
            return None
        h = np.array(self._h)
        i = 0 if by_turn or np.isnan(h).all() else int(np.nanargmin(h))
        return self._ids[i], 0.0 if np.isnan(h[i]) else float(h[i])

    def take(self, trial_id: int) -> float:
        """This one begins; its h, NaN where the forest was not asked."""
        i = self._ids.index(trial_id)
        h = self._h[i]
        del self._ids[i], self._X[i], self._h[i]
        self._fill()
        return h


class Beliefs:
    """Mean and explained variance of final values, in standard normal units with low as good.

    Trials are numbered as the ladder numbers them. A forest of extremely randomised trees, on bootstrap
    samples, learns from the highest rung that n_least trials have come to: encoded hyperparameters -> score
    there, clipped at its 80 % quantile. It answers for a trial of its own by the trees that have not seen
    it (out of bag); the correlation of these answers with the scores, times the agreement of the rung
    with the end, is how far it is believed. Score and answer are combined as two independent measurements of
    the final value. Source: none published; the forest: Geurts et al. 2006 (Machine Learning 63:3).
    """

    def __init__(
        self, ladder: Ladder, *, n_trees: int, min_leaf: int, n_least: int,
        refit_least: int, refit_share: float, clip: float = 0.8,
    ) -> None:  # fmt: skip
        self._ladder, self._n_least, self._clip = ladder, n_least, clip
        self._n_trees, self._min_leaf = n_trees, min_leaf
        self._refit_least, self._refit_share = refit_least, refit_share
        self._X: list[Sequence[float]] = []
        self._h: list[float] = []
        self._n_told = 0
        self.trust = 0.0
        """The forest's correlation with the end."""
        self._correlations: list[float] = []
        self.mean: NDArray[np.float64] = np.empty(0)
        """(n_trials,) of each trial; NaN: it has come to no rung. Of the last `refresh`."""
        self.explained: list[float] = []
        """Of fresh trials, then of those at each rung below R; rising."""

    def add(self, x: Sequence[float] = (), h: float = float("nan")) -> None:
        """The ladder's next trial; h: as it was answered when it was a candidate."""
        self._X.append(x)
        self._h.append(h)

    def configured(self, trial: int, x: Sequence[float]) -> None:
        self._X[trial] = x

    def told(self) -> None:
        self._n_told += 1

    def refresh(self, candidates: Candidates) -> None:
        """All of it anew, after what was reported to the ladder."""
        ladder, last = self._ladder, len(self._ladder.rungs) - 1
        ladder.refresh()
        if self._n_told >= max(self._refit_least, self._refit_share * len(self._X)):
            self._refit(candidates)
        agreement = np.array([min(ladder.with_end(k), _MOST_AGREEMENT) for k in range(last + 1)])
        of_rung = agreement**2 / (1 - agreement**2)
        of_forest = self.trust**2 / (1 - self.trust**2)
        known = [of_forest, *(of_rung[:last] + of_forest)]
        self.explained = np.maximum.accumulate([i / (1 + i) for i in known]).tolist()
        highest = ladder.highest
        k, z = np.maximum(highest, 0), ladder.scores
        h = np.nan_to_num(np.array(self._h))
        weighed = agreement[k] / (1 - agreement[k] ** 2) * z
        weighed += self.trust / (1 - self.trust**2) * h
        self.mean = np.where(highest == last, z, weighed / (1 + of_rung[k] + of_forest))

    def _refit(self, candidates: Candidates) -> None:
        ladder = self._ladder
        rungs = [k for k in range(len(ladder.rungs)) if ladder.n_at(k) >= self._n_least]
        if not rungs or len(self._X[0]) == 0:
            return
        self._n_told = 0
        k = rungs[-1]
        own, z = ladder.at(k), ladder.scores_at(k)
        y = np.minimum(z, np.quantile(z, self._clip))
        if y.min() == y.max():
            return
        forest = Forest(self._n_trees, self._min_leaf)
        answers = forest.fit_out_of_bag([self._X[i] for i in own], y)
        n = len(y)
        # Equal answers correlate with nothing.
        r = float(np.corrcoef(answers, y)[0, 1]) if np.ptp(answers) > 0 else 0.0
        self._correlations.append(r)
        self.trust = min(_MOST_TRUST, max(0.0, r) * n / (n + _N_DOUBT) * ladder.with_end(k))
        n_begun = len(self._X)
        h = forest.predict([*self._X, *candidates.points])
        h[own] = answers
        spread = float(h.std())
        h = (h - h.mean()) / spread if spread > 1e-12 else np.zeros(len(h))
        self._h = h[:n_begun].tolist()
        candidates.answered(h[n_begun:])

    @property
    def diagnostics(self) -> dict[str, Any]:
        measured = [round(r, 4) for r in self._correlations]
        return {
            "fits": len(measured),
            "out_of_bag_correlation": {
                "first": measured[0] if measured else None,
                "last": measured[-1] if measured else None,
            },
            "correlation_with_end": round(self.trust, 4),
        }
