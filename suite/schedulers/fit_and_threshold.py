"""Fit and threshold: train some trials in full, many in part, and finish those predicted well."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from suite.core.brackets import Plan, PlannedBracket, Rung
from suite.core.errors import ConfigError, check_integer
from suite.core.predictor import check_features, digest, features
from suite.core.scheduler import Round, Rounds, rank
from suite.core.types import Curve, Predict, Rows, Train


class FitAndThreshold(Rounds):
    """Train n_full trials to max_epochs, n_partial to a share of it; fit; finish the promising.

    max_epochs: R, n_full: M, n_partial: N, known_share: the share of R that a partial trial gets;
    quantile: of the full objectives, below which a prediction is good. `features` says what a
    predictor sees. One question a run, so no order of completion changes anything.
    Source: Aach et al. 2023, as the Swift-Hyperband papers (arXiv 2311.17508) tell it.
    Deviation: with fewer than two finite full curves, or no predictor, all partial trials are
    finished, and so is one without a finite prediction.
    Raises ConfigError for a parameter outside its range.
    """

    def __init__(
        self,
        max_epochs: int,
        n_full: int = 15,
        n_partial: int = 45,
        known_share: float = 0.25,
        quantile: float = 0.25,
        features: Mapping[str, Any] | None = None,
    ) -> None:
        check_integer("max_epochs", max_epochs, 1)
        check_integer("n_full", n_full, 2)
        check_integer("n_partial", n_partial, 1)
        for name, share in (("known_share", known_share), ("quantile", quantile)):
            if not 0 < share < 1:
                raise ConfigError(f"{name}={share}: must lie between 0 and 1, both excluded.")
        self._max_epochs, self._quantile = max_epochs, quantile
        self._n_full, self._n_partial = n_full, n_partial
        self._known_epochs = math.ceil(Fraction(str(known_share)) * max_epochs)
        self._features = check_features(features)
        self._configs: dict[int, Sequence[float]] = {}
        self._stopped: dict[int, int] = {}
        super().__init__([self._bracket()], overlap=True)

    @property
    def max_epochs(self) -> int:
        return self._max_epochs

    @property
    def stopped(self) -> Mapping[int, int]:
        return self._stopped

    def plan(self) -> Plan:
        e = self._known_epochs if self._known_epochs < self._max_epochs else None
        return Plan(
            (PlannedBracket(0, (Rung(self._n_full + self._n_partial, self._max_epochs, 1, e),)),)
        )

    def meet(self, trial_id: int, x: Sequence[float]) -> None:
        self._configs[trial_id] = x

    def _bracket(self) -> Round:
        R, e = self._max_epochs, self._known_epochs
        full = range(self._n_full)
        partial = range(self._n_full, self._n_full + self._n_partial)
        curves = yield [Train(t, R) for t in full] + [Train(t, e) for t in partial]
        if e == R:
            return
        known = {t: curves[t] for t in sorted(rank({t: curves[t] for t in full}))}
        waiting = {t: curve for t in partial if (curve := curves[t]) is not None}
        chosen = list(waiting)
        if len(known) >= 2 and waiting:
            X, X_new = self._rows(known), self._rows(waiting)
            y = tuple(curve[R - 1] for curve in known.values())
            forecast = yield Predict(f"fit/epoch{e}/{digest(X, y)}", X, y, X_new)
            if forecast is not None:
                threshold = float(np.quantile(y, self._quantile))
                predicted = dict(zip(waiting, forecast, strict=True))
                chosen = [t for t, p in predicted.items() if p is None or p < threshold]
        self._stopped.update((t, e) for t in waiting if t not in set(chosen))
        yield [Train(t, R) for t in chosen]

    def _rows(self, curves: Mapping[int, Curve]) -> Rows:
        configs = [self._configs.get(t, ()) for t in curves]
        known = [curve[: self._known_epochs] for curve in curves.values()]
        return features(known, configs, **self._features)
