"""Proposals of extremely randomised trees: of many random candidates the one predicted best."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from suite.core.errors import ConfigError, check_integer
from suite.core.searcher import MAX_CANDIDATES, Searcher
from suite.core.types import Config, Trial
from suite.surrogates.comparable_objectives import comparable
from suite.surrogates.forest import Forest, rank_correlation
from suite.surrogates.rank_agreement import Floor


class ExtraTrees(Searcher):
    """A forest of hyperparameters to (log) objective, at the most epochs T that n_least trials have
    reached; of n_candidates at random the argmin. Every random_every-th trial is drawn at random,
    and all are until T is enough: ranks there agree with those at max_epochs by least_agreement or
    more, as measured octave by octave on the curves so far (suite.surrogates.rank_agreement). With
    least_share set, T is enough from least_share·max_epochs on, rounded as a rung is.

    Objectives are clipped at their 80 % quantile; failed trials have that value. Categorical
    hyperparameters are one-hot. It measures itself: the rank correlation of out-of-bag predictions,
    each measure_every trials; where it is below least_correlation by more than its error (1.645 /
    sqrt(n - 1)), proposals are random until it is better.
    Source: none published; the forest: Geurts et al. 2006 (Machine Learning 63:3); proposals one by
    one on the largest budget with enough observations: Falkner et al. 2018 (arXiv 1807.01774).
    Raises ConfigError for a parameter outside its range.
    """

    adaptive = True

    def __init__(
        self,
        max_epochs: int,
        n_candidates: int = 1000,
        random_every: int = 4,
        n_least: int = 8,
        least_share: float | None = None,
        least_agreement: float = 0.6,
        n_trees: int = 60,
        least_correlation: float = 0.0,
        measure_every: int = 8,
    ) -> None:
        check_integer("searcher.max_epochs", max_epochs, 1)
        check_integer("searcher.n_candidates", n_candidates, 1, most=MAX_CANDIDATES)
        check_integer("searcher.random_every", random_every, 2, "(2: every other trial)")
        check_integer("searcher.n_least", n_least, 3)
        check_integer("searcher.n_trees", n_trees, 1, most=10_000)
        check_integer("searcher.measure_every", measure_every, 1)
        for name, value, least in (
            ("least_share", least_share, 0),
            ("least_agreement", least_agreement, 0),
            ("least_correlation", least_correlation, -1),
        ):
            if value is not None and not least <= value <= 1:
                raise ConfigError(f"searcher.{name}={value}: must lie in [{least}, 1].")
        self._floor = Floor(max_epochs, least_share, least_agreement)
        self._n_candidates, self._random_every = n_candidates, random_every
        self._n_least, self._n_trees = n_least, n_trees
        self._least_correlation, self._measure_every = least_correlation, measure_every
        self._counts: Counter[str] = Counter()
        # of what was measured: first, last
        self._correlations: dict[str, float] = {}
        self._points: dict[int, tuple[Config, tuple[float, ...]]] = {}
        # the last model, by its data
        self._made: tuple[Any, Forest | None] = (None, None)

    def propose(self, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        self._counts["proposals"] += 1
        if trial_id % self._random_every == self._random_every - 1:
            return self._random("by turn", trial_id, trials)
        curves = {i: None if trial.failed else trial.curve for i, trial in trials.items()}
        observed = comparable(curves, self._n_least)
        if observed is None or observed[0] < self._floor.epochs(curves):
            return self._random("too early", trial_id, trials)
        ids, y = list(observed[1]), list(observed[1].values())
        if min(y) == max(y):
            return self._random("all objectives equal", trial_id, trials)
        model = self._model(observed[0], ids, y, trials)
        if model is None:
            return self._random("fallback: hyperband's random draw", trial_id, trials)
        X, config = self.pool(trial_id, trials, self._n_candidates)
        if len(X) == 1 or X.shape[1] == 0:
            return self._random("nothing to choose from", trial_id, trials)
        self._counts["by model"] += 1
        return config(int(model.predict(X).argmin()))

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        return {
            "counts": dict(sorted(self._counts.items())),
            "out_of_bag_rank_correlation": dict(self._correlations),
            "least_correlation": self._least_correlation,
            **self._floor.diagnostics,
        }

    def _encode(self, trial: Trial) -> tuple[float, ...]:
        """A trial's point; kept, because a configuration stays what it is."""
        config, point = self._points.get(trial.trial_id, (None, ()))
        if config is not trial.config:
            point = self.space.encode(trial.config)
            self._points[trial.trial_id] = trial.config, point
        return point

    def _random(self, why: str, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        self._counts[f"random, {why}"] += 1
        return self.draw(trial_id, trials)

    def _model(
        self, T: int, ids: list[int], y: list[float], trials: Mapping[int, Trial]
    ) -> Forest | None:
        """The forest of these data, the last one where they are the same; None: not trusted."""
        key = (T, tuple(ids), tuple(y))
        if self._made[0] == key:
            return self._made[1]
        X = [self._encode(trials[i]) for i in ids]
        forest: Forest | None = None
        if len(X[0]) > 0:
            forest = Forest(self._n_trees).fit(X, y)
            # A function of the data alone: the measurement is of the first of each measure_every.
            n = len(ids) - len(ids) % self._measure_every
            correlation = rank_correlation(Forest(20).out_of_bag(X[:n], y[:n]), y[:n])
            self._correlations.setdefault("first", round(correlation, 4))
            self._correlations["last"] = round(correlation, 4)
            # Of few trials it says little: poor is what it is by more than its own error (5 %).
            if correlation + 1.645 / math.sqrt(max(n - 1, 1)) < self._least_correlation:
                forest = None
        self._made = (key, forest)
        return forest
