"""Cells of the tables at a deadline: medians with their ranges, pairs with the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence

from suite.report.deadline_members import Deadline
from suite.report.deadlines import Reading, node_s, nodes
from suite.report.measures import fixed, number
from suite.report.statistics import mean, mean_interval
from suite.results.spread import Spread, spread

MEDIAN = "median (smallest..largest over seeds)"


def spread_cell(values: Sequence[float | None], n: int, decimals: int | None = None) -> str:
    """`3.0 (2.9..3.4)`, with n where some of so many runs have no value; `-` where none has."""
    if (of := spread(values)) is None:
        return "-"
    missing = f" n={of.n}" if of.n != n else ""
    return _ranged(of, decimals) + missing


def with_never(of: Spread | None, decimals: int | None = None) -> str:
    """The same of times that may be infinite."""
    return "-" if of is None else _ranged(of, decimals)


def _ranged(of: Spread, decimals: int | None) -> str:
    finite = [abs(value) for value in (of.median, of.low, of.high) if math.isfinite(value)]
    like = next((value for value in finite if value), None)

    def shown(value: float) -> str:
        if math.isinf(value):
            return "never"
        if decimals is not None:
            half = decimals == 0 and value != int(value)
            return fixed(value, 1 if half and of.n < 100 else decimals)
        return number(value, 4, like=like)

    middle = shown(of.median)
    return middle if of.low == of.high else f"{middle} ({shown(of.low)}..{shown(of.high)})"


def ended(readings: Sequence[Reading]) -> str:
    """In how many runs the search ended by its own rule; `-`: in none."""
    n = sum(r.ended_s is not None for r in readings)
    return f"{n} of {len(readings)}" if n else "-"


def values(deadline: Deadline, name: str) -> list[tuple[float, float]]:
    """(value, baseline's) of each pair: regrets, or values of the metric where both have one."""
    both = [
        (mine.regret, base.regret) if deadline.on_table else (mine.best, base.best)
        for mine, base in deadline.pairs(name)
    ]
    return [(x, b) for x, b in both if x is not None and b is not None]


def verdict(deadline: Deadline, differences: Sequence[float]) -> str:
    """better, worse, open; `too few` pairs for an interval."""
    if (ends := mean_interval(differences)) is None:
        return f"too few (n = {len(differences)})"
    sign = 1.0 if deadline.on_table else deadline.group.first.sign
    low, high = sorted(sign * end for end in ends)
    return "better" if high < 0 else "worse" if low > 0 else "open"


def compared(deadline: Deadline, name: str) -> tuple[str, str, str]:
    """Ratio, difference with its interval, verdict."""
    if name == deadline.baseline:
        return "1", "baseline", "baseline"
    both = values(deadline, name)
    differences = [x - b for x, b in both]
    return ratio(both), difference(differences), verdict(deadline, differences)


def ratio(both: Sequence[tuple[float, float]]) -> str:
    """Of the means; `-` where the baseline's is not positive."""
    mine, base = mean([x for x, _ in both]), mean([b for _, b in both])
    return "-" if mine is None or not base or base < 0 else f"{mine / base:.2f}"


def difference(differences: Sequence[float]) -> str:
    """The mean, with its interval where there are enough pairs."""
    if (middle := mean(differences)) is None:
        return "-"
    ends = mean_interval(differences)
    like = max(map(abs, (middle, *(ends or ())))) or None

    def shown(value: float) -> str:
        return number(value, 3, True, like)

    return shown(middle) + (f" [{shown(ends[0])}, {shown(ends[1])}]" if ends else "")


def reached(deadline: Deadline, name: str) -> list[tuple[float, float, float]]:
    """Of each pair whose baseline has a result: seconds until the run had it, share of the deadline, node
    seconds until then. Infinite: it never had.
    """
    found = []
    for mine, base in deadline.pairs(name):
        if base.best is not None:
            at_s = mine.reached_s(base.best)
            used = node_s(nodes(mine.run.view), at_s) if math.isfinite(at_s) else math.inf
            found.append((at_s, at_s / mine.deadline_s, used))
    return found
