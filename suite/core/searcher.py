"""The searcher contract: which configuration trial k has.

It knows no epochs to come and no workers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.core.errors import ConfigError
from suite.core.seeds import stream
from suite.core.space import Space
from suite.core.types import Config, Trial

MAX_CANDIDATES = 1_000_000
"""Of one proposal, at most: they are held in memory and ranked anew each time."""
_MOST_ROUNDS = 20
"""Of drawing n candidates, until n are allowed."""


class Searcher(ABC):
    """Chooses configurations. `space` and `seed` are given once, before the first `propose`."""

    adaptive: bool = False
    """Whether a proposal depends on the trials so far; else on (seed, trial_id) alone."""

    def begin(self, space: Space, seed: int) -> None:
        self.space = space
        self.seed = seed
        self._order: list[int] = []
        # of a table's rows
        self._names: list[tuple[Any, ...]] = []
        # and their points, when first needed
        self._encoded: NDArray[np.float64] | None = None
        if space.rows is not None:
            self._order = stream(seed, "rows").permutation(len(space.rows)).tolist()
            self._names = [self._name(row) for row in space.rows]

    @abstractmethod
    def propose(self, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        """The configuration of `trial_id`, given all trials so far with the curves they have.

        Must be a function of its arguments, `space` and `seed`: a resumed run calls it again for
        every trial. What it keeps besides may only save time, or count for `diagnostics`.
        """

    @property
    def n_configurations(self) -> int | None:
        """Trials that it can propose for, from 0 on; None: any number. Known after `begin`."""
        return None if self.space.rows is None else len(self.space.rows)

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        """Self-measurements of a learned rule, and how often it fell back; for the record."""
        return {}

    def draw(self, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        """A configuration at random: the same for every searcher under one seed.

        Of a table: the next row of the seed's permutation that no trial has.
        Raises ConfigError where no row is left.
        """
        rows = self.space.rows
        if rows is None:
            return self.space.sample(stream(self.seed, "config", trial_id))
        if unused := self._unused(trials, 1):
            return dict(rows[unused[0]])
        raise ConfigError(
            f"trial {trial_id}: the table holds {len(rows)} configurations and all are used; "
            "lower max_epochs (fewer trials) or take a larger table."
        )

    def candidates(self, trial_id: int, trials: Mapping[int, Trial], n: int) -> list[Config]:
        """n configurations to choose trial_id's from, at random; of a table: n unused rows, or all
        that are left.

        Raises ConfigError where no row is left.
        """
        X, config = self.pool(trial_id, trials, n)
        return [config(i) for i in range(len(X))]

    def pool(
        self, trial_id: int, trials: Mapping[int, Trial], n: int
    ) -> tuple[NDArray[np.float64], Callable[[int], Config]]:
        """`candidates` without making them all: encoded (n, d), and the i-th when asked for."""
        rng = stream(self.seed, "candidates", trial_id)
        rows = self.space.rows
        if not self.space.is_plain:
            configs = self._allowed(rng, n)
            return np.array([self.space.encode(one) for one in configs]), lambda i: dict(configs[i])
        if rows is None:
            draws = rng.random((n, len(self.space)))
            return self.space.encode_draws(draws), lambda i: self.space.decode(draws[i].tolist())
        unused = self._unused(trials)
        if not unused:
            # raises
            self.draw(trial_id, trials)
        if len(unused) > n:
            unused = [unused[i] for i in sorted(rng.choice(len(unused), n, replace=False))]
        if self._encoded is None:
            self._encoded = np.array([self.space.encode(row) for row in rows])
        return self._encoded[unused], lambda i: dict(rows[unused[i]])

    def _allowed(self, rng: np.random.Generator, n: int) -> list[Config]:
        """n configurations at random that no constraint forbids; of a space that forbids most, fewer: one at
        least.
        """
        allowed: list[Config] = []
        for _ in range(_MOST_ROUNDS):
            for draws in rng.random((n, len(self.space))).tolist():
                config = self.space.decode(draws)
                if self.space.forbids(config) is None:
                    allowed.append(config)
            if len(allowed) >= n:
                return allowed[:n]
        return allowed or [self.space.sample(rng)]

    def nearest(
        self, config: Config, trial_id: int, trials: Mapping[int, Trial]
    ) -> tuple[Config, float]:
        """Of a table the unused row that is nearest to `config` in the encoded space, and how far it is
        (Euclidean; of equals the first in the seed's order). Of another space `config` itself.

        Raises ConfigError where no row is left.
        """
        if self.space.rows is None:
            return config, 0.0
        points, row = self.pool(trial_id, trials, len(self.space.rows))
        squares = ((points - np.array(self.space.encode(config))) ** 2).sum(axis=1)
        place = int(np.argmin(squares))
        return row(place), float(np.sqrt(squares[place]))

    def _unused(self, trials: Mapping[int, Trial], most: int | None = None) -> list[int]:
        """Rows that no trial has, in the seed's order; the first `most`."""
        used = {self._name(trial.config) for trial in trials.values()}
        unused = (row for row in self._order if self._names[row] not in used)
        return list(islice(unused, most))

    def _name(self, config: Config) -> tuple[Any, ...]:
        return tuple(config[name] for name in self.space)
