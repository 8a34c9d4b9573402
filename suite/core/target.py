"""The target contract: the model under study (`Target`) and one trial of it being trained
(`Training`).

Deviation from the first design: two nouns instead of one. A Target outlives its trials and holds
what they share (settings, framework, data set on the device); a Training is one trial's live state.
With one class the shared data would have to hide in a module global.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from suite.core.errors import ConfigError
from suite.core.space import Parameter, Space
from suite.core.table import Recording
from suite.core.types import Config


class Training(ABC):
    """One trial being trained. Every random choice of epoch e is drawn from (seed, e) alone.

    So checkpoints hold weights and optimiser state but no generator state, and three epochs
    straight equal one, save, load, two, bit for bit, wherever the cut was.
    """

    @abstractmethod
    def train_epoch(self, epoch: int) -> None:
        """Train epoch `epoch` (1-based, a total).

        Raises DivergedError where the loss is no longer finite.
        """

    @abstractmethod
    def validate(self) -> Mapping[str, float]:
        """Metrics on the validation split; holds `Target.metric`."""

    @abstractmethod
    def test(self) -> Mapping[str, float]:
        """The same metrics on the test split; the suite calls it once, for the winner."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write weights and optimiser state to the file `path`. The caller makes it atomic."""

    @abstractmethod
    def load(self, path: Path) -> None:
        """Read what `save` wrote; must not run code from it (torch: weights_only=True)."""


class Target(ABC):
    """The model under study. Its constructor takes the YAML's arguments, imports no framework and
    reads no data (a curve table, whose space is its data, reads its file then).

    metric: name of the validation metric that is optimised; mode: "min" or "max" (the worker turns
    it into an objective that is minimised); framework: what must be alone in a worker ("torch",
    "tensorflow", "numpy"). data: "real", "recorded" (a curve table), "stand-in" or
    "synthetic"; it labels every record.
    """

    parameters: ClassVar[Mapping[str, Parameter]]
    metric: str
    mode: str
    framework: str
    data: str
    provenance: Mapping[str, Any] = MappingProxyType({})
    """Set by `stage`: which data these are (name, sha256, stand_in), how they were split (split,
    split_sha256, n_train, n_valid, n_test); plain JSON, for the record.
    """
    checkpoint_bytes: ClassVar[int]
    """About how large one checkpoint is, for `plan`."""
    epoch_s: ClassVar[float]
    """About how long one epoch takes on the hardware its file names, for `plan`."""
    parallel: ClassVar[str | None] = None
    """Dotted name of the group class with which several ranks train one trial; None: one rank."""
    group: Any = None
    """The group, set before `stage`'s first trial where there is one."""

    def __init__(self, fixed: Mapping[str, Any] | None = None) -> None:
        self.space = Space(self.parameters, fixed)

    @abstractmethod
    def stage(self, device: str) -> None:
        """Once a worker, before its first trial: import the framework, put the data set on the
        device.

        Raises DataError where data are missing or damaged.
        """

    @abstractmethod
    def start(self, config: Config, seed: int) -> Training:
        """A new trial with freshly initialised weights, drawn from `seed`."""

    def reference(self, max_epochs: int) -> Mapping[str, float] | None:
        """Where all configurations are known: `best` and `median` value at max_epochs."""
        return None

    def replay(self, config: Config, seed: int) -> Recording:
        """The whole training at once, where it is known beforehand: what simulation needs.

        Raises ConfigError for a target that really trains.
        """
        raise ConfigError(
            f"model={type(self).__name__}: cannot be simulated, it really trains; "
            "take a table, or record one (python -m suite.curves record)."
        )
