"""BOHB of blackboxopt, as a joint optimizer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from suite.core.errors import ConfigError, check_integer
from suite.core.joint import JointOptimizer, Key, Wish
from suite.core.seeds import stream_seed
from suite.core.space import Space
from suite.core.types import DONE, WAIT, Done, Wait
from suite.optimizers.own_random_state import OwnRandomState
from suite.optimizers.packages import check_package
from suite.optimizers.plain_space import PlainParameter, PlainSpace

_BRACKETS = 1_000_000
"""More than a run has epochs for: the budget ends it."""


class BlackboxoptBohb(JointOptimizer):
    """BOHB as blackboxopt has it (a descendant of the authors' HpBandSter), asked and told.

    eta: η, min_epochs: the lowest fidelity; the model's settings are the package's own. Fidelities are
    rounded to whole epochs. A configuration that survives a stage goes on from its checkpoint. Where the
    others wait it begins the next bracket, so that no worker idles.
    What the package does not do: it does not stop a trial within a stage. It has conditions (its densities
    are told values at random of what plays no part), and no constraints: a space that has any is refused.
    On a table its model is told the objective of the row in the configuration's place.
    Source: Falkner et al. 2018 (ICML, PMLR 80); `blackboxopt` 5.3 (Apache-2.0, Bosch).
    Raises ConfigError where the package is absent or another version, or an argument is out of its range.
    """

    def __init__(self, eta: int = 3, min_epochs: int = 1) -> None:
        check_integer("scheduler.optimizer.eta", eta, 2)
        check_integer("scheduler.optimizer.min_epochs", min_epochs, 1)
        self._eta, self._min_epochs = eta, min_epochs

    def check(self) -> None:
        check_package("blackboxopt", "blackboxopt", "blackboxopt", "5.3", "6")
        # The package's own extra for BOHB.
        check_package("statsmodels", "statsmodels", "blackboxopt", "0.14", "1")

    def open(self, space: Space, seed: int, max_epochs: int) -> None:
        if self._min_epochs > max_epochs:
            raise ConfigError(
                f"scheduler.optimizer.min_epochs={self._min_epochs}: must be at most max_epochs={max_epochs}."
            )
        self._random = OwnRandomState(seed, "blackboxopt")
        self._space = PlainSpace(space, "blackboxopt", conditions=True)
        with self._random():
            from blackboxopt import Objective
            from blackboxopt.optimizers.bohb import BOHB
            from parameterspace import ParameterSpace

            # It warns of each density that it cannot sample, and draws at random then.
            logging.getLogger("blackboxopt").setLevel(logging.ERROR)
            searched = ParameterSpace()
            # It takes names of Python variables alone, and people's have dots, spaces and digits in front.
            self._words = {name: f"x{n}" for n, name in enumerate(self._space.parameters)}
            for name in self._space.in_order():
                waits_for = self._space.conditions.get(name, {})
                condition = _condition({self._words[n]: keys for n, keys in waits_for.items()})
                searched.add(_parameter(self._words[name], self._space.parameters[name]), condition)
            self._bohb = BOHB(
                searched,
                Objective("objective", False),
                min_fidelity=self._min_epochs,
                max_fidelity=max_epochs,
                num_iterations=_BRACKETS,
                eta=self._eta,
                # 0 means "no seed" where its density asks for one.
                seed=1 + stream_seed(seed, "blackboxopt") % 2**31,
            )
        self._asked: dict[Key, Any] = {}
        self._by_model = 0

    def ask(self) -> Wish | Wait | Done:
        from blackboxopt import OptimizationComplete, OptimizerNotReady

        with self._random():
            try:
                wanted = self._bohb.generate_evaluation_specification()
            except OptimizerNotReady:
                return WAIT
            except OptimizationComplete:
                return DONE
        # (bracket, stage, number) where it was drawn: the same in every later stage.
        key = " ".join(map(str, wanted.optimizer_info["configuration_key"]))
        self._by_model += bool(wanted.optimizer_info.get("model_based_pick"))
        self._asked[key] = wanted
        given = wanted.configuration
        values = {name: given[word] for name, word in self._words.items() if word in given}
        return key, self._space.config(values), max(round(wanted.settings["fidelity"]), 1)

    def tell(self, key: Key, to_epoch: int, objective: float | None) -> None:
        with self._random():
            self._bohb.report(self._asked.pop(key).create_evaluation({"objective": objective}))

    @property
    def diagnostics(self) -> dict[str, Any]:
        """by_model: jobs whose configuration the model proposed."""
        return {"by_model": self._by_model}


def _condition(waits_for: Mapping[str, frozenset[Any]]) -> Any:
    """None: there is none. The package reads the source of a lambda; this one has none that it could read."""
    if not waits_for:
        return None
    from parameterspace.condition import Condition

    condition, names = Condition(), list(waits_for)
    condition.varnames, condition.all_varnames = [names], set(names)
    condition.functions = [
        lambda *values: all(v in waits_for[n] for n, v in zip(names, values, strict=True))
    ]
    condition.function_texts = [f"{', '.join(names)}: certain values"]
    return condition


def _parameter(name: str, plain: PlainParameter) -> Any:
    import parameterspace as words

    if plain.kind == "category":
        return words.CategoricalParameter(name, tuple(plain.places))
    if plain.kind == "order":
        return words.OrdinalParameter(name, plain.places)
    scale = "log" if plain.log else None
    if plain.kind == "int":
        bounds = int(plain.low), int(plain.high)
        return words.IntegerParameter(name, bounds, transformation=scale)
    return words.ContinuousParameter(name, (plain.low, plain.high), transformation=scale)
