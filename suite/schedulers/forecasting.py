"""Forecasting: a predictor beside a scheduler that asks for none; jobs not worth their end stop half-way."""

from __future__ import annotations

import math
from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from suite.core.brackets import Plan
from suite.core.curve_memory import CurveMemory
from suite.core.errors import ConfigError, check_integer
from suite.core.plugins import make
from suite.core.predictor import CURVE_ALONE, Features, training_digest
from suite.core.scheduler import Scheduler
from suite.core.types import Curve, Decision, Predict, Rows, Train


@dataclass(slots=True)
class _Point:
    """A decision point: trials that came, and those that went on; the training set and its size."""

    n_came: int = 0
    n_went_on: int = 0
    rows: tuple[Rows, tuple[float, ...]] = ((), ())


class Forecasting(Scheduler):
    """Runs `scheduler`, and stops those of its jobs half-way whose end is forecast not to be worth it.

    A job from epoch a to epoch b has one decision point, e = a + ceil(known_share·(b - a)). While fewer than
    n_curves curves are known at b, or on their way there, jobs go through. Later ones stop at e, and go on
    where (1) of the trials that came to this point a smaller share than least_share has gone on, or (2) the
    objective at b that the predictor forecasts from the curve to e is among the best `quantile` of all that
    came to b; those that were stopped on the way count as worse than all. A predictor that fails stops
    nothing. A stopped trial never goes on; `Scheduler.tell_stopped` says what `scheduler` is told of it.
    A predictor is fitted to all curves known at b, and again when refit_share more are known (None: never).

    scheduler: one that `takes_forecasts` (asha, pasha, joint), or its leaf. features: what the predictor
    sees. Decisions depend on the order in which jobs finish, as those of `scheduler` do.
    Source: the decision point and its constants are those of Swift-Hyperband (Garcia Amboage et al. 2023,
    arXiv 2311.17508, Algorithm 2), whose authors name other algorithms as further work.
    Deviation from it, since there is no rung whose trials all come: one trial is judged at a time, so that
    none is chosen to fill a rung up; the share that goes on unasked does so by order of arrival, and is k/eta
    of all (0.25 by the published k = 0.5, eta = 2); the quantile counts what was stopped, which else would
    tighten it with each stop; and a predictor is fitted again.
    Raises ConfigError for a parameter outside its range, and for another scheduler.

    >>> from suite.schedulers.asha import Asha
    >>> scheduler = Forecasting(Asha(max_epochs=16, n_trials=64), n_curves=2)
    >>> scheduler.ask()
    Train(trial_id=0, to_epoch=1)
    """

    def __init__(
        self,
        scheduler: Scheduler | Mapping[str, Any],
        n_curves: int = 15,
        known_share: float = 0.5,
        quantile: float = 0.25,
        least_share: float = 0.25,
        refit_share: float | None = 0.25,
        features: Features = CURVE_ALONE,
    ) -> None:
        check_integer("forecast.n_curves", n_curves, 2, "(published: 15)")
        shares = {"known_share": known_share, "quantile": quantile, "least_share": least_share}
        for name, share in shares.items():
            if not 0 < share < 1:
                raise ConfigError(
                    f"forecast.{name}={share}: must lie between 0 and 1, both excluded."
                )
        if refit_share is not None and not 0 <= refit_share < math.inf:
            raise ConfigError(
                f"forecast.refit_share={refit_share}: must be a number >= 0, or null (never)."
            )
        self.scheduler: Scheduler = (
            make(scheduler, "scheduler.scheduler", Scheduler)
            if isinstance(scheduler, Mapping)
            else scheduler
        )
        if not self.scheduler.takes_forecasts:
            raise ConfigError(
                f"scheduler={type(self.scheduler).__name__}: has no place for forecasts; use scheduler=asha, "
                "pasha or joint."
            )
        self._n_curves, self._refit_share = n_curves, refit_share
        # Exact: in floats 0.55 of 100 epochs would be a little more than 55.
        self._known_share, self._quantile, self._least_share = (
            Fraction(str(share)) for share in shares.values()
        )
        self._memory = CurveMemory(Features.of(features))
        # Epochs that a trial has; of those in a job of `scheduler` the epoch where that ends.
        self._epochs: dict[int, int] = {}
        self._goal: dict[int, int] = {}
        # Jobs in flight that go through, by their last epoch.
        self._through: Counter[int] = Counter()
        self._straight: set[int] = set()
        # Last epoch of a job -> objectives there, sorted; and trials that were stopped on their way to it.
        self._at: dict[int, list[float]] = {}
        self._n_stopped: Counter[int] = Counter()
        self._points: dict[tuple[int, int], _Point] = {}
        # To be handed out before anything else; asked, by key.
        self._questions: deque[Predict] = deque()
        self._going_on: deque[Train] = deque()
        self._asked: dict[str, int] = {}
        self._stopped: dict[int, int] = {}
        self._counts = Counter(asked=0, unasked=0, went_on=0, stopped=0, failed=0)

    # --- the contract ---------------------------------------------------------------------------

    @property
    def max_epochs(self) -> int:
        return self.scheduler.max_epochs

    @property
    def deterministic(self) -> bool:
        return False

    @property
    def chooses_trials(self) -> bool:
        return self.scheduler.chooses_trials

    @property
    def bracket_of(self) -> Mapping[int, int]:
        return self.scheduler.bracket_of

    @property
    def stopped_at(self) -> Mapping[int, int]:
        return self._stopped

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        """forecasts: trials that came to a decision point: went on unasked, asked for, of these went on,
        stopped, without a forecast (failed: these went on too).
        """
        return {**self.scheduler.diagnostics, "forecasts": dict(self._counts)}

    def plan(self) -> Plan:
        return self.scheduler.plan()

    def on_config(self, trial_id: int, x: Sequence[float]) -> None:
        self._memory.on_config(trial_id, x)
        self.scheduler.on_config(trial_id, x)

    def on_candidates(
        self, n: int | None, points: Callable[[Sequence[int]], Sequence[Sequence[float]]]
    ) -> None:
        self.scheduler.on_candidates(n, points)

    def ask(self) -> Decision:
        return self._own() or self._split(self.scheduler.ask())

    def ask_continuing(self) -> Decision:
        return self._own() or self._split(self.scheduler.ask_continuing())

    def tell(self, trial_id: int, curve: Curve | None) -> None:
        self._memory.observe(trial_id, curve)
        goal = self._goal[trial_id]
        if trial_id in self._straight:
            self._straight.remove(trial_id)
            self._through[goal] -= 1
        if curve is not None:
            self._note(curve, self._epochs.get(trial_id, 0))
            self._epochs[trial_id] = len(curve)
            if len(curve) < goal:
                self._judge(trial_id, goal, len(curve))
                return
        del self._goal[trial_id]
        self.scheduler.tell(trial_id, curve)

    def tell_forecast(
        self,
        key: str,
        values: Sequence[float | None] | None,
        stds: Sequence[float | None] | None = None,
    ) -> None:
        trial_id = self._asked.pop(key)
        goal, e = self._goal[trial_id], self._epochs[trial_id]
        point = self._points[goal, e]
        forecast = values[0] if values else None
        if forecast is None:
            self._counts["failed"] += 1
        elif not self._is_good(forecast, goal) and not self._is_short(point):
            self._stop(trial_id, forecast)
            return
        self._go_on(trial_id, point, "went_on")

    # --- jobs -------------------------------------------------------------------------------------

    def _own(self) -> Decision | None:
        """What is to be handed out before `scheduler` is asked: a question holds its trial back."""
        if self._questions:
            return self._questions.popleft()
        return self._going_on.popleft() if self._going_on else None

    def _split(self, decision: Decision) -> Decision:
        """A job of `scheduler`, to its decision point where there are curves enough to decide by."""
        if not isinstance(decision, Train):
            return decision
        trial_id, goal = decision.trial_id, decision.to_epoch
        begin = self._epochs.get(trial_id, 0)
        e = begin + math.ceil(self._known_share * (goal - begin))
        self._goal[trial_id] = goal
        if e < goal and len(self._known(goal)) + self._through[goal] >= self._n_curves:
            return Train(trial_id, e)
        self._through[goal] += 1
        self._straight.add(trial_id)
        return decision

    def _judge(self, trial_id: int, goal: int, e: int) -> None:
        """A trial came to its decision point: it goes on, or is asked for."""
        point = self._points.setdefault((goal, e), _Point())
        point.n_came += 1
        if len(self._known(goal)) < self._n_curves or self._is_short(point):
            self._go_on(trial_id, point, "unasked")
            return
        n = len(point.rows[1])
        wanted = math.inf if self._refit_share is None else n * (1 + self._refit_share)
        if n == 0 or len(self._known(goal)) > wanted:
            point.rows = self._memory.training_set(goal, e)
        X, y = point.rows
        X_new = self._memory.rows({trial_id: self._memory.curve(trial_id)}, e)
        key = f"trial{trial_id}/epoch{goal}/epoch{e}/{training_digest(X, y)}"
        self._counts["asked"] += 1
        self._asked[key] = trial_id
        self._questions.append(Predict(key, X, y, X_new))

    def _go_on(self, trial_id: int, point: _Point, why: str) -> None:
        point.n_went_on += 1
        self._counts[why] += 1
        self._going_on.append(Train(trial_id, self._goal[trial_id]))

    def _stop(self, trial_id: int, forecast: float) -> None:
        goal = self._goal.pop(trial_id)
        self._counts["stopped"] += 1
        self._n_stopped[goal] += 1
        self._stopped[trial_id] = self._epochs[trial_id]
        self.scheduler.tell_stopped(trial_id, self._memory.curve(trial_id), forecast)

    # --- the rule ---------------------------------------------------------------------------------

    def _is_short(self, point: _Point) -> bool:
        return point.n_went_on < self._least_share * point.n_came

    def _is_good(self, forecast: float, goal: int) -> bool:
        """Whether fewer than `quantile` of all that came to `goal` are as good."""
        known = self._known(goal)
        place = math.ceil(self._quantile * (len(known) + self._n_stopped[goal]))
        return forecast < known[min(place, len(known)) - 1]

    def _known(self, epoch: int) -> list[float]:
        """The objectives there, sorted, of all trials that came so far; also of those that failed later."""
        if epoch not in self._at:
            self._at[epoch] = sorted(
                curve[epoch - 1] for curve in self._memory.known(epoch).values()
            )
        return self._at[epoch]

    def _note(self, curve: Curve, before: int) -> None:
        for epoch, values in self._at.items():
            if before < epoch <= len(curve):
                insort(values, curve[epoch - 1])
