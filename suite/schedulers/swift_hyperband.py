"""Swift-Hyperband: Hyperband with one decision point a rung, where a predictor stops trials."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from suite.core.brackets import Plan, PlannedBracket, Rung, hyperband_plan
from suite.core.errors import ConfigError, check_integer
from suite.core.predictor import check_features, features
from suite.core.scheduler import Round, Rounds, best, rank
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
        features: Mapping[str, Any] | None = None,
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
        self._max_epochs, self._overlap_brackets = max_epochs, overlap
        self._straight = straight
        self._n_curves, self._full_share, self._quantile = n_curves, full_share, quantile
        self._features = check_features(features)
        self._plan = Plan(tuple(_with_decision_points(b, known_share) for b in plan.brackets))
        self._known: dict[int, Curve] = {}  # every curve told so far; a diverged trial is not in it
        self._configs: dict[int, Sequence[float]] = {}
        self._frozen: dict[
            tuple[int, int], tuple[Rows, tuple[float, ...]]
        ] = {}  # (r_i, e) -> training set
        self._stopped: dict[int, int] = {}
        assigned = self._plan.assigned()
        self._bracket_of = {t: bracket.s for bracket, trials in assigned for t in trials}
        rounds = [self._bracket(bracket, trials) for bracket, trials in assigned]
        super().__init__(rounds, overlap=overlap)

    @property
    def max_epochs(self) -> int:
        return self._max_epochs

    @property
    def deterministic(self) -> bool:
        return not self._overlap_brackets

    @property
    def stopped(self) -> Mapping[int, int]:
        return self._stopped

    @property
    def bracket_of(self) -> Mapping[int, int]:
        return self._bracket_of

    def plan(self) -> Plan:
        return self._plan

    def meet(self, trial_id: int, x: Sequence[float]) -> None:
        self._configs[trial_id] = x

    def _observe(self, trial_id: int, curve: Curve | None) -> None:
        if curve is None:
            self._known.pop(trial_id, None)
        else:
            self._known[trial_id] = curve

    def _bracket(self, bracket: PlannedBracket, trials: list[int]) -> Round:
        for rung in bracket.rungs:
            if rung.decision_epoch is None:  # one epoch, or less: nothing could be saved
                curves = yield [Train(t, rung.to_epoch) for t in trials]
                finished = dict(curves)
            else:
                finished = yield from self._rung(bracket.s, rung, rung.decision_epoch, trials)
            trials = best(finished, rung.n_next, rung.to_epoch)

    def _rung(self, s: int, rung: Rung, e: int, trials: list[int]) -> Round:
        """One rung with its decision point at epoch e; returns the curves of the trials that were
        finished.
        """
        n_full = math.ceil(Fraction(str(self._full_share)) * rung.n_next)
        # What is certain to be trained in full goes there in one job. With overlap, other brackets
        # may still bring the missing curves before this rung reaches e.
        missing = 0 if self._overlap_brackets else self._n_curves - self._n_known(rung.to_epoch)
        certain = trials[: max(n_full, missing)] if self._straight else []
        partial = trials[len(certain) :]
        curves = yield [Train(t, rung.to_epoch) for t in certain] + [Train(t, e) for t in partial]
        full: dict[int, Curve | None] = {t: curves[t] for t in certain}
        partial = [t for t in partial if curves[t] is not None]
        while partial:
            short = max(n_full - len(rank(full)), self._n_curves - self._n_known(rung.to_epoch))
            if short <= 0:
                break
            batch, partial = partial[:short], partial[short:]
            full |= yield [Train(t, rung.to_epoch) for t in batch]
        if not partial:
            return full

        chosen = partial
        objectives = [curve[rung.to_epoch - 1] for t in rank(full) if (curve := full[t])]
        if len(objectives) >= 2:
            known = {t: self._known[t] for t in partial}
            X, y = self._training_set(rung.to_epoch, e)
            X_new = self._rows(known, e)
            forecast = yield Predict(_key(s, rung.to_epoch, e, X, y), X, y, X_new)
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

    def _n_known(self, to_epoch: int) -> int:
        return sum(1 for curve in self._known.values() if len(curve) >= to_epoch)

    def _training_set(self, to_epoch: int, e: int) -> tuple[Rows, tuple[float, ...]]:
        """All curves known at `to_epoch` when (to_epoch, e) is met first; frozen, as one predictor
        is fitted once.
        """
        if (to_epoch, e) not in self._frozen:
            known = {t: c for t, c in sorted(self._known.items()) if len(c) >= to_epoch}
            y = tuple(curve[to_epoch - 1] for curve in known.values())
            self._frozen[to_epoch, e] = (self._rows(known, e), y)
        return self._frozen[to_epoch, e]

    def _rows(self, curves: Mapping[int, Curve], e: int) -> Rows:
        configs = [self._configs.get(t, ()) for t in curves]
        return features([curve[:e] for curve in curves.values()], configs, **self._features)


def _with_decision_points(bracket: PlannedBracket, known_share: float) -> PlannedBracket:
    rungs, r_prev = [], 0
    for rung in bracket.rungs:
        # exact: in floats 0.55 of 100 epochs would be a little more than 55
        e = r_prev + math.ceil(Fraction(str(known_share)) * (rung.to_epoch - r_prev))
        rungs.append(dataclasses.replace(rung, decision_epoch=e if e < rung.to_epoch else None))
        r_prev = rung.to_epoch
    return PlannedBracket(bracket.s, tuple(rungs))


def _key(s: int, to_epoch: int, e: int, X: Rows, y: tuple[float, ...]) -> str:
    """Bracket, rung, epoch, and a digest of the training set: an answer cannot meet another
    question.
    """
    digest = hashlib.sha256()
    for row in (*X, y):
        digest.update(np.asarray(row, dtype="<f8").tobytes())
    return f"bracket{s}/rung{to_epoch}/epoch{e}/{digest.hexdigest()[:12]}"
