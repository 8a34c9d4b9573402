"""Random search: every trial is trained to max_epochs."""

from __future__ import annotations

from suite.core.brackets import Plan, PlannedBracket, Rung
from suite.core.errors import check_integer
from suite.core.scheduler import Round, Rounds
from suite.core.types import Train


class RandomSearch(Rounds):
    """Train `n_trials` configurations to `max_epochs` epochs each.

    Source: Bergstra and Bengio 2012 (JMLR 13:281).
    Raises ConfigError for max_epochs < 1 or n_trials < 1.
    """

    def __init__(self, max_epochs: int, n_trials: int) -> None:
        check_integer("max_epochs", max_epochs, 1)
        check_integer("n_trials", n_trials, 1)
        self._max_epochs, self._n_trials = max_epochs, n_trials
        super().__init__([self._bracket()], overlap=True)

    @property
    def max_epochs(self) -> int:
        return self._max_epochs

    def plan(self) -> Plan:
        return Plan((PlannedBracket(0, (Rung(self._n_trials, self._max_epochs, 1),)),))

    def _bracket(self) -> Round:
        yield [Train(t, self._max_epochs) for t in range(self._n_trials)]
