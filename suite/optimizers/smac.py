"""SMAC3 with several fidelities, as a joint optimizer."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError, check_integer
from suite.core.joint import JointOptimizer, Key, Wish
from suite.core.seeds import stream_seed
from suite.core.space import Space
from suite.core.types import DONE, Done, Wait
from suite.optimizers.own_random_state import OwnRandomState
from suite.optimizers.packages import check_package
from suite.optimizers.plain_space import PlainParameter, PlainSpace

_NO_END = 10**6
"""Trials, in its words: more than a run has epochs for."""


class Smac(JointOptimizer):
    """SMAC3's MultiFidelityFacade, asked and told: Hyperband's brackets, whose configurations a random forest
    proposes by expected improvement. It has no end of its own.

    eta: η, min_epochs: the lowest fidelity; the forest's and the search's settings are the package's own.
    Fidelities are rounded to whole epochs; a configuration that is promoted goes on from its checkpoint.
    Where a stage waits for the others it begins another bracket, so that no worker idles.
    What the package does not do: it does not stop a trial within a stage. It knows conditions and forbidden
    combinations, but is told of none here. A failed trial is CRASHED to it, with the
    worst objective so far as its cost. On a table its model is told the objective of the row in the
    configuration's place. It proposes eight configurations at a time.
    The package writes its state to a folder: here one that is removed at once.
    Source: Lindauer et al. 2022 (JMLR 23:54); `smac` 2.4 (BSD-3-Clause).
    Raises ConfigError where the package is absent or another version, or an argument is out of its range.
    """

    def __init__(self, eta: int = 3, min_epochs: int = 1) -> None:
        check_integer("scheduler.optimizer.eta", eta, 2)
        check_integer("scheduler.optimizer.min_epochs", min_epochs, 1)
        self._eta, self._min_epochs = eta, min_epochs

    def check(self) -> None:
        check_package("smac", "smac", "smac", "2.4", "2.5")

    def open(self, space: Space, seed: int, max_epochs: int) -> None:
        if self._min_epochs >= max_epochs:
            raise ConfigError(
                f"scheduler.optimizer.min_epochs={self._min_epochs}: must be below max_epochs={max_epochs}."
            )
        self._space = PlainSpace(space, "SMAC3")
        self._random = OwnRandomState(seed, "smac")
        with self._random(), tempfile.TemporaryDirectory() as folder:
            import ConfigSpace
            from smac import MultiFidelityFacade, Scenario

            searched = ConfigSpace.ConfigurationSpace(seed=0)
            for name, plain in self._space.parameters.items():
                searched.add(_parameter(name, plain))
            scenario = Scenario(
                searched,
                deterministic=True,
                n_trials=_NO_END,
                min_budget=self._min_epochs,
                max_budget=max_epochs,
                seed=stream_seed(seed, "smac") % 2**31,
                output_directory=Path(folder),
            )
            self._smac = MultiFidelityFacade(
                scenario,
                intensifier=MultiFidelityFacade.get_intensifier(scenario, eta=self._eta),
                logging_level=False,
                overwrite=True,
            )
        self._asked: dict[Key, Any] = {}
        self._failed: set[Key] = set()
        # What a failed trial costs: an infinite cost ends in its model as NaN.
        self._worst: float | None = None

    def ask(self) -> Wish | Wait | Done:
        while True:
            with self._random():
                try:
                    wanted = self._smac.ask()
                except StopIteration:
                    return DONE
            key = int(self._smac.runhistory.get_config_id(wanted.config))
            self._asked[key] = wanted
            if key not in self._failed:
                config = self._space.config(dict(wanted.config))
                return key, config, max(round(float(wanted.budget)), 1)
            # All others of its stage have failed too.
            self._told(key, None)

    def tell(self, key: Key, to_epoch: int, objective: float | None) -> None:
        if objective is None:
            self._failed.add(key)
        else:
            self._worst = objective if self._worst is None else max(self._worst, objective)
        self._told(key, objective)

    def _told(self, key: Key, objective: float | None) -> None:
        from smac.runhistory import StatusType, TrialValue

        if objective is None:
            value = TrialValue(cost=self._worst or 0.0, status=StatusType.CRASHED)
        else:
            value = TrialValue(cost=objective)
        with self._random():
            self._smac.tell(self._asked.pop(key), value, save=False)

    @property
    def diagnostics(self) -> dict[str, Any]:
        """configurations: that it knows."""
        return {"configurations": len(self._smac.runhistory.get_configs())}


def _parameter(name: str, plain: PlainParameter) -> Any:
    import ConfigSpace

    if plain.kind == "category":
        return ConfigSpace.CategoricalHyperparameter(name, plain.places)
    if plain.kind == "order":
        return ConfigSpace.OrdinalHyperparameter(name, plain.places)
    if plain.kind == "int":
        return ConfigSpace.UniformIntegerHyperparameter(
            name, int(plain.low), int(plain.high), log=plain.log
        )
    return ConfigSpace.UniformFloatHyperparameter(name, plain.low, plain.high, log=plain.log)
