"""Replays learning curves instead of training: for tests, dry runs and measuring the suite itself.

hardware none, versions none, n 1; lineage: power-law curves (Domhan et al. 2015, IJCAI) with seeded
noise. SYNTHETIC.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.checkpoint import reading
from suite.core.curve_table import Recording
from suite.core.errors import ConfigError
from suite.core.metric import Metric
from suite.core.seeds import stream
from suite.core.space import Choice, Float, Int
from suite.core.target import Target, Training
from suite.core.types import Config
from suite.files import parse_json

MAX_SLEEP_S = 86400


class TableTarget(Target):
    """Curves a + b·e^-c whose parameters are a smooth function of the configuration, plus noise
    addressed by (seed, e).

    epoch_s: seconds to sleep an epoch; diverge_below: trials with `width` below this report NaN
    from epoch 2 on.
    """

    parameters = {
        "learning_rate": Float(1e-4, 1.0, log=True),
        "width": Int(4, 256, log=True),
        "optimizer": Choice("sgd", "adam", "lion"),
    }
    metric = Metric("val_loss", "min")
    framework = "numpy"
    data = "synthetic"
    checkpoint_bytes = 64
    epoch_s = 0.0

    def __init__(
        self,
        fixed: Mapping[str, Any] | None = None,
        sleep_s: float = 0.0,
        diverge_below: int = 0,
        noise: float = 0.01,
    ) -> None:
        super().__init__(fixed)
        if not 0 <= sleep_s <= MAX_SLEEP_S:
            raise ConfigError(f"sleep_s={sleep_s}: must be >= 0 seconds, at most {MAX_SLEEP_S}.")
        if not math.isfinite(noise):
            raise ConfigError(f"noise={noise}: must be a finite number.")
        self.sleep_s, self.diverge_below, self.noise = sleep_s, diverge_below, noise

    def stage(self, device: str) -> None:
        """Nothing to stage."""

    def start(self, config: Config, seed: int) -> Training:
        return _Replay(self, config, seed)

    def replay(self, config: Config, seed: int) -> Recording:
        training = _Replay(self, config, seed)
        values = []
        for epoch in range(1, 101):
            training.step(epoch)
            values.append(training.validate()["val_loss"])
        return Recording(tuple(values))


class _Replay(Training):
    def __init__(self, target: TableTarget, config: Config, seed: int) -> None:
        self._target, self._config, self._seed = target, config, seed
        self._epoch = 0
        self._momentum = (
            0.0  # state that a weights-only checkpoint would lose: conformance would notice
        )

    def train_epoch(self, epoch: int) -> None:
        self.step(epoch)
        if self._target.sleep_s:
            time.sleep(self._target.sleep_s)

    def step(self, epoch: int) -> None:
        self._momentum = 0.5 * self._momentum + float(stream(self._seed, "epoch", epoch).normal())
        self._epoch = epoch

    def validate(self) -> Mapping[str, float]:
        return {"val_loss": self._loss("valid")}

    def test(self) -> Mapping[str, float]:
        return {"val_loss": self._loss("test")}

    def _loss(self, split: str) -> float:
        if self._epoch >= 2 and self._config["width"] < self._target.diverge_below:
            return math.nan
        far = abs(math.log10(self._config["learning_rate"]) + 2.0)  # best at 1e-2
        small = 1.0 / math.sqrt(self._config["width"])
        slow = {"sgd": 0.35, "adam": 0.6, "lion": 0.5}[self._config["optimizer"]]
        value = 0.1 + 0.3 * far + small + 2.0 * float(self._epoch) ** -slow if self._epoch else 3.0
        shift = 0.0 if split == "valid" else 0.01
        return value + shift + self._target.noise * self._momentum / (1 + self._epoch)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"epoch": self._epoch, "momentum": self._momentum}))

    def load(self, path: Path) -> None:
        with reading(path):
            state = parse_json(path.read_text())
            self._epoch, self._momentum = int(state["epoch"]), float(state["momentum"])
