"""How well curves are predicted: protocols, and R² of predictors by cell of a study.

Pure but for the clock. The door, which says what the protocols are, is suite.predictor_study.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.core.errors import ConfigError, DataError, check_integer, unknown_name
from suite.core.plugins import make
from suite.core.predictor import FeatureName, Features, Predictor
from suite.core.seeds import stream, stream_seed
from suite.core.types import Curve

Floats = NDArray[np.float64]
Split = tuple[Floats, Floats, Floats, Floats]
"""X_train, y_train, X_test, y_test."""

FRACTIONS = (0.1, 0.25, 0.5, 0.75)
SIZES = (10, 20, 40, 80)
USES: tuple[tuple[FeatureName, ...], ...] = (
    ("curve",), ("curve", "differences"), ("curve", "hyperparameters"), ("hyperparameters",),
)  # fmt: skip
MOST = 1e150
"""Size of a value whose square is still a float."""

BASE_SEED = 123  # random_state of the published notebook's first split


@dataclass(frozen=True, slots=True)
class Cell:
    """One setting: known fraction of the curve, number of training curves, features."""

    fraction: float = 0.25
    n_train: int = 20
    use: tuple[FeatureName, ...] = ("curve",)


PANELS: dict[str, tuple[str, tuple[Cell, ...]]] = {
    "fraction": ("known share of the curve", tuple(Cell(fraction=f) for f in FRACTIONS)),
    "n_train": ("training curves", tuple(Cell(n_train=n) for n in SIZES)),
    "features": ("features", tuple(Cell(use=use) for use in USES)),
}


@dataclass(frozen=True, slots=True)
class Curves:
    """A table's trainings that did not fail: of each configuration its curves, and its encoding."""

    name: str
    data: str
    metric: str
    n_epochs: int
    values: tuple[tuple[Curve, ...], ...]
    encoded: tuple[tuple[float, ...], ...]


def leak_free(curves: Curves, cell: Cell, split: int, seed: int) -> Split:
    rng = stream(seed, "predictors", split)
    order = rng.permutation(len(curves.values))
    drawn = [curves.values[i][rng.integers(len(curves.values[i]))] for i in order]
    known = max(1, round(cell.fraction * curves.n_epochs))
    rows = Features(cell.use).rows([c[:known] for c in drawn], [curves.encoded[i] for i in order])
    X, y, half = np.array(rows), np.array([c[-1] for c in drawn]), len(drawn) // 2
    n = _train_rows(curves, cell, half, "configurations")
    return X[:n], y[:n], X[half:], y[half:]


def published(curves: Curves, cell: Cell, split: int, seed: int) -> Split:
    if curves.n_epochs < 2:
        raise ConfigError(
            f"n_epochs={curves.n_epochs} in table {curves.name}: protocol published predicts the epoch "
            "before the last and needs 2; take leak_free or a longer table."
        )
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import QuantileTransformer

    rows = [
        (c, x)
        for of_configuration, x in zip(curves.values, curves.encoded, strict=True)
        for c in of_configuration
    ]
    rows.remove(max(rows, key=lambda row: row[0][-1]))
    known = max(1, round(cell.fraction * curves.n_epochs))
    seen = Features(cell.use, every=2).rows([c[:known] for c, _ in rows], [x for _, x in rows])
    y = np.array([c[-2] for c, _ in rows])
    n_quantiles = min(50, len(y))
    X = QuantileTransformer(n_quantiles=n_quantiles).fit_transform(np.array(seen))
    y = QuantileTransformer(n_quantiles=n_quantiles).fit_transform(y[:, None])[:, 0]
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=0.5, random_state=BASE_SEED + split + 100_000 * seed
    )
    n = _train_rows(curves, cell, len(y), "curves")
    return X[:n], y[:n], X_test, y_test


PROTOCOLS: dict[str, Callable[[Curves, Cell, int, int], Split]] = {
    "leak_free": leak_free,
    "published": published,
}


