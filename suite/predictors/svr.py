"""The classical predictor of the published runs: NuSVR on min-max scaled curves."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from suite.core.errors import check_integer
from suite.core.predictor import Predictor, check_training_set, subset


class SVR(Predictor):
    """NuSVR with an RBF kernel (library defaults: nu = 0.5, C = 1, gamma = "scale"); one scaler for
    X, one for y.

    max_samples: most training rows, drawn by `random_state`; None: all (as published).
    Shapes: fit X (n, n_features), y (n,), n >= 2; predict X (m, n_features) -> (m,).
    Raises ValueError for other shapes and non-finite numbers.
    Source: Garcia Amboage et al. 2023 (arXiv 2311.17508), section 3; Schölkopf et al. 2000
    (nu-SVR).

    >>> curves = [[1.0, 0.5], [2.0, 1.0], [3.0, 1.5]]
    >>> final = [0.4, 0.8, 1.2]
    >>> SVR().fit(curves, final).predict([[2.5, 1.2]]).shape
    (1,)
    """

    def __init__(
        self,
        nu: float = 0.5,
        C: float = 1.0,
        gamma: float | Literal["scale", "auto"] = "scale",
        max_samples: int | None = None,
        random_state: int | None = None,
    ) -> None:
        self.nu, self.C, self.gamma = nu, C, gamma
        self.max_samples, self.random_state = max_samples, random_state

    def check(self) -> None:
        if self.max_samples is not None:
            check_integer("max_samples", self.max_samples, 2, "(null: all)")

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        from sklearn.preprocessing import MinMaxScaler
        from sklearn.svm import NuSVR

        self.check()
        X, y = subset(*check_training_set(X, y), self.max_samples, self.random_state or 0)
        self._scale_X, self._scale_y = MinMaxScaler(), MinMaxScaler()
        scaled_X = self._scale_X.fit_transform(X)
        scaled_y = self._scale_y.fit_transform(y[:, None])[:, 0]
        self._svr = NuSVR(nu=self.nu, C=self.C, gamma=self.gamma).fit(scaled_X, scaled_y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        scaled = self._svr.predict(self._scale_X.transform(np.asarray(X, dtype=float)))
        return np.asarray(self._scale_y.inverse_transform(scaled[:, None])[:, 0])
