"""The ablation: a prediction that knows nothing."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from suite.core.predictor import Predictor, check_training_set


class Constant(Predictor):
    """The mean of y for every row; its standard deviation is that of y.

    A scheduler that saves epochs with it saves them by its quotas alone. Equal
    predictions leave the choice to the scheduler's order of ties: Swift-Hyperband finishes the
    first of a rung's partial trials (the better ones so far), as many as n_next lacks, or all of
    them where the mean lies below the threshold.

    Shapes: fit X (n, n_features), y (n,), n >= 2; predict X (m, n_features) -> (m,).
    Raises ValueError for other shapes and non-finite numbers.

    >>> Constant().fit([[1.0], [2.0]], [0.0, 1.0]).predict([[3.0]]).tolist()
    [0.5]
    """

    learns = False

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        X, y = check_training_set(X, y)
        self.n_features_in_ = X.shape[1]
        self._mean, self._std = float(y.mean()), float(y.std())
        return self

    def predict(  # type: ignore[override]  # scikit-learn's: two arrays if asked for
        self, X: ArrayLike, return_std: bool = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        X = np.asarray(X, dtype=float)
        if X.ndim != 2 or X.shape[1] != self.n_features_in_:
            raise ValueError(f"X.shape={X.shape}: must be (m, {self.n_features_in_}).")
        if not np.isfinite(X).all():
            raise ValueError("X holds NaN or infinity: leave diverged trials out.")
        values = np.full(len(X), self._mean)
        return (values, np.full(len(X), self._std)) if return_std else values
