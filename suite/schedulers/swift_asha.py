"""Swift-ASHA: asynchronous successive halving that promotes by objective and by forecast."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from typing import Any

from suite.core.brackets import Plan, PlannedBracket, PlannedRung, hyperband_plan
from suite.core.errors import ConfigError, check_integer
from suite.core.scheduler import Scheduler
from suite.core.types import DONE, WAIT, Curve, Decision, Train
from suite.surrogates.comparable_objectives import comparable
from suite.surrogates.forest import Forest, MeasuredForest

N_LEAST = 8
"""Trials at a rung for a model of it."""


class SwiftAsha(Scheduler):
    """A free worker gets a promotion, from the highest rung that has one to give, else a new trial.

    The n_brackets brackets of Hyperband with the shortest first rungs run side by side, a new trial
    goes to the one with the fewest epochs so far. Of a rung's n finished trials the best
    floor(n/eta) go up, ranked by the sum of two ranks: of the objective, and of a forest's forecast
    (encoded hyperparameters, objective at the rung, slope over its second half -> log objective at
    T, the most epochs that 8 trials have reached). Without a forest (too early, or an out-of-bag
    rank correlation below least_correlation) the objective alone ranks: ASHA's own rule.

    max_epochs: R, eta: η; n_trials, n_epochs: the end; no trial begins after so many, no job after
    so many epochs were handed out and one trial is at R, or on its way (None: Hyperband's numbers).
    refresh_every: finished jobs between two fits of a rung's forest. Made for the searcher extra_trees.

    Asynchronous: decisions depend on the order in which jobs finish, but for a virtual cluster.
    Source: none published; ASHA is Li et al. 2020 (MLSys 2:230), Algorithm 2.
    Raises ConfigError for a parameter outside its range.
    """

    def __init__(
        self,
        max_epochs: int,
        eta: int = 2,
        n_trials: int | None = None,
        n_epochs: int | None = None,
        n_brackets: int = 2,
        least_correlation: float = 0.3,
        refresh_every: int = 8,
    ) -> None:
        planned = hyperband_plan(max_epochs, eta)
        check_integer("n_brackets", n_brackets, 1)
        check_integer("refresh_every", refresh_every, 1)
        self._n_trials = planned.n_trials if n_trials is None else n_trials
        self._n_epochs = planned.n_epochs if n_epochs is None else n_epochs
        check_integer("n_trials", self._n_trials, 1, "or null (Hyperband's number)")
        check_integer("n_epochs", self._n_epochs, 1, "or null (Hyperband's number)")
        if not -1 <= least_correlation <= 1:
            raise ConfigError(f"least_correlation={least_correlation}: must lie in [-1, 1].")
        least = eta ** (len(planned.brackets[0].rungs) - 1)
        if self._n_trials < least:
            raise ConfigError(
                f"n_trials={n_trials}: must be at least eta^s_max = {least}, or no trial comes to "
                f"max_epochs={max_epochs}."
            )
        self._max_epochs, self._eta = max_epochs, eta
        self._trust = MeasuredForest(least_correlation, "asha")
        self._refresh_every = refresh_every
        self._brackets = [
            _Bracket(b.s, [r.to_epoch for r in b.rungs]) for b in planned.brackets[:n_brackets]
        ]
        self._home: dict[int, _Bracket] = {}
        self._bracket_of: dict[int, int] = {}
        # trial -> rung for which it is being trained
        self._flying: dict[int, int] = {}
        self._points: dict[int, Sequence[float]] = {}
        # as far as they came; also of those that failed later
        self._curves: dict[int, Curve] = {}
        self._begun = self._handed_out = self._told = 0
        # to_epoch -> (fitted when, it)
        self._forecasts: dict[int, tuple[int, Forest | None]] = {}

    @property
    def max_epochs(self) -> int:
        return self._max_epochs

    @property
    def deterministic(self) -> bool:
        # asynchronous by definition
        return False

    @property
    def bracket_of(self) -> Mapping[int, int]:
        return self._bracket_of

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        return {"model": self._trust.diagnostics}

    def plan(self) -> Plan:
        """An upper bound: all trials in the first bracket, each better than all before it."""
        rungs, n = [], self._n_trials
        for to_epoch in self._brackets[0].epochs:
            n_next = max(n - self._eta + 1, 1)
            rungs.append(PlannedRung(n, to_epoch, n_next))
            n = n_next
        return Plan((PlannedBracket(self._brackets[0].s, tuple(rungs)),), upper_bound=True)

    def on_config(self, trial_id: int, x: Sequence[float]) -> None:
        self._points[trial_id] = x

    def ask(self) -> Decision:
        if (promotion := self._promotion()) is not None:
            return self._train(*promotion)
        bracket = min(self._brackets, key=lambda b: (b.n_epochs, -b.s))
        if self._begun < self._n_trials and self._affords(bracket.epochs[0]):
            trial_id, self._begun = self._begun, self._begun + 1
            self._home[trial_id], self._bracket_of[trial_id] = bracket, bracket.s
            return self._train(bracket, trial_id, 0)
        return WAIT if self._flying else DONE

    def _promotion(self) -> tuple[_Bracket, int, int] | None:
        for bracket in self._brackets:
            for k in reversed(range(len(bracket.epochs) - 1)):
                if not self._affords(bracket.epochs[k + 1] - bracket.epochs[k]):
                    continue
                if (trial_id := self._best(bracket, k)) is not None:
                    bracket.promoted[k].add(trial_id)
                    return bracket, trial_id, k + 1
        return None

    def _affords(self, n: int) -> bool:
        if self._handed_out + n <= self._n_epochs:
            return True
        # The budget is spent; but a run without a trial at R would have no result.
        flying = (self._home[i].epochs[k] for i, k in self._flying.items())
        there = any(bracket.finished[-1] for bracket in self._brackets)
        return not there and self._max_epochs not in flying

    def _best(self, bracket: _Bracket, k: int) -> int | None:
        """The best of rung k's top 1/eta that was not promoted before."""
        finished = bracket.finished[k]
        n_top = bracket.n_told[k] // self._eta
        if n_top == 0 or n_top <= len(bracket.promoted[k]):
            return None
        ids = [trial_id for _, trial_id in finished]
        ranks = {trial_id: float(i) for i, trial_id in enumerate(ids)}
        if (forest := self._forest(bracket.epochs[k])) is not None:
            forecast = forest.predict([self._row(i, bracket.epochs[k]) for i in ids])
            for place, i in enumerate(sorted(range(len(ids)), key=lambda i: (forecast[i], ids[i]))):
                ranks[ids[i]] += place
        top = sorted(ids, key=lambda i: (ranks[i], i))[:n_top]
        return next((i for i in top if i not in bracket.promoted[k]), None)

    def _train(self, bracket: _Bracket, trial_id: int, k: int) -> Train:
        n = bracket.epochs[k] - (bracket.epochs[k - 1] if k else 0)
        bracket.n_epochs += n
        self._handed_out += n
        self._flying[trial_id] = k
        return Train(trial_id, bracket.epochs[k])

    def tell(self, trial_id: int, curve: Curve | None) -> None:
        self._told += 1
        bracket, k = self._home[trial_id], self._flying.pop(trial_id)
        bracket.n_told[k] += 1
        if curve is not None:
            self._curves[trial_id] = curve
            insort(bracket.finished[k], (curve[bracket.epochs[k] - 1], trial_id))

    def _row(self, trial_id: int, at: int) -> list[float]:
        curve = self._curves[trial_id]
        half = curve[max(at // 2, 1) - 1]
        return [*self._points.get(trial_id, ()), curve[at - 1], curve[at - 1] - half]

    def _forest(self, at: int) -> Forest | None:
        """The forest for a rung of `at` epochs; kept until refresh_every more jobs have finished."""
        if at in self._forecasts and self._told - self._forecasts[at][0] < self._refresh_every:
            return self._forecasts[at][1]
        forest: Forest | None = None
        observed = comparable(self._curves, N_LEAST, at + 1)
        if observed is not None and len(set(observed[1].values())) > 1:
            X, y = [self._row(i, at) for i in observed[1]], list(observed[1].values())
            forest = self._trust.fitted(X, y)
        self._forecasts[at] = (self._told, forest)
        return forest


class _Bracket:
    """Rungs at `epochs`: trials that finished there, best first; trials promoted; number of finished jobs."""

    def __init__(self, s: int, epochs: list[int]) -> None:
        self.s, self.epochs, self.n_epochs = s, epochs, 0
        self.finished: list[list[tuple[float, int]]] = [[] for _ in epochs]
        self.promoted: list[set[int]] = [set() for _ in epochs]
        self.n_told = [0] * len(epochs)
