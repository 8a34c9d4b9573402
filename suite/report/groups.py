"""Sorting runs into comparisons: what may be compared, against what, and which warnings are due."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.core.errors import SuiteError, unknown_name
from suite.core.moved import upgraded
from suite.core.printable import printable
from suite.report import deadlines, html_runs, price_said, summary
from suite.report.measures import measures
from suite.report.runs import Group, Run
from suite.results.find import common_parent, natural, require_runs
from suite.results.fold import load_run
from suite.results.header import BASELINE, Settings
from suite.results.leaves import leaves
from suite.run.journal import NAME

NO_BASELINE = "no completed run of the baseline"
"""How the warning begins that a comparison has none."""
_MACHINE = (
    "seed", "backend", "name", "min_workers", "max_attempts", "keep_checkpoints", "score_test",
    "algorithm_name", "model",
)  # fmt: skip
"""Settings that say nothing about the search itself; a comparison's runs have one model."""


def collect(folders: Sequence[Path], baseline: str | None = None) -> tuple[list[Group], list[str]]:
    """The comparisons, in order of their first run, and a line for each run that cannot be read.

    baseline: the algorithm that others are compared with; None: plain Hyperband. Raises ConfigError where
    there is no journal, or where none of those that can be read is of the baseline that is named.
    """
    top = common_parent(folders)
    runs: list[Run] = []
    unreadable = []
    for path in require_runs(folders):
        place = path.relative_to(top).as_posix() if path != top else path.name
        try:
            runs.append(_read(path, place))
        except SuiteError as error:
            unreadable.append(f"{place}: {error}")
        except Exception as error:  # damage that no reader knows: of this run alone
            why = f"{type(error).__name__}: {printable(error, most=300)}"
            unreadable.append(
                f"{place}: {NAME}: a value is not what a run of the suite holds ({why})."
            )
    runs.sort(key=lambda run: (run.view.began, natural(run.place)))
    names = _model_names(runs)
    tasks: dict[tuple[str, str], dict[str, list[Run]]] = {}
    for run, model in zip(runs, names, strict=True):
        key = (run.header.experiment or "run", model)
        tasks.setdefault(key, {}).setdefault(_task(run), []).append(run)
    groups = []
    for (experiment, model), by_task in tasks.items():
        settings = {task: _flat(json.loads(task)) for task in by_task}
        differing = _differences(list(settings.values()))
        for task, members in by_task.items():
            named = _named(settings[task], differing)
            groups.append(_group(experiment, model, named, members, baseline))
    if baseline is not None and runs and all(group.baseline is None for group in groups):
        names = sorted({run.algorithm for group in groups for run in group.runs})
        raise unknown_name("baseline", baseline, names)
    return groups, unreadable


def _read(path: Path, place: str) -> Run:
    """A run of which all that a report asks can be told. Raises what its reading raises."""
    view = load_run(path)
    run = Run(view, place, view.header.algorithm, view.header.seed)
    # Each is computed once here, so that a value of another type is this run's fault alone.
    alone = _group("", "", "", [run])
    values = [measure.value(run) for measure in measures(alone)]
    all(math.isfinite(value) for value in values if value is not None)
    texts = (_task(run), _exact([_settings(run), run.header.host]), html_runs.runs_table(alone))
    price_said.said(run)
    if run.completed and math.isfinite(deadlines.end_s(view.limits, view)):
        deadlines.read(run, view.limits)
    labels = (alone.overlap, alone.data, alone.workers, alone.metric)
    "".join((*texts, *labels, summary.as_json([view])))
    return run


def _model_names(runs: Sequence[Run]) -> list[str]:
    """What each run's model is called: as in the newest run with its settings.

    Revision 0e27403 called every curve table `table`, and other models by their modules.
    """
    names: dict[str, str] = {}
    keys = []
    for run in runs:  # oldest first
        settings = _model(run)
        keys.append(run.header.model if settings is None else _exact(settings))
        names[keys[-1]] = run.header.model
    return [names[key] for key in keys]


def _config(run: Run) -> Settings:
    """The run's configuration by today's names."""
    config = run.header.config
    return upgraded(config) if isinstance(config, Mapping) else {}


def _model(run: Run) -> Settings | None:
    """The model's settings by today's names, without the folder that a table of known checksum lies in."""
    if run.header.model_settings is None:
        return None
    settings = dict(_config(run)["model"])
    description = settings.get("description")
    if isinstance(description, Mapping) and "sha256" in description:
        settings.pop("folder", None)
    return settings


