"""The searcher contract: which configuration trial k has.

It knows no epochs to come and no workers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from suite.core.errors import ConfigError
from suite.core.seeds import stream
from suite.core.space import Space
from suite.core.types import Config, Trial


class Searcher(ABC):
    """Chooses configurations. `space` and `seed` are given once, before the first `propose`."""

    adaptive: bool = False
    """Whether a proposal depends on the trials so far; else on (seed, trial_id) alone."""

    def begin(self, space: Space, seed: int) -> None:
        self.space = space
        self.seed = seed
        self._order: list[int] = []
        if space.rows is not None:
            self._order = stream(seed, "rows").permutation(len(space.rows)).tolist()

    @abstractmethod
    def propose(self, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        """The configuration of `trial_id`, given all trials so far with the curves they have.

        Must be a function of its arguments, `space` and `seed`: a resumed run calls it again for
        every trial. What it keeps besides may only save time, or count for `measured`.
        """

    @property
    def measured(self) -> Mapping[str, Any]:
        """What a learned rule measured of itself, and how often it fell back, for the record."""
        return {}

    def draw(self, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        """A configuration at random: the same for every searcher under one seed.

        Of a table: the next row of the seed's permutation that no trial has.
        Raises ConfigError where no row is left.
        """
        rows = self.space.rows
        if rows is None:
            return self.space.sample(stream(self.seed, "config", trial_id))
        used = self._used(trials)
        for row in self._order:
            if self._name(rows[row]) not in used:
                return dict(rows[row])
        raise ConfigError(
            f"trial {trial_id}: the table holds {len(rows)} configurations and all are used; "
            "lower max_epochs (fewer trials) or take a larger table."
        )

    def candidates(self, trial_id: int, trials: Mapping[int, Trial], n: int) -> list[Config]:
        """n configurations to choose trial_id's from, at random; of a table: n unused rows, or all
        that are left.

        Raises ConfigError where no row is left.
        """
        rng = stream(self.seed, "candidates", trial_id)
        rows = self.space.rows
        if rows is None:
            draws = rng.random((n, len(self.space))).tolist()
            return [self.space.decode(draw) for draw in draws]
        used = self._used(trials)
        unused = [row for row in self._order if self._name(rows[row]) not in used]
        if not unused:
            self.draw(trial_id, trials)  # raises
        if len(unused) > n:
            unused = [unused[i] for i in sorted(rng.choice(len(unused), n, replace=False))]
        return [dict(rows[row]) for row in unused]

    def _used(self, trials: Mapping[int, Trial]) -> set[tuple[Any, ...]]:
        return {self._name(trial.config) for trial in trials.values()}

    def _name(self, config: Config) -> tuple[Any, ...]:
        return tuple(config[name] for name in self.space)
