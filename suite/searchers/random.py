"""The random searcher: trial k's configuration is drawn from the space, addressed by (seed, k)."""

from __future__ import annotations

from collections.abc import Mapping

from suite.core.searcher import Searcher
from suite.core.seeds import stream
from suite.core.types import Config, Trial


class Random(Searcher):
    """Uniform draws; every scheduler under one seed meets the same trial 0, 1, 2, ..."""

    def propose(self, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        return self.space.sample(stream(self.seed, "config", trial_id))
