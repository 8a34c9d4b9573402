"""Floor 4: curve tables from real runs: what simulation replays, with seconds of every epoch.

    python -m suite.curves record RUN_FOLDERS... --to DIR      a table from every run below them
    python -m suite.curves check DIR_OR_YAML                   is this table whole; its contents

`record` writes DIR/NAME.csv and DIR/datapackage.json (suite.datapackage; these two are the
package, and name no folder) and DIR/model/NAME.yaml, a model for this machine:
`python -m suite --config-dir DIR model=NAME backend=simulate`.

A row is a trial that was trained for N epochs (--epochs, default: the least max_epochs of the
runs). Shorter trials are left out and counted; with --partial they stay, with empty cells, which
every reader takes for a failure at that epoch: right for replaying the search that was recorded,
wrong for another one that would have trained them longer. Trials that diverged did fail, and are
kept as such. Of one training that stands in several runs (same configuration, same seed of the
trial) the longest is taken: it is no repeat. Equal configurations with other seeds are repeats.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite import datapackage
from suite.core.errors import ConfigError, DataError, SuiteError, check_integer
from suite.core.plugins import make
from suite.core.table import CurveTable, parse
from suite.projection import load_run
from suite.track import find
from suite.views import RunView, TrialView


def main(arguments: Sequence[str] | None = None) -> int:
    """Record or check. 0; 1: it could not be done, and why."""
    parser = argparse.ArgumentParser(
        prog="python -m suite.curves", description="Curve tables.", allow_abbrev=False
    )
    doors = parser.add_subparsers(dest="door", required=True)
    one = doors.add_parser("record", help="a table from runs", allow_abbrev=False)
    one.add_argument("folders", nargs="+", type=Path, help="run folders, or folders of them")
    one.add_argument("--to", required=True, type=Path, metavar="DIR", help="folder of the package")
    one.add_argument(
        "--name", help="of table and model (default: the folder's; X_recorded, if X is the model's)"
    )
    one.add_argument("--epochs", type=int, metavar="N", help="(default: the least max_epochs)")
    one.add_argument("--partial", action="store_true", help="keep shorter trials, as failed")
    one.add_argument("--licence", help="SPDX identifier, e.g. CC-BY-4.0 (default: none is stated)")
    two = doors.add_parser("check", help="hash, columns, numbers", allow_abbrev=False)
    two.add_argument("table", type=Path, help="a package's folder, or a model's YAML")
    given = parser.parse_args(arguments)
    try:
        if given.door == "check":
            print(f"{given.table.name}: {said(check(given.table))}")
            return 0
        done = record(
            given.folders, given.to, name=given.name, n_epochs=given.epochs,
            partial=given.partial, licence=given.licence,
        )  # fmt: skip
    except (SuiteError, OSError) as error:
        print(f"curves: {error}", file=sys.stderr)
        return 1
    print("\n".join(done.lines()))
    return 0


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
        lines = [f"{self.name}: {said(self.table)}"]
        lines += [f"{n} {what}" for n, what in (
            (self.n_short, f"shorter trials: {short}"),
            (self.n_diverged, "diverged trials: kept, as failed"),
            (self.n_twice, "trainings stood in several runs: taken once"),
        ) if n]  # fmt: skip
        use = f"python -m suite --config-dir {self.folder} model={self.name} backend=simulate"
        return [*lines, *(f"note: {note}" for note in self.notes), f"use it: {use}"]


@dataclass(frozen=True, slots=True)
class _Kept:
    run_id: str
    trial: TrialView
    values: tuple[float, ...]


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
    model = str(views[0].header["model"])
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
    longest = min(int(view.header["max_epochs"]) for view in views)
    n = longest if n_epochs is None else check_integer("epochs", n_epochs, 1)
    kept: dict[tuple[str, int], _Kept] = {}
    n_trials = 0
    for view in views:
        for trial in view.trials.values():
            n_trials += 1
            key = (json.dumps(trial.config, sort_keys=True), trial.seed)
            if key not in kept or len(trial.epochs) > len(kept[key].trial.epochs):
                values = tuple(view.value(point.objective) for point in trial.epochs[:n])
                kept[key] = _Kept(str(view.header["run_id"]), trial, values)
    whole = [it for it in kept.values() if len(it.values) == n]
    ends = [it for it in kept.values() if len(it.values) < n]
    diverged = [it for it in ends if it.trial.status == "diverged"]
    if not whole:
        most = max((len(it.trial.epochs) for it in kept.values()), default=0)
        raise ConfigError(
            f"epochs={n}: none of {len(kept)} trials was trained so long, the longest for {most}; "
            "lower --epochs."
        )
    chosen = [it for it in kept.values() if partial or len(it.values) == n or it in diverged]
    chosen = _grouped(chosen)
    first = views[0]
    hyperparameters = list(whole[0].trial.config)
    data = str(first.header["target"].get("data"))
    rows: list[datapackage.Row] = [
        (
            it.trial.config,
            it.values,
            [point.train_s for point in it.trial.epochs[:n]],
            [point.eval_s for point in it.trial.epochs[:n]],
        )
        for it in chosen
    ]
    text = datapackage.to_csv(hyperparameters, rows, n)
    described = datapackage.description(
        f"{name}.csv", text, hyperparameters, n,
        metric=first.metric, mode=first.mode, data="recorded" if data == "real" else data,
        **({"licence": licence} if licence else {}), source=f"{datapackage.NAME} beside it",
    )  # fmt: skip
    table = parse(described, text)
    if not datapackage.same_curves(table, rows):
        raise DataError(f"{name}.csv: does not read back as it was written; rename or round "
                        "hyperparameter values that are texts of numbers.")  # fmt: skip
    counts = {view.header["run_id"]: 0 for view in views}
    for it in chosen:
        counts[it.run_id] += 1
    created = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    unit = str(first.header["target"].get("unit") or "1")
    behind = datapackage.provenance(views, counts)
    package = datapackage.descriptor(name, text, described, table, unit, behind, created)
    datapackage.put(to / f"{name}.csv", text)
    told = f"from runs of {first.header['model']}: {said(table)}"
    datapackage.put(to / "model" / f"{name}.yaml", datapackage.model_yaml(to, described, told))
    whole_package = json.dumps(package, indent=1, ensure_ascii=False, allow_nan=False)
    datapackage.put(
        to / datapackage.NAME, whole_package + "\n"
    )  # last: the package is whole with it
    n_short, n_twice = len(ends) - len(diverged), n_trials - len(kept)
    notes = tuple(_notes(data, behind, licence))
    return Recorded(to, name, table, n_short, len(diverged), n_twice, partial, notes)


def gather(folders: Sequence[Path]) -> list[RunView]:
    """The runs at or below `folders`, each run_id once, that go into one table together."""
    for folder in folders:
        if not find([folder]):
            raise ConfigError(f"folders={folder.name}: no run at or below it; name run folders.")
    found = {str(view.header["run_id"]): view for view in map(load_run, find(folders))}
    views = [view for view in found.values() if view.trials]
    if not views:
        raise ConfigError("folders: no run with a trial at or below them; name others.")
    common = _common(views[0])
    for view in views:
        place, config = view.folder.name, view.header.get("config") or {}
        if (config.get("backend") or {}).get("kind") == "simulate":
            raise ConfigError(f"{place}: backend=simulate: seconds are made up; name real runs.")
        own = _common(view)
        for key in {**common, **own}:
            if common.get(key) != own.get(key):
                raise ConfigError(
                    f"{key}={own.get(key)} in {place}, {common.get(key)} in "
                    f"{views[0].folder.name}: must be equal in one table; record them apart."
                )
    return views


def _common(view: RunView) -> dict[str, Any]:
    """What must be equal in a table: what was trained. (Fixed values are columns like others.)"""
    settings = (view.header.get("config") or {}).get("model") or {}
    target = view.header["target"]
    return {
        "model": view.header["model"],
        **{f"target.{key}": target.get(key) for key in ("metric", "mode", "data", "unit")},
        **{f"model.{k}": v for k, v in settings.items() if k not in ("folder", "fixed")},
        "hyperparameters": list(next(iter(view.trials.values())).config),
    }


def _grouped(kept: Sequence[_Kept]) -> list[_Kept]:
    """Repeats of a configuration beside each other, configurations in the order met."""
    groups: dict[str, list[_Kept]] = {}
    for it in kept:
        groups.setdefault(json.dumps(it.trial.config, sort_keys=True), []).append(it)
    return [it for some in groups.values() for it in some]


def _notes(data: str, provenance: Mapping[str, Any], licence: str | None) -> list[str]:
    notes = []
    if data == "stand-in":
        notes.append("data=stand-in: trained in earnest, but not on the data set of that name.")
    elif data != "real":
        notes.append(f"data={data}: values and seconds are those of a replay, not of a training.")
    devices = {device for run in provenance["runs"] for device in run["devices"]}
    if len(devices) > 1:
        notes.append(f"seconds come from {len(devices)} kinds of device: {'; '.join(devices)}.")
    if not licence:
        notes.append("no licence is stated; --licence states one, before others may use it.")
    return notes


# --- check ---------------------------------------------------------------------------------------


def check(path: Path) -> CurveTable:
    """The table of a package's folder, or of a model's YAML, if all is well with it.

    Raises DataError: missing, changed or faulty; ConfigError: a wrong description.
    """
    if path.is_dir():
        return datapackage.read(path)[1]
    from omegaconf import OmegaConf

    try:
        found = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except OSError as error:
        raise DataError(
            f"{path.name}: {error.strerror}; name a package's folder or a YAML."
        ) from None
    except Exception as error:  # its parser's and its resolver's, of several families
        why = str(error).splitlines()[0]
        raise ConfigError(f"{path.name}: no YAML that can be read: {why}") from None
    table = (
        getattr(make({str(k): v for k, v in found.items()}, "model"), "table", None)
        if isinstance(found, dict)
        else None
    )
    if not isinstance(table, CurveTable):
        raise ConfigError(f"{path.name}: describes no table; compare conf/model/mlpf_table.yaml.")
    return table


def said(table: CurveTable) -> str:
    """A table in a line."""
    n = [len(some) for some in table.recordings]
    repeated = sum(some > 1 for some in n)
    more = f" ({repeated} of them repeated, up to {max(n)} times in all)" if repeated else ""
    first = table.recordings[0][0]
    timed = [name for name in ("train_s", "eval_s") if getattr(first, name) is not None]
    return (
        f"{len(n)} configurations{more}, {sum(n)} rows, {table.n_epochs} epochs, "
        f"{table.n_failed} failed rows, seconds: {' and '.join(timed) or 'none'}"
    )


if __name__ == "__main__":
    sys.exit(main())
