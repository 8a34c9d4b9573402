"""A run at a deadline: what it had found when its time was over, and what became of its workers' time.

A deadline is a limit of time that a run was given: `budget.hours` of the run's clock, `budget.node_hours` of
its nodes, the end of its (last) batch job, or several of them. A node is what workers call so; a worker that
names none (a simulated one) is a node of its own. Nodes are taken to be there until the deadline, whenever
their last job ended: the time after it is what could be handed back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suite.report.regret import scale
from suite.report.runs import Run
from suite.results.run_view import RunView
from suite.run.budget import JOB, LIMITS

Limits = Mapping[str, int]
"""Key of suite.run.budget.LIMITS, or JOB -> milliseconds; of JOB since the run's begin."""
Spans = list[tuple[float, float]]
"""(start, end), seconds; sorted, none within another."""

NOTHING = 1.5
"""Normalised regret of a run that trained no trial to max_epochs by the deadline: half a median more."""
_JOBS_APART = 0.05
"""Share of their time by which two batch jobs' ends may differ and be compared, at the earlier one."""
_ROUNDED_S = 0.01
"""Times are rounded where they are written."""


def words(limits: Limits) -> str:
    """As the configuration names them.

    >>> words({"budget_hours_ms": 9_000_000})
    'budget.hours=2.5'
    >>> words({"budget_job": 9_000_000})
    'budget.end=job (after 2.5 h)'
    """
    said = [f"{LIMITS[key]}={limits[key] / 3_600_000:.6g}" for key in LIMITS if key in limits]
    if JOB in limits:
        said.append(f"budget.end=job (after {limits[JOB] / 3_600_000:.4g} h)")
    return ", ".join(said)


def same(own: Limits, other: Limits) -> bool:
    """Whether two runs had the same deadline; two batch jobs never end at the same millisecond."""
    if own.keys() != other.keys():
        return False
    apart = abs(own.get(JOB, 0) - other.get(JOB, 0)) <= _JOBS_APART * other.get(JOB, 0)
    return apart and all(own[key] == other[key] for key in own if key != JOB)


def reads_clock(run: Run) -> bool:
    """Whether the run's scheduler looked at its deadline, by what it says of itself or by its name."""
    said = run.view.measured.get("scheduler")
    if isinstance(said, Mapping) and "decides_by" in said:
        return bool(said["decides_by"] == "times in the journal")
    return run.header.parts is not None and run.header.parts.scheduler == "price"


def ends_of_workers(view: RunView) -> list[tuple[int, str, float, float]]:
    """(worker, node, joined, left) of each life; left is infinite where the run's end came first."""
    lives = []
    for life in view.workers:
        node = life.facts.get("node")
        stays = life.lost is None and life.left_s >= view.time_s - _ROUNDED_S
        name = f"worker {life.worker}" if node is None else f"node {node}"
        lives.append((life.worker, name, life.joined_s, math.inf if stays else life.left_s))
    return lives


def nodes(view: RunView) -> dict[str, Spans]:
    """When each node was there."""
    spans: dict[str, Spans] = {}
    for _, node, joined, left in ends_of_workers(view):
        spans.setdefault(node, []).append((joined, left))
    return {node: _merged(found) for node, found in spans.items()}


def node_s(of: Mapping[str, Spans], until_s: float) -> float:
    """Seconds of all nodes until then."""
    return sum(_within(spans, 0.0, until_s) for spans in of.values())


def end_s(limits: Limits, view: RunView) -> float:
    """When the first of the limits is reached on this run's nodes; infinite: never."""
    ends = [math.inf]
    if "budget_hours_ms" in limits:
        ends.append(limits["budget_hours_ms"] / 1000)
    if JOB in limits:
        ends.append(limits[JOB] / 1000)
    if "budget_node_hours_ms" in limits:
        ends.append(_when(nodes(view), limits["budget_node_hours_ms"] / 1000))
    return min(ends)


@dataclass(frozen=True, slots=True)
class Reading:
    """One run at a deadline. Times in seconds since the run's begin, values in the metric's direction.

    finished: (time, value, trial) of each trial that came to max_epochs by the deadline, by time. test: of
    the best of them, where that is what the run scored. ever: the best value of any epoch. node_s: of all
    nodes until the deadline; handed_back_s: of them, after a node's last job. busy: share of the workers'
    time. late_s: from the deadline to the end of the last training that was let go on. ended_s: where the
    search ended by its own rule, before the deadline and without looking at it; None elsewhere.
    """

    run: Run
    deadline_s: float
    finished: tuple[tuple[float, float, int], ...]
    ever: float | None
    n_trials: int
    test: float | None
    node_s: float
    handed_back_s: float
    busy: float
    late_s: float
    ended_s: float | None

    @property
    def best(self) -> float | None:
        """The best value of a trial at max_epochs; None: no trial came there."""
        values = [value for _, value, _ in self.finished]
        return (max if self.run.sign < 0 else min)(values) if values else None

    @property
    def regret(self) -> float | None:
        """Normalised regret of it; NOTHING without a trial at max_epochs; None where no table is known."""
        return regret_of(self.run, self.best)

    @property
    def handed_back(self) -> float:
        """Share of the node time until the deadline."""
        return self.handed_back_s / self.node_s if self.node_s else 0.0

    def reached_s(self, value: float) -> float:
        """When a trial at max_epochs was as good as `value`; infinite: not by the deadline."""
        sign = self.run.sign
        return next((at for at, mine, _ in self.finished if sign * mine <= sign * value), math.inf)


