"""A curve table as a target: replays trainings that happened, or what a model of such trainings wrote.

hardware, versions, n: the table's own; lineage: tabular benchmarks (Klein and Hutter 2019, arXiv
1905.04970). RECORDED, or SURROGATE where the description's `data` says so.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from models.checkpoint import reading
from models.data import curve_tables
from suite.core.csv_text import decode, read_rows
from suite.core.curve_table import CurveTable, Recording, parse
from suite.core.errors import ConfigError, DataError
from suite.core.metric import Metric
from suite.core.printable import printable
from suite.core.seeds import stream
from suite.core.space import Space
from suite.core.table_description import Description
from suite.core.target import Target, Training
from suite.core.types import Config
from suite.files import parse_json, read_bytes

MAX_BYTES = 256 * 2**20
"""The largest file of a table."""

# Kept, so that a sweep parses a file once.
_parsed: dict[tuple[Description, str], CurveTable] = {}


class Table(Target):
    """The table that `description` names, in `folder`, or in the first of several that has it.

    repeats: where a configuration was trained several times, `draw` takes one recording by the
    trial's seed, `mean`
    their mean.
    Raises ConfigError for a wrong description, DataError where the file is missing, damaged or
    faulty.
    """

    parameters = {}
    metric: Metric
    data: str
    framework = "numpy"
    checkpoint_bytes = 64
    epoch_s = 0.0

    def __init__(
        self,
        description: Mapping[str, Any],
        folder: str | tuple[str, ...],
        repeats: Literal["draw", "mean"] = "draw",
        fixed: Mapping[str, Any] | None = None,
    ) -> None:
        if repeats not in ("draw", "mean"):
            raise ConfigError(f"repeats={repeats}: must be draw or mean.")
        if fixed:
            raise ConfigError(f"fixed={dict(fixed)}: a table's configurations cannot be fixed.")
        described = Description.of(description)
        folders = (folder,) if isinstance(folder, str) else tuple(folder)
        if not folders:
            raise ConfigError("folder=[]: names no folder; name the one that holds the table.")
        self.table = _load(described, folders)
        self.space = Space(self.table.parameters, rows=self.table.configs)
        self.metric = Metric(described.metric, described.mode, described.unit)
        self.data = described.data
        self.most_epochs = self.table.n_epochs
        self._name = printable(described.file, most=200)
        self.repeats = repeats
        self._row = {_key(config): i for i, config in enumerate(self.table.configs)}
        self._means: dict[int, Recording] = {}

    def stage(self, device: str) -> None:
        """Nothing to stage: the table was read when the target was made."""

    def start(self, config: Config, seed: int) -> Training:
        return Replayed(self.metric.name, self.replay(config, seed))

    def reference(self, max_epochs: int) -> Mapping[str, float] | None:
        """Of the values after max_epochs (of repeats: their mean), failed ones left out.

        Raises DataError where every training had failed by then.
        """
        if max_epochs > self.table.n_epochs:
            return None
        last = [_mean(repeats).values[max_epochs - 1] for repeats in self.table.recordings]
        finite = [value for value in last if math.isfinite(value)]
        if not finite:
            raise DataError(
                f"table {self._name}, max_epochs={max_epochs}: each of its trainings failed by that epoch; "
                "lower max_epochs, or take another table."
            )
        best = self.metric.value(min(self.metric.objectives(finite)))
        median = statistics.median(finite)
        # The sum of two values in the middle may be beyond floats.
        return {"best": best, "median": median if math.isfinite(median) else _middle(finite)}

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


class Replayed(Training):
    """A training that is known beforehand, epoch by epoch. Raises DataError beyond its last epoch."""

    def __init__(self, metric: str, recording: Recording) -> None:
        self._metric, self._recording, self._epoch = metric, recording, 0

    def train_epoch(self, epoch: int) -> None:
        if epoch > len(self._recording.values):
            raise DataError(
                f"epoch={epoch}: the curves have {len(self._recording.values)} epochs; "
                "lower max_epochs."
            )
        self._epoch = epoch

    def validate(self) -> Mapping[str, float]:
        return {self._metric: self._recording.values[self._epoch - 1]}

    def test(self) -> Mapping[str, float]:
        """The same value again: no test split is known."""
        return self.validate()

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"epoch": self._epoch}))

    def load(self, path: Path) -> None:
        with reading(path):
            self._epoch = int(parse_json(path.read_text())["epoch"])


def _load(description: Description, folders: Sequence[str]) -> CurveTable:
    name = printable(description.file, most=200)
    data = _bytes(description, folders)
    digest = hashlib.sha256(data).hexdigest()
    if description.sha256 not in (None, digest):
        raise DataError(
            f"table {name}: sha256={digest[:16]}..., described as "
            f"{printable(description.sha256, most=16)}: another version of the file"
            f"{_unlike(description, data)}; {_again(description, folders)}."
        )
    known = (description, digest)
    if known not in _parsed:
        _parsed[known] = parse(description, decode(description.file, data))
    return _parsed[known]


def _bytes(description: Description, folders: Sequence[str]) -> bytes:
    """The file's content, from the first folder that has it."""
    name, shown = printable(description.file, most=200), printable(", ".join(folders), most=500)
    for folder in folders:
        try:
            return read_bytes(
                Path(folder) / description.file, below=Path(folder), max_bytes=MAX_BYTES
            )
        except (FileNotFoundError, NotADirectoryError) as error:
            reason = error.strerror
        except OSError as error:
            shown = printable(folder, most=500)
            reason = error.strerror
            break
        except ValueError:  # a NUL or half a character in a name
            raise ConfigError(
                f"table {name}, folder={printable(folder, most=500)}: no file has such a name; mend the name."
            ) from None
    raise DataError(
        f"table {name}: {reason} in folder={shown}; {_remedy(description, folders)}."
    ) from None


