"""Fit and threshold: train some trials in full, many in part, and finish those predicted well."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from suite.core.brackets import Plan, PlannedBracket, PlannedRung
from suite.core.curve_memory import CurveMemory
from suite.core.errors import ConfigError, check_integer
from suite.core.predictor import CURVE_ALONE, Features, training_digest
from suite.core.rounds import Rounds
from suite.core.scheduler import Round, ranking
from suite.core.types import Predict, Train


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
        features: Features = CURVE_ALONE,
    ) -> None:
        check_integer("max_epochs", max_epochs, 1)
        check_integer("n_full", n_full, 2)
        check_integer("n_partial", n_partial, 1)
        for name, share in (("known_share", known_share), ("quantile", quantile)):
            if not 0 < share < 1:
                raise ConfigError(f"{name}={share}: must lie between 0 and 1, both excluded.")
        self._n_full, self._quantile = n_full, quantile
        self._known_epochs = e = math.ceil(Fraction(str(known_share)) * max_epochs)
        self._memory = CurveMemory(Features.of(features))
        self._stopped: dict[int, int] = {}
        rung = PlannedRung(n_full + n_partial, max_epochs, 1, e if e < max_epochs else None)
        super().__init__(Plan((PlannedBracket(0, (rung,)),)), overlap=True)

    @property
    def stopped_at(self) -> Mapping[int, int]:
        return self._stopped

    def on_config(self, trial_id: int, x: Sequence[float]) -> None:
        self._memory.on_config(trial_id, x)

    @property
    def bracket_of(self) -> Mapping[int, int]:
        return {}

    def _bracket(self, bracket: PlannedBracket, trials: list[int]) -> Round:
        R, e = self.max_epochs, self._known_epochs
        full, partial = trials[: self._n_full], trials[self._n_full :]
        curves = yield [Train(t, R) for t in full] + [Train(t, e) for t in partial]
        if e == R:
            return
        known = {t: curves[t] for t in sorted(ranking({t: curves[t] for t in full}))}
        waiting = {t: curve for t in partial if (curve := curves[t]) is not None}
        chosen = list(waiting)
        if len(known) >= 2 and waiting:
            X, X_new = self._memory.rows(known, e), self._memory.rows(waiting, e)
            y = tuple(curve[R - 1] for curve in known.values())
            forecast = yield Predict(f"fit/epoch{e}/{training_digest(X, y)}", X, y, X_new)
            if forecast is not None:
                threshold = float(np.quantile(y, self._quantile))
                predicted = dict(zip(waiting, forecast, strict=True))
                chosen = [t for t, p in predicted.items() if p is None or p < threshold]
        self._stopped.update((t, e) for t in waiting if t not in set(chosen))
        yield [Train(t, R) for t in chosen]