def regret_of(run: Run, value: float | None) -> float | None:
    """Normalised regret of a value, NOTHING without one; None where no table is known."""
    if (ends := scale(run.view)) is None:
        return None
    best, median = ends
    return NOTHING if value is None else (value - best) / (median - best)


def read(run: Run, limits: Limits) -> Reading:
    """The run at this deadline. Raises ValueError where these limits are never reached."""
    view, until = run.view, end_s(limits, run.view)
    if not math.isfinite(until):
        raise ValueError(f"{words(limits)}: is never reached")
    of_nodes = nodes(view)
    busy = busy_spans(view)
    last = _last_busy(view, busy)
    finished = tuple(at_max_epochs(run, until))
    best = min(finished, key=lambda one: (run.sign * one[1], one[0]), default=None)
    scored = best is not None and best[2] == view.winner
    there = sum(max(min(left, until) - joined, 0.0) for _, _, joined, left in ends_of_workers(view))
    worked = sum(_within(spans, 0.0, until) for spans in busy.values())
    ends = [spans[-1][1] for spans in busy.values() if spans]
    return Reading(
        run, until, finished,
        ever=next((view.value(p.best) for p in reversed(view.by_time) if p.time_s <= until), None),
        n_trials=len({job.trial_id for job in view.jobs if job.kind == "train" and job.start_s <= until}),
        test=view.test_value if scored else None,
        node_s=node_s(of_nodes, until),
        handed_back_s=sum(_within(spans, last.get(node, 0.0), until) for node, spans in of_nodes.items()),
        busy=worked / there if there else 0.0,
        late_s=max(round(max(ends, default=0.0) - until, 2), 0.0),
        ended_s=view.time_s if view.time_s < until - _ROUNDED_S and not reads_clock(run) else None,
    )  # fmt: skip


def at_max_epochs(run: Run, until_s: float) -> list[tuple[float, float, int]]:
    """(time, value, trial) of the trials that came to max_epochs by then, by time."""
    most = run.header.max_epochs
    return sorted(
        (point.time_s, run.view.value(point.objective), trial.trial_id)
        for trial in run.view.trials.values()
        if len(trial.epochs) >= most and (point := trial.epochs[most - 1]).time_s <= until_s
    )


def busy_spans(view: RunView) -> dict[int, Spans]:
    """When each worker trained; the winner's test is no part of the search."""
    spans: dict[int, Spans] = {}
    for job in view.jobs:
        if job.kind == "train":
            end = view.time_s if job.end_s is None else job.end_s
            spans.setdefault(job.worker, []).append((job.start_s, end))
    return {worker: _merged(found) for worker, found in spans.items()}


def last_busy(view: RunView) -> dict[str, float]:
    """When the last training of each node ended; a node without one is absent."""
    return _last_busy(view, busy_spans(view))


def _last_busy(view: RunView, busy: Mapping[int, Spans]) -> dict[str, float]:
    last: dict[str, float] = {}
    for worker, node, joined, left in ends_of_workers(view):
        ends = [end for start, end in busy.get(worker, ()) if joined <= start <= left]
        last[node] = max([last.get(node, 0.0), *ends])
    return last


def _merged(spans: Sequence[tuple[float, float]]) -> Spans:
    merged: Spans = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _within(spans: Spans, start_s: float, end_s: float) -> float:
    """Seconds of spans between two times."""
    return sum(max(min(end, end_s) - max(start, start_s), 0.0) for start, end in spans)


def _when(of: Mapping[str, Spans], limit_s: float) -> float:
    """When nodes have used so many seconds together; infinite: never."""
    times = sorted({t for spans in of.values() for span in spans for t in span})
    used = 0.0
    for i, start in enumerate(times):
        n = sum(a <= start < b for spans in of.values() for a, b in spans)
        until = times[i + 1] if i + 1 < len(times) else math.inf
        if n and used + n * (until - start) >= limit_s:
            return start + (limit_s - used) / n
        used += n * (until - start) if n else 0.0
    return math.inf
