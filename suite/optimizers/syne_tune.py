"""Syne Tune: its ASHA and its conformal quantile regression, as a joint optimizer."""

from __future__ import annotations

import datetime
import logging
from collections import deque
from typing import Any, Literal, get_args

from suite.core.errors import ConfigError, check_integer, unknown_name
from suite.core.extras import need
from suite.core.joint import JointOptimizer, Key, Wish
from suite.core.seeds import stream_seed
from suite.core.space import Space
from suite.core.types import DONE, Done, Wait
from suite.optimizers.halving import rungs
from suite.optimizers.own_random_state import OwnRandomState
from suite.optimizers.packages import check_package
from suite.optimizers.plain_space import PlainParameter, PlainSpace

Method = Literal["asha", "cqr", "asha_cqr"]
METHODS: tuple[Method, ...] = get_args(Method)
_METRIC, _TIME = "objective", "epoch"
# A trial has a time of creation there, which no rule reads.
_NEVER = datetime.datetime(2000, 1, 1)


class SyneTune(JointOptimizer):
    """A scheduler of Syne Tune, whose suggestions are trained and whose decisions are obeyed.

    method: asha (random configurations; a trial in the worse part of its rung is stopped), cqr (no trial is
    stopped; configurations by conformal quantile regression, a gradient boosting), asha_cqr (both). Results
    are reported at the rungs min_epochs·eta^k alone, and at max_epochs: in between ASHA decides nothing.
    What it does not do: this ASHA stops and does not pause, so that the first trials of a rung go on with few
    to compare with; its pausing form left the package with 0.14. It has no conditions and no constraints: a
    space that has any is refused. It has no answer to a
    trial that failed but to leave it out. Of a table the model is told the objective of the row in the
    configuration's place.
    Its draw of a bracket uses numpy's global generator, which is kept apart for it.
    Source: ASHA: Li et al. 2020 (MLSys 2:230); CQR: Salinas et al. 2023 (ICML, arXiv 2305.03623);
    `syne-tune` 0.16 (Apache-2.0).
    Raises ConfigError where the package is absent or another version, or an argument is out of its range.
    """

    def __init__(self, method: Method = "asha", eta: int = 3, min_epochs: int = 1) -> None:
        check_integer("scheduler.optimizer.eta", eta, 2)
        check_integer("scheduler.optimizer.min_epochs", min_epochs, 1)
        if method not in METHODS:
            raise unknown_name("scheduler.optimizer.method", method, METHODS)
        self._method, self._eta, self._min_epochs = method, eta, min_epochs

    def check(self) -> None:
        check_package("syne_tune", "syne-tune", "syne-tune", "0.16", "0.17")
        if self._method != "asha":
            check_package("xgboost", "xgboost", "syne-tune", "2", "4")
            # The package imports its repository of tables for this, and does not name what that needs.
            need("huggingface_hub")
            need("fastparquet")

    def open(self, space: Space, seed: int, max_epochs: int) -> None:
        if self._min_epochs > max_epochs:
            raise ConfigError(
                f"scheduler.optimizer.min_epochs={self._min_epochs}: must be at most max_epochs={max_epochs}."
            )
        self._random = OwnRandomState(seed, "syne-tune")
        self._space = PlainSpace(space, "Syne Tune")
        with self._random():
            searched = {name: _domain(plain) for name, plain in self._space.parameters.items()}
            number = stream_seed(seed, "syne-tune") % 2**31
            self._scheduler = self._made(searched, number, max_epochs)
        once = self._method == "cqr"
        self._rungs = [max_epochs] if once else rungs(self._min_epochs, self._eta, max_epochs)
        self._trials: dict[Key, Any] = {}
        self._going_on: deque[Wish] = deque()
        self._n_stopped = 0

    def _made(self, searched: dict[str, Any], seed: int, max_epochs: int) -> Any:
        from syne_tune.optimizer import baselines

        # It warns of an argument that it gives itself.
        logging.getLogger("syne_tune").setLevel(logging.ERROR)
        if self._method == "cqr":
            return baselines.CQR(searched, _METRIC, random_seed=seed)
        method = baselines.ASHA if self._method == "asha" else baselines.ASHACQR
        return method(
            searched,
            _METRIC,
            time_attr=_TIME,
            max_t=max_epochs,
            grace_period=self._min_epochs,
            reduction_factor=self._eta,
            random_seed=seed,
        )

    def ask(self) -> Wish | Wait | Done:
        if self._going_on:
            return self._going_on.popleft()
        from syne_tune.backend.trial_status import Trial

        with self._random():
            suggested = self._scheduler.suggest()
            if suggested is None:
                return DONE
            trial = Trial(len(self._trials), suggested.config, _NEVER)
            self._scheduler.on_trial_add(trial)
        self._trials[trial.trial_id] = trial
        return trial.trial_id, self._space.config(suggested.config), self._rungs[0]

    def tell(self, key: Key, to_epoch: int, objective: float | None) -> None:
        from syne_tune.optimizer.scheduler import SchedulerDecision

        trial = self._trials[key]
        with self._random():
            if objective is None:
                self._scheduler.on_trial_error(trial)
                return
            result = {_METRIC: objective, _TIME: to_epoch}
            if to_epoch == self._rungs[-1]:
                self._scheduler.on_trial_complete(trial, result)
                return
            decision = self._scheduler.on_trial_result(trial, result)
            if decision == SchedulerDecision.CONTINUE:
                self._going_on.append((key, None, self._rungs[self._rungs.index(to_epoch) + 1]))
            else:
                self._n_stopped += 1
                self._scheduler.on_trial_remove(trial)

    @property
    def diagnostics(self) -> dict[str, Any]:
        return {"stopped": self._n_stopped}


def _domain(plain: PlainParameter) -> Any:
    from syne_tune import config_space as words

    if plain.kind == "category":
        return words.choice(plain.places)
    if plain.kind == "order":
        return words.ordinal(plain.places, kind="equal")
    if plain.kind == "int":
        scale = words.lograndint if plain.log else words.randint
        return scale(int(plain.low), int(plain.high))
    scale = words.loguniform if plain.log else words.uniform
    return scale(plain.low, plain.high)