def _unlike(description: Description, data: bytes) -> str:
    """What a file of another digest differs in, as far as the description knows: its columns, its rows."""
    try:
        header, *rows = read_rows(description.file, decode(description.file, data)) or [[]]
    except DataError:
        return ""
    named = [*description.hyperparameters]
    for columns in filter(None, (description.curve, description.train_s, description.eval_s)):
        named += [f"{columns.prefix}{i}" for i in range(columns.first, columns.last + 1)]
    if missing := [column for column in named if column not in header]:
        return f" (its header has no column {printable(missing[0], most=80)})"
    n_rows = sum(map(bool, rows))
    if description.rows not in (None, n_rows):
        return f" (it has {n_rows} rows, must have {description.rows})"
    return ""


def _remedy(description: Description, folders: Sequence[str]) -> str:
    """How a missing table gets into its folder."""
    if not curve_tables.is_published(description.file):
        source = printable(description.source or "the address its source names", most=200)
        return f"fetch it from {source}, or name its folder: model.folder=DIR"
    return f"fetch it: {_command(description, folders)}"


def _again(description: Description, folders: Sequence[str]) -> str:
    if not curve_tables.is_published(description.file):
        return "stage it again"
    return f"stage it again: {_command(description, folders)}"


def _command(description: Description, folders: Sequence[str]) -> str:
    name, command = curve_tables.DATA_SET, curve_tables.command(description.file)
    if Path(folders[0]).name == name:
        return f"{command} --to {printable(Path(folders[0]).parent)}"
    return f"{command} --to DIR, then model.folder=DIR/{name}"


def _key(config: Config) -> tuple[Any, ...]:
    return tuple(config.values())


def _mean(recordings: tuple[Recording, ...]) -> Recording:
    def mean(rows: list[Any]) -> Any:
        if any(row is None for row in rows):
            return None
        return tuple(map(_average, zip(*rows, strict=True)))

    # A failed training is a fact about one seed; the configuration's mean is that of the others.
    whole = tuple(r for r in recordings if all(map(math.isfinite, r.values)))
    recordings = whole or recordings
    return Recording(
        mean([r.values for r in recordings]),
        mean([r.train_s for r in recordings]),
        mean([r.eval_s for r in recordings]),
    )


def _average(values: Sequence[float]) -> float:
    try:
        return math.fsum(values) / len(values)
    except OverflowError:  # the sum is beyond floats, the mean is not
        return math.fsum(value / len(values) for value in values)


def _middle(values: Sequence[float]) -> float:
    return _average((statistics.median_low(values), statistics.median_high(values)))
