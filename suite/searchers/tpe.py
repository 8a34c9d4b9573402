"""TPE as in BOHB: next is where the density of good configurations is highest, by that of bad."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from suite.core.errors import ConfigError, check_integer, unknown_name
from suite.core.searcher import MAX_CANDIDATES, Searcher
from suite.core.seeds import stream
from suite.core.space import Choice, Space
from suite.core.types import Config, Trial
from suite.surrogates.comparable_objectives import comparable

Matrix = NDArray[np.float64]
"""[n, d]: a row is a configuration; a Float or Int in [0, 1], a Choice as its value's index, NaN: it plays no
part.
"""

TINY = 1e-32
"""Least density that counts: far from everything seen, good and bad are equally likely."""


Rule = Literal["range", "spread"]
RULES: tuple[Rule, ...] = get_args(Rule)


class Tpe(Searcher):
    """The best of samples from the density of good configurations, by good over bad density.

    The good are the best share `gamma` of the observations, the others are bad, each of both at
    least n_min (null: d + 1, for d searched hyperparameters); a share random_fraction of all
    proposals is drawn at random. n_samples samples are drawn with bandwidth_factor times the
    bandwidths. Of a table, every unused row is scored.
    bandwidths: `range`, a fifth of a hyperparameter's range by n^(-1/(4+d)) for n configurations,
    and Laplace's rule for a Choice; or `spread`, by the configurations' standard deviation, at
    least min_bandwidth: BOHB's, which may settle beside the optimum and stay there.
    Observations are objectives after the most epochs that n_min + 2 trials have; a failed trial
    is the worst.
    Source: Falkner et al. 2018 (ICML, PMLR 80), section 4.2, Algorithm 2, equations 2 and 3;
    `range`: Watanabe 2023 (arXiv 2304.11127), as in Optuna. TINY is from BOHB's code.
    Deviation: `range` is the default; with `spread`, a Choice's standard deviation does not depend
    on the order of its values (of two values it is BOHB's), and its kernel (Aitchison and Aitken
    1976) is at widest uniform.
    A hyperparameter that plays no part in a configuration has no density there (`_Density`); samples that a
    constraint forbids are left out, and where all are, the proposal is drawn at random.
    Raises ConfigError for an argument outside its range, or a table of which no row is left.
    """

    adaptive = True

    def __init__(
        self,
        gamma: float = 0.15,
        random_fraction: float = 1 / 3,
        n_samples: int = 64,
        bandwidth_factor: float = 3.0,
        min_bandwidth: float = 1e-3,
        n_min: int | None = None,
        bandwidths: Rule = "range",
    ) -> None:
        check_integer("searcher.n_samples", n_samples, 1, most=MAX_CANDIDATES)
        if n_min is not None:
            check_integer("searcher.n_min", n_min, 2, "or null (d + 1)")
        for name, value, holds, rule in (
            ("gamma", gamma, 0 < gamma < 1, "lie between 0 and 1"),
            ("random_fraction", random_fraction, 0 <= random_fraction <= 1, "lie in 0 ... 1"),
            ("bandwidth_factor", bandwidth_factor, 0 < bandwidth_factor < math.inf, "be > 0"),
            ("min_bandwidth", min_bandwidth, 0 < min_bandwidth <= 1, "be > 0 and at most 1"),
        ):
            if not holds:
                raise ConfigError(f"searcher.{name}={value}: must {rule} (BOHB's is the default).")
        self._gamma, self._random_fraction, self._n_samples = gamma, random_fraction, n_samples
        if bandwidths not in RULES:
            raise unknown_name("searcher.bandwidths", bandwidths, RULES)
        self._factor, self._n_min = bandwidth_factor, n_min
        self._least = min_bandwidth if bandwidths == "spread" else None

    def begin(self, space: Space, seed: int) -> None:
        super().begin(space, seed)
        n_values = {
            name: len(p.values) if isinstance(p := space[name], Choice) else 0
            for name in space.free
        }
        self._n_values = {name: n for name, n in n_values.items() if n != 1}
        # Where each begins in an encoded configuration.
        ends = np.cumsum([max(n, 1) for n in n_values.values()], dtype=int).tolist()
        starts = dict(zip(n_values, [0, *ends], strict=False))
        self._starts = [starts[name] for name in self._n_values]
        self._counts: Counter[str] = Counter()
        self._fell_back: Counter[str] = Counter()

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        counts = {name: self._counts[name] for name in ("proposals", "by_model", "at_random")}
        return {**counts, "fell_back": dict(self._fell_back)}

    def propose(self, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        self._counts["proposals"] += 1
        rng = stream(self.seed, "tpe", trial_id)
        if rng.random() < self._random_fraction:
            self._counts["at_random"] += 1
            return self.draw(trial_id, trials)
        levels = list(self._n_values.values())
        n_min = self._n_min or len(levels) + 1
        curves = {i: None if trial.failed else trial.curve for i, trial in trials.items()}
        seen = comparable(curves, n_min + 2, clip=1.0)
        if not levels:
            return self._fall_back("one value", trial_id, trials)
        if seen is None:
            return self._fall_back("too few observations", trial_id, trials)
        if len(set(seen[1].values())) == 1:
            return self._fall_back("equal objectives", trial_id, trials)

        ranked = sorted(seen[1], key=lambda i: (seen[1][i], trials[i].failed, i))
        X = self._observed([trials[i].config for i in ranked])
        n_good = max(n_min, int(self._gamma * len(X)))
        n_bad = max(n_min, len(X) - n_good)
        good = _Density(X[:n_good], levels, self._least)
        bad = _Density(X[-n_bad:], levels, self._least)

        self._counts["by_model"] += 1
        if self.space.rows is not None:
            rows, config = self.pool(trial_id, trials, len(self.space.rows))
            return config(_best(self._columns(rows), good, bad))
        samples = good.sample(rng, self._n_samples, self._factor)
        if self.space.is_plain:
            return self._config(samples[_best(samples, good, bad)])
        configs = [self._config(point) for point in samples]
        allowed = [i for i, one in enumerate(configs) if self.space.forbids(one) is None]
        if not allowed:
            self._counts["by_model"] -= 1
            return self._fall_back("all samples are forbidden", trial_id, trials)
        absent = [[name not in one for name in self._n_values] for one in configs]
        samples = np.where(absent, np.nan, samples)[allowed]
        return configs[allowed[_best(samples, good, bad)]]

    def _fall_back(self, why: str, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        self._fell_back[why] += 1
        return self.draw(trial_id, trials)

    def _observed(self, configs: list[Config]) -> Matrix:
        """A row a configuration."""
        if self.space.is_plain:
            return self._columns(np.array([self.space.encode(config) for config in configs]))
        return np.array(
            [[self._number(name, config) for name in self._n_values] for config in configs]
        )

    def _number(self, name: str, config: Config) -> float:
        if name not in config:
            return math.nan
        code = self.space[name].encode(config[name])
        return float(code.index(1.0)) if self._n_values[name] else code[0]

    def _columns(self, encoded: Matrix) -> Matrix:
        """One column a hyperparameter that has more than one value."""
        columns = [
            encoded[:, start : start + n].argmax(axis=1) if n else encoded[:, start]
            for start, n in zip(self._starts, self._n_values.values(), strict=True)
        ]
        return np.column_stack(columns).astype(float)

    def _config(self, point: Matrix) -> Config:
        """The configuration of a row; what is fixed, or has one value, has it."""
        at = {
            name: (x + 0.5) / n if n else x
            for (name, n), x in zip(self._n_values.items(), point.tolist(), strict=True)
        }
        return self.space.decode([at.get(name, 0.0) for name in self.space])


def _best(points: Matrix, good: _Density, bad: _Density) -> int:
    """Where good over bad density is highest; the first of equals."""
    return int(np.argmax(np.maximum(good(points), TINY) / np.maximum(bad(points), TINY)))


class _Density:
    """A kernel density over vectors: a product of one kernel a hyperparameter, mean over rows.

    levels: number of values of a Choice, 0 for a Float or Int. least: of bandwidths by the normal
    reference rule; None: bandwidths by the range. Of a hyperparameter that plays no part in a row nothing is
    known there: its kernel is uniform. Where it plays none at a point, it has no density (a factor of 1):
    those that it waits for have theirs. So the density of all that is possible is 1.
    """

    def __init__(self, X: Matrix, levels: list[int], least: float | None) -> None:
        n, d = X.shape
        self._X, self._levels, self._h = X, levels, []
        for column, k in zip(X.T, levels, strict=True):
            # Of none at all: of one, which is nowhere; nothing asks for its width.
            x = column[~np.isnan(column)] if np.isnan(column).any() else column
            n = max(len(x), 1)
            if least is None:
                h = (k - 1) / (n + k) if k else 0.2 * n ** (-1.0 / (4 + d))
            elif not len(x):
                h = least
            else:
                shares = np.bincount(x.astype(int)) / n if k else None
                spread = x.std() if shares is None else math.sqrt((1 - shares @ shares) / 2)
                h = max(1.06 * float(spread) * n ** (-1.0 / (4 + d)), least)
            self._h.append(min(h, (k - 1) / k) if k else h)

    def __call__(self, points: Matrix) -> Matrix:
        """Density at points[m, d], [m]."""
        product = np.ones((len(points), len(self._X)))
        for j, (h, k) in enumerate(zip(self._h, self._levels, strict=True)):
            apart = points[:, j, None] - self._X[None, :, j]
            if k:
                kernel = np.where(apart == 0.0, 1.0 - h, h / (k - 1))
            else:
                kernel = np.exp(-0.5 * (apart / h) ** 2) / (h * math.sqrt(2.0 * math.pi))
            if np.isnan(apart).any():
                kernel[:, np.isnan(self._X[:, j])] = 1.0 / max(k, 1)
                kernel[np.isnan(points[:, j])] = 1.0
            product *= kernel
        return np.asarray(product.mean(axis=1))

    def sample(self, rng: np.random.Generator, n: int, factor: float) -> Matrix:
        """n rows, each off by its kernels: a normal `factor` times as wide, cut at 0 and 1."""
        from scipy.special import ndtr, ndtri

        drawn = self._X[rng.integers(len(self._X), size=n)]
        for j, (h, k) in enumerate(zip(self._h, self._levels, strict=True)):
            u, x = rng.random(n), drawn[:, j]
            if k:
                drawn[:, j] = np.where((u < h) | np.isnan(x), rng.integers(k, size=n), x)
            else:
                low, high = ndtr(-x / (factor * h)), ndtr((1.0 - x) / (factor * h))
                moved = np.clip(x + factor * h * ndtri(low + u * (high - low)), 0.0, 1.0)
                drawn[:, j] = np.where(np.isnan(x), u, moved)
        return drawn
