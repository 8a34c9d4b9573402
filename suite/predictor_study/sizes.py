"""By number of training curves: R², its spread, the fit's processor seconds, and what was predicted."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.core.errors import ConfigError, check_integer
from suite.core.plugins import make
from suite.core.predictor import Predictor
from suite.core.seeds import stream_seed
from suite.predictor_study.protocols import PROTOCOLS, Cell, Curves

Floats = NDArray[np.float64]
SIZES = (5, 10, 20, 40, 80, 150, 200)
"""The published figures go from 5 to 200 training curves."""
POINTS_OF = 3
"""Splits whose predictions are drawn against the truth."""


@dataclass(frozen=True, slots=True)
class SizeRow:
    """A predictor with so many training curves. r2: one a split; fit_s: processor seconds, one a split;
    true, predicted: of the test curves of the first POINTS_OF splits, in the metric's unit.
    """

    predictor: str
    n_train: int
    r2: tuple[float, ...]
    fit_s: tuple[float, ...]
    true: tuple[float, ...] = ()
    predicted: tuple[float, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Plain JSON: best, worst, mean, sd (n - 1) and n of R², quartiles of the fit's seconds."""
        low, middle, high = np.quantile(self.fit_s, (0.25, 0.5, 0.75)).tolist()
        return {
            "predictor": self.predictor, "n_train": self.n_train, "n_splits": len(self.r2),
            "r2_best": max(self.r2), "r2_worst": min(self.r2), "r2_mean": statistics.fmean(self.r2),
            "r2_sd": statistics.stdev(self.r2), "fit_cpu_s_low": low, "fit_cpu_s_median": middle,
            "fit_cpu_s_high": high,
        }  # fmt: skip


def sizes_study(
    curves: Curves, predictors: Mapping[str, Mapping[str, Any]], sizes: Sequence[int], n_splits: int,
    seed: int = 0, row_s: float | None = None,
) -> list[SizeRow]:  # fmt: skip
    """A row a predictor and size, leak-free, a quarter of each curve known; all meet the same splits.

    predictors: name -> leaf of conf/predictor. Sizes beyond half of the table's configurations are left out.
    row_s: processor seconds of fits after which a row takes no further split (two it has at least), and after
    a row whose two splits took longer its predictor is asked for no larger size; None: no limit.
    Raises ConfigError for a wrong argument, or where no size is left.
    """
    check_integer("splits", n_splits, 2)
    check_integer("seed", seed, 0)
    if row_s is not None and not 0 < row_s < math.inf:
        raise ConfigError(
            f"row_s={row_s}: must be greater than 0 and finite; leave it out for no limit."
        )
    for size in sizes:
        check_integer("sizes", size, 2)
    half = len(curves.values) // 2
    kept = [size for size in dict.fromkeys(sizes) if size <= half]
    if not kept:
        raise ConfigError(
            f"sizes={min(sizes, default=0)}: half of table {curves.name} is {half} configurations; take "
            "fewer training curves or a larger table."
        )
    if not predictors:
        raise ConfigError("predictors=none: must name one or more; see conf/predictor.")
    for leaf in predictors.values():
        # Imports and first kernels are no fit's.
        _made(leaf).warm_up()
    rows: list[SizeRow] = []
    too_slow: set[str] = set()
    for size in sorted(kept):
        for name, leaf in predictors.items():
            if name not in too_slow:
                rows.append(_row(curves, name, leaf, size, n_splits, seed, row_s or math.inf))
                if row_s is not None and sum(rows[-1].fit_s[:2]) > row_s:
                    too_slow.add(name)
    return rows


def _made(leaf: Mapping[str, Any]) -> Any:
    return make({k: v for k, v in leaf.items() if k != "features"}, "predictor", Predictor)


def _row(
    curves: Curves,
    name: str,
    leaf: Mapping[str, Any],
    size: int,
    n_splits: int,
    seed: int,
    row_s: float,
) -> SizeRow:
    from sklearn.metrics import r2_score

    r2: list[float] = []
    fit_s: list[float] = []
    true: list[float] = []
    predicted: list[float] = []
    for split in range(n_splits):
        if split >= 2 and sum(fit_s) > row_s:
            break
        X, y, X_test, y_test = PROTOCOLS["leak_free"](curves, Cell(n_train=size), split, seed)
        predictor = _made(leaf)
        predictor.random_state = stream_seed(seed, "predictors", name, split) % 2**31
        begun = time.process_time()
        predictor.fit(X, y)
        fit_s.append(time.process_time() - begun)
        values = predictor.predict(X_test)
        r2.append(float(r2_score(y_test, values)))
        if split < POINTS_OF:
            true += y_test.tolist()
            predicted += values.tolist()
    return SizeRow(name, size, tuple(r2), tuple(fit_s), tuple(true), tuple(predicted))
