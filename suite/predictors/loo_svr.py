"""NuSVR with the error that it makes on a curve it has not seen: leave-one-out residuals."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from suite.core.predictor import check_training_set
from suite.predictors.svr import SVR


class LooSVR(SVR):
    """The SVR, and sigma: the standard deviation of y minus what the other curves predict of it.

    Shapes: as SVR; predict(X (m, n_features), return_std=True) -> (m,), (m,), sigma being one
    number for all rows. It costs n fits, once, and only where it is asked for. Scalers are fitted
    within each fold. Of two curves, each predicts the other's value.
    Raises ValueError for other shapes and non-finite numbers.
    Source: Baker et al. 2017 (arXiv 1705.10823): sigma of a Gaussian around the prediction.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        super().fit(X, y)
        self._X, self._y = check_training_set(X, y)
        self._sigma: float | None = None
        return self

    def predict(  # type: ignore[override]  # scikit-learn's: two arrays if asked for
        self, X: ArrayLike, return_std: bool = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        values = super().predict(X)
        if not return_std:
            return values
        if self._sigma is None:
            self._sigma = float(np.std(self._residuals()))
        return values, np.full(len(values), self._sigma)

    def _residuals(self) -> NDArray[np.float64]:
        from sklearn import config_context

        X, y = self._X, self._y
        if len(y) == 2:
            return y - y[::-1]
        residuals = np.empty(len(y))
        # fit() has checked everything; checking each fold again would take a quarter of the time
        with config_context(assume_finite=True, skip_parameter_validation=True):
            for i in range(len(y)):
                others = np.arange(len(y)) != i
                fold = SVR(self.nu, self.C, self.gamma).fit(X[others], y[others])
                residuals[i] = y[i] - fold.predict(X[i : i + 1])[0]
        return residuals
