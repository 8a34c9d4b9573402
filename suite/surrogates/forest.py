"""A forest of extremely randomised trees: encoded hyperparameters to objective."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from suite.core.seeds import stream, stream_seed


class Forest:
    """Extremely randomised trees, each on all of the data, as scikit-learn grows them.

    fit(X[n, d], y[n]), predict(X[m, d]) -> (m,). A function of its arguments and `seed`. Trees are
    grown one by one because ExtraTreesRegressor's own bookkeeping costs as much again.
    Source: Geurts et al. 2006 (Machine Learning 63:3), K = d.
    Raises ValueError for n < 2 or non-finite numbers.
    """

    def __init__(self, n_trees: int = 60, min_leaf: int = 2, seed: int = 0) -> None:
        self._n_trees, self._min_leaf, self._seed = n_trees, min_leaf, seed

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        X, y = _checked(X, y)
        with _unchecked():
            self._trees = [self._tree(i).fit(X, y, check_input=False) for i in range(self._n_trees)]
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        X = np.ascontiguousarray(X, dtype=np.float32)
        total = np.zeros(len(X))
        for tree in self._trees:
            total += tree.tree_.predict(X)[:, 0]
        return total / len(self._trees)

    def _tree(self, i: int) -> Any:
        from sklearn.tree import ExtraTreeRegressor

        seed = stream_seed(self._seed, "tree", i) % 2**32
        return ExtraTreeRegressor(min_samples_leaf=self._min_leaf, random_state=seed)

    def out_of_bag(self, X: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """For each row the mean prediction of trees that were grown without it: (n,).

        Of trees on bootstrap samples: those of `fit` have seen every row.
        """
        return self._bagged(X, y)[1]

    def fit_out_of_bag(self, X: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """`out_of_bag`, and its trees are kept: `predict` answers by them. As a random forest does it."""
        self._trees, answers = self._bagged(X, y)
        return answers

    def _bagged(self, X: ArrayLike, y: ArrayLike) -> tuple[list[Any], NDArray[np.float64]]:
        """Trees on bootstrap samples, and their out-of-bag predictions."""
        X, y = _checked(X, y)
        total, count = np.zeros(len(y)), np.zeros(len(y))
        rng = stream(self._seed, "bootstrap")
        trees = []
        for i in range(self._n_trees):
            drawn = rng.integers(0, len(y), len(y))
            out = np.ones(len(y), dtype=bool)
            out[drawn] = False
            with _unchecked():
                trees.append(self._tree(i).fit(X[drawn], y[drawn], check_input=False))
            if out.any():
                total[out] += trees[-1].tree_.predict(X[out])[:, 0]
                count[out] += 1
        return trees, np.where(count > 0, total / np.maximum(count, 1), y.mean())


class MeasuredForest:
    """Measures each forest before it is used, and keeps the measurements for the record.

    least: out-of-bag rank correlation below which a forest is not used. fallback: the name of the
    rule that decides then, and as long as there is no forest.
    """

    def __init__(self, least: float, fallback: str) -> None:
        self._least, self._fallback = least, fallback
        self._correlations: list[float] = []
        self._n_distrusted = 0

    def fitted(self, X: ArrayLike, y: ArrayLike) -> Forest | None:
        """A forest of X (n, d), y (n,); None: it cannot rank trials that it has not seen."""
        forest = Forest()
        self._correlations.append(rank_correlation(forest.out_of_bag(X, y), y))
        if self._correlations[-1] < self._least:
            self._n_distrusted += 1
            return None
        return forest.fit(X, y)

    @property
    def diagnostics(self) -> dict[str, Any]:
        """Number of fits, first and last correlation, and how often the fallback decided."""
        measured = self._correlations
        return {
            "fits": len(measured),
            "out_of_bag_rank_correlation": {
                "first": round(measured[0], 4) if measured else None,
                "last": round(measured[-1], 4) if measured else None,
            },
            "least_correlation": self._least,
            "distrusted": self._n_distrusted,
            "fallback": self._fallback if not measured or self._n_distrusted else None,
        }


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's, ties at their mean rank; 0 where one side is constant."""
    from scipy.stats import rankdata

    ranks = [rankdata(side) for side in (a, b)]
    if any(np.ptp(side) == 0 for side in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _unchecked() -> Any:
    """Skip scikit-learn's validation (a fifth of a small fit); inputs are validated in `_checked`."""
    from sklearn import config_context

    return config_context(skip_parameter_validation=True, assume_finite=True)


def _checked(X: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    X = np.ascontiguousarray(X, dtype=np.float32)
    y = np.ascontiguousarray(y, dtype=float)
    if X.ndim != 2 or X.shape[1] < 1 or y.shape != (len(X),) or len(y) < 2:
        raise ValueError(
            f"X.shape={X.shape}, y.shape={y.shape}: must be (n, d >= 1), (n,), n >= 2."
        )
    if not (np.isfinite(X).all() and np.isfinite(y).all()):
        raise ValueError("X or y holds NaN or infinity: leave diverged trials out.")
    return X, y
