"""Algorithms ranked over several tables: mean ranks, Friedman's test, Nemenyi's post hoc.

A block is one table and one seed that every ranked algorithm completed. Ranks need no common unit,
so that losses of different tables can stand in one test.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from suite.report.measures import say_p
from suite.report.regret import final, table_of
from suite.report.runs import Group, Run
from suite.report.statistics import ALPHA, holm

LEAST_TABLES, LEAST_ALGORITHMS = 2, 3
LEAST_BLOCKS = 10
"""Below it the chi-square distribution of Friedman's statistic is a poor guide (Demšar 2006)."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Mean ranks (1: least, that is best; ties share) of one quantity over the blocks.

    p: of Friedman's test, adjusted for the number of quantities; differs: pairs of algorithms whose
    mean ranks lie further apart than `critical`; empty where Friedman's test shows nothing.
    """

    quantity: str
    means: dict[str, float]
    chi2: float
    p: float
    critical: float
    differs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Ranks:
    """What was ranked over which tables. groups: one a table; rankings: empty, `why` says why."""

    groups: tuple[Group, ...]
    tables: tuple[str, ...]
    algorithms: tuple[str, ...]
    n_blocks: int
    n_left_out: int
    unused: int
    rankings: tuple[Ranking, ...]
    why: str = ""


_QUANTITIES: tuple[tuple[str, Callable[[Run], float | None]], ...] = (
    ("the winner's objective at max_epochs", lambda run: final(run.view)),
    ("epochs trained", lambda run: float(run.view.n_epochs)),
)
_SHORT = ("quality", "cost")


def rank(groups: Sequence[Group]) -> Ranks | None:
    """Rank what the groups of at least two tables have in common; None: fewer tables.

    Of several groups of one table (other clusters, other settings) the one with the most blocks
    counts: the same trials twice would be no new evidence.
    """
    by_table: dict[str, list[Group]] = {}
    for group in groups:
        if group.runs:
            by_table.setdefault(table_of(group.first.view), []).append(group)
    if len(by_table) < LEAST_TABLES:
        return None
    names = _common([group for of_table in by_table.values() for group in of_table], by_table)
    chosen = [
        max(of_table, key=lambda group: len(_blocks(group, names)))
        for of_table in by_table.values()
    ]
    blocks = [block for group in chosen for block in _blocks(group, names)]
    seeds = sum(len({run.seed for run in group.runs}) for group in chosen)
    why = ""
    rankings: tuple[Ranking, ...] = ()
    if len(names) < LEAST_ALGORITHMS:
        listed = f"{', '.join(names)}" if names else "none"
        why = (
            f"{len(names)} algorithms are common to all of them ({listed}; {LEAST_ALGORITHMS} due)"
        )
    elif len(blocks) < LEAST_BLOCKS or not all(_blocks(group, names) for group in chosen):
        why = f"n = {len(blocks)} blocks are too few (at least {LEAST_BLOCKS}, some of each table)"
    else:
        rankings = _rankings(names, blocks)
    return Ranks(
        tuple(chosen), tuple(by_table), names, len(blocks), seeds - len(blocks),
        sum(len(of_table) - 1 for of_table in by_table.values()), rankings, why,
    )  # fmt: skip


def _common(groups: Sequence[Group], by_table: dict[str, list[Group]]) -> tuple[str, ...]:
    """Algorithms with a completed run on every table, in the order of the first group."""
    have = [
        {run.algorithm for group in of_table for run in group.runs}
        for of_table in by_table.values()
    ]
    names = dict.fromkeys(name for group in groups for name in group.algorithms)
    return tuple(name for name in names if all(name in algorithms for algorithms in have))


Block = tuple[tuple[float, ...], ...]
"""One row a quantity: its value for each algorithm."""


def _blocks(group: Group, names: Sequence[str]) -> list[Block]:
    """The values of every seed that has all of them."""
    blocks = []
    of = {name: {run.seed: run for run in group.of(name)} for name in names}
    seeds = set.intersection(*(set(runs) for runs in of.values())) if of else set()
    for seed in sorted(seeds):
        rows = [[value(of[name][seed]) for name in names] for _, value in _QUANTITIES]
        block = tuple(tuple(v for v in row if v is not None) for row in rows)
        if all(len(row) == len(names) for row in block):
            blocks.append(block)
    return blocks


def _rankings(names: Sequence[str], blocks: Sequence[Block]) -> tuple[Ranking, ...]:
    tested = [friedman([block[i] for block in blocks]) for i in range(len(_QUANTITIES))]
    adjusted = holm([p for _, _, p in tested])
    critical = critical_difference(len(names), len(blocks))
    rankings = []
    for (quantity, _), (means, chi2, _), p in zip(_QUANTITIES, tested, adjusted, strict=True):
        of = dict(zip(names, means, strict=True))
        apart = [
            (a, b) if of[a] < of[b] else (b, a)
            for a, b in combinations(names, 2)
            if p < ALPHA and abs(of[a] - of[b]) > critical
        ]
        rankings.append(Ranking(quantity, of, chi2, p, critical, tuple(apart)))
    return tuple(rankings)


def mean_ranks(blocks: Sequence[Sequence[float]]) -> list[float]:
    """Of the columns (1: least; ties share). blocks: (n, k)."""
    import numpy as np
    from scipy.stats import rankdata

    return [float(m) for m in rankdata(np.asarray(blocks, dtype=float), axis=1).mean(axis=0)]


def friedman(blocks: Sequence[Sequence[float]]) -> tuple[list[float], float, float]:
    """Mean ranks of the columns, chi-square (corrected for ties) and p. blocks: (n, k).

    Source: Friedman 1937 (J. Am. Stat. Assoc. 32:675), as in scipy.stats.friedmanchisquare.
    """
    import numpy as np
    from scipy.stats import friedmanchisquare

    values, means = np.asarray(blocks, dtype=float), mean_ranks(blocks)
    if bool((values == values[:, :1]).all()):  # all tied: the statistic would be 0 / 0
        return means, 0.0, 1.0
    test = friedmanchisquare(*values.T)
    return means, float(test.statistic), float(test.pvalue)


def critical_difference(k: int, n: int) -> float:
    """Difference of two mean ranks over n blocks of k that is significant at 5 %.

    Source: Nemenyi 1963, as in Demšar 2006 (J. Mach. Learn. Res. 7:1), section 3.2.2; the quantile
    is scipy's studentized range.
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - ALPHA, k, math.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * n))


