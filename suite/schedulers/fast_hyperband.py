"""Fast-Hyperband: Hyperband that asks after every epoch which trials will hardly be promoted."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from suite.core.brackets import Plan, PlannedBracket, PlannedRung, hyperband_plan
from suite.core.curve_memory import CurveMemory
from suite.core.errors import ConfigError, check_integer
from suite.core.predictor import CURVE_ALONE, Features, training_digest
from suite.core.rounds import Rounds
from suite.core.scheduler import Round, best, ranking
from suite.core.types import Curve, Predict, Train


class FastHyperband(Rounds):
    """Hyperband whose rungs train a share in full, and watch the others epoch by epoch.

    A watched trial is stopped when P(y < threshold) < 1 - Delta, y being normal around the
    predicted objective at r_i with the predictor's standard deviation (`loo_svr`: of leave-one-out
    residuals), and threshold the n_next-th best objective at r_i of its rung so far.

    max_epochs: R, eta: η, to_epoch: r_i, n_curves: d, least curves known at r_i for a predictor;
    full_share: k, of a rung's trials; delta: Delta; every: epochs between two questions (1 as
    published: each is a job); batch: trials watched side by side, the next batch meeting a stricter
    threshold (1: one after the other, as published; None: all of a rung). `features` says what a
    predictor sees (published: hyperparameters, curve, first and second differences).

    overlap=False is the deterministic form. overlap=True lets brackets share idle workers: a
    training set then holds the curves that happened to be finished, so only a prefix of the run is
    reproducible.

    Source: Baker et al. 2017 (arXiv 1705.10823), section on fast Hyperband.
    Deviation: the full trials of a rung are its first by position, trained in parallel, and at
    least n_next, without which there is no threshold; with batch > 1 the threshold stands while a
    batch runs. A batch asks of all curves known when it begins. Diverged trials do not count as
    full, the next by position take their place. A trial without a finite prediction, or with a
    predictor that has no standard deviation, continues.
    Raises ConfigError for a parameter outside its range.
    """

    def __init__(
        self,
        max_epochs: int,
        eta: int,
        n_curves: int = 15,
        full_share: float = 0.5,
        delta: float = 0.95,
        every: int = 1,
        batch: int | None = 1,
        overlap: bool = False,
        features: Features = CURVE_ALONE,
    ) -> None:
        plan = hyperband_plan(max_epochs, eta)
        check_integer("n_curves", n_curves, 2)
        check_integer("every", every, 1)
        if batch is not None:
            check_integer("batch", batch, 1, "or null (all of a rung)")
        for name, share in (("full_share", full_share), ("delta", delta)):
            if not 0 < share < 1:
                raise ConfigError(f"{name}={share}: must lie between 0 and 1, both excluded.")
        self._n_curves, self._full_share, self._delta = n_curves, full_share, delta
        self._every, self._batch = every, batch
        self._memory = CurveMemory(Features.of(features))
        self._stopped: dict[int, int] = {}
        brackets = tuple(_with_first_questions(b, every) for b in plan.brackets)
        super().__init__(Plan(brackets), overlap=overlap)

    @property
    def stopped_at(self) -> Mapping[int, int]:
        return self._stopped

    @property
    def deterministic(self) -> bool:
        return not self._overlap

    @property
    def needs_std(self) -> bool:
        return True

    def on_config(self, trial_id: int, x: Sequence[float]) -> None:
        self._memory.on_config(trial_id, x)

    def _observe(self, trial_id: int, curve: Curve | None) -> None:
        self._memory.observe(trial_id, curve)

    def _bracket(self, bracket: PlannedBracket, trials: list[int]) -> Round:
        for rung in bracket.rungs:
            # over before the first question
            if rung.decision_epoch is None:
                finished = yield [Train(t, rung.to_epoch) for t in trials]
            else:
                finished = yield from self._rung(bracket.s, rung, rung.decision_epoch, trials)
            trials = best(finished, rung.n_next, rung.to_epoch)

    def _rung(self, s: int, rung: PlannedRung, first: int, trials: list[int]) -> Round:
        """One rung, its first question after epoch `first`; returns the curves of the trials that
        were finished.
        """
        n_full = max(math.ceil(Fraction(str(self._full_share)) * len(trials)), rung.n_next)
        finished: dict[int, Curve | None] = {}
        while trials:
            lacking = max(
                n_full - len(ranking(finished)),
                self._n_curves - self._memory.n_known(rung.to_epoch),
            )
            if lacking <= 0:
                break
            certain, trials = trials[:lacking], trials[lacking:]
            finished |= yield [Train(t, rung.to_epoch) for t in certain]
        for batch in _batches(trials, self._batch):
            finished |= yield from self._watch(s, rung, first, batch, finished)
        return finished

    def _watch(
        self,
        s: int,
        rung: PlannedRung,
        first: int,
        trials: list[int],
        finished: Mapping[int, Curve | None],
    ) -> Round:
        """Train these trials to r_i, stopping those that will hardly be promoted; returns what is
        left.
        """
        ranked = ranking(finished, rung.to_epoch)
        # Every trial that is trained to r_i is promoted.
        if len(ranked) < rung.n_next:
            return (yield [Train(t, rung.to_epoch) for t in trials])
        last = finished[ranked[rung.n_next - 1]]
        assert last is not None
        threshold = last[rung.to_epoch - 1]
        known = self._memory.known(rung.to_epoch)
        y = tuple(curve[rung.to_epoch - 1] for curve in known.values())
        for e in range(first, rung.to_epoch, self._every):
            curves = yield [Train(t, e) for t in trials]
            running = {t: curve for t in trials if (curve := curves[t]) is not None}
            if not running:
                return {}
            X = self._memory.rows(known, e)
            key = (
                f"bracket{s}/rung{rung.to_epoch}/trial{trials[0]}/epoch{e}/{training_digest(X, y)}"
            )
            pairs = yield Predict(key, X, y, self._memory.rows(running, e), with_std=True)
            trials = []
            pairs = pairs or [(None, None)] * len(running)
            for trial_id, (value, std) in zip(running, pairs, strict=True):
                if _chance_below(threshold, value, std) < 1 - self._delta:
                    self._stopped[trial_id] = e
                else:
                    trials.append(trial_id)
            if not trials:
                return {}
        return (yield [Train(t, rung.to_epoch) for t in trials])


def _with_first_questions(bracket: PlannedBracket, every: int) -> PlannedBracket:
    rungs, r_prev = [], 0
    for rung in bracket.rungs:
        e = r_prev + every
        rungs.append(dataclasses.replace(rung, decision_epoch=e if e < rung.to_epoch else None))
        r_prev = rung.to_epoch
    return PlannedBracket(bracket.s, tuple(rungs))


def _chance_below(threshold: float, value: float | None, std: float | None) -> float:
    """P(y < threshold) for y normal around `value`; 1 where nothing is known of it."""
    if value is None or std is None:
        return 1.0
    if std == 0.0:
        return 1.0 if value < threshold else 0.0
    return 0.5 * math.erfc((value - threshold) / (std * math.sqrt(2.0)))


def _batches(trials: list[int], size: int | None) -> list[list[int]]:
    size = size or max(len(trials), 1)
    return [trials[first : first + size] for first in range(0, len(trials), size)]
