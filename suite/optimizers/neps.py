"""NePS: PriorBand and its plain forms, as a joint optimizer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal, get_args

from suite.core.errors import ConfigError, check_integer, unknown_name
from suite.core.joint import JointOptimizer, Key, Wish
from suite.core.space import Space
from suite.core.types import Done, Wait
from suite.optimizers.neps_parts import SINGLE, OwnTorchState, check_neps, hyperparameter
from suite.optimizers.plain_space import PlainSpace

Base = Literal["hyperband", "successive_halving", "asha", "async_hb"]
BASES: tuple[Base, ...] = get_args(Base)
Confidence = Literal["low", "medium", "high"]
CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)
_EPOCHS = "epochs of a trial"


class Neps(JointOptimizer):
    """PriorBand of NePS, asked and told. It has no end of its own.

    Of each rung's configurations some are drawn at random, some around what an expert believes in, and some
    around the best so far, the more of the latter two the higher the rung and the better they have done.
    prior: hyperparameter -> the expert's value; what is left out is drawn at random where the prior is meant,
    and with None all. confidence: in the prior, low, medium or high. base: hyperband,
    successive_halving, asha or async_hb, whose rungs they are; eta: η, min_epochs: the lowest fidelity.
    Fidelities are whole epochs; a configuration that is promoted goes on from its checkpoint. Where a rung
    waits for the others another bracket begins, so that no worker idles.
    What the package does not do: it does not stop a trial within a rung. Its brackets know no conditions, and
    orders of choices are categories to them. Of a table it is told the objective of the row in the
    configuration's place.
    It draws from torch's global generator, which is kept apart for it, as are numpy's and Python's.
    Source: Mallik et al. 2023 (NeurIPS, arXiv 2306.12370); `neural-pipeline-search` 0.17 (Apache-2.0).
    Raises ConfigError where the package is absent or another version, or an argument is out of its range.
    """

    def __init__(
        self,
        prior: Mapping[str, Any] | None = None,
        confidence: Confidence = "low",
        base: Base = "hyperband",
        eta: int = 3,
        min_epochs: int = 1,
    ) -> None:
        check_integer("scheduler.optimizer.eta", eta, 2)
        check_integer("scheduler.optimizer.min_epochs", min_epochs, 1)
        if base not in BASES:
            raise unknown_name("scheduler.optimizer.base", base, BASES)
        if confidence not in CONFIDENCES:
            raise unknown_name("scheduler.optimizer.confidence", confidence, CONFIDENCES)
        if prior is not None and not isinstance(prior, Mapping):
            raise ConfigError(
                f"scheduler.optimizer.prior={prior}: must be a mapping of hyperparameters to values, or null."
            )
        self._prior, self._confidence = dict(prior or {}), confidence
        self._base, self._eta, self._min_epochs = base, eta, min_epochs

    def check(self) -> None:
        check_neps()

    def open(self, space: Space, seed: int, max_epochs: int) -> None:
        if self._min_epochs >= max_epochs:
            raise ConfigError(
                f"scheduler.optimizer.min_epochs={self._min_epochs}: must be below max_epochs={max_epochs}."
            )
        self._space = PlainSpace(space, "NePS", rounding=SINGLE)
        priors = self._priors(space)
        self._random = OwnTorchState(seed, "neps")
        with self._random():
            import neps
            from neps.space import HPOInteger, SearchSpace

            logging.getLogger("neps").setLevel(logging.ERROR)
            searched = {
                name: hyperparameter(plain, prior=priors[name], prior_confidence=self._confidence)
                for name, plain in self._space.parameters.items()
            }
            searched[_EPOCHS] = HPOInteger(self._min_epochs, max_epochs, is_fidelity=True)
            made = neps.algorithms.priorband(SearchSpace(searched), eta=self._eta, base=self._base)
            self._neps = neps.AskAndTell(made, worker_id="swiftbench")
        self._asked: dict[Key, str] = {}
        self._failed: set[Key] = set()

    def ask(self) -> Wish | Wait | Done:
        while True:
            with self._random():
                trial = self._neps.ask()
            # It names a trial by its configuration and its rung.
            key = trial.id.partition("_rung_")[0]
            self._asked[key] = trial.id
            values = dict(trial.config)
            to_epoch = int(values.pop(_EPOCHS))
            if key not in self._failed:
                return key, self._space.config(values), to_epoch
            # All others of its rung have failed too.
            self._told(key, None)

    def tell(self, key: Key, to_epoch: int, objective: float | None) -> None:
        if objective is None:
            self._failed.add(key)
        self._told(key, objective)

    def _told(self, key: Key, objective: float | None) -> None:
        result = RuntimeError("it failed") if objective is None else float(objective)
        with self._random():
            self._neps.tell(self._asked.pop(key), result)

    def _priors(self, space: Space) -> dict[str, Any]:
        """Name -> the expert's value in the package's words; None: he has none."""
        for name, value in self._prior.items():
            if name not in space:
                raise unknown_name("scheduler.optimizer.prior", name, space)
            if (rule := space[name].check(value)) is not None:
                raise ConfigError(f"scheduler.optimizer.prior: {name}={value}: {rule}.")
        whole = {**space.decode([0.5] * len(space)), **self._prior}
        values = self._space.values(whole)
        return {name: value if name in self._prior else None for name, value in values.items()}
