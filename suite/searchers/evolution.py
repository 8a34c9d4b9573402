"""Regularised evolution: the best of a few of the youngest trials is mutated in one place."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from suite.core.errors import ConfigError, check_integer
from suite.core.searcher import Searcher
from suite.core.seeds import stream
from suite.core.space import Choice, Parameter, Space
from suite.core.types import Config, Trial
from suite.surrogates.comparable_objectives import comparable

# of a step, until the value is another
MAX_DRAWS = 100


class Evolution(Searcher):
    """A mutant of a tournament's winner; old trials leave the population, however good.

    Population: the newest `population_size` trials by trial_id, of those that can be compared:
    their objectives are those after the most epochs that n_least (null: population_size) trials
    have, a failed trial is the worst. Until there are so many, proposals are drawn at random.
    tournament_size of the population are drawn, with replacement; the best of these is the parent.
    One hyperparameter of it changes: a Float or Int by a normal step, step_size of its encoded
    range wide, reflected at the range's ends; a Choice to another of its values. What then plays a part
    anew has a value at random; a forbidden mutant is made again. Of a table, the unused row nearest to the
    mutant, by Euclidean distance of encoded configurations.
    Source: Real et al. 2019 (AAAI 33:4780), Algorithm 1.
    Deviation: a mutation always changes something (they keep 1 in 20); numbers mutate by a step;
    trials stopped earlier than the others are not in the population.
    Raises ConfigError for an argument outside its range, or a table of which no row is left.
    """

    adaptive = True

    def __init__(
        self,
        population_size: int = 20,
        tournament_size: int = 5,
        step_size: float = 0.1,
        n_least: int | None = None,
    ) -> None:
        check_integer("searcher.population_size", population_size, 2)
        check_integer("searcher.tournament_size", tournament_size, 1)
        if n_least is not None:
            check_integer("searcher.n_least", n_least, 2, "or null (population_size)")
        if not 0 < step_size < math.inf:
            raise ConfigError(f"searcher.step_size={step_size}: must be > 0, in ranges; e.g. 0.1.")
        self._population_size, self._tournament_size = population_size, tournament_size
        self._step_size, self._n_least = step_size, n_least or population_size

    def begin(self, space: Space, seed: int) -> None:
        super().begin(space, seed)
        self._mutable = [
            name
            for name in space.free
            if not isinstance(p := space[name], Choice) or len(p.values) > 1
        ]
        self._counts: Counter[str] = Counter()
        self._fell_back: Counter[str] = Counter()

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        counts = {name: self._counts[name] for name in ("proposals", "by_model")}
        return {**counts, "fell_back": dict(self._fell_back)}

    def propose(self, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        self._counts["proposals"] += 1
        curves = {i: None if trial.failed else trial.curve for i, trial in trials.items()}
        seen = comparable(curves, self._n_least, clip=1.0)
        if not self._mutable:
            return self._fall_back("one value", trial_id, trials)
        if seen is None:
            return self._fall_back("too few observations", trial_id, trials)
        objectives = seen[1]
        population = sorted(objectives)[-self._population_size :]
        if len({objectives[i] for i in population}) == 1:
            return self._fall_back("equal objectives", trial_id, trials)

        self._counts["by_model"] += 1
        rng = stream(self.seed, "evolution", trial_id)
        sample = [population[i] for i in rng.integers(len(population), size=self._tournament_size)]
        parent = min(sample, key=lambda i: (objectives[i], curves[i] is None, i))
        if not self.space.is_plain:
            child_or_none = self._allowed_mutant(trials[parent].config, rng)
            if child_or_none is None:
                self._counts["by_model"] -= 1
                return self._fall_back("mutants are forbidden", trial_id, trials)
            return child_or_none
        child = self._mutant(trials[parent].config, rng)
        if self.space.rows is None:
            return child
        X, config = self.pool(trial_id, trials, len(self.space.rows))
        return config(int(np.argmin(((X - self.space.encode(child)) ** 2).sum(axis=1))))

    def _fall_back(self, why: str, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        self._fell_back[why] += 1
        return self.draw(trial_id, trials)

    def _mutant(self, parent: Config, rng: np.random.Generator) -> Config:
        name = self._mutable[int(rng.integers(len(self._mutable)))]
        return parent | {name: self._mutated(self.space[name], parent[name], rng)}

    def _allowed_mutant(self, parent: Config, rng: np.random.Generator) -> Config | None:
        """A mutant with all that plays a part in it, which no constraint forbids; None: none was found."""
        names = [name for name in self._mutable if name in parent]
        for _ in range(MAX_DRAWS if names else 0):
            name = names[int(rng.integers(len(names)))]
            value = self._mutated(self.space[name], parent[name], rng)
            child = self.space.completed(parent | {name: value}, rng)
            if self.space.forbids(child) is None:
                return child
        return None

    def _mutated(self, parameter: Parameter, value: Any, rng: np.random.Generator) -> Any:
        if isinstance(parameter, Choice):
            others = [v for v in parameter.values if v != value]
            return others[int(rng.integers(len(others)))]
        # an Int's small step may round to where it was
        for _ in range(MAX_DRAWS):
            u = (parameter.encode(value)[0] + self._step_size * rng.normal()) % 2.0
            if (other := parameter.decode(min(u, 2.0 - u))) != value:
                return other
        return parameter.decode(float(rng.random()))
