"""summary.json: one row for each table, algorithm and cluster, for readers that are programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from suite.report.regret import final, nregret, table_of
from suite.report.statistics import mean
from suite.results.header import module_of
from suite.results.run_view import RunView

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
    table_rows = []
    for key, of_group in sorted(groups.items(), key=lambda item: str(item[0])):
        table, algorithm, scheduler, predictor, workers, overlap, dispatch, overhead = key
        epochs = [view.n_epochs for view in of_group]
        makespans = [view.wall_s for view in of_group]
        finals = [x for view in of_group if (x := final(view)) is not None]
        regrets = [x for view in of_group if (x := nregret(view)) is not None]
        ratios = [view.wall_s / bound for view in of_group if (bound := _bound(view)) > 0]
        table_rows.append(
            {
                "table": table,
                "algorithm": algorithm,
                "scheduler": scheduler,
                "predictor": predictor,
                "workers": workers,
                "overlap": overlap,
                "dispatch": dispatch,
                "job_overhead_s": overhead,
                "n_runs": len(of_group),
                "epochs_mean": mean(epochs),
                "epochs_min": min(epochs),
                "epochs_max": max(epochs),
                "best_objective_mean": mean(finals),
                "nregret_mean": mean(regrets),
                "makespan_mean_s": mean(makespans),
                "makespan_over_bound": mean(ratios),
            }
        )
    return table_rows


def as_json(views: Sequence[RunView]) -> str:
    """The rows as strict JSON; a mean beyond the range of a float is null."""
    return json.dumps({"rows": rows(views)}, indent=1, allow_nan=False) + "\n"


def _key(view: RunView) -> tuple[Any, ...]:
    header = view.header
    return (
        table_of(view),
        header.algorithm,
        module_of(header.scheduler_class),
        module_of(header.predictor_class),
        header.n_workers,
        header.overlap,
        header.backend.dispatch,
        header.backend.job_overhead_s,
    )


def _bound(view: RunView) -> float:
    """Seconds below which no order of jobs can end: all work shared, or the longest trial."""
    each = [sum(e.train_s + e.eval_s for e in trial.epochs) for trial in view.trials.values()]
    n_workers = view.header.n_workers or 1
    return max(sum(each) / n_workers, max(each, default=0.0))
