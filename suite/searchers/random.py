"""The random searcher: trial k's configuration is drawn from the space, addressed by (seed, k)."""

from __future__ import annotations

from collections.abc import Mapping

from suite.core.errors import ConfigError
from suite.core.searcher import Searcher
from suite.core.types import Config, Trial


class Random(Searcher):
    """Uniform draws; every scheduler under one seed meets the same trial 0, 1, 2, ...

    From a table's rows it draws without replacement: trial k has row k of a permutation.
    """

    def propose(self, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        rows = self.space.rows
        if rows is None:
            return self.draw(trial_id, {})
        if trial_id >= len(rows):
            raise ConfigError(
                f"trial {trial_id}: the table holds {len(rows)} configurations; "
                "lower max_epochs (fewer trials) or take a larger table."
            )
        return dict(rows[self._order[trial_id]])
