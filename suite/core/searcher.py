"""The searcher contract: which configuration trial k has.

It knows no epochs to come and no workers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from suite.core.space import Space
from suite.core.types import Config, Trial


class Searcher(ABC):
    """Chooses configurations. `space` and `seed` are given once, before the first `propose`."""

    def begin(self, space: Space, seed: int) -> None:
        self.space = space
        self.seed = seed

    @abstractmethod
    def propose(self, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        """The configuration of `trial_id`, given all trials so far with the curves they have.

        Must be a function of its arguments, `space` and `seed`: a resumed run calls it again for
        every trial.
        """
