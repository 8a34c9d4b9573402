"""Floor 4: a curve table as a Frictionless data package (v2): one CSV and its description.

The descriptor holds what the standard asks for (path, bytes, hash, columns, licence, sources), in
its resource the suite's own description of the table (`curves`, as a model's YAML has it), and
`provenance`: the runs behind it. No path, user or host name stands in it.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from suite.core.errors import ConfigError, DataError
from suite.core.table import CurveTable, parse
from suite.views import RunView

NAME = "datapackage.json"
MAX_BYTES = 16 * 2**20
PREFIXES = {"curve": "value_", "train_s": "train_s_", "eval_s": "eval_s_"}
_PROFILE = "https://datapackage.org/profiles/2.0/{}.json"

Row = tuple[Mapping[str, Any], Sequence[float], Sequence[float], Sequence[float]]
"""Configuration, values, train_s, eval_s; the three end where the training ended."""


def to_csv(hyperparameters: Sequence[str], rows: Iterable[Row], n_epochs: int) -> str:
    """The table: a row a training. Where it ended early, empty values, and 0 s: nothing was done.

    Raises ConfigError where a hyperparameter is called like a column of the curves.
    """
    columns = [f"{p}{i}" for p in PREFIXES.values() for i in range(1, n_epochs + 1)]
    for name in {*hyperparameters} & {*columns}:
        raise ConfigError(f"hyperparameter {name}: called like a column of curves; rename it.")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*hyperparameters, *columns])
    for config, values, train_s, eval_s in rows:
        cells = [_cell(config[name]) for name in hyperparameters]
        cells += [repr(v) for v in values] + [""] * (n_epochs - len(values))
        for seconds in (train_s, eval_s):
            cells += [repr(s) for s in seconds] + ["0"] * (n_epochs - len(seconds))
        writer.writerow(cells)
    return out.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, int | float) else str(value)


def description(
    file: str, text: str, hyperparameters: Sequence[str], n_epochs: int, **labels: str
) -> dict[str, Any]:
    """The table's description for models.table. labels: metric, mode, data, licence, source."""
    epochs = {k: {"prefix": p, "first": 1, "last": n_epochs} for k, p in PREFIXES.items()}
    return {
        "file": file,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "hyperparameters": list(hyperparameters),
        **epochs,
        "trailing_zeros": "values",  # an accuracy of 0 is one; failures are empty cells
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
    n = sum(len(some) for some in table.recordings)
    said = f"{n} trainings, {len(table.configs)} configurations, {table.n_epochs} epochs"
    return {
        "$schema": _PROFILE.format("datapackage"),
        "name": name,
        "title": f"Learning curves: {said}",
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
            "name": name,
            "type": _type([config[name] for config in table.configs]),
            "title": f"hyperparameter {name}",
            "constraints": {"required": True},
        }
        for name in described["hyperparameters"]
    ]
    titles = {
        "curve": f"validation {described['metric']} after epoch",
        "train_s": "seconds of training of epoch",
        "eval_s": "seconds of evaluation of epoch",
    }
    for key, prefix in PREFIXES.items():
        for epoch in range(1, table.n_epochs + 1):
            found = {
                "name": f"{prefix}{epoch}",
                "type": "number",
                "title": f"{titles[key]} {epoch}",
            }
            timed = {"unit": "s", "constraints": {"required": True, "minimum": 0}}
            fields.append(found | ({"unit": unit} if key == "curve" else timed))
    return fields


def _type(values: Sequence[Any]) -> str:
    if any(isinstance(value, str) for value in values):
        return "string"
    return "integer" if all(isinstance(value, int) for value in values) else "number"


def provenance(views: Sequence[RunView], counts: Mapping[str, int]) -> dict[str, Any]:
    """The runs behind a table. counts: rows of each run_id."""
    header = views[0].header
    runs = []
    for view in views:
        found = {k: view.header.get(k) for k in (
            "run_id", "date_utc", "experiment", "algorithm", "seed", "suite_version", "versions",
            "git", "host",
        )}  # fmt: skip
        devices = {
            f"{life.facts.get('device_name')}, {life.facts.get('n_threads')} threads"
            for life in view.workers
        }
        found |= {"devices": sorted(devices), "journal_sha256": view.sha256}
        runs.append(found | {"n_rows": counts[view.header["run_id"]]})
    model = (header.get("config") or {}).get("model")
    return {"model": header["model"], "settings": model, "target": header["target"], "runs": runs}


