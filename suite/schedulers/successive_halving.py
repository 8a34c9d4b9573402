"""Successive halving: one bracket; each rung keeps the best 1/eta of its trials."""

from __future__ import annotations

from collections.abc import Mapping

from suite.core.brackets import Plan, PlannedBracket, Rung
from suite.core.errors import ConfigError, check_integer
from suite.core.scheduler import Round, Rounds, best
from suite.core.types import Train


class SuccessiveHalving(Rounds):
    """Train `n_trials` to `min_epochs`, keep the best 1/eta, train these eta times as long, and so
    on to max_epochs.

    eta: η, max_epochs: R, n_trials: n, min_epochs: r.
    Source: Jamieson and Talwalkar 2016 (AISTATS, PMLR 51:240), Algorithm 1 with resource per trial.
    Raises ConfigError for eta < 2, max_epochs < 1, n_trials < 1, min_epochs outside 1..max_epochs.
    """

    def __init__(self, max_epochs: int, eta: int, n_trials: int, min_epochs: int = 1) -> None:
        check_integer("eta", eta, 2, "(Li et al. 2018 use 3 or 4)")
        check_integer("max_epochs", max_epochs, 1)
        check_integer("n_trials", n_trials, 1)
        if not isinstance(min_epochs, int) or not 1 <= min_epochs <= max_epochs:
            raise ConfigError(
                f"min_epochs={min_epochs}: must be an integer in 1..max_epochs={max_epochs}."
            )
        self._max_epochs = max_epochs
        self._rungs: list[Rung] = []
        n, r = n_trials, min_epochs
        while True:
            r = min(r, max_epochs)
            n_next = max(n // eta, 1)
            self._rungs.append(Rung(n, r, n_next))
            if r == max_epochs:
                break
            n, r = n_next, r * eta
        self._bracket_of = dict.fromkeys(range(n_trials), 0)
        super().__init__([self._bracket()], overlap=True)

    @property
    def max_epochs(self) -> int:
        return self._max_epochs

    @property
    def bracket_of(self) -> Mapping[int, int]:
        return self._bracket_of

    def plan(self) -> Plan:
        return Plan((PlannedBracket(0, tuple(self._rungs)),))

    def _bracket(self) -> Round:
        trials = list(range(self._rungs[0].n_trials))
        for rung in self._rungs:
            curves = yield [Train(t, rung.to_epoch) for t in trials]
            trials = best(curves, rung.n_next, rung.to_epoch)
