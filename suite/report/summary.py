"""summary.json: one row for each table, algorithm and cluster, for readers that are programs."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suite.report.regret import final, nregret, table_of
from suite.views import RunView

NAME = "summary.json"


def rows(views: Sequence[RunView]) -> list[dict[str, Any]]:
    """Completed runs, grouped; objectives are minimised, times in seconds, nregret without unit.

    nregret: see suite.report.regret. makespan_over_bound: against max(work / workers, longest
    trial), the mean of ratios.
    """
    groups: dict[tuple[Any, ...], list[RunView]] = {}
    for view in views:
        if view.status == "completed":
            groups.setdefault(_key(view), []).append(view)
    found = []
    for key, some in sorted(groups.items(), key=lambda item: str(item[0])):
        table, algorithm, scheduler, predictor, workers, overlap, dispatch, overhead = key
        epochs = [view.n_epochs for view in some]
        makespans = [view.wall_s for view in some]
        finals = [x for view in some if (x := final(view)) is not None]
        regrets = [x for view in some if (x := nregret(view)) is not None]
        ratios = [view.wall_s / bound for view in some if (bound := _bound(view)) > 0]
        found.append(
            {
                "table": table,
                "algorithm": algorithm,
                "scheduler": scheduler,
                "predictor": predictor,
                "workers": workers,
                "overlap": overlap,
                "dispatch": dispatch,
                "job_overhead_s": overhead,
                "n_runs": len(some),
                "epochs_mean": _mean(epochs),
                "epochs_min": min(epochs),
                "epochs_max": max(epochs),
                "best_objective_mean": _mean(finals),
                "nregret_mean": _mean(regrets),
                "makespan_mean_s": _mean(makespans),
                "makespan_over_bound": _mean(ratios),
            }
        )
    return found


def write(views: Sequence[RunView], out: Path) -> Path:
    path = out / NAME
    path.write_text(json.dumps({"rows": rows(views)}, indent=1, allow_nan=False) + "\n")
    return path


def _key(view: RunView) -> tuple[Any, ...]:
    config = view.header.get("config") or {}
    backend = config.get("backend") or {}
    return (
        table_of(view),
        view.header["algorithm"],
        _last((config.get("scheduler") or {}).get("_target_")),
        _last((config.get("predictor") or {}).get("_target_")),
        view.header.get("n_workers"),
        view.header.get("overlap"),
        backend.get("dispatch", "free"),
        backend.get("job_overhead_s", 0.0),
    )


def _last(target: object) -> str | None:
    return str(target).split(".")[-2] if target else None


def _bound(view: RunView) -> float:
    """Seconds below which no order of jobs can end: all work shared, or the longest trial."""
    each = [sum(e.train_s + e.eval_s for e in trial.epochs) for trial in view.trials.values()]
    n_workers = int(view.header.get("n_workers") or 1)
    return max(sum(each) / n_workers, max(each, default=0.0))


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None
