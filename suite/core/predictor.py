"""The predictor contract (scikit-learn's), and the one pure function that turns curves into
features.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from suite.core.errors import ConfigError, unknown_name
from suite.core.seeds import stream
from suite.core.types import Curve, Rows

FEATURES = ("curve", "differences", "hyperparameters")


class Predictor(ABC):
    """Extends curves: fit(X[n, n_features], y[n]), predict(X) -> (n,). An estimator without I/O.

    `random_state` is set by the suite from the run's seed and the digest of the training set, so
    that the same question always meets the same random choices. Raises ValueError for shapes that
    do not fit, or non-finite numbers.
    """

    random_state: int | None = None
    learns: bool = True
    """False: an ablation, whose answer is the mean of y."""

    sampler_used_: str | None = None
    sampler_info_: Mapping[str, Any] | None = None
    recordings: Any = None
    """Where an annealed predictor keeps what its device answered; the suite sets it."""

    def check(self) -> None:
        """Raise ConfigError for parameters out of range: before anything is trained."""
        return

    def warm_up(self) -> None:
        """Import what a fit needs, by a question whose answer nobody wants."""
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
        raise ValueError(
            f"n={len(y)}: a predictor needs at least two curves; lower nothing, wait for more."
        )
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


def features(
    curves: Sequence[Curve],
    configs: Sequence[Sequence[float]] | None = None,
    use: Sequence[str] = ("curve",),
    every: int = 1,
) -> Rows:
    """One row a trial: its curve (each `every`-th epoch), first and second differences, encoded
    hyperparameters.

    Shapes: curves n x e (equal lengths), configs n x d in [0, 1] -> n x n_features.
    Raises ConfigError for an unknown name in `use` or every < 1.
    Source: Baker et al. 2017 (arXiv 1705.10823), section 3; Swift-Hyperband as published uses the
    curve alone.
    """
    for name in use:
        if name not in FEATURES:
            raise unknown_name("predictor.features.use", name, FEATURES)
    if every < 1:
        raise ConfigError(f"predictor.features.every={every}: must be an integer >= 1.")
    rows = []
    for position, curve in enumerate(curves):
        row: list[float] = []
        if "curve" in use:
            row += curve[::every]
        if "differences" in use:
            first = np.diff(curve[::every])
            row += [*first.tolist(), *np.diff(first).tolist()]
        if "hyperparameters" in use and configs is not None:
            row += configs[position]
        rows.append(tuple(float(x) for x in row))
    return tuple(rows)


def check_features(spec: Any) -> dict[str, Any]:
    """`{use: [...], every: n}` from YAML, checked; missing keys take the published values."""
    spec = dict(spec or {})
    for name in spec:
        if name not in ("use", "every"):
            raise unknown_name("predictor.features", name, ("use", "every"))
    use, every = tuple(spec.get("use", ("curve",))), int(spec.get("every", 1))
    if not use:
        raise ConfigError(f"predictor.features.use=[]: name at least one of {', '.join(FEATURES)}.")
    features([], use=use, every=every)  # checks both
    return {"use": use, "every": every}


def digest(X: Rows, y: Sequence[float]) -> str:
    """Twelve hex digits that name a training set: what a Predict's key carries of X and y."""
    found = hashlib.sha256()
    for row in (*X, y):
        found.update(np.asarray(row, dtype="<f8").tobytes())
    return found.hexdigest()[:12]
