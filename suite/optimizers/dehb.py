"""DEHB: differential evolution on Hyperband's rungs, as a joint optimizer."""

from __future__ import annotations

import sys
import tempfile
from typing import Any

from suite.core.errors import ConfigError, check_integer
from suite.core.joint import JointOptimizer, Key, Wish
from suite.core.seeds import stream_seed
from suite.core.space import Space
from suite.core.types import Config, Done, Wait
from suite.optimizers.own_random_state import OwnRandomState
from suite.optimizers.packages import check_package
from suite.optimizers.plain_space import PlainSpace

_WORST = sys.float_info.max
"""A failed trial's fitness: an infinite one is "not evaluated yet" to DEHB, and it would go on waiting."""


class Dehb(JointOptimizer):
    """The package's DEHB, asked and told; it has no end of its own.

    eta: η, min_epochs: the lowest fidelity. A hyperparameter is one number of [0, 1], also a choice, as in
    the package itself. Fidelities are rounded to whole epochs.
    What DEHB does not do: it does not pause. It speaks of evaluations of a configuration at a fidelity. Where
    it promotes one in its first brackets (configuration and number are the same), the trial goes on from its
    checkpoint here, with fewer epochs than a new training; where it asks for one again that has as many
    epochs already, a new trial begins, of a table on another row. A hyperparameter that plays no part has its
    number all the same, which is left out of the configuration, as the package does it with a ConfigSpace. It
    knows no constraints: a space that has any is refused. Every later
    configuration is new, so that on a table with few rows it soon has none left.
    The package writes a log and a state file to a folder: here one that is removed at once.
    Source: Awad et al. 2021 (IJCAI), arXiv 2105.09821; `dehb` 0.1.1 and 0.1.2 (Apache-2.0).
    Raises ConfigError where the package is absent or another version, or an argument is out of its range.
    """

    def __init__(self, eta: int = 3, min_epochs: int = 1) -> None:
        check_integer("scheduler.optimizer.eta", eta, 2)
        check_integer("scheduler.optimizer.min_epochs", min_epochs, 1)
        self._eta, self._min_epochs = eta, min_epochs

    def check(self) -> None:
        check_package("dehb", "dehb", "dehb", "0.1.1", "0.2")

    def open(self, space: Space, seed: int, max_epochs: int) -> None:
        if self._min_epochs >= max_epochs:
            raise ConfigError(
                f"scheduler.optimizer.min_epochs={self._min_epochs}: must be below max_epochs={max_epochs}."
            )
        self._space = PlainSpace(space, "DEHB", conditions=True)
        self._random = OwnRandomState(seed, "dehb")
        from dehb import DEHB
        from loguru import logger

        with self._random(), tempfile.TemporaryDirectory() as folder:
            self._dehb = DEHB(
                dimensions=len(self._space),
                min_fidelity=self._min_epochs,
                max_fidelity=max_epochs,
                eta=self._eta,
                n_workers=1,
                seed=stream_seed(seed, "dehb") % 2**32,
                save_freq="end",
                output_path=folder,
                log_level="ERROR",
            )
            # Its log file, and the thread that writes it.
            logger.remove()
        self._jobs: dict[Key, Any] = {}
        # Number of a configuration -> key, and epochs it has or is being trained to; None: it failed.
        self._keys: dict[int, Key] = {}
        self._epochs: dict[Key, int | None] = {}
        self._n_again = 0

    def ask(self) -> Wish | Wait | Done:
        with self._random():
            job = self._dehb.ask()
        to_epoch = max(round(float(job["fidelity"])), 1)
        number = int(job["config_id"])
        key: Key = self._keys.get(number, f"{number}")
        config: Config | None = self._space.from_unit([float(u) for u in job["config"]])
        epochs = self._epochs.get(key, 0)
        if key in self._jobs or epochs is None or epochs >= to_epoch:
            self._n_again += 1
            key = f"{number} again {self._n_again}"
        elif epochs:
            config = None
        self._keys[number] = key
        self._jobs[key] = job
        return key, config, to_epoch

    def tell(self, key: Key, to_epoch: int, objective: float | None) -> None:
        self._epochs[key] = None if objective is None else to_epoch
        fitness = _WORST if objective is None else objective
        with self._random():
            self._dehb.tell(self._jobs.pop(key), {"fitness": fitness, "cost": float(to_epoch)})

    @property
    def diagnostics(self) -> dict[str, Any]:
        """again: trials that were begun because a configuration was wanted at epochs that it has."""
        return {"again": self._n_again}
