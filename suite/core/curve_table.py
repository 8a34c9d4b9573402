"""Curve tables: recorded learning curves and their configurations. Pure: text in, table out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from suite.core.errors import ConfigError, DataError
from suite.core.printable import printable
from suite.core.space import Choice, Float, Parameter
from suite.core.types import Config, Curve

if TYPE_CHECKING:
    from suite.core.table_columns import Column
    from suite.core.table_description import Description, EpochColumns


@dataclass(frozen=True, slots=True)
class Recording:
    """One training as it was recorded: values in the metric's own direction, after epoch 1, 2, ...

    A failed training has NaN from the epoch at which it failed. Seconds of each epoch, or None.
    """

    values: Curve
    train_s: Curve | None = None
    eval_s: Curve | None = None


@dataclass(frozen=True, slots=True)
class CurveTable:
    """Configurations with their recordings: several of one configuration are its seeds.

    Shapes: configs n, recordings n x (1 or more), each of `n_epochs` values.
    """

    parameters: Mapping[str, Parameter]
    configs: tuple[Config, ...]
    recordings: tuple[tuple[Recording, ...], ...]
    n_epochs: int
    n_failed: int


def parse(description: Mapping[str, Any] | Description, text: str) -> CurveTable:
    """A table from its CSV text and its description.

    `curve`, `train_s`, `eval_s`: {prefix, first, last} names columns prefix<first> .. prefix<last>,
    one an epoch, the first of them epoch 1. A row that holds an empty cell or NaN in its curve is a
    failed training; so is one that ends in zeros (published tables say it so), unless
    `trailing_zeros` is "values". `types` says what a hyperparameter's cells are; without it they say
    it themselves (suite.core.table_columns); `scales` how its values lie to each other, without it
    logarithmic where they span more than two decades. Rows whose hyperparameters' cells are equal are
    repeats of one configuration; cells that differ never are.
    Raises ConfigError for a wrong description, DataError for the file's faults, by row and column, and
    where it has another number of rows than described.
    """
    # Imported here: whoever makes no table needs no msgspec.
    from suite.core.csv_text import read_rows
    from suite.core.table_description import Description

    spec = description if isinstance(description, Description) else Description.of(description)
    name = printable(spec.file, most=200)
    header, *rows = read_rows(spec.file, text) or [[]]
    if not rows:
        raise DataError(
            f"{name}: {len(rows) + bool(header)} lines; must hold a header and rows. Stage it again."
        )
    escape = spec.escape or ""
    header = [column.removeprefix(escape) for column in header]
    numbers = [number for number, row in enumerate(rows, start=2) if row]
    rows = [row for row in rows if row]
    for number, row in zip(numbers, rows, strict=True):
        if len(row) != len(header):
            raise DataError(
                f"{name}, row {number}: {len(row)} cells; must have {len(header)} as the header."
            )
    if not rows:
        raise DataError(f"{name}: no rows; stage it again.")
    if spec.rows not in (None, len(rows)):
        raise DataError(
            f"{name}: {len(rows)} rows; described are {spec.rows}. Stage it again, or mend the description."
        )
    columns = _Columns(spec, header, numbers, rows)
    parameters, configs = columns.configurations()
    recordings, n_failed = columns.recordings()
    grouped: dict[tuple[Any, ...], tuple[Config, list[Recording]]] = {}
    for config, recording in zip(configs, recordings, strict=True):
        grouped.setdefault(tuple(config.values()), (config, []))[1].append(recording)
    return CurveTable(
        parameters,
        tuple(config for config, _ in grouped.values()),
        tuple(tuple(repeats) for _, repeats in grouped.values()),
        len(recordings[0].values),
        n_failed,
    )


class _Columns:
    """A file's columns by name. Raises DataError where one is missing or named twice."""

    def __init__(
        self,
        spec: Description,
        header: Sequence[str],
        numbers: Sequence[int],
        rows: Sequence[Sequence[str]],
    ) -> None:
        self._spec, self._header, self._numbers, self._rows = spec, header, numbers, rows
        self._index: dict[str, int] = {}
        self._twice: dict[str, int] = {}
        for index, column in enumerate(header):
            if self._index.setdefault(column, index) != index:
                self._twice[column] = index

    def configurations(self) -> tuple[dict[str, Parameter], list[Config]]:
        """Each hyperparameter's range, and each row's configuration."""
        values: dict[str, list[Any]] = {
            name: self._column(name, "hyperparameters").values(self._spec.types.get(name))
            for name in self._spec.hyperparameters
        }
        scales = self._spec.scales
        parameters = {
            name: scales[name].parameter(f"table.scales.{name}", column)
            if name in scales
            else _parameter(column)
            for name, column in values.items()
        }
        return parameters, [
            dict(zip(values, cells, strict=True)) for cells in zip(*values.values(), strict=True)
        ]

    def recordings(self) -> tuple[list[Recording], int]:
        """Each row's recording, and how many of them failed."""
        spec = self._spec
        curve = self._epochs("curve", spec.curve)
        timed = {key: self._epochs(key, getattr(spec, key)) for key in ("train_s", "eval_s")}
        for key, columns in timed.items():
            if columns and len(columns) != len(curve):
                raise ConfigError(
                    f"table.{key}: names {len(columns)} columns, the curve {len(curve)}; must be equal."
                )
        recordings, n_failed = [], 0
        for i in range(len(self._rows)):
            values = [column.curve_value(i) for column in curve]
            n_failed += _mark_failure(values, spec.trailing_zeros == "failed")
            train_s, eval_s = (
                tuple(column.seconds(i) for column in timed[key]) or None for key in timed
            )
            recordings.append(Recording(tuple(values), train_s, eval_s))
        return recordings, n_failed

    def _epochs(self, key: str, columns: EpochColumns | None) -> list[Column]:
        if columns is None:
            return []
        numbers = range(columns.first, columns.last + 1)
        return [self._column(f"{columns.prefix}{number}", key) for number in numbers]

    def _column(self, name: str, key: str) -> Column:
        from suite.core.table_columns import Column

        shown, file = printable(name, most=200), printable(self._spec.file, most=200)
        if name not in self._index:
            known = ", ".join(repr(column) for column in self._header[:12])
            raise DataError(
                f"{file}, row 1, column {shown}: missing; the header has {printable(known, most=400)}"
                f"{', ...' if len(self._header) > 12 else ''}. Mend the description or the file."
            )
        if name in self._twice:
            raise DataError(
                f"{file}, row 1, column {shown}: stands twice, as columns {self._index[name] + 1} and "
                f"{self._twice[name] + 1}; must stand once. Rename or remove one."
            )
        if key != "hyperparameters" and name in self._spec.hyperparameters:
            raise ConfigError(
                f"table.{key}: column {shown} is read by table.hyperparameters as well; name another."
            )
        index = self._index[name]
        cells = [row[index] for row in self._rows]
        return Column(self._spec.file, name, self._numbers, cells, self._spec.escape)


def _mark_failure(values: list[float], zeros_too: bool) -> bool:
    """NaN from the first epoch that is not finite, or of the zeros at the end; True if any."""
    end = len(values)
    while zeros_too and end > 0 and values[end - 1] == 0.0:
        end -= 1
    first = next((i for i in range(end) if not math.isfinite(values[i])), end)
    values[first:] = [math.nan] * (len(values) - first)
    return first < len(values)


def _parameter(values: Sequence[Any]) -> Parameter:
    """The range of a column: logarithmic where it spans more than two decades."""
    if any(isinstance(value, str | bool) for value in values):
        return Choice(*sorted(set(values), key=str))
    low, high = float(min(values)), float(max(values))
    if low == high:
        return Choice(*sorted(set(values)))
    # An integer beyond 2^53 lies beside its float.
    low = low if low <= min(values) else math.nextafter(low, -math.inf)
    high = high if high >= max(values) else math.nextafter(high, math.inf)
    return Float(low, high, log=low > 0 and high / low > 100)
