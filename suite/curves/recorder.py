"""Curve tables from runs: what simulation replays, with the seconds of every epoch."""

from __future__ import annotations

import datetime
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.core.brackets import hyperband_plan
from suite.core.curve_table import CurveTable, parse
from suite.core.errors import ConfigError, DataError, check_integer
from suite.core.plugins import make
from suite.core.printable import printable
from suite.core.target import Target
from suite.curves import datapackage
from suite.curves.model_yaml import read_table
from suite.files import write_whole
from suite.results.find import find_runs
from suite.results.fold import load_run
from suite.results.run_view import RunView, TrialView
from suite.run.agreement import data_differences, data_label

# --- record --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was written. n_short, n_diverged: trials; n_twice: trainings that several runs held."""

    folder: Path
    name: str
    table: CurveTable
    n_short: int
    n_diverged: int
    n_twice: int
    partial: bool
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        short = "kept as failed from their end on" if self.partial else "left out"
        lines = [f"{self.name}: {summary(self.table)}"]
        lines += [f"{n} {what}" for n, what in (
            (self.n_short, f"shorter trials: {short}"),
            (self.n_diverged, "diverged trials: kept, as failed"),
            (self.n_twice, "trainings stood in several runs: taken once"),
        ) if n]  # fmt: skip
        if self.n_short and not self.partial:
            lines.append(
                "note: the rows are trials that the search trained to the end, so better ones than a random "
                "draw; runs of algorithm=random_search give a table without this bias."
            )
        use = _command(self.folder, self.name)
        use += f" max_epochs={_fitting(len(self.table.configs), self.table.n_epochs)}"
        return [*lines, *(f"note: {note}" for note in self.notes), f"use it: {use}"]


@dataclass(frozen=True, slots=True)
class Training:
    """One training of a trial, and the run that it stands in. values: of its first n epochs at most."""

    run_id: str
    trial: TrialView
    values: tuple[float, ...]

    @property
    def key(self) -> str:
        """Its configuration: equal keys are repeats."""
        return json.dumps(self.trial.config, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Selection:
    """The trainings of several runs, each once, as a table of n_epochs takes them.

    n_trials: of all runs.
    """

    trainings: Sequence[Training]
    n_epochs: int
    n_trials: int

    @property
    def diverged(self) -> list[Training]:
        """Trainings that ended early for good."""
        return [x for x in self.shorter if x.trial.status == "diverged"]

    @property
    def shorter(self) -> list[Training]:
        """Trainings of less than n_epochs, diverged ones too."""
        return [x for x in self.trainings if len(x.values) < self.n_epochs]

    def rows(self, partial: bool) -> list[Training]:
        """The table's rows: repeats of a configuration beside each other, in the order met."""
        groups: dict[str, list[Training]] = {}
        for training in self.trainings:
            whole = len(training.values) == self.n_epochs
            if whole or partial or training.trial.status == "diverged":
                groups.setdefault(training.key, []).append(training)
        return [training for repeats in groups.values() for training in repeats]


def record(
    folders: Sequence[Path],
    to: Path,
    *,
    name: str | None = None,
    n_epochs: int | None = None,
    partial: bool = False,
    licence: str | None = None,
) -> Recorded:
    """Write the table of every run at or below `folders`.

    Raises ConfigError (runs that do not go together, a taken folder, nothing long enough),
    JournalError (a damaged run), DataError (what was written does not read back).
    """
    views = gather(folders)
    name = validate_names(to, name, views[0].header.model, licence)
    longest = min(view.header.max_epochs for view in views)
    n = longest if n_epochs is None else check_integer("epochs", n_epochs, 1)
    selection = longest_trainings(views, n)
    made = package(views, selection, name, partial, licence)
    write(made, to)
    n_diverged = len(selection.diverged)
    return Recorded(
        to, name, made.table,
        n_short=len(selection.shorter) - n_diverged,
        n_diverged=n_diverged,
        n_twice=selection.n_trials - len(selection.trainings),
        partial=partial,
        notes=(*_doubts(views), *_notes(made, licence)),
    )  # fmt: skip


def validate_names(to: Path, name: str | None, model: str, licence: str | None) -> str:
    """The table's name: `name`, or the folder's. Raises ConfigError where a name cannot be taken."""
    if name is None:
        name = to.resolve().name
        name += "_recorded" if name == model else ""
    elif name == model:
        raise ConfigError(
            f"name={name}: is the name of the model that was trained, and conf/ comes before "
            f"--config-dir; take another, e.g. {name}_recorded."
        )
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,63}", name):
        raise ConfigError(f"name={name}: must be small letters, digits, _ . and -; use --name.")
    if (to / datapackage.NAME).exists():
        raise ConfigError(f"to={to.name}: holds a table; name another folder, or remove it.")
    if licence and not re.fullmatch(r"[-a-zA-Z0-9._]+", licence):
        raise ConfigError(f"licence={licence}: must be an identifier such as CC-BY-4.0.")
    return name


