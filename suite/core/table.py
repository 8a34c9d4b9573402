"""Curve tables: recorded learning curves and their configurations. Pure: text in, table out."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suite.core.errors import ConfigError, DataError, unknown_name
from suite.core.space import Choice, Float, Parameter
from suite.core.types import Config, Curve

_KEYS = (
    "file",
    "sha256",
    "hyperparameters",
    "curve",
    "train_s",
    "eval_s",
    "metric",
    "mode",
    "trailing_zeros",
    "data",
    "licence",
    "source",
)


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


def check_description(description: Mapping[str, Any]) -> None:
    """Raise ConfigError for an unknown or missing key, or a mode that is neither min nor max."""
    for key in description:
        if key not in _KEYS:
            raise unknown_name("table", key, _KEYS)
    for key in ("file", "hyperparameters", "curve", "metric", "mode"):
        if not description.get(key):
            raise ConfigError(f"table.{key}: missing; the description of a table needs it.")
    if description["mode"] not in ("min", "max"):
        raise ConfigError(f"table.mode={description['mode']}: must be min or max.")
    zeros = description.get("trailing_zeros", "failed")
    if zeros not in ("failed", "values"):
        raise ConfigError(f"table.trailing_zeros={zeros}: must be failed or values.")


def parse(description: Mapping[str, Any], text: str) -> CurveTable:
    """A table from its CSV text and its description.

    `curve`, `train_s`, `eval_s`: {prefix, first, last} names columns prefix<first> .. prefix<last>,
    one an epoch, the first of them epoch 1. A row that holds an empty cell or NaN in its curve is a
    failed training; so is one that ends in zeros (published tables say it so), unless
    `trailing_zeros` is "values". Equal configurations are grouped.
    Raises ConfigError for a wrong description, DataError for the file's faults, by row and column.
    """
    check_description(description)
    name = str(description["file"])
    rows = list(csv.reader(io.StringIO(text)))
    if len(rows) < 2:
        raise DataError(f"{name}: {len(rows)} lines; must hold a header and rows. Stage it again.")
    where = {column: index for index, column in enumerate(rows[0])}
    hyperparameters = list(description["hyperparameters"])
    columns = _epoch_columns(description, "curve")
    timed = {key: _epoch_columns(description, key) for key in ("train_s", "eval_s")}
    for key, some in timed.items():
        if some and len(some) != len(columns):
            raise ConfigError(f"table.{key}: names {len(some)} columns, the curve {len(columns)}.")
    for column in (*hyperparameters, *columns, *timed["train_s"], *timed["eval_s"]):
        if column not in where:
            raise DataError(
                f"{name}, row 1, column {column}: missing; the header has {', '.join(rows[0][:12])}"
                f"{', ...' if len(rows[0]) > 12 else ''}. Mend the description or the file."
            )
    zeros_too = description.get("trailing_zeros", "failed") == "failed"
    grouped: dict[tuple[Any, ...], tuple[Config, list[Recording]]] = {}
    n_failed = 0
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != len(rows[0]):
            raise DataError(
                f"{name}, row {number}: {len(row)} cells; must have {len(rows[0])} as the header."
            )
        config = {column: _value(row[where[column]]) for column in hyperparameters}
        values = [
            _number(name, number, column, row[where[column]], empty=math.nan) for column in columns
        ]
        failed = _mark_failure(values, zeros_too)
        n_failed += failed
        seconds = {
            key: tuple(_duration(name, number, column, row[where[column]]) for column in some)
            for key, some in timed.items()
        }
        recording = Recording(tuple(values), seconds["train_s"] or None, seconds["eval_s"] or None)
        grouped.setdefault(tuple(config.values()), (config, []))[1].append(recording)
    if not grouped:
        raise DataError(f"{name}: no rows; stage it again.")
    configs = tuple(config for config, _ in grouped.values())
    parameters = {column: _parameter([c[column] for c in configs]) for column in hyperparameters}
    recordings = tuple(tuple(some) for _, some in grouped.values())
    return CurveTable(parameters, configs, recordings, len(columns), n_failed)


def _epoch_columns(description: Mapping[str, Any], key: str) -> list[str]:
    spec = description.get(key)
    if not spec:
        return []
    try:
        prefix, first, last = str(spec["prefix"]), int(spec["first"]), int(spec["last"])
    except (KeyError, TypeError, ValueError):
        raise ConfigError(f"table.{key}={spec}: must be {{prefix, first, last}}.") from None
    if last < first:
        raise ConfigError(f"table.{key}: last={last} < first={first}; must name columns upwards.")
    return [f"{prefix}{i}" for i in range(first, last + 1)]


def _value(cell: str) -> Any:
    try:
        number = float(cell)
    except ValueError:
        return cell
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _number(name: str, row: int, column: str, cell: str, empty: float) -> float:
    if not cell.strip():
        return empty
    try:
        return float(cell)
    except ValueError:
        raise DataError(
            f"{name}, row {row}, column {column}: {cell!r}: must be a number. Mend the file."
        ) from None


def _duration(name: str, row: int, column: str, cell: str) -> float:
    seconds = _number(name, row, column, cell, empty=math.nan)
    if not seconds >= 0 or math.isinf(seconds):
        raise DataError(
            f"{name}, row {row}, column {column}: {cell!r}: must be a duration >= 0 in seconds."
        )
    return seconds


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
    if any(isinstance(value, str) for value in values):
        return Choice(*sorted(set(values), key=str))
    low, high = float(min(values)), float(max(values))
    if low == high:
        return Choice(*set(values))
    return Float(low, high, log=low > 0 and high / low > 100)
