"""Grid search: trial k's configuration is the k-th point of a grid over the space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from suite.core.errors import ConfigError, check_integer, unknown_name
from suite.core.searcher import Searcher
from suite.core.seeds import stream
from suite.core.space import Choice, Ordered, Parameter, Space
from suite.core.types import Config, Trial

_MOST = 10_000
"""Values of one hyperparameter, which are held in memory."""
_MOST_LISTED = 100_000
"""Points where conditions or constraints make them depend on each other."""
_MOST_POINTS = 10**15
"""Points are numbered, and drawn by their numbers."""


class Grid(Searcher):
    """Every point of the grid once, whatever the results.

    A Float takes `n_per_parameter` values evenly spaced in its encoded interval, both ends
    included (one value: its middle); an Int those of as many that differ; a Choice or an Ordered all of its
    own. Points that differ in what plays no part alone are one; forbidden points are none.
    sizes: other numbers of values, by name. A fixed name has its value. A table's rows are its
    grid.
    shuffle: the order is addressed by the seed, so that a search which ends before the grid does
    has seen all of the space; else the last name runs fastest (and a table's rows come as they
    stand).

    A scheduler's number of trials is its own: it must not exceed the grid's, and where it is
    smaller the rest of the grid is not tried.
    Raises ConfigError for a size < 1, a name that the space has not, or a trial beyond the grid.
    """

    def __init__(
        self,
        n_per_parameter: int = 10,
        sizes: Mapping[str, int] | None = None,
        shuffle: bool = True,
    ) -> None:
        check_integer("searcher.n_per_parameter", n_per_parameter, 1, most=_MOST)
        for name, size in (sizes or {}).items():
            check_integer(f"searcher.sizes.{name}", size, 1, most=_MOST)
        self._n, self._sizes, self._shuffle = n_per_parameter, dict(sizes or {}), shuffle

    def begin(self, space: Space, seed: int) -> None:
        super().begin(space, seed)
        for name in self._sizes:
            if name not in space:
                raise unknown_name("searcher.sizes", name, space)
        self._axes = {name: self._values(name, space[name]) for name in space.free}
        self._shape = tuple(len(values) for values in self._axes.values())
        if space.rows is not None:
            self._shape = (len(space.rows),)
        self._points: list[Config] | None = None
        if not space.is_plain:
            self._points = self._listed()
            self._shape = (len(self._points),)
        if (n_points := math.prod(self._shape)) > _MOST_POINTS:
            raise ConfigError(
                f"searcher.n_per_parameter={self._n}: a grid of {n_points:.3g} points, must be at most "
                f"{_MOST_POINTS:.0e}; lower it, or hold hyperparameters (model.fixed)."
            )
        self._rng = stream(seed, "grid")
        self._order: list[int] = []
        self._moved: dict[int, int] = {}

    @property
    def n_configurations(self) -> int:
        return math.prod(self._shape)

    def propose(self, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        n_points = math.prod(self._shape)
        if trial_id >= n_points:
            shape = " x ".join(map(str, self._shape))
            raise ConfigError(
                f"trial {trial_id} is number {trial_id + 1}, the grid has {n_points} points "
                f"({shape}): lower the scheduler's number of trials, or raise "
                "searcher.n_per_parameter."
            )
        point = self._shuffled(trial_id, n_points) if self._shuffle else trial_id
        if self.space.rows is not None:
            return dict(self.space.rows[point])
        if self._points is not None:
            return dict(self._points[point])
        # fixed names have their values
        config = self.space.decode([0.0] * len(self.space))
        for name, i in zip(self._axes, np.unravel_index(point, self._shape), strict=True):
            config[name] = self._axes[name][int(i)]
        return config

    def _listed(self) -> list[Config]:
        """The points of a space with conditions or constraints, one by one."""
        held = self.space.with_fixed({})
        points: list[Config] = [{}]
        for name in self.space.parents_first:
            values = self._axes.get(name, [held[name]] if name in held else [])
            shorter, points = points, []
            for config in shorter:
                if name not in self.space.active(config):
                    points.append(config)
                    continue
                longer = ({**config, name: value} for value in values)
                points += [one for one in longer if self.space.forbids(one) is None]
                if len(points) > _MOST_LISTED:
                    raise ConfigError(
                        f"searcher.n_per_parameter={self._n}: a grid of more than {_MOST_LISTED} points over "
                        "conditions or constraints, which are listed one by one; lower it, or hold "
                        "hyperparameters (model.fixed)."
                    )
        if not points:
            raise ConfigError(
                f"searcher.n_per_parameter={self._n}: the constraints forbid every point of the grid; "
                "raise it, or the sizes of those that are named together."
            )
        return [self.space.pruned(point) for point in points]

    def _values(self, name: str, parameter: Parameter) -> list[Any]:
        if isinstance(parameter, Choice | Ordered):
            return list(parameter.values)
        n = self._sizes.get(name, self._n)
        units = np.linspace(0.0, 1.0, n).tolist() if n > 1 else [0.5]
        return list(dict.fromkeys(parameter.decode(u) for u in units))

    def _shuffled(self, position: int, n_points: int) -> int:
        """Fisher and Yates as far as it is needed: a grid may be too large to be laid out."""
        for i in range(len(self._order), position + 1):
            j = int(self._rng.integers(i, n_points))
            self._order.append(self._moved.get(j, j))
            self._moved[j] = self._moved.pop(i, i)
        return self._order[position]