def model_yaml(folder: Path, described: Mapping[str, Any], told: str) -> str:
    """A model's YAML; told: of it, in a line. Values are JSON, which YAML reads."""
    label = "SYNTHETIC" if described["data"] == "synthetic" else "RECORDED"
    lines = [
        f"# {label} {told}",
        "_target_: models.table.Table",
        f"folder: {json.dumps(str(folder.resolve()))}   # this machine's; change it with the place",
        "repeats: draw",
        "description:",
        *(f"  {key}: {json.dumps(value)}" for key, value in described.items()),
    ]
    return "\n".join(lines) + "\n"


def put(path: Path, text: str) -> None:
    """Written beside and renamed: a reader meets the old file or the new one, never half of one.

    Raises OSError (the disk is full).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    try:
        with open(beside, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


# --- reading -------------------------------------------------------------------------------------


def read(folder: Path) -> tuple[dict[str, Any], CurveTable]:
    """A package's description of its table, and the table: hash, size and columns are checked.

    Raises DataError for what is missing or does not fit, ConfigError for a wrong description.
    """
    path = folder / NAME
    found = load(path)
    resources = found.get("resources")
    if not isinstance(resources, list) or len(resources) != 1 or not isinstance(resources[0], dict):
        raise DataError(f"{NAME}: resources: must be one table. Record it again.")
    resource = resources[0]
    described = resource.get("curves")
    if not isinstance(described, dict):
        raise DataError(
            f"{NAME}: resources[0].curves: missing; the suite did not write this package. "
            "Describe the table in a YAML, as conf/model/*_table.yaml, and check that."
        )
    name = resource.get("path")
    if not isinstance(name, str) or not _inside(name) or name != described.get("file"):
        raise DataError(
            f"{NAME}: path={name}: must be a file of the package, the one its curves describe."
        )
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise DataError(f"{name}: {error.strerror}; restore it from a copy.") from None
    if len(data) != resource.get("bytes"):
        raise DataError(
            f"{name}: {len(data)} bytes, described as {resource.get('bytes')}. Restore it."
        )
    digest = hashlib.sha256(data).hexdigest()
    if resource.get("hash") != f"sha256:{digest}" or described.get("sha256") != digest:
        said = str(resource.get("hash"))[:23]
        raise DataError(f"{name}: sha256={digest[:16]}..., described as {said}... Restore it.")
    text = data.decode()
    header = next(csv.reader(io.StringIO(text)), [])
    schema = resource.get("schema")
    fields = schema.get("fields") if isinstance(schema, dict) else None
    columns = [f.get("name") for f in fields or [] if isinstance(f, dict)]
    if columns != header:
        pairs = zip(
            [*columns, *[None] * len(header)], [*header, *[None] * len(columns)], strict=False
        )
        at, (was, now) = next((i, p) for i, p in enumerate(pairs, 1) if p[0] != p[1])
        raise DataError(f"{name}, row 1, column {at}: {now}, described as {was}. Restore it.")
    return described, parse(described, text)


def load(path: Path) -> dict[str, Any]:
    """A JSON object of limited size. Raises DataError."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES} bytes")
        found = json.loads(data)
    except OSError as error:
        raise DataError(f"{path.name}: {error.strerror}; name a data package's folder.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path.name}: no JSON that can be read: {error}. Restore it.") from None
    if not isinstance(found, dict):
        raise DataError(f"{path.name}: must be a JSON object. Restore it.")
    return found


def _inside(name: str) -> bool:
    """Whether a resource's path stays in its package (the standard's rule)."""
    path = PurePosixPath(name)
    return (
        bool(path.parts) and not path.is_absolute() and ".." not in path.parts and ":" not in name
    )


def same_curves(table: CurveTable, rows: Iterable[Row]) -> bool:
    """Whether the table that was read back holds the rows that were written, in their order."""
    read = [list(x.values) for some in table.recordings for x in some]
    for found, (_, values, _, _) in zip(read, rows, strict=True):
        end = len(values)
        if found[:end] != list(values) or not all(map(math.isnan, found[end:])):
            return False
    return True
