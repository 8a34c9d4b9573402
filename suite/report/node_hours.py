"""Regret over node-hours, over all tables: what a search has found when so much of the machine was used.

Node-hours are workers times wall clock, whether the workers were busy or not. Algorithms end at different
times, so two readings stand side by side: each run once, where a run that ended keeps its last value; and
looped, where the run of the next seed begins when one ends, as whoever has node-hours left would do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from suite.report.problems import FLOOR, Problem, Problems
from suite.report.regret import scale
from suite.report.regret_chapter import Pairs, Table, show
from suite.report.runs import Run
from suite.report.statistics import mean

SHARES = (0.25, 0.5, 1.0, 1.5, 2.0)
"""Of the baseline's node-hours on the same table with the same seed."""


@dataclass(frozen=True, slots=True)
class Steps:
    """One run's best value so far. at: node-seconds, shape (points,); regrets: normalised, shape (points,);
    end: node-seconds of the whole run.
    """

    at: Any
    regrets: Any
    end: float


def node_s(run: Run) -> float:
    """Workers times seconds of the whole run."""
    return run.n_workers * run.view.wall_s


def steps(run: Run) -> Steps:
    """Raises TypeError for a run on no known table: `pairs` has none."""
    import numpy as np

    best, median = scale(run.view)  # type: ignore[misc]
    points = run.view.by_time
    at = np.array([run.n_workers * point.time_s for point in points])
    values = np.array([run.view.value(point.best) for point in points])
    return Steps(at, (values - best) / (median - best), node_s(run))


def best_so_far(runs: Sequence[Steps], first: int, limits: Any, looped: bool) -> Any:
    """Lowest regret at each of `limits` (node-seconds, ascending), of runs that follow each other.

    first: the index of the one that begins. looped: the next run begins where one ends, after the
    last the first, until each has run once; else there is that one run alone. Shape as limits;
    infinite before the first value.
    """
    import numpy as np

    best, began = np.full(len(limits), math.inf), 0.0
    for i in range(len(runs) if looped else 1):
        run = runs[(first + i) % len(runs)]
        last = np.searchsorted(began + run.at, limits, side="right") - 1
        if len(run.at):
            best = np.where(last >= 0, np.minimum(best, run.regrets[last]), best)
        began += run.end
        if began > limits[-1]:
            break
    return best


def mean_regrets(runs: Pairs, shares: Sequence[float], looped: bool) -> Any:
    """Of one algorithm on one table: mean over seeds at shares of the baseline's node-hours.

    Each seed's run is the first once. Shape (shares,); infinite where a seed has no value yet.
    """
    import numpy as np

    own = [steps(run) for run, _ in runs]
    limits = [np.array(shares) * node_s(base) for _, base in runs]
    lines = [best_so_far(own, i, limit, looped) for i, limit in enumerate(limits)]
    return np.mean(lines, axis=0)


def over_tables(
    problems: Sequence[Problem], name: str, shares: Sequence[float], looped: bool
) -> list[float | None]:
    """Geometric mean over tables of mean regrets, those below FLOOR counted as FLOOR.

    None where a seed of some table has no value yet.
    """
    import numpy as np

    each = np.array([mean_regrets(p.compared[name].runs, shares, looped) for p in problems])
    with np.errstate(invalid="ignore"):
        middle = np.exp(np.mean(np.log(np.maximum(each, FLOOR)), axis=0))
    return [float(value) if math.isfinite(value) else None for value in middle]


def used(problems: Sequence[Problem], name: str) -> float:
    """Node-hours of an algorithm's runs, times the baseline's: mean over tables of means over seeds."""
    ratios = [
        mean([node_s(run) / node_s(base) for run, base in p.compared[name].runs if node_s(base)])
        for p in problems
    ]
    return mean([ratio for ratio in ratios if ratio is not None]) or math.nan


def with_node_hours(judged: Problems) -> Problems:
    """The same with two tables and their sentences."""
    titles = {
        False: "Regret over node-hours, each run once: one that ended keeps its last value",
        True: "Regret over node-hours, looped: when a run ends, the next seed's begins",
    }
    tables = [
        Table(title, _head(judged), _rows(judged, looped)) for looped, title in titles.items()
    ]
    return replace(
        judged,
        tables=(*judged.tables, *tables),
        sentences=(*judged.sentences, _sentence(judged)),
    )


def _head(judged: Problems) -> tuple[str, ...]:
    return ("algorithm", "node-hours", *(f"at {share:g}" for share in SHARES))


def _rows(judged: Problems, looped: bool) -> tuple[tuple[str, ...], ...]:
    rows = []
    for name in judged.algorithms:
        values = over_tables(judged.problems, name, SHARES, looped)
        cells = ["-" if value is None else show(value) for value in values]
        rows.append((name, f"{used(judged.problems, name):.2f}", *cells))
    return tuple(rows)


def _sentence(judged: Problems) -> str:
    simulated = ", in SIMULATED TIME" if any(p.group.simulated for p in judged.problems) else ""
    return (
        f"Node-hours: workers times wall clock{simulated}, times {judged.baseline}'s on the same table "
        "with the same seed; idle workers count. Regret over them: of the best value so far of any epoch, "
        f"mean over seeds, below {FLOOR} counted as {FLOOR}, geometric mean over tables. Looped: runs of "
        "one algorithm on one table, joined in the order of seeds; each seed is the first once. They share "
        "no knowledge: a longer run of the same algorithm may find more."
    )
