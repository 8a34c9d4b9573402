"""Floor 4: what MLflow is told of a run: names, tags, parameters and metric rows, from its view.

A trial's step is its epoch. A run's step is the number of epochs of all its trials: its metrics say
what was the best value then (in the metric's own direction) and what had been spent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from suite.store import Row
from suite.views import RunView, TrialView, energy, usage


def run_name(view: RunView) -> str:
    data = (view.header.get("target") or {}).get("data")
    label = "" if data == "real" else f" [{str(data or 'unknown data').upper()}]"
    return f"{view.header['algorithm']} seed {view.header['seed']}{label}"


def run_tags(view: RunView) -> dict[str, Any]:
    header = view.header
    git = header.get("git") or {}
    return {
        "suite.algorithm": header["algorithm"],
        "suite.experiment": header.get("experiment"),
        "suite.data": header["target"].get("data"),
        "suite.metric": f"{view.metric} ({view.mode})",
        "suite.reproducible": header.get("reproducible"),
        "suite.version": header.get("suite_version"),
        "mlflow.source.git.commit": git.get("revision"),
    }


def parameters(view: RunView) -> dict[str, Any]:
    """The search's settings: the configuration's leaves by their dotted names."""
    header = view.header
    named = ("algorithm", "seed", "max_epochs", "n_workers", "overlap")
    leaves = dict(_leaves(header.get("config") or {}))
    leaves.pop("algorithm_name", None)  # it is `algorithm`: MLflow's comparison would show it twice
    return leaves | {name: header.get(name) for name in named}


def _leaves(node: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{at}{key}.")
        else:
            yield f"{at}{key}", value


def run_rows(view: RunView, since: float) -> list[Row]:
    """The anytime curves, and where the journal stands; what is older than `since` was imported."""
    rows: list[Row] = []

    def add(time_s: float, n_epochs: int, values: Mapping[str, float | None]) -> None:
        if time_s >= since:
            at = ms(view, time_s)
            rows.extend((k, float(v), at, n_epochs) for k, v in values.items() if v is not None)

    for point in view.anytime:
        best = {f"best_{view.metric}": view.value(point.best), "epochs": float(point.n_epochs)}
        add(point.time_s, point.n_epochs, best | _costs(view, point.time_s))
    states = Counter(trial.status for trial in view.trials.values())
    end: dict[str, float | None] = {
        "epochs": view.n_epochs,
        "epochs_retrained": view.n_retrained,
        "trials": len(view.trials),
        "trials_stopped": states["stopped"],
        "trials_diverged": states["diverged"],
        "trials_given_up": states["given up"],
        "workers_lost": sum(worker.lost is not None for worker in view.workers),
        "predictor_s": view.predictor_s,
        "overhead_s": view.overhead.total_s,
        "idle_share": view.idle_share,
        f"test_{view.metric.removeprefix('val_')}": view.test_value,
    }
    if view.winner is not None:
        curve = view.trials[view.winner].curve
        end[f"winner_{view.metric}"] = view.value(curve[int(view.header["max_epochs"]) - 1])
    add(view.time_s, view.n_epochs, end | _costs(view, view.time_s))
    return rows


def _costs(view: RunView, time_s: float) -> dict[str, float | None]:
    used = usage(view.workers, time_s)
    seconds = {"worker": used.worker_s, "node": used.node_s, "core": used.core_s, "gpu": used.gpu_s}
    hours = {f"{k}_hours": None if v is None else v / 3600 for k, v in seconds.items()}
    # Of a job, Slurm's number is known at its end alone; conventions call the metric so.
    used_up = view.energy if time_s >= view.time_s else energy(view.workers, time_s)
    return {"wall_s": time_s, "energy_J": used_up.joules, **hours}


def trial_rows(view: RunView, trial: TrialView, since: float) -> list[Row]:
    return [
        (key, value, ms(view, point.time_s), point.epoch)
        for point in trial.epochs
        if point.time_s >= since
        for key, value in {
            **point.metrics,
            "train_s": point.train_s,
            "eval_s": point.eval_s,
        }.items()
    ]


def ms(view: RunView, time_s: float) -> int:
    return round((view.began.timestamp() + time_s) * 1000)
