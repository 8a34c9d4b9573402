"""A Gaussian process with expected improvement; configurations under way count at their mean."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.core.errors import check_integer
from suite.core.searcher import MAX_CANDIDATES, Searcher
from suite.core.seeds import stream, stream_seed
from suite.core.space import Choice, Parameter, Space
from suite.core.types import Config, Trial
from suite.surrogates.comparable_objectives import comparable
from suite.surrogates.forest import rank_correlation

Array = NDArray[np.float64]


class Gp(Searcher):
    """The candidate of highest expected improvement under a Gaussian process.

    Kernel: Matern 5/2 with a length scale for each encoded dimension, and noise. Its
    hyperparameters are those of highest likelihood of max_fit observations: the first trials
    in an order addressed by the seed, so that refits grow rare and none depends on the order of
    arrival. The process knows max_observations: the better half of them, and the newest. Trials
    under way that have no epoch yet, the newest max_pending, count at their mean; others may
    have been stopped.
    Candidates: n_candidates at random (of a table: unused rows), half as many around the best five.
    A hyperparameter that plays no part is a dimension more, 1 or 0, and stands in the middle of its own.
    Observations are objectives after the most epochs that n_least (null: d + 3, for d searched
    hyperparameters) trials have, in logarithms where all are positive; a failed trial is the worst.
    Source: Snoek et al. 2012 (NeurIPS 25), sections 2 and 3.1; the mean of trials under way: the
    `kriging believer` of Ginsbourger et al. 2010 (doi:10.1007/978-3-642-10701-6_6).
    Deviation: hyperparameters of highest likelihood, not integrated over; improvement is on the
    best mean, not on the best value, which noise may have made.
    Raises ConfigError for an argument outside its range, or a table of which no row is left.
    """

    adaptive = True

    def __init__(
        self,
        n_least: int | None = None,
        n_candidates: int = 300,
        max_observations: int = 200,
        max_pending: int = 50,
        max_fit: int = 40,
    ) -> None:
        if n_least is not None:
            check_integer("searcher.n_least", n_least, 2, "or null (d + 3)")
        check_integer("searcher.n_candidates", n_candidates, 1, most=MAX_CANDIDATES)
        check_integer("searcher.max_observations", max_observations, 2, most=10_000)
        check_integer("searcher.max_pending", max_pending, 0, most=10_000)
        check_integer("searcher.max_fit", max_fit, 2)
        self._n_least, self._n_candidates = n_least, n_candidates
        self._most, self._most_pending, self._most_fit = max_observations, max_pending, max_fit

    def begin(self, space: Space, seed: int) -> None:
        super().begin(space, seed)
        free = [space[name] for name in space.free]
        self._d = sum(not isinstance(p, Choice) or len(p.values) > 1 for p in free)
        self._counts: Counter[str] = Counter()
        self._fell_back: Counter[str] = Counter()
        # the last one, by the data of its fit
        self._kernel: Any = (None, None)
        self._last: Any = None

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        """rank_correlation: of the last process's n observations, each with its mean without it."""
        counts = {name: self._counts[name] for name in ("proposals", "by_model", "fits")}
        by_itself = {} if self._last is None else _left_out(self._last)
        return {**counts, "fell_back": dict(self._fell_back), **by_itself}

    def propose(self, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        self._counts["proposals"] += 1
        known = {i: trials[i] for i in sorted(trials)}
        curves = {i: None if trial.failed else trial.curve for i, trial in known.items()}
        seen = comparable(curves, self._n_least or self._d + 3, clip=1.0)
        if self._d == 0 or seen is None:
            why = "one value" if self._d == 0 else "too few observations"
            return self._fall_back(why, trial_id, trials)
        observed = self._selected(seen[1])
        if np.ptp(y := np.array(list(observed.values()))) == 0:
            return self._fall_back("equal objectives", trial_id, trials)

        begun = [i for i in reversed(known) if i not in seen[1] and not curves[i]]
        pending = begun[: self._most_pending]
        X = np.array([self.space.encode(known[i].config) for i in (*observed, *pending)])
        around = [known[i].config for i in sorted(observed, key=lambda i: (observed[i], i))[:5]]
        points, config = self._candidates(trial_id, trials, around)
        try:
            kernel = self._fitted(X[: (n := len(observed))], seen[0], observed)
            self._last = gp = _process(kernel, X[:n], _standardised(y))
            if pending:
                gp = _process(kernel, X, np.append(gp.y_train_, gp.predict(X[n:])))
            # at X
            means = gp.y_train_ - gp.kernel_.k2.noise_level * gp.alpha_
            improvement = _expected_improvement(gp, points, float(means.min()))
        except (ValueError, np.linalg.LinAlgError) as error:
            return self._fall_back(type(error).__name__, trial_id, trials)
        self._counts["by_model"] += 1
        return config(int(np.argmax(improvement)))

    def _fall_back(self, why: str, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        self._fell_back[why] += 1
        return self.draw(trial_id, trials)

    def _selected(self, values: Mapping[int, float]) -> dict[int, float]:
        """All, or of too many the better half of what may be known and the newest, by trial_id."""
        ids = sorted(values, key=lambda i: (values[i], i))
        if len(ids) > self._most:
            half = self._most // 2
            ids = ids[:half] + sorted(ids[half:])[half - self._most :]
        return {i: values[i] for i in sorted(ids)}

    def _fitted(self, X: Array, epochs: int, observed: Mapping[int, float]) -> Any:
        """The kernel of highest likelihood of max_fit observations."""
        data = list(zip(observed.items(), X, strict=True))
        fitted_on = sorted(data, key=lambda o: stream_seed(self.seed, "fit", o[0][0]))[
            : self._most_fit
        ]
        if self._kernel[0] != (key := (epochs, [observation for observation, _ in fitted_on])):
            self._counts["fits"] += 1
            y = np.array([value for (_, value), _ in fitted_on])
            self._kernel = (key, _likeliest(np.array([x for _, x in fitted_on]), _standardised(y)))
        return self._kernel[1]

    def _candidates(
        self, trial_id: int, trials: Mapping[int, Trial], around: list[Config]
    ) -> tuple[Array, Callable[[int], Config]]:
        """Encoded, and the i-th when asked for."""
        X, config = self.pool(trial_id, trials, n := self._n_candidates)
        if self.space.rows is not None:
            return X, config
        rng = stream(self.seed, "around", trial_id)
        best = np.array([_draw_of(c, self.space) for c in around])
        draws = best[rng.integers(len(best), size=n // 2)]
        if (absent := np.isnan(draws)).any():
            draws[absent] = rng.random(int(absent.sum()))
        steps = rng.normal(size=draws.shape) * 10.0 ** rng.uniform(-3, -0.5, (n // 2, 1))
        # reflected at 0 and 1
        moved = 1.0 - np.abs(1.0 - (draws + steps) % 2.0)
        if self.space.constraints:
            allowed = [self.space.forbids(self.space.decode(u)) is None for u in moved.tolist()]
            if not any(allowed):
                return X, config
            moved = moved[allowed]
        n_drawn = len(X)
        X = np.vstack([X, self.space.encode_draws(moved)])
        return (
            X,
            lambda i: config(i) if i < n_drawn else self.space.decode(moved[i - n_drawn].tolist()),
        )


def _draw_of(config: Config, space: Space) -> list[float]:
    """Numbers in [0, 1], one a hyperparameter, that decode to this configuration; NaN: it plays no part."""

    def draw(name: str, parameter: Parameter) -> float:
        if name not in config:
            return math.nan
        if isinstance(parameter, Choice):
            return (parameter.values.index(config[name]) + 0.5) / len(parameter.values)
        return parameter.encode(config[name])[0]

    return [draw(name, parameter) for name, parameter in space.items()]


def _standardised(y: Array) -> Array:
    """Mean 0, standard deviation 1; clipped at the 80 % quantile, or the poor drown the good."""
    y = np.minimum(y, np.quantile(y, 0.8))
    return np.asarray((y - y.mean()) / (y.std() or 1.0))


def _process(kernel: Any, X: Array, y: Array) -> Any:
    from sklearn.gaussian_process import GaussianProcessRegressor

    return GaussianProcessRegressor(kernel, optimizer=None).fit(X, y)


def _likeliest(X: Array, y: Array) -> Any:
    from scipy.optimize import minimize
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    # scales in ranges
    matern = Matern(np.full(X.shape[1], 0.5), (0.05, 20.0), nu=2.5)
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * matern
    gp = _process(kernel + WhiteKernel(1e-2, (1e-6, 1.0)), X, y)

    def loss(theta: Array) -> tuple[float, Array]:
        value, gradient = gp.log_marginal_likelihood(theta, True, clone_kernel=False)
        return -value, -gradient

    start, bounds = gp.kernel.theta, gp.kernel.bounds
    optimum = minimize(loss, start, jac=True, bounds=bounds, options={"maxiter": 20})
    return gp.kernel.clone_with_theta(optimum.x)


def _expected_improvement(gp: Any, X: Array, best: float) -> Array:
    """Of the objective without its noise, below `best`; [n]."""
    from scipy.special import ndtr

    mean, std = gp.predict(X, return_std=True)
    std = np.sqrt(np.maximum(std**2 - gp.kernel_.k2.noise_level, 1e-12))
    z = (best - mean) / std
    return np.asarray(std * (z * ndtr(z) + np.exp(-0.5 * z**2) / math.sqrt(2.0 * math.pi)))


def _left_out(gp: Any) -> dict[str, float]:
    """Of each y and its mean without it: Rasmussen and Williams 2006, equation 5.12."""
    from scipy.linalg import cho_solve

    y, precision = gp.y_train_, cho_solve((gp.L_, True), np.eye(len(gp.L_)))
    by_others = y - gp.alpha_ / np.diag(precision)
    return {"rank_correlation": round(rank_correlation(y, by_others), 4), "n": len(y)}
