"""A curve table as a Frictionless data package (v2): one CSV and its description.

The descriptor holds what the standard asks for (path, bytes, hash, columns, licence, sources), in
its resource the suite's own description of the table (`curves`, as a model's YAML has it), and
`provenance`: the runs behind it. No path, user or host name stands in it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from suite.core.csv_text import decode, read_rows
from suite.core.curve_table import CurveTable, parse
from suite.core.errors import ConfigError, DataError
from suite.core.printable import printable
from suite.curves import csv_cells
from suite.curves.model_yaml import as_yaml
from suite.files import UnsafeFileError, read_bytes, read_json
from suite.results.run_view import RunView

NAME = "datapackage.json"
MAX_BYTES = 16 * 2**20
MAX_TABLE_BYTES = 256 * 2**20
PREFIXES = {"curve": "value_", "train_s": "train_s_", "eval_s": "eval_s_"}
_PROFILE = "https://datapackage.org/profiles/2.0/{}.json"

Row = tuple[Mapping[str, Any], Sequence[float], Sequence[float], Sequence[float]]
"""Configuration, values, train_s, eval_s; the three end where the training ended."""


@dataclass(frozen=True, slots=True)
class Csv:
    """A table's text, its columns as they stand in the first line, and what its description must say."""

    text: str
    types: Mapping[str, str]
    escape: str | None


def to_csv(hyperparameters: Sequence[str], rows: Sequence[Row], n_epochs: int) -> Csv:
    """The table: a row a training. Where it ended early, empty values, and 0 s: nothing was done.

    Raises ConfigError where a hyperparameter is called like a column of the curves, a row's configuration has
    other hyperparameters, or values cannot be told apart in a file.
    """
    columns = [f"{p}{i}" for p in PREFIXES.values() for i in range(1, n_epochs + 1)]
    for name in {*hyperparameters} & {*columns}:
        raise ConfigError(f"hyperparameter {name}: called like a column of curves; rename it.")
    for config, *_ in rows:
        if set(config) != set(hyperparameters):
            unlike = printable(", ".join(sorted(set(config) ^ set(hyperparameters))), most=200)
            raise ConfigError(
                f"hyperparameter {unlike}: in some trials only; must be in each of a table, which has no "
                "conditions. Name other runs."
            )
    values = {name: [config[name] for config, *_ in rows] for name in hyperparameters}
    names = [csv_cells.check_text(name, name) for name in hyperparameters]
    types = {name: csv_cells.column_type(name, column) for name, column in values.items()}
    cells = {name: csv_cells.cells(name, column) for name, column in values.items()}
    escape = csv_cells.ESCAPE if csv_cells.needs_escape(names, types, cells) else None
    if escape:
        names = list(map(csv_cells.guarded, names))
        texts = [name for name, kind in types.items() if kind == "text"]
        cells |= {name: list(map(csv_cells.guarded, cells[name])) for name in texts}
    lines = [[*names, *columns]]
    for i, (_, curve, train_s, eval_s) in enumerate(rows):
        line = [column[i] for column in cells.values()]
        line += [repr(v) for v in curve] + [""] * (n_epochs - len(curve))
        for seconds in (train_s, eval_s):
            line += [repr(s) for s in seconds] + ["0"] * (n_epochs - len(seconds))
        lines.append(line)
    text = "".join(",".join(map(csv_cells.quoted, line)) + "\n" for line in lines)
    return Csv(text, types, escape)


def description(
    file: str, table: Csv, hyperparameters: Sequence[str], n_epochs: int, **labels: str
) -> dict[str, Any]:
    """The table's description for models.recorded_curves. labels: metric, mode, data, licence, source."""
    epochs = {k: {"prefix": p, "first": 1, "last": n_epochs} for k, p in PREFIXES.items()}
    return {
        "file": file,
        "sha256": hashlib.sha256(table.text.encode()).hexdigest(),
        "hyperparameters": list(hyperparameters),
        "types": dict(table.types),
        **({"escape": table.escape} if table.escape else {}),
        **epochs,
        # An accuracy of 0 is a value; failures are empty cells.
        "trailing_zeros": "values",
        **labels,
    }


