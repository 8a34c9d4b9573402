"""Successive halving: one bracket; each rung keeps the best 1/eta of its trials."""

from __future__ import annotations

from suite.core.brackets import Plan, PlannedBracket, PlannedRung
from suite.core.errors import ConfigError, check_integer
from suite.core.rounds import Rounds
from suite.core.scheduler import Round, best
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
        rungs: list[PlannedRung] = []
        n, r = n_trials, min_epochs
        while True:
            r = min(r, max_epochs)
            n_next = max(n // eta, 1)
            rungs.append(PlannedRung(n, r, n_next))
            if r == max_epochs:
                break
            n, r = n_next, r * eta
        super().__init__(Plan((PlannedBracket(0, tuple(rungs)),)), overlap=True)

    def _bracket(self, bracket: PlannedBracket, trials: list[int]) -> Round:
        for rung in bracket.rungs:
            curves = yield [Train(t, rung.to_epoch) for t in trials]
            trials = best(curves, rung.n_next, rung.to_epoch)
