"""Hyperband with a calibrated gate: who will hardly become the best is dropped on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suite.core.brackets import Plan, PlannedBracket, hyperband_plan
from suite.core.errors import ConfigError, check_integer
from suite.core.scheduler import Round, best
from suite.core.types import Curve, Train
from suite.core.watched import Watched, octaves
from suite.surrogates.gate import Gate


class CalibratedGate(Watched):
    """Hyperband that looks at each trial at epochs R·2^(-k/2), not before least_share·r_i.

    There a trial is dropped when its objective is outside the best half of all that were seen at
    that epoch, and P(objective at T <= best objective at T) < p, T being the largest rung that
    n_least trials have reached (suite.surrogates.gate: a ridge regression with Student-t errors).
    At a rung's end Hyperband's own cut stays.

    An ablation: alone it is unsafe where curves cross (step-wise learning rates). It compares with
    Hyperband, of which it is a part of the trials' epochs.
    Source: none published; Hyperband is Li et al. 2018 (JMLR 18:6765), Algorithm 1.
    Raises ConfigError for a parameter outside its range.
    """

    def __init__(
        self,
        max_epochs: int,
        eta: int,
        p: float = 0.05,
        n_least: int = 6,
        least_share: float = 0.25,
        overlap: bool = True,
    ) -> None:
        self._plan = hyperband_plan(max_epochs, eta)
        check_integer("n_least", n_least, 3, "(two make a line, a third its error)")
        for name, share, most in (("p", p, 0.5), ("least_share", least_share, 1.0)):
            if not 0 <= share < most:
                raise ConfigError(f"{name}={share}: must lie in [0, {most:g}).")
        self._max_epochs = max_epochs
        rungs = sorted({r.to_epoch for b in self._plan.brackets for r in b.rungs})
        self._gate = Gate(tuple(rungs), p, n_least)
        assigned = self._plan.assigned()
        self._bracket_of = {t: bracket.s for bracket, trials in assigned for t in trials}
        rounds = [self._bracket(bracket, trials) for bracket, trials in assigned]
        super().__init__(rounds, octaves(max_epochs), overlap=overlap, least_share=least_share)

    @property
    def max_epochs(self) -> int:
        return self._max_epochs

    @property
    def bracket_of(self) -> Mapping[int, int]:
        return self._bracket_of

    @property
    def measured(self) -> Mapping[str, Any]:
        return {"gate": self._gate.measured}

    def plan(self) -> Plan:
        return self._plan

    def _bracket(self, bracket: PlannedBracket, trials: list[int]) -> Round:
        for rung in bracket.rungs:
            curves = yield [Train(t, rung.to_epoch) for t in trials]
            trials = best(curves, rung.n_next, rung.to_epoch)

    def _keeps(self, trial_id: int, curve: Curve, count: bool) -> bool:
        return not self._gate.drops(curve, count)

    def _observe(self, trial_id: int, curve: Curve | None) -> None:
        self._gate.observe(trial_id, curve)
