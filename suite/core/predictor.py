"""The predictor contract (scikit-learn's), and the one pure function that turns curves into
features.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from suite.core.errors import ConfigError, check_integer, unknown_name
from suite.core.seeds import stream
from suite.core.types import Curve, Rows

FeatureName = Literal["curve", "differences", "hyperparameters"]
FEATURES: tuple[FeatureName, ...] = get_args(FeatureName)


@dataclass(frozen=True, slots=True)
class Features:
    """What a predictor sees of a trial; Swift-Hyperband as published: the curve alone.

    use: which parts, in the order of FEATURES. every: each `every`-th epoch of the curve.
    Raises ConfigError for an unknown part, no part at all, or every < 1.
    Source: Baker et al. 2017 (arXiv 1705.10823), section 3.

    >>> Features(("curve", "differences")).rows([(4.0, 2.0, 1.0)])
    ((4.0, 2.0, 1.0, -2.0, -1.0, 1.0),)
    """

    use: tuple[FeatureName, ...] = ("curve",)
    every: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.use, str) or not isinstance(self.use, Sequence):
            raise ConfigError(
                f"predictor.features.use={self.use}: must be a list of {', '.join(FEATURES)}."
            )
        for name in self.use:
            if name not in FEATURES:
                raise unknown_name("predictor.features.use", name, FEATURES)
        if not self.use:
            raise ConfigError(
                f"predictor.features.use=[]: name at least one of {', '.join(FEATURES)}."
            )
        check_integer("predictor.features.every", self.every, 1)

    @classmethod
    def of(cls, spec: Features | Mapping[str, Any] | None) -> Features:
        """The features that YAML's `{use: [...], every: n}` describes; None: the defaults."""
        if isinstance(spec, Features):
            return spec
        if spec is not None and not isinstance(spec, Mapping):
            raise ConfigError(
                f"predictor.features={spec}: must be a mapping, {{use: [...], every: n}}, or null."
            )
        values = dict(spec or {})
        for name in values:
            if name not in ("use", "every"):
                raise unknown_name("predictor.features", name, ("use", "every"))
        if isinstance(values.get("use"), list):
            values["use"] = tuple(values["use"])
        return cls(**values)

    def rows(
        self, curves: Sequence[Curve], configs: Sequence[Sequence[float]] | None = None
    ) -> Rows:
        """One row a trial: its curve, first and second differences, encoded hyperparameters.

        Shapes: curves n x e (equal lengths), configs n x d in [0, 1] -> n x n_features.
        """
        rows = []
        for position, curve in enumerate(curves):
            seen = curve[:: self.every]
            row: list[float] = []
            if "curve" in self.use:
                row += seen
            if "differences" in self.use:
                first = np.diff(seen)
                row += [*first.tolist(), *np.diff(first).tolist()]
            if "hyperparameters" in self.use and configs is not None:
                row += configs[position]
            rows.append(tuple(float(x) for x in row))
        return tuple(rows)


CURVE_ALONE = Features()


class Predictor(ABC):
    """Extends curves: fit(X[n, n_features], y[n]), predict(X) -> (n,). An estimator without I/O.

    A constructor that takes `random_state` is given one that is addressed by the run's seed and the
    digest of the training set, so that the same question always meets the same random choices.
    Raises ValueError for shapes that do not fit, or non-finite numbers.
    """

    learns: bool = True
    """False: an ablation, whose answer is the mean of y."""

    def check(self) -> None:
        """Raise ConfigError for parameters out of range: before anything is trained."""
        return

    def warm_up(self) -> None:
        """Import what a fit needs: fit and predict a few made-up rows."""
        rows = np.array([[float(i), float(i * i)] for i in range(4)])
        self.fit(rows, rows[:, 0]).predict(rows)

    @abstractmethod
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self: ...

    @abstractmethod
    def predict(self, X: ArrayLike) -> NDArray[np.float64]: ...


def check_training_set(
    X: ArrayLike, y: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """X as (n, n_features) and y as (n,), finite, n >= 2; else ValueError."""
    X = np.asarray(X, dtype=float)
    y = np.asarray(y, dtype=float)
    if X.ndim != 2 or y.ndim != 1 or len(X) != len(y):
        raise ValueError(f"X.shape={X.shape}, y.shape={y.shape}: must be (n, n_features) and (n,).")
    if len(y) < 2:
        raise ValueError(f"n={len(y)}: needs at least 2 finished curves; train more trials first.")
    if not (np.isfinite(X).all() and np.isfinite(y).all()):
        raise ValueError("X or y holds NaN or infinity: leave diverged trials out.")
    return X, y


def subset(
    X: NDArray[np.float64], y: NDArray[np.float64], n: int | None, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`n` of the rows, drawn by `seed` and in their order; all where there are no more, or n=None.

    Predictors that are given the same rows, n and seed train on the same ones: comparisons need it.
    """
    if n is None or len(y) <= n:
        return X, y
    keep = np.sort(stream(seed, "points").choice(len(y), n, replace=False))
    return X[keep], y[keep]


def training_digest(X: Rows, y: Sequence[float]) -> str:
    """Twelve hex digits that name a training set: what a Predict's key carries of X and y."""
    hasher = hashlib.sha256()
    for row in (*X, y):
        hasher.update(np.asarray(row, dtype="<f8").tobytes())
    return hasher.hexdigest()[:12]
