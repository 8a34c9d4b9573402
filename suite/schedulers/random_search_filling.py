"""Random search that fills the machine: no worker is idle for as long as Hyperband takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suite.core.brackets import hyperband_plan
from suite.core.errors import check_integer
from suite.schedulers.random_search import RandomSearch


class RandomSearchFilling(RandomSearch):
    """Random search whose number of trials follows the number of workers.

    Each worker trains `per_worker` trials to `max_epochs`, or more where Hyperband's planned epochs
    E ask for more: n_trials = n_workers · max(per_worker, ceil(E / (R · n_workers))), and `most` (a
    table's rows) at most. Where Hyperband leaves workers idle this trains more epochs than Hyperband:
    compare the two at equal epochs and at equal node-hours, not at their ends. Two trainings a worker
    are a little more than the 1.7 R that Hyperband takes on 50 workers.

    max_epochs: R; eta: of the Hyperband that is meant; n_workers: None, where it is not known before
    the run begins: ceil(E / R) trials. `diagnostics` says how many trials there were, how many the
    rule asked for, and whether `most` was less.
    Source: Bergstra and Bengio 2012 (JMLR 13:281); the number of trials is the suite's own.
    Raises ConfigError for eta < 2, or a number below 1.

    >>> RandomSearchFilling(max_epochs=50, n_workers=50).plan().n_trials
    100
    >>> RandomSearchFilling(max_epochs=50, n_workers=50, most=44).diagnostics
    {'n_trials': 44, 'n_trials_asked': 100, 'fell_back': {'all_rows': 1}}
    """

    def __init__(
        self,
        max_epochs: int,
        eta: int = 2,
        n_workers: int | None = None,
        per_worker: int = 2,
        most: int | None = None,
    ) -> None:
        n_epochs = hyperband_plan(max_epochs, eta).n_epochs
        check_integer("per_worker", per_worker, 1)
        if n_workers is not None:
            check_integer("n_workers", n_workers, 1, "or null (not known: Hyperband's epochs)")
        if most is not None:
            check_integer("most", most, 1, "or null (no such end)")
        if n_workers is None:
            asked = -(-n_epochs // max_epochs)
        else:
            asked = n_workers * max(per_worker, -(-n_epochs // (max_epochs * n_workers)))
        self._n_trials_asked = asked
        super().__init__(max_epochs, asked if most is None else min(asked, most))

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        n = self.plan().n_trials
        return {
            "n_trials": n,
            "n_trials_asked": self._n_trials_asked,
            "fell_back": {"all_rows": int(n < self._n_trials_asked)},
        }
