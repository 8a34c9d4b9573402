"""A recorded curve table as a target: replays trainings that happened.

hardware, versions, n: the table's own; lineage: tabular benchmarks (Klein and Hutter 2019, arXiv
1905.04970). RECORDED.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError, DataError
from suite.core.seeds import stream
from suite.core.space import Space
from suite.core.table import CurveTable, Recording, parse
from suite.core.target import Target, Training
from suite.core.types import Config

_parsed: dict[tuple[str, str], CurveTable] = {}  # a sweep reads a file once


class Table(Target):
    """The table that `description` names, in `folder`.

    repeats: where a configuration was trained several times, `draw` takes one recording by the
    trial's seed, `mean`
    their mean.
    Raises ConfigError for a wrong description, DataError where the file is missing, damaged or
    faulty.
    """

    parameters = {}
    framework = "numpy"
    checkpoint_bytes = 64
    epoch_s = 0.0

    def __init__(
        self,
        description: Mapping[str, Any],
        folder: str,
        repeats: str = "draw",
        fixed: Mapping[str, Any] | None = None,
    ) -> None:
        if repeats not in ("draw", "mean"):
            raise ConfigError(f"repeats={repeats}: must be draw or mean.")
        if fixed:
            raise ConfigError(f"fixed={dict(fixed)}: a table's configurations cannot be fixed.")
        self.table = _load(description, folder)
        self.space = Space(self.table.parameters, rows=self.table.configs)
        self.metric, self.mode = str(description["metric"]), str(description["mode"])
        self.data = str(description.get("data", "recorded"))
        self.repeats = repeats
        self._row = {_key(config): i for i, config in enumerate(self.table.configs)}
        self._means: dict[int, Recording] = {}

    def stage(self, device: str) -> None:
        """Nothing to stage: the table was read when the target was made."""

    def start(self, config: Config, seed: int) -> Training:
        return _Replay(self.metric, self.replay(config, seed))

    def reference(self, max_epochs: int) -> Mapping[str, float] | None:
        """Of the values after max_epochs (of repeats: their mean), failed ones left out."""
        if max_epochs > self.table.n_epochs:
            return None
        last = [_mean(some).values[max_epochs - 1] for some in self.table.recordings]
        finite = [value for value in last if math.isfinite(value)]
        best = min(finite) if self.mode == "min" else max(finite)
        return {"best": best, "median": statistics.median(finite)}

    def replay(self, config: Config, seed: int) -> Recording:
        row = self._row[_key(config)]
        recordings = self.table.recordings[row]
        if len(recordings) == 1:
            return recordings[0]
        if self.repeats == "draw":
            return recordings[int(stream(seed, "repeat").integers(len(recordings)))]
        if row not in self._means:
            self._means[row] = _mean(recordings)
        return self._means[row]


class _Replay(Training):
    def __init__(self, metric: str, recording: Recording) -> None:
        self._metric, self._recording, self._epoch = metric, recording, 0

    def train_epoch(self, epoch: int) -> None:
        if epoch > len(self._recording.values):
            raise DataError(
                f"epoch={epoch}: the table's curves have {len(self._recording.values)} epochs; "
                "lower max_epochs."
            )
        self._epoch = epoch

    def validate(self) -> Mapping[str, float]:
        return {self._metric: self._recording.values[self._epoch - 1]}

    def test(self) -> Mapping[str, float]:
        """The same value again: a table holds no test split."""
        return self.validate()

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"epoch": self._epoch}))

    def load(self, path: Path) -> None:
        self._epoch = int(json.loads(path.read_text())["epoch"])


def _load(description: Mapping[str, Any], folder: str) -> CurveTable:
    known = (json.dumps(dict(description), sort_keys=True, default=str), folder)
    if known in _parsed:
        return _parsed[known]
    path = Path(folder) / str(description.get("file"))
    try:
        data = path.read_bytes()
    except OSError as error:
        source = description.get("source", "the address its source names")
        raise DataError(
            f"table {path.name}: {error.strerror} in folder={folder}; fetch it from {source} and "
            "set SUITE_DATA."
        ) from None
    digest = hashlib.sha256(data).hexdigest()
    if description.get("sha256") not in (None, digest):
        raise DataError(
            f"table {path.name}: sha256={digest[:16]}..., described as "
            f"{description['sha256'][:16]}...; stage it again."
        )
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"table {path.name}: not UTF-8 at byte {error.start}; stage it again."
        ) from None
    _parsed[known] = parse(description, text)
    return _parsed[known]


def _key(config: Config) -> tuple[Any, ...]:
    return tuple(config.values())


def _mean(recordings: tuple[Recording, ...]) -> Recording:
    def mean(rows: list[Any]) -> Any:
        if any(row is None for row in rows):
            return None
        return tuple(math.fsum(column) / len(rows) for column in zip(*rows, strict=True))

    # A failed training is a fact about one seed; the configuration's mean is that of the others.
    whole = tuple(r for r in recordings if all(map(math.isfinite, r.values)))
    recordings = whole or recordings
    return Recording(
        mean([r.values for r in recordings]),
        mean([r.train_s for r in recordings]),
        mean([r.eval_s for r in recordings]),
    )
