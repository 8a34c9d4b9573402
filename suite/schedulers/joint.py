"""A joint optimizer as a scheduler: its keys are trials, its wishes jobs, a broken rule ends the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np

from suite.core.brackets import (
    MAX_EPOCHS,
    MAX_TRIALS,
    Plan,
    PlannedBracket,
    PlannedRung,
    hyperband_plan,
)
from suite.core.errors import ConfigError, SuiteError, check_integer
from suite.core.extras import naming_extras
from suite.core.joint import JointOptimizer, Key
from suite.core.plugins import make
from suite.core.printable import printable
from suite.core.scheduler import Scheduler
from suite.core.space import Space
from suite.core.types import DONE, WAIT, Config, Curve, Decision, Done, Train, Wait
from suite.optimizers.time_limit import NoAnswerError, at_most, check_limit

T = TypeVar("T")
MOST_TIMED = 10_000
"""Trials where the run's hours are the only end."""


@dataclass(slots=True)
class _Trial:
    """A key's trial. to_epoch: of the job in flight, 0: none; value: the objective after `epochs`."""

    key: Key
    config: Config
    epochs: int = 0
    value: float = math.inf
    to_epoch: int = 0
    failed: bool = False
    # By a forecast, which the optimizer was told.
    stopped: bool = False


