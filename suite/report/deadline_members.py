"""Which runs may be compared at a deadline: one group's, on as many workers, each read at the same end."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from suite.report.deadlines import Limits, Reading, end_s, read, reads_clock, same, words
from suite.report.groups import named_apart
from suite.report.runs import Group, Run
from suite.run.budget import JOB

LOOPED = "hyperband_looped"
"""Hyperband that begins again when workers are idle: the baseline where it ran."""
_OF_THE_END = ("hours", "node_hours", "trainings", "allow_short", "end", "price")
"""Settings by which runs of one comparison may differ: a deadline is read, whatever they were given."""

Pairs = list[tuple[Reading, Reading]]


@dataclass(frozen=True, slots=True)
class Deadline:
    """One comparison at one deadline. group: with its algorithms and its baseline there.

    readings: algorithm -> its runs at the deadline, by seed; the baseline first.
    """

    group: Group
    limits: Limits
    readings: Mapping[str, Sequence[Reading]]

    @property
    def baseline(self) -> str | None:
        return self.group.baseline

    @property
    def first(self) -> Reading:
        return next(iter(self.readings.values()))[0]

    @property
    def seconds(self) -> float:
        return self.first.deadline_s

    @property
    def trainings(self) -> float:
        """The deadline in trainings to max_epochs, by the mean epoch of these runs; 0: unknown."""
        runs = [r.run for readings in self.readings.values() for r in readings]
        epochs = [
            point.train_s + point.eval_s
            for run in runs
            for trial in run.view.trials.values()
            for point in trial.epochs
        ]
        mean_s = statistics.fmean(epochs) if epochs else 0.0
        return self.seconds / (mean_s * self.first.run.header.max_epochs) if mean_s else 0.0

    @property
    def asked(self) -> float | None:
        """budget.trainings of the runs that were given this deadline; None where they were not, or differ."""
        runs = [r.run for readings in self.readings.values() for r in readings]
        own = {_trainings(run) for run in runs if dict(run.view.limits) == dict(self.limits)}
        return own.pop() if len(own) == 1 else None

    @property
    def on_table(self) -> bool:
        return all(r.regret is not None for readings in self.readings.values() for r in readings)

    @property
    def ends_of_their_own(self) -> list[str]:
        """Algorithms of which a run ended before, without looking at the deadline."""
        return [
            name
            for name, readings in self.readings.items()
            if any(r.ended_s is not None for r in readings)
        ]

    def pairs(self, name: str) -> Pairs:
        """With the baseline's run of the same seed (of the baseline: with itself); empty without one."""
        theirs = {r.run.seed: r for r in self.readings.get(self.baseline or "", ())}
        return [(r, theirs[r.run.seed]) for r in self.readings[name] if r.run.seed in theirs]


def _trainings(run: Run) -> float | None:
    budget = (run.header.config or {}).get("budget")
    asked = budget.get("trainings") if isinstance(budget, Mapping) else None
    return float(asked) if isinstance(asked, int | float) and not isinstance(asked, bool) else None


def deadlines(groups: Sequence[Group]) -> list[Deadline]:
    """Every comparison at every deadline that one of its runs was given, the earliest first."""
    found = []
    for group in groups:
        of_group = [_deadline(group, limits, n_workers) for limits, n_workers in _given(group)]
        found += sorted((d for d in of_group if d), key=lambda d: d.seconds)
    return found


def _given(group: Group) -> list[tuple[Limits, int]]:
    """Each deadline of these runs once, and the workers on which; of batch jobs that end together the
    earliest end.
    """
    given: list[tuple[Limits, int]] = []
    for run in sorted(group.runs, key=lambda run: run.view.limits.get(JOB, 0)):
        limits, n = dict(run.view.limits), run.n_workers
        if limits and not any(n == workers and same(limits, had) for had, workers in given):
            given.append((limits, n))
    return given


def _deadline(group: Group, limits: Limits, n_workers: int) -> Deadline | None:
    runs = [run for run in group.runs if run.n_workers == n_workers and _can_be_read(run, limits)]
    # Where a seed has several, that which was given this deadline, then the longest.
    runs.sort(key=lambda run: (same(run.view.limits, limits), run.view.time_s))
    of: dict[tuple[str, int], Run] = {
        (run.algorithm, run.seed): run for run in named_apart(runs, _OF_THE_END)
    }
    came = [run.header.algorithm for run in group.runs]
    chosen = sorted(of.values(), key=lambda run: (came.index(run.header.algorithm), run.algorithm))
    names = list(dict.fromkeys(run.algorithm for run in chosen))
    if not names:
        return None
    baseline = _baseline(group, chosen)
    names.sort(key=lambda name: name != baseline)
    readings = {
        name: sorted(
            (read(run, limits) for run in chosen if run.algorithm == name),
            key=lambda reading: reading.run.seed,
        )
        for name in names
    }
    mine = replace(
        group,
        runs=tuple(chosen),
        algorithms=tuple(names),
        baseline=baseline,
        task=_task(group, limits),
    )
    return Deadline(mine, limits, readings)


def _task(group: Group, limits: Limits) -> str:
    return ", ".join(filter(None, (group.task, words(limits))))


def _can_be_read(run: Run, limits: Limits) -> bool:
    """Whether the run tells what it would have done with these limits: they are its own, or it looked at
    none, and had as long.
    """
    own = dict(run.view.limits)
    if not math.isfinite(end_s(limits, run.view)):
        return False
    if same(own, limits):
        return True
    if reads_clock(run):
        return False
    return not own or end_s(own, run.view) >= end_s(limits, run.view)


def _baseline(group: Group, runs: Sequence[Run]) -> str | None:
    """The group's own where somebody named one that is not plain Hyperband."""
    named = next((run for run in group.runs if run.algorithm == group.baseline), None)
    if named is not None and not named.header.is_baseline:
        theirs = (run.algorithm for run in runs if run.header.algorithm == named.header.algorithm)
        return next(theirs, None)
    looped = (run.algorithm for run in runs if run.header.algorithm == LOOPED)
    plain = (run.algorithm for run in runs if run.header.is_baseline)
    return next(looped, None) or next(plain, None)
