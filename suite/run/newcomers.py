"""Trials that begin: their configuration, asked of the searcher, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from suite.core import types as t
from suite.core.scheduler import Scheduler
from suite.core.searcher import Searcher
from suite.core.seeds import stream_seed
from suite.core.space import Space
from suite.run.trials import TrialState, check_proposal


class Newcomers:
    """searcher: begun already, with this space and seed."""

    def __init__(self, scheduler: Scheduler, searcher: Searcher, space: Space, seed: int) -> None:
        self._scheduler, self._searcher, self._space, self._seed = scheduler, searcher, space, seed

    def points(self, trial_ids: Sequence[int]) -> list[Sequence[float]]:
        """What these trials' encoded configurations are, of a searcher that looks at no results."""
        return [self._space.encode(self._searcher.propose(i, {})) for i in trial_ids]

    def meet(self, trial_id: int, seen: Mapping[int, t.Trial]) -> TrialState:
        """A new trial; the scheduler is told its configuration. seen: the trials that the searcher may see.

        Raises ConfigError for a proposal that no journal can hold.
        """
        config = self._searcher.propose(trial_id, seen)
        check_proposal(config, type(self._searcher).__name__)
        self._scheduler.on_config(trial_id, self._space.encode(config))
        return TrialState(config, stream_seed(self._seed, "trial", trial_id))

    def note(self, trial_id: int, trial: TrialState) -> dict[str, Any]:
        """What the journal says of it."""
        bracket = self._scheduler.bracket_of.get(trial_id)
        return {"config": trial.config, "seed": trial.seed, "bracket": bracket}
