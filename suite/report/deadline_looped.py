"""The other reading of runs that end before a deadline: when one ends, the next seed's begins."""

from __future__ import annotations

from collections.abc import Sequence

from suite.report.deadline_members import Deadline
from suite.report.deadline_tables import difference, ratio, spread_cell, verdict
from suite.report.deadlines import Reading, at_max_epochs, regret_of
from suite.report.regret_chapter import Table, show
from suite.report.statistics import mean


def looped_table(deadline: Deadline) -> Table | None:
    """Every algorithm, runs that end before followed by the others in the order of seeds. None without a
    baseline.
    """
    if deadline.baseline is None:
        return None
    of = {name: looped(readings) for name, readings in deadline.readings.items()}
    base = of[deadline.baseline]
    on_table = deadline.on_table
    rows = []
    for name, readings in deadline.readings.items():
        found = [of[name][r.run.seed] for r in readings]
        joined = [float(n) for _, n in found]
        row = [name, str(len(found)), spread_cell(joined, len(found), 0)]
        row.append(spread_cell([value for value, _ in found], len(found)))
        if on_table:
            row.append(show(mean([_regret(readings[0], value) for value, _ in found]) or 0.0))
        both = [
            (_known(readings[0], on_table, mine), _known(readings[0], on_table, base[seed][0]))
            for seed, (mine, _) in of[name].items()
            if seed in base
        ]
        known = [(x, b) for x, b in both if x is not None and b is not None]
        differences = [x - b for x, b in known]
        against = ("1", "baseline", "baseline")
        if name != deadline.baseline:
            against = (ratio(known), difference(differences), verdict(deadline, differences))
        rows.append((*row, *against))
    head = [
        "algorithm", "n", "runs joined", "best at max_epochs", *(["mean regret"] if on_table else []),
        "ratio", "difference [95 % CI]", "verdict",
    ]  # fmt: skip
    title = "Looped: when a run ends before the deadline, the next seed's begins"
    return Table(title, tuple(head), tuple(rows))


def looped(readings: Sequence[Reading]) -> dict[int, tuple[float | None, int]]:
    """Seed -> the best value at max_epochs by the deadline, and how many runs were joined for it.

    Each seed's run is the first once, the others follow in the order of seeds; all of them at most once.
    """
    found = {}
    for i, first in enumerate(readings):
        began, n, values = 0.0, 0, []
        for k in range(len(readings)):
            run = readings[(i + k) % len(readings)].run
            values += [value for _, value, _ in at_max_epochs(run, first.deadline_s - began)]
            n += 1
            began += run.view.time_s
            if began >= first.deadline_s or readings[(i + k) % len(readings)].ended_s is None:
                break
        best = (max if first.run.sign < 0 else min)(values) if values else None
        found[first.run.seed] = (best, n)
    return found


def _known(reading: Reading, on_table: bool, value: float | None) -> float | None:
    return _regret(reading, value) if on_table else value


def _regret(reading: Reading, value: float | None) -> float:
    return regret_of(reading.run, value) or 0.0
