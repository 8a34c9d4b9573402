"""The runs that a comparison's argument names, and whether they are comparable at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.compare.figures_of_merit import Measured
from suite.core.errors import ConfigError, JournalError, SuiteError
from suite.core.moved import current, upgraded
from suite.core.printable import printable
from suite.files import UnsafeFileError, read_json
from suite.results import record as records
from suite.results import schema
from suite.results.find import find_files, find_runs
from suite.results.fold import load_run
from suite.results.leaves import leaves
from suite.results.run_view import RunView
from suite.run.agreement import data_differences
from suite.run.journal import NAME, simulated


class Refusal(SuiteError):
    """Not comparable: name other records."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one argument names. runs: algorithm -> completed runs, by seed."""

    label: str
    name: str
    runs: Mapping[str, Sequence[Measured]]

    def all(self) -> Iterator[Measured]:
        for runs in self.runs.values():
            yield from runs


def read(path: Path, label: str) -> Side:
    """The runs that a path names: of journals, and of records whose journal is not beside them.

    Raises Refusal: not completed, or two of one algorithm and seed; JournalError: damaged.
    """
    measured: list[Measured] = []
    if path.is_dir() or path.name == NAME:
        for folder in find_runs([path]):
            view = _view(folder)
            measured.append(Measured(records.of(view), view, view.doubts))
        if path.is_dir():
            lone = [p for p in find_files(path, records.NAME) if not (p.parent / NAME).exists()]
            measured += [Measured(_load(p), None) for p in lone]
    else:
        measured.append(_with_journal(_load(path), path.parent))
    if not measured:
        raise ConfigError(f"{path.name}: no {records.NAME} or {NAME} at or below it; name others.")
    runs: dict[str, list[Measured]] = {}
    for run in sorted(measured, key=lambda run: (run.algorithm, run.seed)):
        which = f"{label}, {run.algorithm} seed {run.seed}"
        status = run.record["status"]
        if status != "completed":
            raise Refusal(
                f"status={status} ({which}): must be completed; resume it or leave it out."
            )
        mine = runs.setdefault(run.algorithm, [])
        if mine and mine[-1].seed == run.seed:
            raise Refusal(f"seed={run.seed} ({which}): appears twice; pass only one of them.")
        mine.append(run)
    return Side(label, str(path), runs)


def _view(folder: Path) -> RunView:
    """The run's view. Raises JournalError, which names the folder."""
    try:
        return load_run(folder)
    except SuiteError as error:
        raise JournalError(f"{folder.name}: {error}") from None


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
        version = read_json(path, max_bytes=schema.MAX_BYTES)["schema_version"]
    except (OSError, UnsafeFileError, ValueError, KeyError, TypeError):
        return None
    return version[:20] if isinstance(version, str) else None


def _with_journal(record: Mapping[str, Any], folder: Path) -> Measured:
    """The record with its journal's view, where that lies beside it and is the one behind it."""
    if not (folder / NAME).exists():
        return Measured(record, None)
    view = _view(folder)
    own, theirs = view.journal.sha256, record["journal"]["sha256"]
    if own == theirs:
        return Measured(record, view, view.doubts)
    digests = f"its journal.sha256 is {theirs[:12]}..., the journal's {own[:12]}..."
    doubt = f"{records.NAME} is not of the journal beside it: {digests}"
    return Measured(record, None, (doubt,))


# --- what may be compared ------------------------------------------------------------------------


def check(sides: Sequence[Side], *, unlike_data: bool = False) -> list[str]:
    """What must be said above every number: nothing, unless unlike_data.

    unlike_data: compare runs on other data all the same. Raises Refusal, with the field and both values,
    where the records are not comparable.
    """
    first, base = _first(sides)
    for side in sides:
        for run in side.all():
            own = _equal(run.record)
            for field in dict.fromkeys((*own, *base)):
                if base.get(field) != own.get(field):
                    raise _refusal(
                        field, (first.label, base.get(field)), (side.label, own.get(field))
                    )
    marks = _unlike_data(sides)
    if marks and not unlike_data:
        raise Refusal(
            f"{marks[0]}: must be equal; compare others, or these all the same with --unlike-data."
        )
    names = {tuple(sorted(side.runs)) for side in sides}
    if len(names) > 1 and any(len(algorithms) > 1 for algorithms in names):
        other = next(side for side in sides if set(side.runs) != set(first.runs))
        mine, theirs = (", ".join(sorted(side.runs)) for side in (first, other))
        raise _refusal("algorithms", (first.label, mine), (other.label, theirs))
    algorithm = next(iter(first.runs))
    seeds = [run.seed for run in first.runs[algorithm]]
    for side in sides:
        for name, runs in side.runs.items():
            if (own_seeds := [run.seed for run in runs]) != seeds:
                one = (f"{first.label} {algorithm}", seeds)
                raise _refusal("seeds", one, (f"{side.label} {name}", own_seeds))
    return [f"UNLIKE DATA: {mark}" for mark in marks]


