"""Floor 4: the record of a run, one JSON file that stands alone: the journal's numbers by a schema.

Every measured number is {"value": number, "unit": string}; identifiers and seeds are bare integers,
and settings keep the names and units of conf/. results_schema/ describes each number.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.core import types as t
from suite.files import write_whole
from suite.results import schema
from suite.results.fold import load_run
from suite.results.run_view import RunView, TrialView
from suite.results.schema import NAME, load, validate
from suite.results.workers import WorkerView

__all__ = ["NAME", "build", "dumps", "load", "of", "validate", "write"]

Record = dict[str, Any]


def build(folder: Path) -> Record:
    """The record of a run, completed, failed, cut or not ended yet. Raises JournalError."""
    return of(load_run(folder))


def write(folder: Path) -> Path:
    """Build, validate, and put the record beside the journal, whole or not at all.

    Raises JournalError (no record can be made of this journal), OSError (the disk is full).
    """
    record = build(folder)
    validate(record)
    return write_whole(folder / NAME, dumps(record))


def dumps(record: Mapping[str, Any]) -> str:
    """Strict JSON, as it stands in the file."""
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


# --- view -> record ------------------------------------------------------------------------------


def of(view: RunView) -> Record:
    """The record of a view: no clock and no file, so one journal always gives one record."""
    header = view.header
    target, unit = header.target, header.metric.unit
    return {
        "schema_version": schema.VERSION,
        "run_id": header.run_id,
        "suite_version": header.suite_version,
        "date_utc": view.began.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "experiment": header.experiment,
        "algorithm": header.algorithm,
        "model": header.model,
        "seed": header.seed,
        "status": view.status,
        "reason": view.reason,
        "data": target.data,
        "data_sets": _data_sets(view),
        "overlap": header.overlap,
        "reproducible": header.reproducible,
        "target": {
            "metric": view.metric,
            "mode": view.mode,
            "unit": unit,
            "framework": target.framework,
        },
        "max_epochs": _number(header.max_epochs, "epochs"),
        "result": {"best": _best(view, unit), "winner": _winner(view, unit)},
        "epochs": _numbers(
            "epochs",
            used=view.n_epochs,
            counted=view.n_epochs - view.counts.n_ahead,
            retrained=view.counts.n_retrained,
            differing=view.counts.n_differences,
        )
        | _numbers(unit, max_difference=view.counts.max_difference),
        "time": _time(view),
        "cost": _cost(view),
        "energy": _energy(view),
        "trials": _trials(view),
        "jobs": _jobs(view),
        "predictor": _predictor(view),
        "measured": {name: view.measured.get(name, {}) for name in ("searcher", "scheduler")},
        "workers": _workers(view),
        "allocations": [_allocation(said) for said in view.allocations],
        "config": header.config,
        "environment": {
            "versions": header.versions,
            "git": _picked(header.git, revision=None, dirty=None),
            "host": _picked(header.host, cpu=None, n_cores="cores", os=None, mpi=None),
            "image": _picked(header.image, digest=None, label=None),
        },
        "journal": {
            "sha256": view.journal.sha256,
            "size": _number(view.journal.n_bytes, "bytes"),
            "lines": _number(view.journal.n_lines, "lines"),
            "resumes": _number(view.counts.n_resumes, "resumes"),
            "restarts": None
            if view.counts.n_restarts is None
            else _number(view.counts.n_restarts, "restarts"),
        },
    }


def _best(view: RunView, unit: str) -> Record | None:
    if (best := view.best) is None:
        return None
    return {
        "validation": _number(view.value(best.best), unit),
        "epoch": _number(best.epoch, "epochs"),
        **_trial(view.trials[best.trial_id]),
    }


def _winner(view: RunView, unit: str) -> Record | None:
    if view.winner is None:
        return None
    trial = view.trials[view.winner]
    objective = trial.epochs[-1].objective
    return {
        "validation": _number(view.value(objective), unit),
        "test": None if view.test_value is None else _number(view.test_value, unit),
        "test_metrics": {name: _number(value, "1") for name, value in view.test_metrics.items()},
        **_trial(trial),
    }


def _trial(trial: TrialView) -> Record:
    return {"trial_id": trial.trial_id, "trial_seed": trial.seed, "config": trial.config}


def _time(view: RunView) -> Record:
    lost = view.overhead
    return _numbers(
        "s",
        wall=view.wall_s,
        busy=view.busy_s,
        idle=sum(worker.idle_s for worker in view.workers),
        train=sum(job.train_s for job in view.jobs),
        evaluate=sum(job.eval_s for job in view.jobs),
    ) | {
        "warm_up": _seconds(view.warm_up_s),
        "overhead": _numbers(
            "s",
            restore=lost.restore_s,
            checkpoint=lost.checkpoint_s,
            other=lost.other_s,
            dispatch=lost.dispatch_s,
            retrained=lost.retrained_s,
            total=lost.total_s,
        ),
    }


def _cost(view: RunView) -> Record:
    used, back = view.usage, view.handed_back
    found = {
        "worker_hours": used.worker_s,
        "node_hours": used.node_s,
        "core_hours": used.core_s,
        "gpu_hours": used.gpu_s,
    }
    return {
        **_hours(found),
        "handed_back": {
            "share": _number(round(back.share, 6), "1"),
            **_hours({"worker_hours": back.worker_s, "node_hours": back.node_s}),
        },
    }


def _hours(found: Mapping[str, float | None]) -> Record:
    return {k: None if v is None else _number(round(v / 3600, 9), "h") for k, v in found.items()}


def _energy(view: RunView) -> Record:
    used = view.energy
    return {
        "joules": None if used.joules is None else _number(round(used.joules, 3), "J"),
        "source": used.source,
        "scope": used.scope,
        "excludes": used.excludes,
        "covered": None if used.covered is None else _number(round(used.covered, 6), "1"),
        "why": used.why,
    }


def _trials(view: RunView) -> Record:
    n = Counter(trial.status for trial in view.trials.values())
    reasons = [
        {"trial_id": trial.trial_id, "status": trial.status, "reason": trial.reason}
        for trial in view.trials.values()
        if trial.reason is not None
    ]
    return {
        **_numbers(
            "trials",
            total=len(view.trials),
            finished=n["finished"],
            stopped_by_prediction=n["stopped"],
            cut_by_scheduler=n["cut"],
            diverged=n["diverged"],
            given_up=n["given up"],
            open=n["open"],
        ),
        "reasons": reasons,
    }


def _data_sets(view: RunView) -> list[Record]:
    """What the workers staged, each once: one entry, unless two nodes hold different data."""
    found: list[Record] = []
    for worker in view.workers:
        staged = (worker.facts or {}).get("data_set")
        n = dict.fromkeys(("n_train", "n_valid", "n_test"), "examples")
        words = dict.fromkeys(("name", "origin", "sha256", "stand_in", "split", "split_sha256"))
        data_set = _picked(staged, **words, **n) if staged else None
        if data_set and data_set not in found:
            found.append(data_set)
    return found


def _jobs(view: RunView) -> Record:
    n = Counter(job.outcome for job in view.jobs)
    return _numbers("jobs", total=len(view.jobs)) | {
        name: _number(n[name], "jobs") for name in ("finished", "failed", "lost", "cut", "running")
    }


def _predictor(view: RunView) -> Record:
    answered = [forecast for forecast in view.forecasts if not forecast.failed]
    infos = [forecast.sampler_info for forecast in answered if forecast.sampler_info]
    breaks = [info["chain_break_fraction"] for info in infos if "chain_break_fraction" in info]
    missing = sum((forecast.values or ()).count(None) for forecast in answered)
    return {
        **_numbers(
            "forecasts", forecasts=len(answered), failed=len(view.forecasts) - len(answered)
        ),
        **_numbers("curves", curves=sum(forecast.m for forecast in answered), missing=missing),
        "fit": _number(round(sum(f.fit_s for f in view.forecasts), 6), "s"),
        "predict": _number(round(sum(f.predict_s for f in view.forecasts), 6), "s"),
        "samplers": sorted({f.sampler for f in answered if f.sampler}),
        **_numbers("s", qpu_access=sum(i.get("qpu_access_time_s", 0.0) for i in infos)),
        "chain_break_fraction": _number(round(statistics.fmean(breaks), 6), "1")
        if breaks
        else None,
        "fallbacks": sorted({i["fallback_why"] for i in infos if "fallback_why" in i}),
        "failures": sorted({f.message for f in view.forecasts if f.message}),
    }


def _workers(view: RunView) -> Record:
    asked = view.header.n_workers
    return {
        "asked": None if asked is None else _number(asked, "workers"),
        "joined": _number(len({worker.worker for worker in view.workers}), "workers"),
        "lost": _number(sum(worker.lost is not None for worker in view.workers), "workers"),
        "released": _number(sum(worker.released for worker in view.workers), "workers"),
        "lives": [_life(worker) for worker in view.workers],
    }


def _allocation(said: t.Allocation) -> Record:
    times = {"from": said.time_s, "end": said.end_ms / 1000, "margin": said.margin_ms / 1000}
    return {"job": said.job or None, **_numbers("s", **times)}


def _life(worker: WorkerView) -> Record:
    words = dict.fromkeys(("node", "device", "device_id", "device_name"))
    facts = _picked(worker.facts, **words, n_threads="threads", n_cores="cores")
    times = _numbers(
        "s",
        joined=worker.joined_s,
        left=worker.left_s,
        busy=worker.busy_s,
        idle=worker.idle_s,
    )
    times["warm_up"] = _seconds(worker.warm_up_s)
    jobs = _number(worker.n_jobs, "jobs")
    ranks = {
        "ranks": _number(worker.facts.get("ranks") or 1, "ranks"),
        "idle_ranks": list(worker.facts.get("idle_ranks") or ()),
    }
    facts = {**(facts or {}), **ranks}
    return {
        "worker": worker.worker,
        **times,
        "jobs": jobs,
        "lost": worker.lost,
        "released": worker.released,
        **facts,
    }


def _picked(found: Any, **units: str | None) -> Record | None:
    """Only these names (with a unit: as numbers), null where unknown: others stay at home."""
    if not isinstance(found, Mapping):
        return None
    picked = {name: (found.get(name), unit) for name, unit in units.items()}
    return {k: v if u is None or v is None else _number(v, u) for k, (v, u) in picked.items()}


def _numbers(unit: str, **values: float) -> Record:
    return {name: _number(round(v, 6) if unit == "s" else v, unit) for name, v in values.items()}


def _seconds(value: float | None) -> Record | None:
    return None if value is None else _number(round(value, 6), "s")


def _number(value: float, unit: str) -> Record:
    return {"value": value, "unit": unit}
