"""LCBench as YAHPO Gym's network answers it, asked while a search runs: any configuration, with its seconds.

hardware of the seconds: that of LCBench's authors; versions: the network's SHA-256 (its YAML names it); n:
2,000 trainings a task (Zimmer, Lindauer and Hutter 2021, IEEE TPAMI 43); lineage: YAHPO Gym's network,
fitted to them (Pfisterer et al. 2022, AutoML; Apache-2.0). SURROGATE: nobody trained these configurations.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.data.converters import lcbench
from models.recorded_curves import Replayed
from suite.core.curve_table import Recording
from suite.core.errors import ConfigError, DataError
from suite.core.metric import Metric
from suite.core.target import Target, Training
from suite.core.types import Config
from suite.files import UnsafeFileError, read_bytes

NAME = "lcbench"
"""The data set, and its folder below the data root: `swiftbench fetch lcbench`."""
FILE = "model.onnx"
MAX_BYTES = 64 * 2**20


class LCBench(Target):
    """MLPs on one of 35 OpenML tasks, 7 hyperparameters, at most 52 epochs.

    task: the OpenML task. folder: the data root; the network lies in lcbench/model.onnx. sha256: of the
    network, None: any (one of your own, with the same inputs and outputs); then `provenance` says which.
    Values have the network's noise-free answer: the seed changes nothing, and two trainings of one
    configuration are equal. Deviation from LCBench: it has a test split, the network's accuracy has none, so
    `test` answers the validation value.
    Raises ConfigError for an unknown task, DataError where the network is missing or another one.
    """

    parameters = dict(lcbench.SPACE)
    metric = Metric("val_accuracy", "max", "%")
    framework = "numpy"
    data = "surrogate"
    checkpoint_bytes = 64
    epoch_s = 0.0
    most_epochs = lcbench.N_EPOCHS

    def __init__(
        self,
        task: str,
        folder: str | None,
        sha256: str | None,
        fixed: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(fixed)
        if task not in lcbench.TASKS:
            raise ConfigError(
                f"model.task={task}: no task of LCBench; known are {', '.join(lcbench.TASKS)}."
            )
        if folder is None:
            raise ConfigError(
                "model.folder=null: names no data root; set SUITE_DATA, or give model.folder=DIR."
            )
        self._task, self._path, self._sha256 = task, Path(folder) / NAME / FILE, sha256

    @property
    def provenance(self) -> Mapping[str, Any]:  # type: ignore[override]
        """Which network answers; needed for no record of a surrogate, and kept."""
        return {"name": f"{NAME} task {self._task}", "sha256": self._network()[0]}

    def stage(self, device: str) -> None:
        self._network()

    def start(self, config: Config, seed: int) -> Training:
        return Replayed(self.metric.name, self.replay(config, seed))

    def replay(self, config: Config, seed: int) -> Recording:
        """52 epochs: accuracy in percent, and seconds of each epoch, both of the network."""
        _, network = self._network()
        seconds, accuracy = lcbench.asked(network, self._task, [config])[0]
        return Recording(tuple(accuracy), tuple(seconds))

    def _network(self) -> tuple[str, Any]:
        """Digest and session. Raises DataError where the file is missing, damaged or another one."""
        digest, session = _loaded(self._path)
        if self._sha256 is not None and digest != self._sha256:
            raise DataError(
                f"{self._path}: its SHA-256 is {digest}, and model.sha256={self._sha256}; fetch it again: "
                f"swiftbench fetch {NAME} --to DIR, or give model.sha256=null for a network of your own."
            )
        return digest, session


@functools.lru_cache(maxsize=4)
def _loaded(path: Path) -> tuple[str, Any]:
    """A process reads a network once."""
    try:
        content = read_bytes(path, max_bytes=MAX_BYTES)
    except FileNotFoundError:
        root = path.parents[1]
        raise DataError(
            f"{path}: no such file; fetch it: swiftbench fetch {NAME} --to {root}"
        ) from None
    except (OSError, UnsafeFileError) as error:
        raise DataError(f"{path}: {error}") from error
    return hashlib.sha256(content).hexdigest(), lcbench.opened(str(path), content)
