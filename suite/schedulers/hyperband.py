"""Hyperband: brackets of successive halving, from many short trials to few long ones."""

from __future__ import annotations

from suite.core.brackets import PlannedBracket, hyperband_plan
from suite.core.rounds import Order, Rounds
from suite.core.scheduler import Round, best
from suite.core.types import Train


class Hyperband(Rounds):
    """s_max + 1 brackets; bracket s starts n trials at R·η^-s epochs and keeps the best 1/η at each
    rung.

    max_epochs: R, eta: η, n_trials of a rung: n_i, to_epoch: r_i. With `overlap`, a bracket's
    trials start whenever a worker is free. Brackets share nothing, so the result is that of the
    sequential order, bit for bit.
    Source: Li et al. 2018 (JMLR 18:6765), Algorithm 1.
    Raises ConfigError for eta < 2 or max_epochs < 1.

    >>> scheduler = Hyperband(max_epochs=9, eta=3)
    >>> scheduler.ask()
    Train(trial_id=0, to_epoch=1)
    >>> scheduler.tell(0, (0.7,))    # the objective after each epoch; smaller is better
    >>> scheduler.plan().n_epochs
    69
    """

    def __init__(
        self, max_epochs: int, eta: int, overlap: bool = True, order: Order = "longest_path"
    ) -> None:
        super().__init__(hyperband_plan(max_epochs, eta), overlap=overlap, order=order)

    def _bracket(self, bracket: PlannedBracket, trials: list[int]) -> Round:
        for rung in bracket.rungs:
            curves = yield [Train(t, rung.to_epoch) for t in trials]
            trials = best(curves, rung.n_next, rung.to_epoch)