def descriptor(
    name: str,
    text: str,
    described: Mapping[str, Any],
    table: CurveTable,
    unit: str,
    provenance: Mapping[str, Any],
    created: str,
) -> dict[str, Any]:
    """datapackage.json of a table. unit: of the metric's values; created: UTC, as in RFC 3339."""
    licence = described.get("licence")
    n = sum(len(recordings) for recordings in table.recordings)
    contents = f"{n} trainings, {len(table.configs)} configurations, {table.n_epochs} epochs"
    return {
        "$schema": _PROFILE.format("datapackage"),
        "name": name,
        "title": f"Learning curves: {contents}",
        "description": "One row a training: hyperparameters, value of the metric after each epoch, "
        "seconds of training and of evaluation of each epoch. Empty values: the training failed, "
        "or was not continued, from there on; its seconds are 0.",
        "created": created,
        **({"licenses": [{"name": licence}]} if licence else {}),
        "sources": [
            {"title": f"swiftbench run {run['run_id']}", "version": str(run["suite_version"])}
            for run in provenance["runs"]
        ],
        "resources": [
            {
                "$schema": _PROFILE.format("dataresource"),
                "name": name,
                "type": "table",
                "path": str(described["file"]),
                "format": "csv",
                "mediatype": "text/csv",
                "encoding": "utf-8",
                "dialect": {"lineTerminator": "\n"},
                "bytes": len(text.encode()),
                "hash": f"sha256:{described['sha256']}",
                "schema": {"fields": _fields(described, table, unit), "missingValues": [""]},
                "curves": dict(described),
            }
        ],
        "provenance": dict(provenance),
    }


def _fields(described: Mapping[str, Any], table: CurveTable, unit: str) -> list[dict[str, Any]]:
    fields: list[dict[str, Any]] = [
        {
            "name": csv_cells.guarded(name) if described.get("escape") else name,
            "type": "string" if kind in ("text", "category") else kind,
            "title": f"hyperparameter {name}",
            # An empty text is a value.
            "constraints": {"required": kind != "text"},
        }
        for name, kind in described["types"].items()
    ]
    titles = {
        "curve": f"validation {described['metric']} after epoch",
        "train_s": "seconds of training of epoch",
        "eval_s": "seconds of evaluation of epoch",
    }
    for key, prefix in PREFIXES.items():
        for epoch in range(1, table.n_epochs + 1):
            column = {
                "name": f"{prefix}{epoch}",
                "type": "number",
                "title": f"{titles[key]} {epoch}",
            }
            timed = {"unit": "s", "constraints": {"required": True, "minimum": 0}}
            fields.append(column | ({"unit": unit} if key == "curve" else timed))
    return fields


def provenance(views: Sequence[RunView], counts: Mapping[str, int]) -> dict[str, Any]:
    """The runs behind a table. counts: rows of each run_id."""
    header = views[0].header
    runs = []
    for view in views:
        own = view.header
        run: dict[str, Any] = {
            "run_id": own.run_id, "date_utc": own.date_utc, "experiment": own.experiment,
            "algorithm": own.algorithm, "seed": own.seed, "suite_version": own.suite_version,
            "versions": own.versions, "git": own.git, "host": own.host,
        }  # fmt: skip
        devices = {
            f"{life.facts.get('device_name')}, {life.facts.get('n_threads')} threads"
            for life in view.workers
        }
        run |= {"devices": sorted(devices), "journal_sha256": view.journal.sha256}
        runs.append(run | {"n_rows": counts[own.run_id]})
    return {
        "model": header.model,
        "settings": header.model_settings,
        "target": header.target_settings,
        "runs": runs,
    }


def model_yaml(folder: Path, described: Mapping[str, Any], title: str) -> str:
    """A model's YAML. title: of the table, in a line."""
    label = "SYNTHETIC" if described["data"] == "synthetic" else "RECORDED"
    lines = [
        f"# {label} {printable(title, most=200)}",
        "_target_: models.recorded_curves.Table",
        f"folder: {as_yaml(str(folder.resolve()))}   # this machine's; change it with the place",
        "repeats: draw",
        "description:",
        *(f"  {key}: {as_yaml(value)}" for key, value in described.items()),
    ]
    return "\n".join(lines) + "\n"


# --- reading -------------------------------------------------------------------------------------


