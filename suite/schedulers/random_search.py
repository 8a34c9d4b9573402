"""Random search: every trial is trained to max_epochs."""

from __future__ import annotations

from collections.abc import Mapping

from suite.core.brackets import Plan, PlannedBracket, PlannedRung
from suite.core.errors import check_integer
from suite.core.rounds import Rounds
from suite.core.scheduler import Round
from suite.core.types import Train


class RandomSearch(Rounds):
    """Train `n_trials` configurations to `max_epochs` epochs each.

    Source: Bergstra and Bengio 2012 (JMLR 13:281).
    Raises ConfigError for max_epochs < 1 or n_trials < 1.
    """

    def __init__(self, max_epochs: int, n_trials: int) -> None:
        check_integer("max_epochs", max_epochs, 1)
        check_integer("n_trials", n_trials, 1)
        plan = Plan((PlannedBracket(0, (PlannedRung(n_trials, max_epochs, 1),)),))
        super().__init__(plan, overlap=True)

    @property
    def bracket_of(self) -> Mapping[int, int]:
        return {}

    def _bracket(self, bracket: PlannedBracket, trials: list[int]) -> Round:
        yield [Train(t, self.max_epochs) for t in trials]
