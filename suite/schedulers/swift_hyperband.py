"""Swift-Hyperband: Hyperband with one decision point a rung, where a predictor stops trials."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from suite.core.brackets import Plan, PlannedBracket, PlannedRung, hyperband_plan
from suite.core.curve_memory import CurveMemory
from suite.core.errors import ConfigError, check_integer
from suite.core.predictor import CURVE_ALONE, Features, training_digest
from suite.core.rounds import Rounds
from suite.core.scheduler import Round, best, ranking
from suite.core.types import Curve, Predict, Rows, Train


class SwiftHyperband(Rounds):
    """Hyperband that trains part of each rung in full, predicts the rest, and finishes only what
    may matter.

    max_epochs: R, eta: η, n_curves: d, least curves for a predictor; full_share: k; known_share:
    known_curve, where between two rungs the decision point e lies; quantile: of the full
    objectives, below which a prediction is good. `features` says what a predictor sees (the
    predictor's YAML holds it; published: the curve alone).

    straight: a trial that is certain to be trained in full goes there in one job; False: every
    trial stops at the decision point, as published: the same result from more jobs.
    overlap=False is the published, deterministic form. overlap=True lets brackets share idle
    workers: a training set then holds the curves that happened to be finished, so only a prefix of
    the run is reproducible.

    Source: Garcia Amboage et al. 2023 (arXiv 2311.17508), Algorithm 2; Wulff et al. 2024 (Quantum
    Mach. Intell. 6:59).
    Deviation: the trials trained in full are chosen by position in the rung, not by arrival, so
    that timing cannot change the result. A rung whose predictor fails, or with fewer than two
    finite full curves, finishes every trial (the published rule takes the quantile of an empty
    list). Diverged trials do not count as full: the next by position takes their place.
    Raises ConfigError for a parameter outside its range.

    >>> scheduler = SwiftHyperband(max_epochs=27, eta=3, n_curves=4)
    >>> [rung.decision_epoch for rung in scheduler.plan().brackets[1].rungs]
    [2, 6, 18]
    """

    def __init__(
        self,
        max_epochs: int,
        eta: int,
        n_curves: int = 15,
        full_share: float = 0.5,
        known_share: float = 0.5,
        quantile: float = 0.25,
        overlap: bool = False,
        features: Features = CURVE_ALONE,
        straight: bool = True,
    ) -> None:
        plan = hyperband_plan(max_epochs, eta)
        check_integer("n_curves", n_curves, 2, "(published: 15)")
        for name, share in (
            ("full_share", full_share),
            ("known_share", known_share),
            ("quantile", quantile),
        ):
            if not 0 < share < 1:
                raise ConfigError(f"{name}={share}: must lie between 0 and 1, both excluded.")
        self._straight = straight
        self._n_curves, self._full_share, self._quantile = n_curves, full_share, quantile
        self._memory = CurveMemory(Features.of(features))
        # (r_i, e) -> training set
        self._frozen: dict[tuple[int, int], tuple[Rows, tuple[float, ...]]] = {}
        self._stopped: dict[int, int] = {}
        brackets = tuple(_with_decision_points(b, known_share) for b in plan.brackets)
        super().__init__(Plan(brackets), overlap=overlap)

    @property
    def deterministic(self) -> bool:
        return not self._overlap

    @property
    def stopped_at(self) -> Mapping[int, int]:
        return self._stopped

    def on_config(self, trial_id: int, x: Sequence[float]) -> None:
        self._memory.on_config(trial_id, x)

    def _observe(self, trial_id: int, curve: Curve | None) -> None:
        self._memory.observe(trial_id, curve)

    def _bracket(self, bracket: PlannedBracket, trials: list[int]) -> Round:
        for rung in bracket.rungs:
            # one epoch, or less: nothing could be saved
            if rung.decision_epoch is None:
                curves = yield [Train(t, rung.to_epoch) for t in trials]
                finished = dict(curves)
            else:
                finished = yield from self._rung(bracket.s, rung, rung.decision_epoch, trials)
            trials = best(finished, rung.n_next, rung.to_epoch)

    def _rung(self, s: int, rung: PlannedRung, e: int, trials: list[int]) -> Round:
        """One rung with its decision point at epoch e; returns the curves of the trials that were
        finished.
        """
        n_full = math.ceil(Fraction(str(self._full_share)) * rung.n_next)
        # What is certain to be trained in full goes there in one job. With overlap, other brackets
        # may still bring the missing curves before this rung reaches e.
        missing = 0 if self._overlap else self._n_curves - self._memory.n_known(rung.to_epoch)
        certain = trials[: max(n_full, missing)] if self._straight else []
        partial = trials[len(certain) :]
        curves = yield [Train(t, rung.to_epoch) for t in certain] + [Train(t, e) for t in partial]
        full: dict[int, Curve | None] = {t: curves[t] for t in certain}
        partial = [t for t in partial if curves[t] is not None]
        while partial:
            short = max(
                n_full - len(ranking(full)), self._n_curves - self._memory.n_known(rung.to_epoch)
            )
            if short <= 0:
                break
            batch, partial = partial[:short], partial[short:]
            full |= yield [Train(t, rung.to_epoch) for t in batch]
        if not partial:
            return full

        chosen = partial
        objectives = [curve[rung.to_epoch - 1] for t in ranking(full) if (curve := full[t])]
        if len(objectives) >= 2:
            X, y = self._training_set(rung.to_epoch, e)
            X_new = self._memory.rows({t: self._memory.curve(t) for t in partial}, e)
            key = f"bracket{s}/rung{rung.to_epoch}/epoch{e}/{training_digest(X, y)}"
            forecast = yield Predict(key, X, y, X_new)
            if forecast is not None:
                chosen = self._choose(
                    dict(zip(partial, forecast, strict=True)), objectives, rung.n_next
                )
        for trial_id in partial:
            if trial_id not in chosen:
                self._stopped[trial_id] = e
        full |= yield [Train(t, rung.to_epoch) for t in chosen]
        return full

    def _choose(
        self, predicted: dict[int, float | None], objectives: list[float], n_next: int
    ) -> list[int]:
        """The partial trials to finish: predicted below the threshold, and the best up to n_next in
        all.
        """
        # A row without a finite forecast is not evidence against its trial: it is finished.
        # Equal forecasts: by position, the rung's better ones first (sorted() is stable).
        ranked = sorted(predicted, key=lambda t: -math.inf if (p := predicted[t]) is None else p)
        threshold = float(np.quantile(objectives, self._quantile))
        n_below = sum(1 for p in predicted.values() if p is None or p < threshold)
        return ranked[: max(n_below, n_next - len(objectives))]

    def _training_set(self, to_epoch: int, e: int) -> tuple[Rows, tuple[float, ...]]:
        """All curves known at `to_epoch` when (to_epoch, e) is met first; frozen, as one predictor
        is fitted once.
        """
        if (to_epoch, e) not in self._frozen:
            self._frozen[to_epoch, e] = self._memory.training_set(to_epoch, e)
        return self._frozen[to_epoch, e]


def _with_decision_points(bracket: PlannedBracket, known_share: float) -> PlannedBracket:
    rungs, r_prev = [], 0
    for rung in bracket.rungs:
        # exact: in floats 0.55 of 100 epochs would be a little more than 55
        e = r_prev + math.ceil(Fraction(str(known_share)) * (rung.to_epoch - r_prev))
        rungs.append(dataclasses.replace(rung, decision_epoch=e if e < rung.to_epoch else None))
        r_prev = rung.to_epoch
    return PlannedBracket(bracket.s, tuple(rungs))