def _unlike_data(sides: Sequence[Side]) -> list[str]:
    """A text for each field of the data sets in which runs differ, with both values.

    A record that names no data set differs from nothing.
    """
    first: tuple[str, Mapping[str, Any]] | None = None
    unlike: dict[str, str] = {}
    for side in sides:
        for run in side.all():
            which = f"{side.label}, {run.algorithm} seed {run.seed}"
            for data_set in map(_without_units, run.record["data_sets"]):
                if first is None:
                    first = which, data_set
                for one in data_differences(first[1], data_set):
                    mine, theirs = f"{one.value} ({first[0]})", f"{one.other} ({which})"
                    unlike.setdefault(one.field, f"{one.field}: {mine}, {theirs}")
    return list(unlike.values())


def _without_units(data_set: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v["value"] if isinstance(v, Mapping) else v for k, v in data_set.items()}


def _first(sides: Sequence[Side]) -> tuple[Side, dict[str, Any]]:
    return sides[0], _equal(next(iter(sides[0].all())).record)


def _equal(record: Mapping[str, Any]) -> dict[str, Any]:
    """Field -> value: what must be equal in all records."""
    target = record["target"]
    settings = dict(_settings(_settings(record.get("config")).get("model")))
    description = _settings(settings.get("description"))
    # Where a table lies; its checksum says which it is, and revision 0e27403 called each of them `table`.
    settings.pop("folder", None)
    model = description["file"] if "file" in description else record["model"]
    return {
        "schema_version (major)": record["schema_version"].split(".")[0],
        "experiment": record["experiment"],
        "model": model,
        "data": record["data"],
        **{f"target.{field}": target[field] for field in ("metric", "mode", "unit")},
        "max_epochs": record["max_epochs"]["value"],
        **_renamed(settings, "config.model"),
    }


def _settings(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _noted(record: Mapping[str, Any]) -> dict[str, Any]:
    """Field -> value: what may differ, and is said where it does."""
    config = upgraded(_settings(record.get("config")))
    names = ("scheduler", "searcher", "predictor", "backend")
    parts = {name: config[name] for name in names if name in config}
    n_workers = (record["workers"]["asked"] or {}).get("value")
    environment = record["environment"]
    code = {name: _settings(environment[name]) for name in ("git", "versions")}
    return {
        "overlap": record["overlap"],
        "workers": n_workers,
        **budget(record),
        "suite_version": record["suite_version"],
        **dict(leaves(code)),
        **dict(sorted(_renamed(parts, "config").items(), key=_class_first)),
    }


def budget(record: Mapping[str, Any]) -> dict[str, Any]:
    """Field -> value of each budget that the run was given."""
    given = _settings(_settings(record.get("config")).get("budget"))
    return {
        f"budget.{name}": value
        for name, value in given.items()
        if value is not None and not isinstance(value, bool)
    }


def _renamed(settings: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Leaf -> value, with today's names of classes: a class that moved is the same class."""
    return {
        name: current(value) if name.endswith("._target_") and isinstance(value, str) else value
        for name, value in leaves(settings, prefix)
    }


def _class_first(leaf: tuple[str, Any]) -> bool:
    return not leaf[0].endswith("._target_")


def _refusal(field: str, one: tuple[str, Any], other: tuple[str, Any]) -> Refusal:
    mine, theirs = (f"{printable(value, most=200)} ({where})" for where, value in (one, other))
    return Refusal(f"{field}: {mine}, {theirs}: must be equal; {_remedy(field)}.")


def _remedy(field: str) -> str:
    """What helps where a field differs."""
    if field == "algorithms":
        return "name run folders of the algorithms that both have, or one algorithm on each side"
    if field == "seeds":
        return "name the run folders of the seeds that both have, or run the others (seed=...)"
    if field == "data":
        return "fetch the data where they were missing (swiftbench fetch) and run that side again"
    if field.startswith("schema_version"):
        return (
            "write the older record again from its journal (swiftbench verify says whether it fits)"
        )
    name = field.removeprefix("config.")
    return f"run one side again with the other's {name}, or name runs that have it"


def notes(row: Sequence[tuple[Side, str]], groups: Sequence[Sequence[Measured]]) -> Iterator[str]:
    """What else differs between the groups of one row, and what limits their figures."""
    each = [_noted(runs[0].record) for runs in groups]
    # Parts of another class: their settings have nothing in common.
    apart: list[str] = []
    for field in dict.fromkeys(key for settings in each for key in settings):
        values = [settings.get(field) for settings in each]
        if field.startswith(tuple(apart)) or all(value == values[0] for value in values):
            continue
        part, _, last = field.rpartition(".")
        if last == "_target_":
            apart.append(f"{part}.")
        pairs = zip(values, row, strict=True)
        yield f"{field}: " + ", ".join(f"{value} ({side.label})" for value, (side, _) in pairs)
    for (side, _), runs in zip(row, groups, strict=True):
        if n := sum(run.view is None for run in runs):
            yield f"{side.label}: {n} records without their journal: nothing to the target value"
        for run in runs:
            for doubt in run.doubts:
                yield f"{side.label}: DOUBT: {run.algorithm} seed {run.seed}: {doubt}"
        if _simulated(runs[0].record):
            yield f"{side.label}: simulated, its seconds are made up"


def _simulated(record: Mapping[str, Any]) -> bool:
    config = _settings(record.get("config"))
    return simulated({"config": {"backend": _settings(config.get("backend"))}})