def read(folder: Path) -> tuple[dict[str, Any], CurveTable]:
    """A package's description of its table, and the table: hash, size and columns are checked.

    Raises DataError for what is missing or does not fit, ConfigError for a wrong description.
    """
    path = folder / NAME
    package = load(path)
    resources = package.get("resources")
    if not isinstance(resources, list) or len(resources) != 1 or not isinstance(resources[0], dict):
        raise DataError(f"{NAME}: resources: must be one table. Record it again.")
    resource = resources[0]
    described = resource.get("curves")
    if not isinstance(described, dict):
        raise DataError(
            f"{NAME}: resources[0].curves: missing; the suite did not write this package. "
            "Describe the table in a YAML (docs/curve-tables.md), and check that."
        )
    name = resource.get("path")
    if not isinstance(name, str) or not _inside(name) or name != described.get("file"):
        raise DataError(
            f"{NAME}: path={printable(name, most=200)}: must be a file of the package, the one its curves "
            "describe."
        )
    try:
        data = read_bytes(folder / name, below=folder, max_bytes=MAX_TABLE_BYTES)
    except OSError as error:
        raise DataError(f"{printable(name)}: {error.strerror}; restore it from a copy.") from None
    except ValueError:  # a NUL or half a character
        raise DataError(f"{NAME}: path={printable(name)}: is no file's name. Restore it.") from None
    name = printable(name, most=200)
    if len(data) != resource.get("bytes"):
        raise DataError(
            f"{name}: {len(data)} bytes, described as {printable(resource.get('bytes'), most=40)}. "
            "Restore it."
        )
    digest = hashlib.sha256(data).hexdigest()
    if resource.get("hash") != f"sha256:{digest}" or described.get("sha256") != digest:
        stated = printable(resource.get("hash"), most=23)
        raise DataError(f"{name}: sha256={digest[:16]}..., described as {stated}... Restore it.")
    text = decode(name, data)
    header = next(iter(read_rows(name, text)), [])
    schema = resource.get("schema")
    fields = schema.get("fields") if isinstance(schema, dict) else None
    fields = fields if isinstance(fields, list) else []
    columns = [f.get("name") for f in fields if isinstance(f, dict)]
    if columns != header:
        pairs = zip(
            [*columns, *[None] * len(header)], [*header, *[None] * len(columns)], strict=False
        )
        at, (was, now) = next((i, p) for i, p in enumerate(pairs, 1) if p[0] != p[1])
        shown = f"{printable(now, most=80)}, described as {printable(was, most=80)}"
        raise DataError(f"{name}, row 1, column {at}: {shown}. Restore it.")
    return described, parse(described, text)


def load(path: Path) -> dict[str, Any]:
    """A JSON object of limited size. Raises DataError."""
    try:
        content = read_json(path, below=path.parent, max_bytes=MAX_BYTES)
    except OSError as error:
        raise DataError(f"{path.name}: {error.strerror}; name a data package's folder.") from None
    except (UnsafeFileError, ValueError) as error:
        raise DataError(f"{printable(error)} Restore it.") from None
    if not isinstance(content, dict):
        raise DataError(f"{path.name}: must be a JSON object. Restore it.")
    return content


def _inside(name: str) -> bool:
    """Whether a resource's path stays in its package (the standard's rule)."""
    path = PurePosixPath(name)
    return (
        bool(path.parts) and not path.is_absolute() and ".." not in path.parts and ":" not in name
    )


def same_rows(table: CurveTable, rows: Sequence[Row]) -> bool:
    """Whether the table that was read back holds the rows that were written, in their order."""
    read = [
        (config, list(recording.values))
        for config, repeats in zip(table.configs, table.recordings, strict=True)
        for recording in repeats
    ]
    if len(read) != len(rows):
        return False
    for (config, curve), (wrote, values, _, _) in zip(read, rows, strict=True):
        end = len(values)
        if curve[:end] != list(values) or not all(map(math.isnan, curve[end:])):
            return False
        if not all(_same_value(config[name], value) for name, value in wrote.items()):
            return False
    return True


def _same_value(read: Any, wrote: Any) -> bool:
    """Equal; what is neither number nor boolean is read as its text."""
    if isinstance(read, str):
        return read == csv_cells.as_text(wrote)
    return bool(read == wrote) and isinstance(read, bool) == isinstance(wrote, bool)
