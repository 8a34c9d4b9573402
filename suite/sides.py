"""Floor 4: the runs that a comparison's argument names, and whether they are comparable at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite import records, schema
from suite.core.errors import ConfigError, JournalError, SuiteError
from suite.merits import Measured
from suite.projection import load_run
from suite.run.journal import NAME
from suite.track import find


class Refusal(SuiteError):
    """Not comparable: name other records."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one argument names. runs: algorithm -> completed runs, by seed."""

    label: str
    name: str
    runs: Mapping[str, Sequence[Measured]]

    def all(self) -> Iterator[Measured]:
        for some in self.runs.values():
            yield from some


def read(path: Path, label: str) -> Side:
    """The runs that a path names: of journals, and of records whose journal is not beside them.

    Raises Refusal: not completed, or two of one algorithm and seed; JournalError: damaged.
    """
    found: list[Measured] = []
    if path.is_dir() or path.name == NAME:
        for folder in find([path]):
            view = load_run(folder)
            found.append(Measured(records.of(view), view))
        if path.is_dir():
            lone = [p for p in sorted(path.rglob(records.NAME)) if not (p.parent / NAME).exists()]
            found += [Measured(_load(p), None) for p in lone]
    else:
        found.append(_with_journal(_load(path), path.parent))
    if not found:
        raise ConfigError(f"{path.name}: no {records.NAME} or {NAME} at or below it; name others.")
    runs: dict[str, list[Measured]] = {}
    for run in sorted(found, key=lambda run: (run.algorithm, run.seed)):
        said = f"{label}, {run.algorithm} seed {run.seed}"
        status = run.record["status"]
        if status != "completed":
            raise Refusal(
                f"status={status} ({said}): must be completed; resume it or leave it out."
            )
        mine = runs.setdefault(run.algorithm, [])
        if mine and mine[-1].seed == run.seed:
            raise Refusal(f"seed={run.seed} ({said}): stands there twice; name one of the two.")
        mine.append(run)
    return Side(label, str(path), runs)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        return records.load(path)
    except JournalError:
        theirs = _version(path)
        if theirs and theirs.split(".")[0] != schema.VERSION.split(".")[0]:
            raise Refusal(
                f"schema_version: {schema.VERSION} here, {theirs} in {path.name}: must have one "
                "major version; read it with the suite that wrote it."
            ) from None
        raise


def _version(path: Path) -> str | None:
    """The version that a record which is not valid here says it has."""
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read(schema.MAX_BYTES))["schema_version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found[:20] if isinstance(found, str) else None


def _with_journal(record: Mapping[str, Any], folder: Path) -> Measured:
    """The record with its journal's view, where that lies beside it and is the one behind it."""
    if not (folder / NAME).exists():
        return Measured(record, None)
    view = load_run(folder)
    mine = view.sha256 == record["journal"]["sha256"]
    return Measured(record, view if mine else None)


# --- what may be compared ------------------------------------------------------------------------


def check(sides: Sequence[Side]) -> None:
    """Raise Refusal, with the field and both values, where the records are not comparable."""
    first, base = _first(sides)
    for side in sides:
        for run in side.all():
            for field, value in _equal(run.record).items():
                if base.get(field) != value:
                    raise _refusal(field, (first.label, base.get(field)), (side.label, value))
            for field in base:
                if field not in _equal(run.record):
                    raise _refusal(field, (first.label, base[field]), (side.label, None))
    names = {tuple(sorted(side.runs)) for side in sides}
    if len(names) > 1 and any(len(some) > 1 for some in names):
        other = next(side for side in sides if set(side.runs) != set(first.runs))
        mine, theirs = (", ".join(sorted(side.runs)) for side in (first, other))
        raise _refusal("algorithms", (first.label, mine), (other.label, theirs))
    algorithm = next(iter(first.runs))
    seeds = [run.seed for run in first.runs[algorithm]]
    for side in sides:
        for name, runs in side.runs.items():
            if (found := [run.seed for run in runs]) != seeds:
                one = (f"{first.label} {algorithm}", seeds)
                raise _refusal("seeds", one, (f"{side.label} {name}", found))


def _first(sides: Sequence[Side]) -> tuple[Side, dict[str, Any]]:
    return sides[0], _equal(next(iter(sides[0].all())).record)


def _equal(record: Mapping[str, Any]) -> dict[str, Any]:
    """Field -> value: what must be equal in all records."""
    target = record["target"]
    settings = {**((record.get("config") or {}).get("model") or {})}
    settings.pop("folder", None)  # where a table lies; its checksum says which it is
    return {
        "schema_version (major)": record["schema_version"].split(".")[0],
        **{field: record[field] for field in ("experiment", "model", "data")},
        **{f"target.{field}": target[field] for field in ("metric", "mode", "unit")},
        "max_epochs": record["max_epochs"]["value"],
        **dict(_leaves(settings, "config.model")),
    }


def _noted(record: Mapping[str, Any]) -> dict[str, Any]:
    """Field -> value: what may differ, and is said where it does."""
    config = record.get("config") or {}
    names = ("scheduler", "searcher", "predictor", "backend")
    parts = {name: config[name] for name in names if name in config}
    n_workers = (record["workers"]["asked"] or {}).get("value")
    return {
        "overlap": record["overlap"],
        "workers": n_workers,
        "suite_version": record["suite_version"],
        **dict(sorted(_leaves(parts, "config"), key=_kind_first)),
    }


def _kind_first(leaf: tuple[str, Any]) -> bool:
    return not leaf[0].endswith(("._target_", ".kind"))


def _leaves(node: Any, at: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from _leaves(value, f"{at}.{key}")
    else:
        yield at, node


def _refusal(field: str, one: tuple[str, Any], other: tuple[str, Any]) -> Refusal:
    return Refusal(
        f"{field}: {one[1]} ({one[0]}), {other[1]} ({other[0]}): must be equal; compare others."
    )


def notes(row: Sequence[tuple[Side, str]], groups: Sequence[Sequence[Measured]]) -> Iterator[str]:
    """What else differs between the groups of one row, and what limits their figures."""
    each = [_noted(runs[0].record) for runs in groups]
    apart: list[str] = []  # parts of another kind: their settings have nothing in common
    for field in dict.fromkeys(key for some in each for key in some):
        values = [some.get(field) for some in each]
        if field.startswith(tuple(apart)) or all(value == values[0] for value in values):
            continue
        part, _, last = field.rpartition(".")
        if last in ("_target_", "kind"):
            apart.append(f"{part}.")
        told = zip(values, row, strict=True)
        yield f"{field}: " + ", ".join(f"{value} ({side.label})" for value, (side, _) in told)
    for (side, _), runs in zip(row, groups, strict=True):
        if n := sum(run.view is None for run in runs):
            yield f"{side.label}: {n} records without their journal: nothing to the target value"
        config = runs[0].record.get("config") or {}
        if (config.get("backend") or {}).get("kind") == "simulate":
            yield f"{side.label}: simulated, its seconds are made up"
