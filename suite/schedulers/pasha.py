"""PASHA: ASHA that trains further only while more epochs still change the ranking."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np

from suite.core.errors import ConfigError
from suite.core.types import DONE, WAIT, Curve, Decision, Train
from suite.schedulers.asha import Asha

PERCENTILE = 90
"""Of the differences within criss-crossing pairs: N of section 4.2."""


class Pasha(Asha):
    """ASHA below a top rung, first the second, that moves up when it disagrees with the one below.

    After each job that finishes in the top rung, its trials are ranked there and in the rung below.
    The rankings agree where, at each place, the two rungs' trials differ by at most epsilon in the
    rung below; else the next rung is the top, to that of max_epochs at most.

    epsilon: a number, in the objective's unit (0: only equal values are tied); None: estimated, the
    90th percentile of the differences at the top rung's epoch of the pairs that criss-crossed: the
    curves of both, so far, crossed at least twice. Without such a pair what was last estimated
    stays, at first 0. The other parameters are ASHA's: max_epochs: R, eta: η, min_epochs: r, s: the
    early-stopping rate, n_trials and n_epochs: the end. A diverged trial is in no ranking.

    At the end, if no trial is at R, the best of the highest rung is trained on to R (and, should it
    diverge, the next): beyond n_epochs, if need be.

    Asynchronous: decisions depend on the order in which jobs finish, by definition.
    Source: Bohdal et al. 2023 (ICLR, arXiv 2207.06940), Algorithm 1 and section 4.2; where the text
    leaves it open, as syne-tune's hyperband_pasha.py does.
    Deviation: a curve counts once its job is finished, not epoch by epoch; an epoch at which two
    curves are equal is no side of a crossing (syne-tune: equal is not greater); the training to R
    at the end, and ASHA's last rung of R epochs and end after n_trials.
    Raises ConfigError for a parameter outside its range, as Asha does.
    """

    def __init__(
        self,
        max_epochs: int,
        n_trials: int,
        eta: int = 4,
        min_epochs: int = 1,
        s: int = 0,
        n_epochs: int | None = None,
        epsilon: float | None = None,
    ) -> None:
        super().__init__(max_epochs, n_trials, eta, min_epochs, s, n_epochs)
        if epsilon is not None and not (
            isinstance(epsilon, Real) and not isinstance(epsilon, bool) and 0 <= epsilon < math.inf
        ):
            raise ConfigError(
                f"epsilon={epsilon}: must be a finite number >= 0, or null (estimated)."
            )
        self._estimates = epsilon is None
        self._epsilon = 0.0 if epsilon is None else float(epsilon)
        self._top = self._first_top = min(1, len(self._rungs) - 1)
        # of the top rung's trials
        self._curves: dict[int, Curve] = {}
        # of the top rung's criss-crossing pairs
        self._noise: list[float] = []
        self._lost: set[int] = set()

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        return {
            "final_max_epochs": self._rungs[self._top].to_epoch,
            "grown": self._top - self._first_top,
            "epsilon": self._epsilon,
        }

    def ask(self) -> Decision:
        for k in reversed(range(self._top)):
            if not self._affords(self._rungs[k + 1].to_epoch - self._rungs[k].to_epoch):
                continue
            if (trial_id := self._rungs[k].promote(self._eta)) is not None:
                return self._train(trial_id, k + 1)
        if self._n_begun < self._n_trials and self._affords(self._rungs[0].to_epoch):
            self._n_begun += 1
            return self._train(self._n_begun - 1, 0)
        if self._flying:
            return WAIT
        return DONE if (trial_id := self._finalist()) is None else self._finish(trial_id)

    def _affords(self, n: int) -> bool:
        if self._n_epochs is None or self._handed_out + n <= self._n_epochs:
            return True
        # The budget is spent; but a run without any trial would have no result.
        return not self._flying and not self._rungs[0].reached

    def _finalist(self) -> int | None:
        """The trial to train to R at the end; None: a trial is at R already, or all have failed."""
        if self._rungs[-1].reached:
            return None
        for rung in reversed(self._rungs):
            for _, trial_id in rung.finished:
                if trial_id not in self._lost:
                    return trial_id
        return None

    def _finish(self, trial_id: int) -> Train:
        self._flying[trial_id] = len(self._rungs) - 1
        return Train(trial_id, self.max_epochs)

    def tell(self, trial_id: int, curve: Curve | None) -> None:
        k = self._flying[trial_id]
        super().tell(trial_id, curve)
        if curve is None:
            self._lost.add(trial_id)
        elif k == self._top and k > 0:
            if self._estimates:
                self._estimate(trial_id, curve)
            if k < len(self._rungs) - 1 and self._disagrees():
                self._top += 1
                self._curves, self._noise = {}, []

    def _estimate(self, trial_id: int, curve: Curve) -> None:
        """Epsilon with one more trial in the top rung: only its own pairs are new."""
        for other in self._curves.values():
            if crossings(curve, other) >= 2:
                self._noise.append(abs(curve[-1] - other[-1]))
        self._curves[trial_id] = curve
        if self._noise:
            self._epsilon = float(np.percentile(self._noise, PERCENTILE))

    def _disagrees(self) -> bool:
        """Whether at some place of the top rung is a trial that is not tied with the one below."""
        top = [trial_id for _, trial_id in self._rungs[self._top].finished]
        below = [place for place in self._rungs[self._top - 1].finished if place[1] in set(top)]
        value = {trial_id: y for y, trial_id in below}
        return any(
            abs(value[trial_id] - y) > self._epsilon
            for trial_id, (y, _) in zip(top, below, strict=True)
        )


def crossings(one: Sequence[float], two: Sequence[float]) -> int:
    """How often two curves, one value an epoch, change sides; where they are equal, no side is."""
    sides = [a > b for a, b in zip(one, two, strict=False) if a != b]
    return sum(before != after for before, after in pairwise(sides))
