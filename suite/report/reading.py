"""What stands beside the numbers: how to read them, what diverged, what to do next, what made the runs."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from suite.report.measures import number
from suite.report.runs import Group, Run
from suite.report.statistics import LEAST
from suite.results.retrained import read_retrained

GLOSSARY = (
    ("seed", "the number that a run's random choices begin from; equal seeds meet the same configurations"),
    ("paired", "a value is compared with the baseline's at the same seed, and the differences are shown"),
    ("trial", "one configuration of hyperparameters, and its training"),
    ("bracket", "a sub-run of Hyperband: many short trials, or few long ones"),
    ("stopped", "trials that ended early because a prediction said that they would not win"),
    ("diverged", "trials whose objective was no finite number; they end there and cannot win"),
    ("overlap", "on: workers that are idle in one bracket begin the next one; off: brackets follow each "
     "other, as published; logical: a virtual cluster decides, whatever the machine"),
    ("idle", "share of the workers' time without work, from joining to leaving"),
    ("predictor [s]", "seconds in which predictors were fitted and asked"),
    ("best validation", "the best value of any epoch of any trial, on the split that the search may see"),
    ("test", "the winner's value on the split that the search never sees, measured once"),
    ("normalised regret", "0: nothing in the table is better; 1: a random configuration does as well half of "
     "the time"),
)  # fmt: skip
"""Words of the page, in the order in which a reader meets them."""

FAR_APART = 1.5
"""Ratio of test and best validation above which the difference is pointed at."""


def diverged(group: Group) -> list[str]:
    """A sentence on each run in which trials diverged, with the most frequent reason."""
    lines = []
    for run in (*group.runs, *group.unfinished):
        reasons = [t.reason or "" for t in run.view.trials.values() if t.status == "diverged"]
        if not reasons:
            continue
        n, n_trials = len(reasons), len(run.view.trials)
        why, _ = Counter(reason.removeprefix("diverged: ") for reason in reasons).most_common(1)[0]
        line = f"{run.algorithm} seed {run.seed}: {n} of {n_trials} trials diverged, for example: {why}"
        if n == n_trials:
            line += (
                " No trial was left to win: look at the target's learning rates and at its data, or narrow "
                "the search space."
            )
        lines.append(line)
    return lines


def tuned(group: Group) -> list[str]:
    """What tuning gained over the target's default, of each run that was trained again."""
    lines = []
    for run in group.runs:
        try:
            retrained = read_retrained(run.view.folder)
        except ValueError:
            continue  # said where its figure could not be made
        if retrained is None or retrained.run_id != run.header.run_id or not retrained.tuned:
            continue
        line = f"{run.algorithm} seed {run.seed}: {'; '.join(retrained.tuned)}."
        if retrained.default_source:
            line += f" The default: {retrained.default_source}."
        lines.append(line)
    return lines


def next_steps(group: Group) -> list[str]:
    """Where chance may decide: few seeds, or a test value far from the validation value."""
    if group.simulated or not group.runs or group.first.header.reference is not None:
        return []
    reasons = []
    far = [run for run in group.runs if _far_apart(run)]
    if far:
        run = max(far, key=_apart)
        reasons.append(
            f"test and validation differ ({run.algorithm} seed {run.seed}: test "
            f"{number(run.view.test_value or 0.0)}, best validation {number(run.best or 0.0)})"
        )
    fewest = min(len(group.of(name)) for name in group.algorithms)
    if fewest < LEAST:
        reasons.append(f"there are few seeds (n = {fewest})")
    if not reasons:
        return []
    place = (far or group.runs)[0].place
    return [
        f"{_sentence(reasons)}: the order of the winners may be chance. `swiftbench retrain "
        f"{shlex.quote(place)}`, in the folder of these runs, trains the winner and the runner-up of a run "
        "again with other seeds, and says whether they differ by more than the noise."
    ]


def _sentence(reasons: Sequence[str]) -> str:
    words = " and ".join(reasons)
    return words[0].upper() + words[1:]


def _apart(run: Run) -> float:
    """Ratio of test and best validation value, >= 1; 1 where either is unknown or not positive."""
    test, best = run.view.test_value, run.best
    if test is None or best is None or test <= 0 or best <= 0:
        return 1.0
    return max(test / best, best / test)


def _far_apart(run: Run) -> bool:
    return _apart(run) >= FAR_APART


def commands(group: Group) -> list[str]:
    """The command lines that made the runs, each once; empty for journals that do not say.

    Absolute paths in them were cut out when the journals were read.
    """
    runs = (*group.runs, *group.unfinished, *group.left_out)
    words = dict.fromkeys(run.header.command for run in runs if run.header.command)
    return [f"swiftbench run {' '.join(map(shlex.quote, command))}" for command in words]


def machines(group: Group) -> list[Mapping[str, Any]]:
    """What the runs ran on, each kind once: host, image, workers and versions, with the runs on it."""
    kinds: dict[str, tuple[dict[str, Any], list[Run]]] = {}
    for run in (*group.runs, *group.unfinished):
        machine = _machine(run)
        key = json.dumps(machine, sort_keys=True, default=str)
        kinds.setdefault(key, (machine, []))[1].append(run)
    everyone = len(kinds) == 1
    return [
        machine if everyone else {"runs": _labels(runs)} | machine
        for machine, runs in kinds.values()
    ]


def _labels(runs: Sequence[Run]) -> str:
    names = [f"{run.algorithm} seed {run.seed}" for run in runs]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _machine(run: Run) -> dict[str, Any]:
    facts = [worker.facts for worker in run.view.workers]
    devices = Counter(
        str(fact.get("device_name") or fact.get("device")) for fact in facts
        if fact.get("device_name") or fact.get("device")
    )  # fmt: skip
    nodes = {fact.get("node") for fact in facts}
    threads = {str(fact["n_threads"]) for fact in facts if fact.get("n_threads") is not None}
    host = dict(run.header.host or {})
    names = {"cpu": "processor", "n_cores": "cores of rank 0's node", "os": "system", "mpi": "MPI"}
    return {
        **({"time": "simulated: this host only decided"} if run.simulated else {}),
        **{names.get(key, key): value for key, value in host.items()},
        "nodes": len(nodes) if nodes and None not in nodes else None,
        "workers": run.n_workers,
        "devices": ", ".join(sorted(devices)) or None,
        "threads a worker": ", ".join(sorted(threads)) or None,
        "image": (run.header.image or {}).get("label"),
        "versions": ", ".join(f"{k} {v}" for k, v in (run.header.versions or {}).items()),
    }
