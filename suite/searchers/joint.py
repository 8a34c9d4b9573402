"""The searcher's side of a joint optimizer: what it proposes, of a table the nearest unused row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from suite.core.searcher import Searcher
from suite.core.space import Space
from suite.core.types import Config, Trial


class Proposer(Protocol):
    """A scheduler that proposes configurations itself: suite.schedulers.joint.Joint."""

    def begin(self, space: Space, seed: int, n_configurations: int | None) -> None: ...

    def proposal(self, trial_id: int) -> Config: ...


class Joint(Searcher):
    """Hands on what the joint optimizer of `scheduler=joint` proposes.

    Of a table it takes the unused row that is nearest in the encoded space (Euclidean distance; of equals the
    first in the seed's order): the optimizer is told the objective of that row as if it were its own
    configuration's. `diagnostics` says how many were moved and how far. With no scheduler to follow (an epoch
    is measured before a run) it draws at random.
    Raises ConfigError for a table of which no row is left.
    """

    adaptive = True

    def __init__(self) -> None:
        self._proposer: Proposer | None = None
        self._n_moved, self._moved_by = 0, 0.0

    def follow(self, proposer: Proposer) -> None:
        """Called once, before `begin`: whose proposals these are."""
        self._proposer = proposer

    def begin(self, space: Space, seed: int) -> None:
        super().begin(space, seed)
        if self._proposer is not None:
            self._proposer.begin(space, seed, self.n_configurations)

    def propose(self, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        if self._proposer is None:
            return self.draw(trial_id, trials)
        row, distance = self.nearest(self._proposer.proposal(trial_id), trial_id, trials)
        self._n_moved += distance > 0
        self._moved_by += distance
        return row

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        """Of a table: proposals that are no unused row, and how far the rows are from them in all, in the
        encoded space.
        """
        if self.space.rows is None:
            return {}
        return {"moved_to_a_row": self._n_moved, "moved_by": round(self._moved_by, 6)}