def sentences(result: Ranks) -> list[str]:
    """What the ranks say, with n; or why there are none."""
    tables = f"{len(result.tables)} tables ({', '.join(result.tables)})"
    if not result.rankings:
        return [f"Ranks over {tables}: not made: {result.why}."]
    lines = []
    for short, ranking in zip(_SHORT, result.rankings, strict=True):
        means = sorted(ranking.means.items(), key=lambda item: item[1])
        ranks = ", ".join(f"{name} {mean:.2f}" for name, mean in means)
        test = f"Friedman chi-square {ranking.chi2:.2f}, {len(means) - 1} degrees of freedom, "
        test += f"p {say_p(ranking.p)}"
        verdict = "no pair differs"
        if ranking.differs:
            pairs = ", ".join(f"{a} before {b}" for a, b in ranking.differs)
            verdict = f"further apart than the critical difference: {pairs}"
        elif ranking.p >= ALPHA:
            verdict = "no difference shown, hence no pairs compared"
        lines.append(
            f"Mean ranks, {short} ({ranking.quantity}; 1 is best): {ranks}; "
            f"n = {result.n_blocks} blocks; {test}; critical difference {ranking.critical:.2f} "
            f"(Nemenyi, 5 %): {verdict}."
        )
    about = (
        f"Ranks: a block is a seed on one of {tables} that all {len(result.algorithms)} algorithms "
        f"completed; {result.n_left_out} seeds that some did not complete are left out"
    )
    if result.unused:
        about += f", and {result.unused} further comparisons of the same tables"
    about += (
        "; ties share their rank; p adjusted for two quantities (Holm). Seeds of one table are not "
        "further tables: this speaks of these tables only."
    )
    return [*lines, about]
