"""A curve table's description, as a model's YAML and a data package have it, typed."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

from msgspec import Meta

from suite.core.errors import ConfigError, unknown_name
from suite.core.metric import MODES
from suite.core.printable import printable
from suite.core.settings import checked, parse
from suite.core.table_scales import Scale

ColumnType = Literal["number", "integer", "text", "category", "boolean"]
COLUMN_TYPES: tuple[str, ...] = typing.get_args(ColumnType)

_Index = Annotated[int, Meta(ge=0, le=10**9)]
_REQUIRED = ("file", "hyperparameters", "curve", "metric", "mode")
_QUOTES = "YAML reads on, null, 1e3 or 12_34 as something else than text: put it in quotes"


@dataclass(frozen=True, kw_only=True)
class EpochColumns:
    """Columns prefix<first> .. prefix<last>, one an epoch; the first of them is epoch 1."""

    prefix: str
    first: _Index
    last: _Index


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a table is, and how its file is read.

    file: in the folder of the target or package. types: of hyperparameters; where one is not named, the
    cells say it (suite.core.table_columns). scales: of hyperparameters, how their values lie to each other
    (suite.core.table_scales); all of them or none. rows: of the file, None: not stated.
    escape: a quote (') at the begin of a text cell or of a
    column's name is no part of it: it keeps spreadsheets from taking the cell for a formula.
    """

    file: str
    hyperparameters: tuple[str, ...]
    curve: EpochColumns
    metric: str
    mode: Literal["min", "max"]
    unit: str = "1"
    train_s: EpochColumns | None = None
    eval_s: EpochColumns | None = None
    types: Mapping[str, ColumnType] = field(default_factory=dict, hash=False)
    scales: Mapping[str, Scale] = field(default_factory=dict, hash=False)
    rows: Annotated[int, Meta(ge=1)] | None = None
    escape: Literal["'"] | None = None
    trailing_zeros: Literal["failed", "values"] = "failed"
    sha256: str | None = None
    data: str = "recorded"
    licence: str | None = None
    source: str | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Description:
        """The description that a mapping gives.

        Raises ConfigError for an unknown, missing or wrongly typed key, and for a file outside the folder.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"table={printable(values, most=80)}: must be a table's description.")
        known = [one.name for one in fields(cls)]
        for key in values:
            if key not in known:
                raise unknown_name("table", printable(key, most=80), known)
        for key in _REQUIRED:
            if not values.get(key):
                raise ConfigError(f"table.{key}: missing; the description of a table needs it.")
        if values["mode"] not in MODES:
            raise ConfigError(
                f"table.mode={printable(values['mode'], most=80)}: must be min or max."
            )
        given = {key: value for key, value in values.items() if value is not None}
        _check_names("table.hyperparameters", given["hyperparameters"])
        given["types"] = _types(given.get("types", {}), given["hyperparameters"])
        given["scales"] = _scales(given.get("scales", {}), given["hyperparameters"])
        for key in ("curve", "train_s", "eval_s"):
            if key in given:
                given[key] = _epoch_columns(f"table.{key}", given[key])
        hints = typing.get_type_hints(cls, include_extras=True)
        for key in given.keys() - {"curve", "train_s", "eval_s", "types", "scales"}:
            given[key] = checked(given[key], hints[key], f"table.{key}")
        _check_file(given["file"])
        return cls(**given)


def _check_names(key: str, names: Any) -> None:
    """Names of columns: texts, none empty, none twice."""
    if not isinstance(names, list | tuple):
        raise ConfigError(f"{key}={printable(names, most=80)}: must be a list of columns.")
    for place, name in enumerate(names, 1):
        if not isinstance(name, str) or not name:
            shown = printable(repr(name), most=80)
            raise ConfigError(f"{key}, number {place}: {shown}: must be text; {_QUOTES}.")
        if names.index(name) != place - 1:
            raise ConfigError(
                f"{key}, number {place}: {printable(name)}: named twice; name it once."
            )


def _types(values: Any, hyperparameters: Any) -> Mapping[str, ColumnType]:
    if not isinstance(values, Mapping):
        raise ConfigError(f"table.types={printable(values, most=80)}: must be {{column: type}}.")
    for name, kind in values.items():
        if name not in hyperparameters:
            text = f"table.types: {printable(repr(name), most=80)}: names no hyperparameter; "
            raise ConfigError(text + f"{_QUOTES}, or remove it.")
        if kind not in COLUMN_TYPES:
            raise ConfigError(
                f"table.types.{printable(name)}={printable(kind, most=80)}: must be "
                f"{', '.join(COLUMN_TYPES[:-1])} or {COLUMN_TYPES[-1]}."
            )
    return dict(values)


def _scales(values: Any, hyperparameters: Any) -> Mapping[str, Scale]:
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"table.scales={printable(values, most=80)}: must be {{hyperparameter: scale}}."
        )
    for name in values:
        if name not in hyperparameters:
            text = f"table.scales: {printable(repr(name), most=80)}: names no hyperparameter; "
            raise ConfigError(text + f"{_QUOTES}, or remove it.")
    for name in hyperparameters if values else ():
        if name not in values:
            raise ConfigError(
                f"table.scales.{printable(name)}: missing; name the scale of each hyperparameter, or of none."
            )
    return {
        name: Scale.of(f"table.scales.{printable(name)}", value) for name, value in values.items()
    }


def _epoch_columns(key: str, values: Any) -> EpochColumns:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{key}={printable(values, most=80)}: must be {{prefix, first, last}}.")
    if not isinstance(values.get("prefix", ""), str):
        shown = printable(repr(values["prefix"]), most=80)
        raise ConfigError(f"{key}.prefix={shown}: must be text; {_QUOTES}.")
    columns = parse(EpochColumns, values, f"{key}.")
    if columns.last < columns.first:
        raise ConfigError(
            f"{key}: last={columns.last} < first={columns.first}; must name columns upwards."
        )
    return columns


def _check_file(file: str) -> None:
    if file.startswith("/") or {"", ".", ".."} & set(file.split("/")) or "\0" in file:
        raise ConfigError(
            f"table.file={printable(file, most=200)}: must be a file in the table's folder; name another "
            "folder."
        )
