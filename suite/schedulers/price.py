"""Price: a free worker takes the trial whose next epochs pay best, of those that can still be finished."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from suite.core.brackets import (
    MAX_EPOCHS,
    MAX_TRIALS,
    Plan,
    PlannedBracket,
    PlannedRung,
    hyperband_plan,
)
from suite.core.errors import ConfigError, check_integer
from suite.core.machine import Machine
from suite.core.scheduler import Scheduler
from suite.core.types import DONE, WAIT, Curve, Decision, Train
from suite.schedulers.price_measured import Measured, rungs_measured
from suite.schedulers.price_outlook import Outlook
from suite.schedulers.price_policies import dearest, promoted
from suite.schedulers.price_trials import Trials
from suite.schedulers.time_left import Budget, EpochBudget, TimeBudget
from suite.surrogates.beliefs import Beliefs, Candidates
from suite.surrogates.ladder import Ladder, halved_rungs
from suite.surrogates.price_table import PriceTable

MOST_TIMED = 10_000
"""Trials of a budget of time, where no other number is given."""
_LEAST_SHARE = 2.1
"""Trainings, at least, by whose number the aim is set: the best of two is the median's better half."""


class Price(Scheduler):
    """Every trial is a box that can be opened a rung at a time. Its price is the highest cost per epoch at
    which going on still pays, by what its curve and its hyperparameters say about its final value, and by
    how reliable such sayings have proved in this run. A free worker takes the highest price among the
    trials that can still come to R = max_epochs; a new configuration is one more box. Nobody waits.

    policy: `price`; or `rank`: the best half of a rung, by the same beliefs, goes up, highest rung first;
    else a new trial; else the best that is paused. Rungs are R, R/2, ... down to lowest_share·R; new trials
    go to the lowest that takes as many epochs as a job's overhead, at most highest_share·R.
    Beliefs: suite.surrogates.ladder, .beliefs; prices: .price_table. The aim theta is what the best of as
    many trials as the budget trains would be, or the best so far, where that is better.

    Where the run has a budget of time (budget.hours, .node_hours, .end), it plans by that which ends first,
    on the clock that the journal holds. What cannot be finished by then is not begun, by the speed of each
    trial (suite.surrogates.speeds), but where no trial has come to R and none can: then what is left of the
    time is spent on the best. Workers that have nothing to finish idle, and the run ends when the last
    job does, or with the budget. Else n_epochs in all, on any number of workers and on no clock (None:
    Hyperband's at eta); as a last resort R more, so that one trial comes to R.
    n_trials: no more begin (None: as the budget allows; of time 10000 at most).
    release_workers: those that have nothing to train until the end, by what can still be finished at 0.9 of
    the measured duration of each trial, are released; what is trained by the others is as if they were there.
    straight: share of workers that train new trials to R in one job, whatever is believed of them: an
    insurance against ranks that reverse; none begins where fewer than straight_least can finish.
    stop_price: in units of the metric a node-hour; the run ends before where no trial is worth it, by the
    same beliefs, against the best at R so far (`.price_outlook`). outlook_node_hours: the expected gain of
    the next so many is printed and recorded; None: it is not.

    Trials begin by id: of the next n_candidates that have not begun, the one with the best answer of the
    forest; every random_every-th the first of them. Under a searcher that learns they come in order.
    Asynchronous: decisions depend on the order in which jobs finish and, of a budget of time, on times; all
    of it is in the journal, and its replay takes every decision again.
    Source: none published. The index: Weitzman 1979 (Econometrica 47:641).
    Raises ConfigError for a parameter outside its range, and a budget of epochs below one training.
    """

    def __init__(
        self,
        max_epochs: int,
        policy: Literal["price", "rank"] = "rank",
        eta: int = 2,
        n_epochs: int | None = None,
        n_trials: int | None = None,
        lowest_share: float = 0.0625,
        highest_share: float = 0.25,
        n_candidates: int = 1000,
        random_every: int = 10,
        n_trees: int = 40,
        min_leaf: int = 2,
        n_least: int = 8,
        refit_least: int = 4,
        refit_share: float = 0.1667,
        least_finishing: float = 0.02,
        n_speeds: int = 5,
        straight: float = 0.0,
        straight_least: float = 0.3,
        stop_price: float | None = None,
        outlook_node_hours: float | None = 10.0,
        release_workers: bool = True,
    ) -> None:
        planned = hyperband_plan(max_epochs, eta)
        if policy not in ("price", "rank"):
            raise ConfigError(f"policy={policy}: must be price or rank.")
        for name, number, least in (
            ("n_candidates", n_candidates, 1), ("random_every", random_every, 1), ("n_trees", n_trees, 1),
            ("min_leaf", min_leaf, 1), ("n_least", n_least, 3), ("refit_least", refit_least, 1),
            ("n_speeds", n_speeds, 1),
        ):  # fmt: skip
            check_integer(name, number, least, most=MAX_TRIALS)
        for name, share in (
            ("lowest_share", lowest_share), ("highest_share", highest_share), ("refit_share", refit_share),
            ("least_finishing", least_finishing), ("straight", straight),
            ("straight_least", straight_least),
        ):  # fmt: skip
            if not 0 <= share <= 1:
                raise ConfigError(f"{name}={share}: must lie in [0, 1].")
        if n_trials is not None:
            check_integer(
                "n_trials", n_trials, 1, "or null (as the budget allows)", most=MAX_TRIALS
            )
        n_epochs = planned.n_epochs if n_epochs is None else n_epochs
        check_integer("n_epochs", n_epochs, max_epochs, "(one training to max_epochs) or null")
        # Until the machine says that the run has a budget of time.
        self._left: Budget = EpochBudget(max_epochs, n_epochs)
        self._is_timed = False
        self._max_epochs, self._policy, self._n_epochs = max_epochs, policy, n_epochs
        self._rungs = halved_rungs(max_epochs, lowest_share)
        at_most = [k for k, r in enumerate(self._rungs) if r <= highest_share * max_epochs]
        self._highest_first = max(at_most, default=0)
        self._given_trials = n_trials
        self._n_ahead, self._random_every = n_candidates, random_every
        self._least_finishing, self._n_speeds = least_finishing, n_speeds
        self._straight, self._straight_least = straight, straight_least
        self._ladder = Ladder(self._rungs)
        self._beliefs = Beliefs(
            self._ladder, n_trees=n_trees, min_leaf=min_leaf, n_least=n_least,
            refit_least=refit_least, refit_share=refit_share,
        )  # fmt: skip
        self._candidates: Candidates | None = None
        self._table: PriceTable | None = None
        self._theta = 0.0
        self._trials = Trials(self._rungs)
        self._outlook = Outlook(max_epochs, n_least, stop_price, outlook_node_hours)
        self._releases = release_workers
        self._stale, self._over = True, False
        self._measured = Measured()

    @property
    def _n_trials(self) -> int:
        if self._is_timed:
            return self._given_trials or min(MOST_TIMED, MAX_EPOCHS // self._max_epochs)
        most = max(self._n_epochs // self._rungs[0], 1)
        return min(most, self._given_trials or most)

    # --- the contract ---------------------------------------------------------------------------

    @property
    def max_epochs(self) -> int:
        return self._max_epochs

    @property
    def deterministic(self) -> bool:
        # asynchronous by definition
        return False

    @property
    def reads_clock(self) -> bool:
        return True

    @property
    def wants_time(self) -> bool:
        if self._outlook.is_over:
            return False
        candidates = self._candidates
        fresh = candidates is None or self._fresh(candidates) is not None
        return self._is_timed and (fresh or bool(self._trials.waiting()))

    @property
    def chooses_trials(self) -> bool:
        return True

    def may_train(self) -> Sequence[int] | None:
        trials, candidates = self._trials, self._candidates
        flying = [trials.ids[i] for i in trials.flying]
        if not self._releases or candidates is None:
            return None
        if self._fresh(candidates) and self._left.may_fit_fresh(flying) > self._least_finishing:
            return None
        waiting = trials.waiting()
        ids, epochs = [trials.ids[i] for i in waiting], np.array(trials.epochs)[waiting]
        if not trials.expects_result:
            # The last resort may take any of them.
            return ids
        fits = self._left.may_fit(ids, epochs) if waiting else ()
        return [i for i, fit in zip(ids, fits, strict=True) if fit]

    @property
    def knows_prices(self) -> bool:
        return True

    @property
    def ended_by(self) -> str:
        if not self._outlook.is_over:
            return ""
        return f"budget.price={self._outlook.price:g}: no trial is worth it any more"

    @property
    def expected_gain(self) -> tuple[float, float] | None:
        return self._outlook.expected

    def on_machine(self, machine: Machine) -> None:
        self._outlook.on_machine(machine)
        if machine.has_end:
            self._is_timed = True
            self._left = TimeBudget(self._max_epochs, self._n_speeds, machine)

    def on_candidates(
        self, n: int | None, points: Callable[[Sequence[int]], Sequence[Sequence[float]]]
    ) -> None:
        self._candidates = Candidates(self._n_ahead, points, n)

    def on_config(self, trial_id: int, x: Sequence[float]) -> None:
        self._beliefs.configured(self._trials.number[trial_id], x)

    def plan(self) -> Plan:
        """An upper bound: as many trials as can begin, and of the epochs left as many as come to R."""
        n, first = self._n_trials, self._rungs[0]
        to_end = n
        if not self._is_timed and first < self._max_epochs:
            # One more: the last resort.
            left = max(self._n_epochs - n * first, 0)
            to_end = min(n, -(-left // (self._max_epochs - first)) + 1)
        rungs = (PlannedRung(n, first, to_end), PlannedRung(to_end, self._max_epochs, 1))
        return Plan((PlannedBracket(0, rungs if len(self._rungs) > 1 else rungs[1:]),), True)

    def ask_continuing(self) -> Decision:
        # Never ahead of need: what is best is seen when a worker is free.
        return DONE if self._over else WAIT

    def ask(self) -> Decision:
        if self._over:
            return DONE
        if self._candidates is None:
            self._candidates = Candidates(self._n_ahead)
        if self._stale:
            self._refresh(self._candidates)
        if (train := self._choice(self._candidates)) is not None:
            return train
        if self._trials.flying:
            return WAIT
        # More time may come, more epochs do not.
        self._over = not self._is_timed
        return DONE

    def tell(self, trial_id: int, curve: Curve | None) -> None:
        i = self._trials.number[trial_id]
        target = self._trials.told(i, failed=curve is None)
        for k in range(self._ladder.highest[i] + 1, target + 1):
            # A failed trial ranks last.
            value = math.inf if curve is None else curve[self._rungs[k] - 1]
            self._ladder.report(i, k, value)
        self._beliefs.told()
        self._left.told(trial_id)
        self._outlook.told(trial_id)
        self._stale = True

    # --- beliefs and prices -----------------------------------------------------------------------

    def _refresh(self, candidates: Candidates) -> None:
        self._stale = False
        self._beliefs.refresh(candidates)
        explained, first = self._beliefs.explained, self._first
        finished = self._trials.finished
        best = min((float(self._beliefs.mean[i]) for i in finished), default=math.inf)
        n = max(self._left.n_trainings(), _LEAST_SHARE)
        self._theta = min(-abs(_normal_quantile(1 / n)), best)
        steps = np.diff(self._rungs).tolist()
        costs = [r / self._max_epochs for r in (self._rungs[first], *steps)]
        n_left = self._n_trials - len(self._trials)
        self._outlook.refreshed(
            self._ladder, self._beliefs, candidates, self._trials.failed,
            costs=costs, first=first, n_left=n_left,
        )  # fmt: skip
        self._outlook.sample(self._left.used())
        if self._policy == "price":
            table = self._table
            if table is None or not table.stands_for(self._theta, explained, costs, first):
                self._table = PriceTable(self._theta, explained, costs, first)

    @property
    def _first(self) -> int:
        """The rung to which new trials are trained: overhead must not be most of a job."""
        overhead = self._left.overhead_epochs
        enough = (k for k, r in enumerate(self._rungs) if r >= overhead)
        return min(next(enough, self._highest_first), self._highest_first)

    # --- choice -----------------------------------------------------------------------------------

    def _choice(self, candidates: Candidates) -> Train | None:
        fresh = self._fresh(candidates)
        finishing = self._left.fit_fresh() if fresh is not None else 0.0
        if finishing <= self._least_finishing:
            self._measured.n_no_fresh += fresh is not None
            fresh = None
        if fresh is not None and self._lane_is_free() and finishing > self._straight_least:
            return self._begin(candidates, fresh[0], len(self._rungs) - 1, protected=True)
        paused = self._paused()
        states, means = self._ladder.highest[paused] + 1, self._beliefs.mean[paused]
        if not self._outlook.is_worth(states, means, fresh is not None):
            return None
        if self._left.wants_speeds and self._trials.waiting():
            fresh = None
        if self._policy == "price":
            train = self._highest_price(candidates, paused, fresh, finishing)
        else:
            train = self._by_rank(candidates, paused, fresh)
        return train or self._last_resort()

    def _fresh(self, candidates: Candidates) -> tuple[int, float] | None:
        """The next new trial and the forest's answer for it."""
        n = len(self._trials)
        if n >= self._n_trials:
            return None
        return candidates.best(by_turn=n % self._random_every == self._random_every - 1)

    def _lane_is_free(self) -> bool:
        # The workers that have a job, and the one that asks.
        return len(self._trials.protected) < self._straight * (len(self._trials.flying) + 1)

    def _paused(self) -> NDArray[np.int_]:
        """Of those that wait, those that can still come to R."""
        trials = self._trials
        waiting = np.array(trials.waiting(), dtype=int)
        if not len(waiting):
            return waiting
        epochs = np.array(trials.epochs)[waiting]
        fits = self._left.fit([trials.ids[i] for i in waiting], epochs)
        self._measured.left_out.update(waiting[~fits].tolist())
        return waiting[fits]

    def _highest_price(
        self,
        candidates: Candidates,
        paused: NDArray[np.int_],
        fresh: tuple[int, float] | None,
        finishing: float,
    ) -> Train | None:
        table = self._table
        assert table is not None
        best, best_price = dearest(table, self._ladder, self._beliefs.mean, paused)
        if fresh is not None:
            trial_id, h = fresh
            price = float(table.price(0, self._beliefs.trust * h)) * finishing
            if price > best_price:
                self._measured.sample(self._left.used(), price)
                return self._begin(candidates, trial_id, self._first)
        if best < 0:
            return None
        self._measured.sample(self._left.used(), best_price)
        return self._go_on(best)

    def _by_rank(
        self, candidates: Candidates, paused: NDArray[np.int_], fresh: tuple[int, float] | None
    ) -> Train | None:
        ids, failed = self._trials.ids, self._trials.failed
        up, best = promoted(self._ladder, self._beliefs.mean, ids, failed, paused)
        if up is not None:
            return self._go_on(up)
        if fresh is not None:
            return self._begin(candidates, fresh[0], self._first)
        return None if best is None else self._go_on(best)

    def _last_resort(self) -> Train | None:
        """Nothing fits into what is left; but a run without a trial at R would have no result. Of epochs:
        one trial goes on to R. Of time: what is left is spent on the best that are paused, on all workers,
        for the reckoning is right to a few percent only.
        """
        trials = self._trials
        if trials.finished or trials.flying.keys() - trials.resorted:
            return None
        if self._left.used() >= 1 if self._is_timed else trials.flying:
            return None
        waiting = trials.waiting()
        if not waiting:
            return None
        i = min(waiting, key=lambda i: (self._beliefs.mean[i], trials.ids[i]))
        trials.resorted.add(i)
        return self._go_on(i)

    def _begin(
        self, candidates: Candidates, trial_id: int, k: int, protected: bool = False
    ) -> Train:
        self._ladder.add()
        self._beliefs.add(h=candidates.take(trial_id))
        return self._train(self._trials.begin(trial_id, protected), k)

    def _go_on(self, i: int) -> Train:
        return self._train(i, int(self._ladder.highest[i]) + 1)

    def _train(self, i: int, k: int) -> Train:
        trial_id = self._trials.ids[i]
        self._trials.flying[i] = k
        self._measured.n_jobs += 1
        self._left.begins(trial_id, self._rungs[k] - self._trials.epochs[i])
        return Train(trial_id, self._rungs[k])

    # --- the record -------------------------------------------------------------------------------

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        """What it measured. decides_by: the clock's times or epochs; prices: of objective (standard
        deviations of final values) an R of epochs, over the share of the budget; left_out: trials that
        were paused once and could not finish any more, and decisions in which no new trial could.
        """
        return {
            "policy": self._policy,
            "decides_by": "times in the journal" if self._is_timed else "epochs",
            "rungs": {**rungs_measured(self._ladder), "lowest": self._rungs[self._first]},
            "forest": self._beliefs.diagnostics,
            **self._measured.diagnostics(len(self._trials)),
            "budget": self._left.diagnostics,
            **self._outlook.diagnostics,
        }


def _normal_quantile(p: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(p))
