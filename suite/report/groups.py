"""Sorting runs into comparisons: what may be compared, against what, and which warnings are due."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.core.errors import SuiteError
from suite.projection import load_run
from suite.report.runs import BASELINE, Group, Run, common_parent, find, natural

_MACHINE = (
    "seed", "backend", "name", "min_workers", "max_attempts", "keep_checkpoints", "score_test",
    "algorithm_name",
)  # fmt: skip
"""Settings that say nothing about the search itself."""


def collect(folders: Sequence[Path]) -> tuple[list[Group], list[str]]:
    """The comparisons, in order of their first run, and a line for each journal that is damaged.

    Raises ConfigError where there is no journal.
    """
    top = common_parent(folders)
    runs: list[Run] = []
    unreadable = []
    for path in find(folders):
        place = path.relative_to(top).as_posix() if path != top else path.name
        try:
            view = load_run(path)
        except SuiteError as error:
            unreadable.append(f"{place}: {error}")
            continue
        runs.append(Run(view, place, str(view.header["algorithm"]), int(view.header["seed"])))
    runs.sort(key=lambda run: (run.view.began, natural(run.place)))
    tasks: dict[tuple[str, str], dict[str, list[Run]]] = {}
    for run in runs:
        key = (str(run.header.get("experiment") or "run"), str(run.header["model"]))
        tasks.setdefault(key, {}).setdefault(_task(run), []).append(run)
    groups = []
    for (experiment, model), found in tasks.items():
        settings = {task: dict(_flat(json.loads(task))) for task in found}
        names = _differences(list(settings.values()))
        for task, members in found.items():
            groups.append(_group(experiment, model, _said(settings[task], names), members))
    return groups, unreadable


def _group(experiment: str, model: str, task: str, members: list[Run]) -> Group:
    members = _name_variants(members)
    newest: dict[tuple[str, int], Run] = {}
    left_out = []
    for run in members:  # oldest first
        if run.completed:
            if older := newest.get((run.algorithm, run.seed)):
                left_out.append(older)
            newest[run.algorithm, run.seed] = run
    runs = tuple(run for run in members if newest.get((run.algorithm, run.seed)) is run)
    names = list(dict.fromkeys(run.algorithm for run in members))
    baselines = [name for name in names if name.split(" [")[0] == BASELINE]
    names.sort(key=lambda name: name not in baselines)  # the rest as they came
    baseline = next(
        (name for name in baselines if any(run.algorithm == name for run in runs)), None
    )
    return Group(
        experiment, model, task, runs,
        unfinished=tuple(run for run in members if not run.completed),
        left_out=tuple(left_out), algorithms=tuple(names), baseline=baseline,
        warnings=tuple(_warnings(members, runs, names, baselines, baseline)),
    )  # fmt: skip


def _warnings(
    members: Sequence[Run],
    runs: Sequence[Run],
    names: Sequence[str],
    baselines: Sequence[str],
    baseline: str | None,
) -> Iterator[str]:
    by_overlap: dict[str, set[str]] = {}
    for run in members:
        by_overlap.setdefault(str(_overlaps(run)), set()).add(run.algorithm)
    if len(by_overlap) > 1:
        sides = [
            f"overlap={key}: {', '.join(sorted(by_overlap[key]))}" for key in sorted(by_overlap)
        ]
        yield (
            f"MIXED OVERLAP ({'; '.join(sides)}): wall-clock times and idle shares are not "
            "comparable."
        )
    for key, what in (("n_workers", "numbers of workers"), ("host", "kinds of host")):
        kinds = {_exact(run.header.get(key)) for run in runs}
        if len(kinds) > 1:
            said = f" ({', '.join(sorted(kinds, key=natural))})" if key == "n_workers" else ""
            yield f"{len(kinds)} {what}{said}: wall-clock times are not comparable."
    versions = sorted({str(run.header.get("suite_version")) for run in runs}, key=natural)
    if len(versions) > 1:
        yield f"{len(versions)} versions of the suite ({', '.join(versions)}): see the changelog."
    if len(baselines) > 1 and baseline:
        yield (
            f"several baselines ({', '.join(baselines)}): differences are taken against {baseline}."
        )
    if len(names) > 1 and baseline is None:
        yield f"no completed run of the baseline {BASELINE}: nothing to compare with."


def _name_variants(members: Sequence[Run]) -> list[Run]:
    """An algorithm with two settings is two rows, named by what differs: `asha [n_curves=8]`."""
    labels: dict[int, str] = {}
    for algorithm in dict.fromkeys(run.algorithm for run in members):
        mine = [run for run in members if run.algorithm == algorithm]
        settings = [_settings(run) for run in mine]
        names = _differences(settings)
        for run, found in zip(mine, settings, strict=True):
            labels[id(run)] = f"{algorithm} [{_said(found, names)}]" if names else algorithm
    return [Run(run.view, run.place, labels[id(run)], run.seed) for run in members]


def _settings(run: Run) -> dict[str, Any]:
    config = {key: value for key, value in run.part("config").items() if key not in _MACHINE}
    return dict(_flat(config)) | {"overlap": run.header.get("overlap")}


def _task(run: Run) -> str:
    """What two runs must share for their numbers to be compared."""
    return _exact(
        {
            "max_epochs": run.header["max_epochs"],
            "target": run.part("target"),
            "model": run.part("config").get("model"),
            "cluster": _cluster(run),
        }
    )


def _overlaps(run: Run) -> bool | None:
    """Whether brackets shared idle workers; on a logical clock they do."""
    overlap = run.header.get("overlap")
    return None if overlap is None else bool(overlap)


def _cluster(run: Run) -> Mapping[str, Any] | None:
    """Of a simulation, what was simulated: seconds on two clusters are two things."""
    backend = run.part("config").get("backend") or {}
    return {**backend, "overlap": _overlaps(run)} if run.simulated else None


def _exact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _flat(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Leaves by the last part of their name: `eta` and `scheduler.eta` are one setting."""
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield str(key), value


def _differences(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for found in settings for key in found)
    return [key for key in keys if len({_exact(found.get(key)) for found in settings}) > 1]


def _said(settings: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{name}={settings.get(name)}" for name in names)
