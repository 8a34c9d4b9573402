"""Several small regressors in place of a large one: for more samples than an annealer can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Protocol, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from suite.annealing.annealed import Annealed
from suite.core.errors import check_integer, unknown_name
from suite.core.plugins import make
from suite.core.predictor import Predictor
from suite.core.seeds import stream, stream_seed
from suite.predictors.qsvr import QSVR

Floats = NDArray[np.float64]
Combine = Literal["mean", "published"]


class Regressor(Protocol):
    """The part of a scikit-learn regressor that is used."""

    def fit(self, X: ArrayLike, y: ArrayLike) -> Any: ...

    def predict(self, X: ArrayLike) -> Any: ...


class Ensemble(RegressorMixin, BaseEstimator, Annealed, Predictor):  # type: ignore[misc]  # sklearn is untyped
    """The (weighted) mean of regressors that each train on at most `max_samples` of the rows.

    Rows are shuffled and dealt like cards: with n_estimators=None there are as many members as it
    takes for each row to be dealt once; more members go through further shuffles (bagging without
    replacement inside a member).
    estimator: a scikit-learn regressor, a YAML leaf that names one (`_target_` and arguments), or
    None for QSVR(). Each member gets a random_state of its own.
    combine: "mean", or "published": weights max(0, R²) on the rows that a member did not see (equal
    where none is positive).

    Attributes: estimators_, weights_ (they sum to 1), n_features_in_, sampler_info_ (sums over
    members).
    Shapes: fit X (n, n_features), y (n,), n >= 2; predict X (m, n_features) -> (m,), and with
    return_std=True the members' weighted standard deviation (m,) besides.
    Raises what its members raise.
    Source: Pasetto et al. 2022 (IEEE QCE), section IV: 80 rows as 4 x 20. Deviation: the published
    weights take the best of seven ways of combining reads on those rows; here a member has one.
    """

    def __init__(
        self,
        estimator: Regressor | Mapping[str, Any] | None = None,
        n_estimators: int | None = None,
        max_samples: int = 20,
        combine: Combine = "mean",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator, self.n_estimators = estimator, n_estimators
        self.max_samples, self.combine, self.random_state = max_samples, combine, random_state

    def check(self) -> None:
        check_integer("max_samples", self.max_samples, 2)
        if self.n_estimators is not None:
            check_integer("n_estimators", self.n_estimators, 1)
        if self.combine not in get_args(Combine):
            raise unknown_name("combine", self.combine, get_args(Combine))
        if isinstance(member := self._member(), Predictor):
            member.check()

    def warm_up(self) -> None:
        if isinstance(member := self._member(), Predictor):
            member.warm_up()

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        self.check()
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        X, y = np.asarray(X), np.asarray(y, dtype=float)
        seed = self.random_state
        if seed is None or not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31)
        hands = _deal(len(y), self.max_samples, self.n_estimators, int(seed))
        self.estimators_: list[Any] = []
        scores = []
        for number, rows in enumerate(hands):
            member = self._member()
            if "random_state" in member.get_params():
                member.set_params(random_state=stream_seed(int(seed), "member", number) % 2**31)
            if isinstance(member, Annealed):
                member.recordings = self.recordings
            self.estimators_.append(member.fit(X[rows], y[rows]))
            if self.combine == "published":
                rest = np.setdiff1d(np.arange(len(y)), rows)
                judged = len(rest) >= 2 and np.ptp(y[rest]) > 0
                scores.append(r2_score(y[rest], member.predict(X[rest])) if judged else 0.0)
        weights = np.maximum(scores, 0.0) if scores else np.zeros(len(hands))
        total = float(weights.sum())
        self.weights_ = weights / total if total > 0 else np.full(len(hands), 1 / len(hands))
        self._sum_sampler_info()
        return self

    def predict(self, X: ArrayLike, return_std: bool = False) -> Any:
        check_is_fitted(self, "estimators_")
        X = validate_data(self, X, dtype=np.float64, reset=False)
        each = np.array([member.predict(X) for member in self.estimators_])
        mean = self.weights_ @ each
        if not return_std:
            return mean
        return mean, np.sqrt(self.weights_ @ (each - mean) ** 2)

    def _member(self) -> Any:
        if self.estimator is None:
            return QSVR()
        if isinstance(self.estimator, Mapping):
            return make(self.estimator, "predictor.estimator", Predictor)
        return clone(self.estimator)

    def _sum_sampler_info(self) -> None:
        infos = [i for m in self.estimators_ if (i := getattr(m, "sampler_info_", None))]
        used = {name for m in self.estimators_ if (name := getattr(m, "sampler_used_", None))}
        self.sampler_used_ = " and ".join(sorted(used)) or None
        if not infos:
            self.sampler_info_ = None
            return
        whole = {**infos[-1]}
        for name in ("n_calls", "n_reads", "qpu_access_time_s"):
            if numbers := [info[name] for info in infos if name in info]:
                whole[name] = sum(numbers)
        breaks = [info["chain_break_fraction"] for info in infos if "chain_break_fraction" in info]
        if breaks:
            whole["chain_break_fraction"] = float(np.mean(breaks))
        for info in infos:
            whole |= {name: info[name] for name in info if name.startswith("fallback")}
        self.sampler_info_ = whole


def _deal(n: int, size: int, members: int | None, seed: int) -> list[NDArray[np.intp]]:
    """Row numbers of each member, sorted: even shares of the rows, shuffle after shuffle."""
    # a member needs two rows
    shuffle_members = max(1, min(math.ceil(n / size), n // 2))
    members = members or shuffle_members
    hands: list[NDArray[np.intp]] = []
    while len(hands) < members:
        order = stream(seed, "deal", len(hands)).permutation(n)
        hands += [np.sort(hand) for hand in np.array_split(order, shuffle_members)]
    return hands[:members]
