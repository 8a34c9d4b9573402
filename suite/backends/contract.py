"""The backend contract: where jobs run. One file and one YAML of conf/backend make a backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from suite.backends.forecasts import Forecaster
from suite.core.errors import ConfigError
from suite.core.target import Target
from suite.run.driver import Driver
from suite.worker.checkpoints import CheckpointPlace
from suite.worker.settings import WorkerSettings


class Runner(Protocol):
    """One run on a backend that is ready."""

    def run(self, driver: Driver) -> None:
        """Carry events up and commands down until a Shutdown comes; then return.

        `driver.handle(events)` gives the commands; events are stamped with seconds since the run began,
        from `driver.time_s` on. Raises PausedError at a time limit, StoppedError if it cannot continue.
        """


@dataclass(frozen=True)
class RunContext:
    """What a backend gets to know of a run.

    model: the target's YAML leaf, from which another process makes its own. checkpoints: where they are.
    forecaster: answers Predict requests. seed and max_epochs: the run's. measured_epoch_s: the shortest
    epoch that the run has had before a resume, None: it had none.
    """

    model: Mapping[str, Any]
    target: Target
    checkpoints: CheckpointPlace
    forecaster: Forecaster
    seed: int
    max_epochs: int
    measured_epoch_s: float | None = None

    @property
    def epoch_s(self) -> float:
        """About how many seconds an epoch takes at least: measured, else as the target states it."""
        measured = self.measured_epoch_s
        return self.target.epoch_s if measured is None else measured


@dataclass(frozen=True, kw_only=True)
class Backend(WorkerSettings, ABC):
    """A leaf of conf/backend: its fields are the leaf's settings, typed and checked when it is made.

    A leaf of one's own names `auto` in its defaults list and adds `_target_` and its own settings; its
    class is a frozen dataclass too. Making one imports no framework and touches no device.
    """

    simulated: ClassVar[bool] = False
    """Whether time is made up: such runs keep no checkpoints and have no time limit."""

    @abstractmethod
    def n_workers(self) -> int:
        """Workers asked for, for the header."""

    def check(self, target: Target) -> None:
        """Raise ConfigError where this backend cannot train `target`, before anything is written.

        By default one rank trains a trial; a backend with groups of ranks overrides this.
        """
        if self.ranks_per_trial != 1:
            one = "a simulated worker" if self.simulated else "this launch"
            raise ConfigError(
                f"backend.ranks_per_trial={self.ranks_per_trial}: needs the mpi backend ({one} is one "
                "rank); use 1, or mpirun -n RANKS python -m suite ... backend=mpi."
            )

    @abstractmethod
    def open(self, run: RunContext) -> Runner:
        """Make ready what `run` needs. Raises ConfigError (no device, too little time)."""
