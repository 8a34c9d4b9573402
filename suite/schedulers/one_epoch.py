"""1-Epoch: one epoch for every trial, then all epochs for the best few."""

from __future__ import annotations

from suite.core.brackets import Plan, PlannedBracket, PlannedRung, hyperband_plan
from suite.core.errors import ConfigError, check_integer
from suite.core.rounds import Rounds
from suite.core.scheduler import Round, best
from suite.core.types import Train


class OneEpoch(Rounds):
    """Train `n_trials` one epoch each, then the best `k` after that epoch to `max_epochs`.

    max_epochs: R; n_trials: None: as many as Hyperband starts with R and eta; k: None: as many as
    Hyperband trains to R, and n_trials at most. With both None it trains no more epochs than
    Hyperband: 84 trials, of which 14 finish, at R = 50 and eta = 2. Trials that tie go by the lower
    trial id; one that diverged, or was given up, in the first epoch is not among the best; one that
    does so later is not replaced.

    A control: what it reaches on a table needs no decision after the first epoch.
    Source: Egele, Guyon, Sun and Balaprakash 2023 (arXiv 2307.15422), the baseline "1-Epoch".
    Deviation: the numbers of trials follow Hyperband's, so that the two compare at known cost.
    Raises ConfigError for eta < 2, max_epochs < 1, n_trials < 1, k outside 1..n_trials.

    >>> scheduler = OneEpoch(max_epochs=4, n_trials=2, k=1)
    >>> scheduler.ask(), scheduler.ask()
    (Train(trial_id=0, to_epoch=1), Train(trial_id=1, to_epoch=1))
    >>> scheduler.tell(0, (0.5,)); scheduler.tell(1, (0.3,))
    >>> scheduler.ask()
    Train(trial_id=1, to_epoch=4)
    """

    def __init__(
        self, max_epochs: int, eta: int = 2, n_trials: int | None = None, k: int | None = None
    ) -> None:
        hyperband = hyperband_plan(max_epochs, eta)
        if n_trials is not None:
            check_integer("n_trials", n_trials, 1, "or null (as many as Hyperband starts)")
        n = hyperband.n_trials if n_trials is None else n_trials
        finished = sum(bracket.rungs[-1].n_trials for bracket in hyperband.brackets)
        if k is not None:
            check_integer("k", k, 1, "or null (as many as Hyperband finishes)")
            if k > n:
                raise ConfigError(
                    f"k={k}: must be at most n_trials={n}; lower k, or raise n_trials."
                )
        self._k = min(finished, n) if k is None else k
        rungs = [PlannedRung(n, 1, self._k), PlannedRung(self._k, max_epochs, 1)]
        # With R = 1 the first epoch is the last one.
        planned = rungs[:1] if max_epochs == 1 else rungs
        super().__init__(Plan((PlannedBracket(0, tuple(planned)),)), overlap=True)

    def _bracket(self, bracket: PlannedBracket, trials: list[int]) -> Round:
        for rung in bracket.rungs:
            curves = yield [Train(t, rung.to_epoch) for t in trials]
            trials = best(curves, rung.n_next, rung.to_epoch)
