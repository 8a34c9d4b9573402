"""Hyperband with a calibrated gate: trials that will hardly become the best are dropped early."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from suite.core.brackets import PlannedBracket, hyperband_plan
from suite.core.checked_rounds import CheckedRounds, octaves
from suite.core.errors import ConfigError, check_integer
from suite.core.scheduler import Round, best
from suite.core.types import Curve, Train
from suite.surrogates.gate import Gate


class CalibratedGate(CheckedRounds):
    """Hyperband that looks at each trial at epochs R·2^(-k/2), not before least_share·r_i.

    There a trial is dropped when its objective is outside the best half of all that were seen at
    that epoch, and P(objective at T <= best objective at T) < p, T being the largest rung that
    n_least trials have reached (suite.surrogates.gate: a ridge regression with Student-t errors).
    At a rung's end Hyperband's own cut stays.

    An ablation: alone it is unsafe where curves cross (step-wise learning rates). Its epochs are
    a subset of Hyperband's; compare the two at equal quality.
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
        plan = hyperband_plan(max_epochs, eta)
        check_integer("n_least", n_least, 3, "(two make a line, a third its error)")
        for name, share, most in (("p", p, 0.5), ("least_share", least_share, 1.0)):
            if not 0 <= share < most:
                raise ConfigError(f"{name}={share}: must lie in [0, {most:g}).")
        rungs = sorted({r.to_epoch for b in plan.brackets for r in b.rungs})
        self._gate = Gate(tuple(rungs), p, n_least)
        # The gate drops trials: less may be trained.
        plan = dataclasses.replace(plan, upper_bound=True)
        super().__init__(plan, octaves(max_epochs), overlap=overlap, least_share=least_share)

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        return {"gate": self._gate.diagnostics}

    def _bracket(self, bracket: PlannedBracket, trials: list[int]) -> Round:
        for rung in bracket.rungs:
            curves = yield [Train(t, rung.to_epoch) for t in trials]
            trials = best(curves, rung.n_next, rung.to_epoch)

    def _keeps(self, trial_id: int, curve: Curve, count: bool) -> bool:
        return not self._gate.drops(curve, count)

    def _observe(self, trial_id: int, curve: Curve | None) -> None:
        self._gate.observe(trial_id, curve)