def longest_trainings(views: Sequence[RunView], n_epochs: int) -> Selection:
    """Each training once, the longest where it stands in several runs.

    Raises ConfigError where none has n_epochs.
    """
    kept: dict[tuple[str, int], Training] = {}
    n_trials = 0
    for view in views:
        for trial in view.trials.values():
            n_trials += 1
            values = tuple(view.value(point.objective) for point in trial.epochs[:n_epochs])
            training = Training(view.header.run_id, trial, values)
            known = kept.get((training.key, trial.seed))
            if known is None or len(trial.epochs) > len(known.trial.epochs):
                kept[training.key, trial.seed] = training
    selection = Selection(list(kept.values()), n_epochs, n_trials)
    if len(selection.shorter) == len(kept):
        most = max((len(training.trial.epochs) for training in kept.values()), default=0)
        raise ConfigError(
            f"epochs={n_epochs}: none of {len(kept)} trials was trained so long, the longest for "
            f"{most}; lower --epochs."
            if most
            else f"folders: none of {len(kept)} trials has an epoch; name runs that were trained."
        )
    return selection


@dataclass(frozen=True, slots=True)
class Package:
    """A data package that is not yet written. csv: the table's text; described: its description."""

    name: str
    model: str
    data: str
    csv: str
    described: Mapping[str, Any]
    table: CurveTable
    descriptor: Mapping[str, Any]


def package(
    views: Sequence[RunView], selection: Selection, name: str, partial: bool, licence: str | None
) -> Package:
    """The package of a selection. Raises DataError where its table does not read back."""
    trainings, n = selection.rows(partial), selection.n_epochs
    header = views[0].header
    whole = next(x for x in selection.trainings if len(x.values) == n)
    hyperparameters = list(whole.trial.config)
    rows: list[datapackage.Row] = [
        (
            training.trial.config,
            training.values,
            [point.train_s for point in training.trial.epochs[:n]],
            [point.eval_s for point in training.trial.epochs[:n]],
        )
        for training in trainings
    ]
    csv = datapackage.to_csv(hyperparameters, rows, n)
    data = str(data_label(header.target.data, [data_set for _, data_set in _data_sets(views)]))
    described = datapackage.description(
        f"{name}.csv", csv, hyperparameters, n,
        metric=header.metric.name, mode=header.metric.mode,
        data="recorded" if data == "real" else data,
        **({"licence": licence} if licence else {}), source=f"{datapackage.NAME} beside it",
    )  # fmt: skip
    text = csv.text
    table = parse(described, text)
    if not datapackage.same_rows(table, rows):
        raise DataError(
            f"{name}.csv: does not read back as it was written; a hyperparameter has values that a table "
            "cannot tell apart. Rename or round them in the model."
        )
    counts = {view.header.run_id: 0 for view in views}
    for training in trainings:
        counts[training.run_id] += 1
    created = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    descriptor = datapackage.descriptor(
        name, text, described, table, header.metric.unit,
        datapackage.provenance(views, counts), created,
    )  # fmt: skip
    return Package(name, header.model, data, text, described, table, descriptor)


def write(made: Package, to: Path) -> None:
    """The package's files, and a model's YAML beside them. Raises OSError (a full disk)."""
    write_whole(to / f"{made.name}.csv", made.csv, below=to)
    title = f"from runs of {made.model}: {summary(made.table)}"
    model = datapackage.model_yaml(to, made.described, title)
    write_whole(to / "model" / f"{made.name}.yaml", model, below=to)
    text = json.dumps(made.descriptor, indent=1, ensure_ascii=False, allow_nan=False)
    # Last: the package is whole with it.
    write_whole(to / datapackage.NAME, text + "\n", below=to)


def gather(folders: Sequence[Path]) -> list[RunView]:
    """The runs at or below `folders`, each run_id once, that go into one table together."""
    for folder in folders:
        if not find_runs([folder]):
            raise ConfigError(f"folders={folder.name}: no run at or below it; name run folders.")
    by_id = {view.header.run_id: view for view in map(load_run, find_runs(folders))}
    views = [view for view in by_id.values() if view.trials]
    if not views:
        raise ConfigError("folders: no run with a trial at or below them; name others.")
    common = _common(views[0])
    for view in views:
        place = view.folder.name
        if view.header.simulated:
            raise ConfigError(f"{place}: backend=simulate: seconds are made up; name real runs.")
        own = _common(view)
        for key in {**common, **own}:
            if common.get(key) != own.get(key):
                raise ConfigError(
                    f"{key}={own.get(key)} in {place}, {common.get(key)} in "
                    f"{views[0].folder.name}: must be equal in one table; record them apart."
                )
    _check_data(views)
    return views


