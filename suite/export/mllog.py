"""A run as :::MLLOG lines, the log format of MLPerf (MLCommons), so that its compliance checker reads it.

One line an event: `:::MLLOG {"namespace", "time_ms", "event_type", "key", "value", "metadata"}`. A search is
one MLPerf run, its trials are trained side by side: epochs and evaluations carry the trial's number, and
their order within a trial is what the rule set looks at (benchmark/mllog/hpo.yaml). Keys are MLPerf's where
it has one; ours are `trial_start`, `trial_stop`, `winner`, `target_reached`, `simulated`, `data`,
`algorithm`, `max_epochs`, `journal_sha256`.

Times are on the run's own clock, which a resumed run continues, as milliseconds since 1970. An epoch's begin
is reckoned back from its report by the seconds that the worker measured, and is not before the job's.
Deviations from MLPerf's training rules: caches are not cleared, and nothing says so; `run_stop` is the
search's end, while the score of a level is the time of `target_reached`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from suite.results.run_view import RunView, TrialView

POINT, START, STOP = "POINT_IN_TIME", "INTERVAL_START", "INTERVAL_END"
BENCHMARK = "swiftbench_hpo"


@dataclass(frozen=True)
class Labels:
    """What a run does not say of itself. platform None: what its workers ran on. level None: open."""

    site: str
    platform: str | None
    level: str | None


@dataclass(frozen=True)
class _Row:
    time_s: float
    kind: str
    key: str
    value: Any = None
    metadata: Mapping[str, Any] | None = None


def rows(view: RunView, labels: Labels, target: float | None) -> list[str]:
    """The log of a completed run. target: in the metric's own direction; None: none is set."""
    events = [*_labels(view, labels, target), *_run(view, target)]
    for trial in view.trials.values():
        events += _trial(view, trial)
    # Stable: what has one time keeps its order, cause before effect.
    events.sort(key=lambda row: row.time_s)
    began = view.began.timestamp()
    return [_line(began, row) for row in events]


def _line(began: float, row: _Row) -> str:
    said = {
        "namespace": "",
        "time_ms": round(1000 * (began + row.time_s)),
        "event_type": row.kind,
        "key": row.key,
        "value": row.value,
        "metadata": dict(row.metadata or {}),
    }
    return f":::MLLOG {json.dumps(said, allow_nan=False)}"


def _labels(view: RunView, labels: Labels, target: float | None) -> Iterator[_Row]:
    """What holds for the whole run, before its first event."""
    header, facts = view.header, [worker.facts for worker in view.workers]
    devices = [fact.get("device_name") or fact.get("device") or "unknown" for fact in facts]
    nodes = {fact.get("node") for fact in facts}
    gpus = {(fact.get("node"), fact.get("device_id")) for fact in facts if fact.get("device_id")}
    sets = [fact["data_set"] for fact in facts if isinstance(fact.get("data_set"), Mapping)]
    values: dict[str, Any] = {
        "submission_benchmark": BENCHMARK,
        "submission_org": labels.site,
        "submission_platform": labels.platform or ", ".join(dict.fromkeys(devices)),
        "submission_division": "open" if labels.level is None else "closed",
        "submission_status": "onprem",
        "level": labels.level,
        "simulated": header.simulated,
        "data": header.target.data,
        "model": header.model,
        "algorithm": header.algorithm,
        "seed": header.seed,
        "max_epochs": header.max_epochs,
        "quality_metric": header.target.metric.name,
        "quality_mode": header.target.metric.mode,
        "quality_target": target,
        "number_of_nodes": len(nodes),
        "accelerators_per_node": -(-len(gpus) // max(len(nodes), 1)),
        "number_of_workers": len({worker.worker for worker in view.workers}),
        "train_samples": sets[0].get("n_train") if sets else None,
        "eval_samples": sets[0].get("n_valid") if sets else None,
        "run_id": header.run_id,
        "suite_version": header.suite_version,
        "journal_sha256": view.journal.sha256,
    }
    begin_s = min((w.joined_s - (w.warm_up_s or 0.0) for w in view.workers), default=0.0)
    for key, value in values.items():
        yield _Row(begin_s, POINT, key, value)
    yield _Row(begin_s, START, "init_start")


def _run(view: RunView, target: float | None) -> Iterator[_Row]:
    """From the first worker's joining to the end, and when the target was reached."""
    joined_s = min((worker.joined_s for worker in view.workers), default=0.0)
    yield _Row(joined_s, STOP, "init_stop")
    yield _Row(joined_s, START, "run_start")
    sign = view.header.target.metric.sign
    reached = None
    if target is not None:
        reached = next((one for one in view.by_time if one.best <= sign * target), None)
    if reached is not None:
        at = {"trial_id": reached.trial_id, "epoch_num": reached.epoch}
        yield _Row(reached.time_s, POINT, "target_reached", view.value(reached.best), at)
    if view.winner is not None:
        yield _Row(view.time_s, POINT, "winner", view.winner, {"test_value": view.test_value})
    success = target is None or reached is not None
    status = {"status": "success" if success else "aborted"}
    yield _Row(view.time_s, STOP, "run_stop", None, status)


def _trial(view: RunView, trial: TrialView) -> Iterator[_Row]:
    """A trial's epochs, each once, in order: one that was trained again counts where it counted first."""
    jobs = {job.job_id: job for job in view.jobs}
    which = {"trial_id": trial.trial_id}
    mine = [job for job in view.jobs if job.trial_id == trial.trial_id and job.kind == "train"]
    begun_s = (job.start_s for job in mine)
    last_s = min(begun_s, default=min((w.joined_s for w in view.workers), default=0.0))
    yield _Row(last_s, START, "trial_start", dict(trial.config), {**which, "seed": trial.seed})
    for point in trial.epochs:
        at = {**which, "epoch_num": point.epoch}
        job = jobs.get(point.job_id)
        evaluated_s = max(point.time_s - point.eval_s, last_s)
        start_s = max(evaluated_s - point.train_s, last_s, job.start_s if job else last_s)
        evaluated_s = max(evaluated_s, start_s)
        last_s = max(point.time_s, evaluated_s)
        yield _Row(start_s, START, "epoch_start", None, at)
        yield _Row(evaluated_s, STOP, "epoch_stop", None, at)
        yield _Row(evaluated_s, START, "eval_start", None, at)
        value = view.value(point.objective)
        finite = math.isfinite(value)
        key = "eval_error" if view.mode == "min" else "eval_accuracy"
        more = {} if finite else {"diverged": True}
        yield _Row(last_s, POINT, key, value if finite else None, {**at, **more})
        yield _Row(last_s, STOP, "eval_stop", None, at)
    yield _Row(last_s, STOP, "trial_stop", len(trial.epochs), {**which, "status": trial.status})