def _group(
    experiment: str, model: str, task: str, members: list[Run], wanted: str | None = None
) -> Group:
    """wanted: the baseline by its name; None: plain Hyperband."""
    members = named_apart(members)
    newest: dict[tuple[str, int], Run] = {}
    left_out = []
    for run in members:  # oldest first
        if run.completed:
            if older := newest.get((run.algorithm, run.seed)):
                left_out.append(older)
            newest[run.algorithm, run.seed] = run
    runs = tuple(run for run in members if newest.get((run.algorithm, run.seed)) is run)
    names = list(dict.fromkeys(run.algorithm for run in members))
    baselines = list(dict.fromkeys(run.algorithm for run in members if _is_baseline(run, wanted)))
    names.sort(key=lambda name: name not in baselines)  # the rest as they came
    baseline = next(
        (name for name in baselines if any(run.algorithm == name for run in runs)), None
    )
    return Group(
        experiment, model, task, runs,
        unfinished=tuple(run for run in members if not run.completed),
        left_out=tuple(left_out), algorithms=tuple(names), baseline=baseline,
        warnings=tuple(_warnings(members, runs, names, baselines, baseline, wanted)),
    )  # fmt: skip


def _is_baseline(run: Run, wanted: str | None) -> bool:
    if wanted is None:
        return run.header.is_baseline
    return wanted in (run.algorithm, run.header.algorithm)


def _warnings(
    members: Sequence[Run],
    runs: Sequence[Run],
    names: Sequence[str],
    baselines: Sequence[str],
    baseline: str | None,
    wanted: str | None,
) -> Iterator[str]:
    for run in members:
        yield from (f"{run.place}: {doubt}" for doubt in run.view.doubts)
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
    n_workers = sorted({_exact(run.header.n_workers) for run in runs}, key=natural)
    if len(n_workers) > 1:
        yield (
            f"{len(n_workers)} numbers of workers ({', '.join(n_workers)}): wall-clock times compare "
            "these too."
        )
    hosts = {_exact(run.header.host) for run in runs}
    if len(hosts) > 1:
        yield f"{len(hosts)} kinds of host: wall-clock times are not comparable."
    versions = sorted({str(run.header.suite_version) for run in runs}, key=natural)
    if len(versions) > 1:
        yield f"{len(versions)} versions of the suite ({', '.join(versions)}): see the changelog."
    for label, algorithm in dict.fromkeys((r.header.label, r.header.algorithm) for r in members):
        if label != algorithm:
            yield f"a run calls itself {label}, but {algorithm} ran: named by what ran."
    if len(baselines) > 1 and baseline:
        yield (
            f"several baselines ({', '.join(baselines)}): differences are taken against {baseline}."
        )
    if len(names) > 1 and baseline is None:
        yield f"{NO_BASELINE} {wanted or BASELINE.name}: nothing to compare with."


def named_apart(members: Sequence[Run], but: Collection[str] = ()) -> list[Run]:
    """An algorithm with two settings is two rows, named by what differs: `asha [n_curves=8]`.

    So is one whose seed ran on one worker and on two: `swift_svr [workers=2]`. but: settings that make no
    difference here.
    """
    labels: dict[int, str] = {}
    for algorithm in dict.fromkeys(run.header.algorithm for run in members):
        mine = [run for run in members if run.header.algorithm == algorithm]
        same = {*but} if _is_scaled(mine) else {*but, "workers"}
        settings = [{k: v for k, v in _settings(run).items() if k not in same} for run in mine]
        names = _differences(settings)
        for run, own in zip(mine, settings, strict=True):
            labels[id(run)] = f"{algorithm} [{_named(own, names)}]" if names else algorithm
    return [Run(run.view, run.place, labels[id(run)], run.seed) for run in members]


def _is_scaled(runs: Sequence[Run]) -> bool:
    """Whether a seed of one algorithm ran on several numbers of workers."""
    n_workers: dict[int, set[int]] = {}
    for run in runs:
        n_workers.setdefault(run.seed, set()).add(run.n_workers)
    return any(len(each) > 1 for each in n_workers.values())


def _settings(run: Run) -> dict[str, Any]:
    settings = _flat({k: v for k, v in _config(run).items() if k not in _MACHINE})
    return settings | {"overlap": run.header.overlap, "workers": run.n_workers}


def _task(run: Run) -> str:
    """What two runs must share for their numbers to be compared."""
    return _exact(
        {
            "max_epochs": run.header.max_epochs,
            # Journals of revision 0e27403 name no unit.
            "target": {k: v for k, v in run.header.target_settings.items() if k != "unit"},
            "model": _model(run),
            "cluster": _cluster(run),
        }
    )


def _overlaps(run: Run) -> bool | None:
    """Whether brackets shared idle workers; on a logical clock they do."""
    overlap = run.header.overlap
    return None if overlap is None else bool(overlap)


def _cluster(run: Run) -> Mapping[str, Any] | None:
    """Of a simulation, what was simulated: seconds on two clusters are two things."""
    if not run.simulated:
        return None
    return {**(_config(run).get("backend") or {}), "overlap": _overlaps(run)}


def _exact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _flat(settings: Any) -> dict[str, Any]:
    """Leaves by the last part of their name: `eta` and `scheduler.eta` are one setting."""
    named = ((at.rpartition(".")[2], value) for at, value in leaves(settings))
    return {name: value for name, value in named if value != {}}


def _differences(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for own in settings for key in own)
    return [key for key in keys if len({_exact(own.get(key)) for own in settings}) > 1]


def _named(settings: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{name}={settings.get(name)}" for name in names)