def _common(view: RunView) -> dict[str, Any]:
    """What must be equal in a table: what was trained. (Fixed values are columns like others.)"""
    header, settings = view.header, view.header.model_settings or {}
    return {
        "model": header.model,
        "target.metric": header.metric.name,
        "target.mode": header.metric.mode,
        "target.data": header.target.data,
        "target.unit": header.metric.unit,
        **{f"model.{k}": v for k, v in settings.items() if k not in ("folder", "fixed")},
        "hyperparameters": list(next(iter(view.trials.values())).config),
    }


def _doubts(views: Sequence[RunView]) -> list[str]:
    """What does not fit in the runs, or in the records beside them."""
    return [f"{printable(view.folder.name)}: {doubt}" for view in views for doubt in view.doubts]


def _data_sets(views: Sequence[RunView]) -> list[tuple[str, Any]]:
    """(run's folder, data set) of every worker of every run that says on what it trained."""
    return [
        (view.folder.name, life.facts["data_set"])
        for view in views
        for life in view.workers
        if isinstance(life.facts.get("data_set"), Mapping)
    ]


def _check_data(views: Sequence[RunView]) -> None:
    """Raise ConfigError where two workers, of one run or of two, did not train on the same data."""
    (first, data_set), *others = _data_sets(views) or [("", None)]
    for place, other in others:
        if unlike := data_differences(other, data_set):
            raise ConfigError(
                f"{printable(place)}: {printable(unlike[0])} in {printable(first)}: must be the same data in "
                "one table; record runs of equal data apart."
            )


def _command(folder: Path, name: str) -> str:
    """What runs the table. A name that Hydra would read as a number, null or a boolean is quoted."""
    plain = re.fullmatch(r"[a-z][a-z0-9_-]*", name) and name not in (
        "null",
        "true",
        "false",
        "nan",
        "inf",
    )
    model = f"model={name}" if plain else f"model='{name}'"
    return (
        f"swiftbench run --config-dir {shlex.quote(str(folder))} "
        f"{model if plain else shlex.quote(model)} backend=simulate"
    )


def _fitting(n_configs: int, n_epochs: int) -> int:
    """The largest max_epochs of Hyperband, eta = 2, that asks the table for no more than it holds."""
    fits = (r for r in range(n_epochs, 1, -1) if hyperband_plan(r, 2).n_trials <= n_configs)
    return next(fits, 1)


def _notes(made: Package, licence: str | None) -> list[str]:
    notes, data = [], made.data
    if data == "stand-in":
        notes.append("data=stand-in: trained in earnest, but not on the data set of that name.")
    elif data != "real":
        notes.append(f"data={data}: values and seconds are those of a replay, not of a training.")
    devices = {device for run in made.descriptor["provenance"]["runs"] for device in run["devices"]}
    if len(devices) > 1:
        notes.append(f"seconds come from {len(devices)} kinds of device: {'; '.join(devices)}.")
    if not licence:
        notes.append("no licence is stated; --licence states one, before others may use it.")
    return notes


# --- check ---------------------------------------------------------------------------------------


def check(path: Path) -> CurveTable:
    """The table of a package's folder, of a model's YAML or of the catalogue, if all is well with it.

    Raises DataError: missing, changed or faulty; ConfigError: a wrong description.
    """
    if path.is_dir():
        return datapackage.read(path)[1]
    table = getattr(make(read_table(path), "model", Target), "table", None)
    if not isinstance(table, CurveTable):
        raise ConfigError(f"{path.name}: describes no table; see docs/curve-tables.md.")
    return table


def summary(table: CurveTable) -> str:
    """A table in a line."""
    n = [len(recordings) for recordings in table.recordings]
    repeated = sum(n_recordings > 1 for n_recordings in n)
    more = f" ({repeated} of them repeated, up to {max(n)} times in all)" if repeated else ""
    first = table.recordings[0][0]
    timed = [name for name in ("train_s", "eval_s") if getattr(first, name) is not None]
    return (
        f"{len(n)} configurations{more}, {sum(n)} rows, {table.n_epochs} epochs, "
        f"{table.n_failed} failed rows, seconds: {' and '.join(timed) or 'none'}"
    )