class Joint(Scheduler):
    """Trains what a joint optimizer (suite.core.JointOptimizer) asks for. It takes `searcher=joint`.

    optimizer: its `_target_` and constructor arguments. The search ends where the optimizer says DONE, or
    asks for more than n_epochs epochs in all. Beyond n_trials configurations (of a table: its rows) a new one
    is refused, as a trial that failed; the optimizer is asked again when something was told, for it may go on
    with a trial that it has; where nothing is in training, the search ends. With neither n_trials nor
    n_epochs, n_epochs is Hyperband's at eta; or, where the run has hours or node_hours, these end it.
    At the end, where no trial has max_epochs, the one with most epochs (of equals the best) is trained on to
    them, R epochs more at most: a search without it would have no winner. The optimizer is not told of that.
    A call of the optimizer that has not come back after answer_timeout_s seconds ends the run.

    Decisions depend on the order in which jobs finish (overlap=logical: they do not). They are replayed by
    the same calls in the same order.
    Source: none; the interface is that of ask and tell, as in Optuna (Akiba et al. 2019, KDD).
    Raises ConfigError for a number outside its range, a missing optimizer, or one that breaks a rule.
    """

    def __init__(
        self,
        max_epochs: int,
        optimizer: Mapping[str, Any] | None = None,
        n_trials: int | None = None,
        n_epochs: int | None = None,
        eta: int = 2,
        hours: float | None = None,
        node_hours: float | None = None,
        answer_timeout_s: float = 600.0,
    ) -> None:
        planned = hyperband_plan(max_epochs, eta)
        if n_trials is not None:
            check_integer("n_trials", n_trials, 1, "or null (no such end)", most=MAX_TRIALS)
        if n_epochs is not None:
            check_integer("n_epochs", n_epochs, max_epochs, "(one training to max_epochs) or null")
        elif n_trials is None and hours is None and node_hours is None:
            n_epochs = planned.n_epochs
        if optimizer is None:
            raise ConfigError(
                "scheduler.optimizer: missing; scheduler=joint needs a joint optimizer: take an algorithm "
                "that has one, as algorithm=joint_halving does, or name its _target_."
            )
        self.optimizer: JointOptimizer = make(optimizer, "scheduler.optimizer", JointOptimizer)
        check_limit("answer_timeout_s", answer_timeout_s)
        self._max_epochs, self._n_epochs = max_epochs, n_epochs
        self._answer_timeout_s = answer_timeout_s
        most = (MOST_TIMED, MAX_EPOCHS // max_epochs) if n_epochs is None else (n_epochs,)
        self._n_trials = min(most) if n_trials is None else min(n_trials, *most)
        self._space: Space | None = None
        self._trials: list[_Trial] = []
        self._number: dict[Key, int] = {}
        self._n_flying = self._n_asked = self._n_refused = 0
        # It said WAIT, and nothing was told since: it is not asked again.
        self._waiting = False
        # Why nothing new is asked for; empty while it goes on.
        self._ended = ""
        # Trained by us, at the end: the last one.
        self._resort: int | None = None
        self._over = False

    def check(self) -> None:
        """Raise ConfigError where the optimizer's package is absent, or of another version."""
        self._call("check", self.optimizer.check)

    def begin(self, space: Space, seed: int, n_configurations: int | None) -> None:
        """Called once, before the first `ask`, by the searcher that follows. n_configurations: of a table."""
        self._space = space
        if n_configurations is not None:
            self._n_trials = min(self._n_trials, n_configurations)
        shown = space if space.rows is None else _TableSpace(space)
        self._call("open", self.optimizer.open, shown, seed, self._max_epochs)

    def proposal(self, trial_id: int) -> Config:
        """The configuration that the optimizer wants for this trial. Raises IndexError before it asked."""
        return dict(self._trials[trial_id].config)

    # --- the contract of schedulers ---------------------------------------------------------------

    @property
    def max_epochs(self) -> int:
        return self._max_epochs

    @property
    def deterministic(self) -> bool:
        # What it is told, and when, depends on the order in which jobs finish.
        return False

    @property
    def chooses_trials(self) -> bool:
        return True

    @property
    def takes_forecasts(self) -> bool:
        return True

    def plan(self) -> Plan:
        """An upper bound: as many trials as may begin, and of the epochs left as many as come to R."""
        n, R = self._n_trials, self._max_epochs
        if self._n_epochs is None:
            return Plan((PlannedBracket(0, (PlannedRung(n, R, 1),)),), True)
        if R == 1:
            return Plan((PlannedBracket(0, (PlannedRung(n, 1, 1),)),), True)
        # One more: the one that is trained on at the end.
        to_end = min(n, -(-max(self._n_epochs - n, 0) // (R - 1)) + 1)
        rungs = (PlannedRung(n, 1, to_end), PlannedRung(to_end, R, 1))
        return Plan((PlannedBracket(0, rungs),), True)

    def ask_continuing(self) -> Decision:
        # Never ahead of need: it learns from what is told.
        return DONE if self._over else WAIT

    def ask(self) -> Decision:
        if self._over:
            return DONE
        if not self._ended and not self._waiting and (train := self._next()) is not None:
            return train
        if self._n_flying:
            return WAIT
        if not self._ended:
            rule = "with nothing in training it must name a trial, or say DONE"
            raise self._broken("ask() says WAIT", rule)
        return self._last_resort()

    def tell(self, trial_id: int, curve: Curve | None) -> None:
        trial = self._trials[trial_id]
        to_epoch, trial.to_epoch = trial.to_epoch, 0
        self._n_flying -= 1
        self._waiting = False
        if curve is None:
            trial.failed = True
        else:
            trial.epochs, trial.value = to_epoch, curve[to_epoch - 1]
        if trial_id != self._resort:
            objective = None if curve is None else trial.value
            self._call("tell", self.optimizer.tell, trial.key, to_epoch, objective)

    def tell_stopped(self, trial_id: int, curve: Curve, forecast: float) -> None:
        """The optimizer is told the forecast, so that it learns where trials are no good. Where it asks for
        that trial again, it is told that it failed.
        """
        trial = self._trials[trial_id]
        to_epoch, trial.to_epoch = trial.to_epoch, 0
        trial.epochs, trial.stopped = len(curve), True
        self._n_flying -= 1
        self._n_asked -= to_epoch - len(curve)
        self._waiting = False
        self._call("tell", self.optimizer.tell, trial.key, to_epoch, forecast)

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        """Why nothing more was asked for, the epochs that were asked for, how many configurations were
        refused because no more may begin, and what the optimizer says.
        """
        return {
            "optimizer": type(self.optimizer).__name__,
            "ended": self._ended,
            "n_epochs_asked": self._n_asked,
            "n_refused": self._n_refused,
            "trained_on_at_the_end": self._resort is not None,
            **dict(self.optimizer.diagnostics),
        }

    # --- wishes -----------------------------------------------------------------------------------

    def _next(self) -> Train | None:
        """The optimizer's next wish as a job; None: it waits, or the search ends."""
        answer = self._answer()
        if isinstance(answer, Wait):
            self._waiting = True
            return None
        if isinstance(answer, Done):
            self._ended = "the optimizer said DONE"
            return None
        key, config, to_epoch = answer
        trial_id = self._number.get(key)
        epochs = 0 if trial_id is None else self._trials[trial_id].epochs
        if self._n_epochs is not None and self._n_asked + to_epoch - epochs > self._n_epochs:
            self._ended = f"n_epochs={self._n_epochs}"
        if self._ended:
            return None
        if trial_id is None and len(self._trials) >= self._n_trials:
            self._refuse(key, to_epoch)
            return None
        if trial_id is None:
            trial_id = self._number[key] = len(self._trials)
            self._trials.append(_Trial(key, config))
        return self._train(trial_id, to_epoch)

    def _answer(self) -> tuple[Key, Config, int] | Wait | Done:
        """What it wants, by every rule, and of no trial that a forecast has stopped."""
        while True:
            answer = self._call("ask", self.optimizer.ask)
            if isinstance(answer, Wait | Done):
                return answer
            key, config, to_epoch = self._read(answer)
            trial_id = self._number.get(key)
            if trial_id is None or not self._trials[trial_id].stopped:
                return key, config, to_epoch
            self._trials[trial_id].failed = True
            self._call("tell", self.optimizer.tell, key, to_epoch, None)

    def _refuse(self, key: Key, to_epoch: int) -> None:
        """It wants one more configuration than may begin; it can still go on with those that it has."""
        self._n_refused += 1
        self._call("tell", self.optimizer.tell, key, to_epoch, None)
        if self._n_flying:
            self._waiting = True
        else:
            self._ended = f"n_trials={self._n_trials}"

    def _train(self, trial_id: int, to_epoch: int) -> Train:
        trial = self._trials[trial_id]
        trial.to_epoch = to_epoch
        self._n_flying += 1
        self._n_asked += to_epoch - trial.epochs
        return Train(trial_id, to_epoch)

    def _last_resort(self) -> Decision:
        """Nothing is asked for any more, and nothing is in training."""
        R = self._max_epochs
        alive = [
            i
            for i, trial in enumerate(self._trials)
            if trial.epochs and not trial.failed and not trial.stopped
        ]
        if not alive or any(self._trials[i].epochs == R for i in alive):
            self._over = True
            return DONE
        best = min(alive, key=lambda i: (-self._trials[i].epochs, self._trials[i].value, i))
        self._resort = best
        return self._train(best, R)

    def _read(self, answer: Any) -> tuple[Key, Config, int]:
        """A wish that keeps every rule. Raises ConfigError: which one is broken."""
        if not isinstance(answer, tuple) or len(answer) != 3:
            rule = "it must be (key, configuration, to_epoch), WAIT or DONE"
            raise self._broken(f"ask() returned {_shown(answer)}", rule)
        key, config, to_epoch = answer
        if isinstance(key, bool) or not isinstance(key, Integral | str):
            raise self._broken(f"ask(): key={_shown(key)}", "must be an integer or text")
        key = key if isinstance(key, str) else int(key)
        known = self._trials[self._number[key]] if key in self._number else None
        where = f"ask(): key={_shown(key)}"
        if known is not None and known.to_epoch:
            raise self._broken(
                where, "is being trained; it must be told before it is asked for again"
            )
        if known is not None and known.failed:
            raise self._broken(where, "has failed (it was told None); it must not go on")
        epochs = 0 if known is None else known.epochs
        number = isinstance(to_epoch, Integral) and not isinstance(to_epoch, bool)
        if not number or not epochs < to_epoch <= self._max_epochs:
            raise self._broken(
                f"{where}, to_epoch={_shown(to_epoch)}",
                f"must be an integer above the {epochs} epochs that it has, and at most "
                f"max_epochs={self._max_epochs}",
            )
        return key, self._configuration(where, config, known), int(to_epoch)

    def _configuration(self, where: str, config: Any, known: _Trial | None) -> Config:
        if config is None and known is not None:
            return known.config
        if not isinstance(config, Mapping):
            rule = "must be a mapping of names to values" + (
                "" if known else ", for the key is new"
            )
            raise self._broken(f"{where}, configuration={_shown(config)}", rule)
        assert self._space is not None
        plain = {name: _plain(value) for name, value in config.items()}
        whole = {name: plain.pop(name) for name in self._space if name in plain}
        fixed = self._space.with_fixed({})
        for name, value in fixed.items():
            if whole.get(name, value) != value:
                what = f"{where}, {name}={_shown(whole[name])}"
                raise self._broken(what, f"is fixed to {_shown(value)}")
        whole = self._space.with_fixed(whole)
        try:
            self._space.check({**whole, **plain})
        except ConfigError as error:
            raise self._broken(where, str(error)) from None
        if known is not None and whole != known.config:
            raise self._broken(where, "goes on with another configuration than it began with")
        return whole

    # --- calls into other people's code -------------------------------------------------------------

    def _call(self, name: str, method: Callable[..., T], *arguments: Any) -> T:
        if self._space is None and name in ("ask", "tell"):
            raise ConfigError("scheduler=joint: nobody has begun it; take searcher=joint with it.")
        try:
            with naming_extras(), at_most(self._answer_timeout_s):
                return method(*arguments)
        except SuiteError:
            raise
        except NoAnswerError as error:
            what = f"{name}() hangs: no answer after {self._answer_timeout_s:g} s ({error})"
            rule = "it must come back in scheduler.answer_timeout_s"
            raise self._broken(what, rule) from error
        except (Exception, SystemExit) as error:
            said = printable(f"{type(error).__name__}: {error}", most=400)
            place = _place(error)
            raise self._broken(f"{name}() raised {said}{place}", "it must answer") from error

    def _broken(self, what: str, rule: str) -> ConfigError:
        return ConfigError(
            f"scheduler.optimizer={type(self.optimizer).__name__}: {what}: {rule.rstrip('.;')}; mend the "
            "optimizer."
        )


class _TableSpace(Space):
    """A table's space as a joint optimizer sees it: `sample` draws a row, perhaps twice the same."""

    def __init__(self, space: Space) -> None:
        super().__init__(dict(space), space.with_fixed({}), space.rows)

    def sample(self, rng: np.random.Generator) -> Config:
        assert self.rows is not None
        return dict(self.rows[int(rng.integers(len(self.rows)))])


def _place(error: BaseException) -> str:
    """Where in other people's code it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" ({trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})"


def _shown(value: Any) -> str:
    return printable(repr(value), most=200)


def _plain(value: Any) -> Any:
    """numpy's numbers as Python's: a journal holds no others."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
