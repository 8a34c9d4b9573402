"""What a tracker is told of a run: names, tags, parameters and metric rows, from its view.

A trial's step is its epoch; its metrics keep the target's names, and what the suite measures of it begins
with `suite/`, so an objective may be called train_s. A run's metrics stand in three sections: `search/` (what
was found, in the metric's own direction), `cost/` (what was spent) and `health/` (what was lost). The step of
a curve is the number of epochs of all trials; what is known at the end alone has step 0, which MLflow shows
as bars. Counts are tags.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from suite.core.errors import JournalError
from suite.core.target import loud
from suite.results.leaves import leaves
from suite.results.run_view import RunView, TrialView
from suite.results.workers import energy, usage

OWN, TARGETS = "suite/", "target/"
SEARCH, COST, HEALTH, BEST = "search/", "cost/", "health/", "best/"
"""Sections of a run's metrics, and of its winner's hyperparameters: MLflow groups names by them."""

LAYOUT = "2"
"""Of a run's names. 1: without sections, in revisions that do not say it; their runs get these rows too."""

STEPS_A_BUDGET = 4
"""Regular steps of the best value in one trial's max_epochs."""

_LATEST_MS = 253_402_300_800_000


class Row(NamedTuple):
    """One value of a metric. time_ms: since 1970. step: an epoch, or a number of epochs."""

    metric: str
    value: float
    time_ms: int
    step: int


def run_name(view: RunView) -> str:
    data = view.header.target.data
    label = "" if data == "real" else f" [{str(data or 'unknown data').upper()}]"
    return f"{view.header.algorithm} seed {view.header.seed}{label}"


def run_tags(view: RunView) -> dict[str, Any]:
    """What a run is made with and never changes."""
    header = view.header
    return {
        "suite.algorithm": header.algorithm,
        "suite.seed": header.seed,
        "suite.experiment": header.experiment,
        "suite.data": header.target.data and loud(header.target.data),
        "suite.metric": f"{view.metric} ({view.mode})",
        "suite.reproducible": header.reproducible,
        "suite.version": header.suite_version,
        "mlflow.source.git.commit": header.revision,
    }


def run_counts(view: RunView) -> dict[str, Any]:
    """Tags that say where the run stands: numbers that are no curve."""
    states = Counter(trial.status for trial in view.trials.values())
    return {
        "suite.trials": len(view.trials),
        "suite.trials_stopped": states["stopped"],
        "suite.trials_diverged": states["diverged"],
        "suite.trials_given_up": states["given up"],
        "suite.epochs_retrained": view.counts.n_retrained,
        "suite.workers_lost": sum(worker.lost is not None for worker in view.workers),
        "suite.winner": view.winner,
    }


def best_parameters(view: RunView) -> dict[str, Any]:
    """The winner's hyperparameters, as `best/NAME`; empty without a winner."""
    config = {} if view.winner is None else view.trials[view.winner].config
    return {f"{BEST}{name}": value for name, value in config.items()}


def parameters(view: RunView) -> dict[str, Any]:
    """The search's settings: the configuration's leaves by their dotted names."""
    header = view.header
    settings = {at: value for at, value in leaves(header.config or {}) if value != {}}
    # It is `algorithm`: MLflow's comparison would show it twice.
    settings.pop("algorithm_name", None)
    return settings | {
        "algorithm": header.algorithm,
        "seed": header.seed,
        "max_epochs": header.max_epochs,
        "n_workers": header.n_workers,
        "overlap": header.overlap,
    }


def run_rows(view: RunView, since: float) -> list[Row]:
    """The anytime curves, and where the journal stands; what is older than `since` was imported."""
    rows: list[Row] = []

    def add(time_s: float, step: int, values: Mapping[str, float | None]) -> None:
        if time_s >= since:
            at = ms(view, time_s)
            rows.extend(Row(k, float(v), at, step) for k, v in values.items() if v is not None)

    for n_epochs, time_s, best in _curve(view):
        found = {f"{SEARCH}best_{view.metric}": view.value(best)}
        add(time_s, n_epochs, found | _costs(view, time_s))
    end: dict[str, float | None] = {
        f"{COST}epochs": view.n_epochs,
        f"{COST}predictor_s": view.predictor_s or None,
        f"{HEALTH}overhead_s": view.overhead.total_s,
        f"{HEALTH}idle_share": view.idle_share,
        f"{SEARCH}test_{view.metric.removeprefix('val_')}": view.test_value,
    }
    if view.winner is not None:
        curve = view.trials[view.winner].curve
        end[f"{SEARCH}winner_{view.metric}"] = view.value(curve[view.header.max_epochs - 1])
    add(view.time_s, 0, end)
    add(view.time_s, view.n_epochs, _costs(view, view.time_s))
    return rows


def _curve(view: RunView) -> list[tuple[int, float, float]]:
    """(epochs of all trials, seconds, best objective): at each improvement, and at regular steps between."""
    curve = {point.n_epochs: (point.time_s, point.best) for point in view.anytime}
    improved = [point.n_epochs for point in view.anytime]
    times = sorted(point.time_s for trial in view.trials.values() for point in trial.epochs)
    every = max(view.header.max_epochs // STEPS_A_BUDGET, 1)
    for n_epochs in range(every, len(times) + 1, every):
        last = bisect.bisect_right(improved, n_epochs) - 1
        if last >= 0:
            curve.setdefault(n_epochs, (times[n_epochs - 1], view.anytime[last].best))
    return [(n_epochs, *curve[n_epochs]) for n_epochs in sorted(curve)]


def _costs(view: RunView, time_s: float) -> dict[str, float | None]:
    used = usage(view.workers, time_s)
    seconds = {"worker": used.worker_s, "node": used.node_s, "core": used.core_s}
    # A flat zero says nothing.
    seconds |= {"gpu": used.gpu_s} if view.usage.gpu_s else {}
    hours = {f"{COST}{k}_hours": None if v is None else v / 3600 for k, v in seconds.items()}
    # Of a job, Slurm's number is known at its end alone; conventions call the metric so.
    used_up = view.energy if time_s >= view.time_s else energy(view.workers, time_s)
    return {f"{COST}wall_s": time_s, f"{COST}energy_J": used_up.joules, **hours}


def trial_rows(view: RunView, trial: TrialView, since: float) -> list[Row]:
    return [
        Row(key, float(value), ms(view, point.time_s), point.epoch)
        for point in trial.epochs
        if point.time_s >= since
        for key, value in {
            **{target_name(name): value for name, value in point.metrics.items()},
            f"{OWN}train_s": point.train_s,
            f"{OWN}eval_s": point.eval_s,
        }.items()
    ]


def target_name(name: str) -> str:
    """A target's metric as rows call it: its own name, unless it begins as the suite's own do.

    >>> target_name("train_s"), target_name("suite/train_s")
    ('train_s', 'target/suite/train_s')
    """
    return f"{TARGETS}{name}" if name.startswith((OWN, TARGETS)) else name


def ms(view: RunView, time_s: float) -> int:
    """Milliseconds since 1970. Raises JournalError for a time that is not in the years 1970 to 9999."""
    since_1970_s = view.began.timestamp() + time_s
    if not 0 <= since_1970_s * 1000 < _LATEST_MS:
        raise JournalError(
            f"date_utc={view.header.date_utc}, time_s={time_s:g}: must be a time of the years 1970 to 9999. "
            "Run it again."
        )
    return round(since_1970_s * 1000)
