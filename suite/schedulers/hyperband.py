"""Hyperband: brackets of successive halving, from many short trials to few long ones."""

from __future__ import annotations

from collections.abc import Mapping

from suite.core.brackets import Plan, PlannedBracket, hyperband_plan
from suite.core.scheduler import Round, Rounds, best
from suite.core.types import Train


class Hyperband(Rounds):
    """s_max + 1 brackets; bracket s starts n trials at R·η^-s epochs and keeps the best 1/η at each
    rung.

    max_epochs: R, eta: η, n_trials of a rung: n_i, to_epoch: r_i. With `overlap`, a bracket's
    trials start whenever a worker is free. Brackets share nothing, so the result is that of the
    sequential order, bit for bit.
    Source: Li et al. 2018 (JMLR 18:6765), Algorithm 1.
    Raises ConfigError for eta < 2 or max_epochs < 1.
    """

    def __init__(
        self, max_epochs: int, eta: int, overlap: bool = True, order: str = "longest_path"
    ) -> None:
        self._plan = hyperband_plan(max_epochs, eta)
        self._max_epochs = max_epochs
        assigned = self._plan.assigned()
        self._bracket_of = {t: bracket.s for bracket, trials in assigned for t in trials}
        rounds = [self._bracket(bracket, trials) for bracket, trials in assigned]
        super().__init__(rounds, overlap=overlap, order=order)

    @property
    def max_epochs(self) -> int:
        return self._max_epochs

    @property
    def bracket_of(self) -> Mapping[int, int]:
        return self._bracket_of

    def plan(self) -> Plan:
        return self._plan

    def _bracket(self, bracket: PlannedBracket, trials: list[int]) -> Round:
        for rung in bracket.rungs:
            curves = yield [Train(t, rung.to_epoch) for t in trials]
            trials = best(curves, rung.n_next, rung.to_epoch)