def _train_rows(curves: Curves, cell: Cell, n: int, what: str) -> int:
    if cell.n_train > n:
        raise ConfigError(
            f"n_train={cell.n_train}: half of table {curves.name} is {n} {what}; "
            "take fewer or a larger table."
        )
    return cell.n_train


def _published_svr() -> Any:
    from sklearn.svm import SVR

    return SVR(C=67.61, gamma=0.1, epsilon=0.02)


def study(
    curves: Curves, predictors: Mapping[str, Mapping[str, Any]], protocol: str, n_splits: int,
    seed: int = 0,
) -> list[dict[str, Any]]:  # fmt: skip
    """One row for each predictor and cell. predictors: name -> leaf of conf/predictor.

    r2_sd: over splits (n - 1). spearman_mean: what a scheduler that only ranks gains; None where a
    prediction is constant, or every value is.

    Raises ConfigError for a wrong argument, DataError where values are too large for R².
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    check_integer("splits", n_splits, 2)
    check_integer("seed", seed, 0)
    if not predictors:
        raise ConfigError("predictors=none: must name one or more; see conf/predictor.")
    largest = max((abs(v) for repeats in curves.values for c in repeats for v in c), default=0.0)
    if largest > MOST:
        raise DataError(
            f"table {curves.name}: a value of {largest:g}: must be at most {MOST:g}, as R² squares it; scale "
            "the table's curves."
        )
    cells = list(dict.fromkeys(cell for _, of_panel in PANELS.values() for cell in of_panel))
    rows = []
    for cell in cells:
        splits = [PROTOCOLS[protocol](curves, cell, i, seed) for i in range(n_splits)]
        for name, spec in predictors.items():
            leaf = {key: value for key, value in spec.items() if key != "features"}
            scores = []
            for i, split in enumerate(splits):
                as_published = protocol == "published" and name == "svr"
                predictor = _published_svr() if as_published else make(leaf, "predictor", Predictor)
                predictor.random_state = stream_seed(seed, "predictors", name, i) % 2**31
                scores.append(_score(predictor, split))
            rows.append(_row(curves, name, protocol, cell, scores))
    return rows


def _score(predictor: Any, split: Split) -> tuple[float, float | None, float | None, float]:
    """R², R² with its arguments swapped, rank correlation, and seconds of the fit."""
    from scipy.stats import spearmanr
    from sklearn.metrics import r2_score

    X, y, X_test, y_test = split
    begun = time.perf_counter()
    predictor.fit(X, y)
    fit_s = time.perf_counter() - begun
    values = predictor.predict(X_test)
    r2 = float(r2_score(y_test, values))
    if np.ptp(values) == 0 or np.ptp(y_test) == 0:
        return r2, None, None, fit_s
    rho = float(spearmanr(y_test, values).statistic)
    return r2, float(r2_score(values, y_test)), rho, fit_s


def _row(
    curves: Curves, name: str, protocol: str, cell: Cell, scores: Sequence[tuple[Any, ...]]
) -> dict[str, Any]:
    r2, swapped, rho, fit_s = zip(*scores, strict=True)
    if not np.isfinite([v for v in (*r2, *swapped, *rho) if v is not None]).all():
        raise DataError(
            f"table {curves.name}: R² or rank correlation of {name} is not finite: values that differ by too "
            "little to be squared; scale the table's curves."
        )
    row = {
        "table": curves.name, "predictor": name, "protocol": protocol, "fraction": cell.fraction,
        "n_train": cell.n_train, "features": "+".join(cell.use),
        "r2_mean": statistics.fmean(r2), "r2_sd": statistics.stdev(r2),
        "r2_median": statistics.median(r2),
        "spearman_mean": None if None in rho else statistics.fmean(rho),
        "n_splits": len(r2), "fit_s_median": statistics.median(fit_s),
    }  # fmt: skip
    if protocol == "published":
        row["r2_swapped_mean"] = None if None in swapped else statistics.fmean(swapped)
        row["r2_swapped_sd"] = None if None in swapped else statistics.stdev(swapped)
    return row
