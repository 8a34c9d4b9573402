"""The exact solution of the regression that QSVR anneals: epsilon-SVR with an RBF kernel."""

from __future__ import annotations

from numbers import Real
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from suite.core.errors import ConfigError, check_integer
from suite.core.predictor import Predictor, check_training_set, subset


class EpsilonSVR(Predictor):
    """Epsilon-SVR with QSVR's defaults and scaling, its dual solved exactly by scikit-learn: the pair of
    QSVR(encoding="zoom"), so that annealing is compared with exact and not one tuning with another.

    C, gamma, epsilon: as of QSVR (gamma a number, or "scale"), on min-max scaled X and y. max_samples: most
    training rows, the same as QSVR draws for the same `random_state`; None: all.
    Difference that stays: QSVR puts the weight xi on (sum beta)^2 where this one has the constraint
    sum beta = 0.
    Shapes: fit X (n, n_features), y (n,), n >= 2; predict X (m, n_features) -> (m,).
    Raises ConfigError for parameters out of range, ValueError for other shapes and non-finite numbers.
    Source: Smola and Schölkopf 2004 (Statistics and Computing 14:199).

    >>> model = EpsilonSVR().fit([[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 2.0, 3.0])
    >>> model.predict([[1.5]]).round(1).tolist()
    [1.5]
    """

    def __init__(
        self,
        C: float = 5.0,
        gamma: float | Literal["scale"] = 0.05,
        epsilon: float = 0.02,
        max_samples: int | None = None,
        random_state: int | None = None,
    ) -> None:
        self.C, self.gamma, self.epsilon = C, gamma, epsilon
        self.max_samples, self.random_state = max_samples, random_state

    def check(self) -> None:
        for name, value in (("C", self.C), ("gamma", self.gamma), ("epsilon", self.epsilon)):
            if name == "gamma" and value == "scale":
                continue
            number = float(value) if isinstance(value, Real) else np.nan
            if not (0 < number < np.inf or (name == "epsilon" and number == 0)):
                least = "0 or greater" if name == "epsilon" else "greater than 0"
                raise ConfigError(f"{name}={value}: must be {least} and finite.")
        if self.max_samples is not None:
            check_integer("max_samples", self.max_samples, 2, "(null: all)")

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        from sklearn.preprocessing import MinMaxScaler
        from sklearn.svm import SVR

        self.check()
        X, y = subset(*check_training_set(X, y), self.max_samples, self.random_state or 0)
        self._scale_X, self._scale_y = MinMaxScaler(), MinMaxScaler()
        scaled_X = self._scale_X.fit_transform(X)
        scaled_y = self._scale_y.fit_transform(y[:, None])[:, 0]
        self._svr = SVR(C=self.C, gamma=self.gamma, epsilon=self.epsilon).fit(scaled_X, scaled_y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        scaled = self._svr.predict(self._scale_X.transform(np.asarray(X, dtype=float)))
        return np.asarray(self._scale_y.inverse_transform(scaled[:, None])[:, 0])
