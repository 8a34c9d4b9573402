"""Judged by problems: each algorithm against the baseline over all curve tables, a table counting once.

Seeds only make a table's numbers more exact. What is said of algorithms in general rests on the tables, and
tables of one family, published together, are not independent: intervals resample families.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suite.report.measures import say_p
from suite.report.ranks import critical_difference, friedman, mean_ranks
from suite.report.regret import scale, table_of
from suite.report.regret_chapter import Clock, Compared, Table, compare, pairs, regrets, show
from suite.report.runs import Group
from suite.report.statistics import ALPHA, N_RESAMPLES, mean, mean_interval
from suite.results.find import natural

TITLE = "Over all tables"
FLOOR = 0.002
"""Regrets below it count as it in ratios: a ratio of two regrets near 0 says nothing."""
LEAST_TABLES = 3
CLOCKS: tuple[Clock, ...] = ("epochs", "seconds")
LEAST_FAMILIES = 5
"""Below it an interval over families would be one of a handful of values."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A curve table: what each algorithm's winners found there. family: of the catalogue, else the table.

    regrets: algorithm -> mean normalised regret over paired seeds, of the winner at max_epochs. at_epochs,
    at_time: of the best value so far when the baseline's epochs, or its time, were used: mean over pairs of
    the difference to the baseline's. compared: against the baseline, by seed.
    """

    title: str
    family: str
    data: str
    group: Group
    compared: Mapping[str, Compared]
    regrets: Mapping[str, float]
    at_epochs: Mapping[str, float]
    at_time: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Problems:
    """title: what this judgement is called; several of a report differ in the number of workers. tables:
    ratios over all, by family, ranks. to_best: algorithm -> of each table, its mean regret over that of the
    best algorithm there, both floored.
    """

    title: str
    problems: tuple[Problem, ...]
    algorithms: tuple[str, ...]
    baseline: str
    tables: tuple[Table, ...]
    sentences: tuple[str, ...]
    to_best: Mapping[str, tuple[float, ...]]


def judge_all(groups: Sequence[Group]) -> list[Problems]:
    """One judgement; where some table was searched with several numbers of workers, one of each number."""
    on_tables = [group for group in groups if any(scale(run.view) for run in group.runs)]
    of: dict[str, set[str]] = {}
    for group in on_tables:
        of.setdefault(table_of(group.first.view), set()).add(group.workers)
    if all(len(numbers) == 1 for numbers in of.values()):
        judged = [judge(on_tables)]
    else:
        numbers = sorted({group.workers for group in on_tables}, key=natural)
        judged = [
            judge([g for g in on_tables if g.workers == n], f"{TITLE}, {n} workers")
            for n in numbers
        ]
    return [one for one in judged if one is not None]


def judge(groups: Sequence[Group], title: str = TITLE) -> Problems | None:
    """None where fewer than LEAST_TABLES tables have the same baseline and two algorithms in common.

    Of several groups of one table the one with the most runs counts.
    """
    by_table: dict[str, Problem] = {}
    for group in groups:
        problem = _problem(group)
        if problem is not None:
            before = by_table.get(problem.title)
            if before is None or len(group.runs) > len(before.group.runs):
                by_table[problem.title] = problem
    baselines = Counter(str(problem.group.baseline) for problem in by_table.values())
    if not baselines:
        return None
    baseline = baselines.most_common(1)[0][0]
    problems = tuple(p for p in by_table.values() if p.group.baseline == baseline)
    names = tuple(n for n in problems[0].group.algorithms if all(n in p.regrets for p in problems))
    if len(problems) < LEAST_TABLES or len(names) < 2 or baseline not in names:
        return None
    tables = (
        _overall(problems, names, baseline),
        _by_family(problems, names, baseline),
        _ranks(problems, names),
    )
    best = [min(_floored(p.regrets[name]) for name in names) for p in problems]
    to_best = {
        name: tuple(_floored(p.regrets[name]) / b for p, b in zip(problems, best, strict=True))
        for name in names
    }
    said = tuple(_sentences(problems, names, baseline, by_table))
    return Problems(title, problems, names, baseline, tables, said, to_best)


def _problem(group: Group) -> Problem | None:
    if group.baseline is None or not pairs(group, group.baseline):
        return None
    compared = {c.name: c for c in compare(group)}
    found = {name: mean(c.mine) for name, c in compared.items()}
    known = {name: value for name, value in found.items() if value is not None}
    title = table_of(group.first.view)
    at = [_at_equal(clock, compared) for clock in CLOCKS]
    return Problem(title, group.family or title, group.data, group, compared, known, *at)


def _at_equal(clock: Clock, compared: Mapping[str, Compared]) -> dict[str, float]:
    """Mean paired difference when as much was used as the baseline's run used; none without a value."""
    means = {}
    for name, c in compared.items():
        ends = [
            (regrets(run, base, (1.0,), clock)[0], regrets(base, base, (1.0,), clock)[0])
            for run, base in c.runs
        ]
        value = mean([x - b for x, b in ends if x is not None and b is not None])
        if value is not None:
            means[name] = value
    return means


def _floored(regret: float) -> float:
    return max(regret, FLOOR)


def log_ratios(problems: Sequence[Problem], name: str) -> dict[str, list[float]]:
    """Family -> log of the ratio of floored mean regrets over pairs, a number a table."""
    logs: dict[str, list[float]] = {}
    for p in problems:
        mine, theirs = mean(p.compared[name].mine), mean(p.compared[name].theirs)
        ratio = _floored(mine or 0.0) / _floored(theirs or 0.0)
        logs.setdefault(p.family, []).append(math.log(ratio))
    return logs


def geometric(
    logs: Mapping[str, Sequence[float]],
) -> tuple[float, tuple[float, float] | None]:
    """Geometric mean over tables, and its 95 % interval: percentiles of means over resampled families.

    logs: family -> log ratio of each table. The interval is None below LEAST_FAMILIES families.
    Source: the cluster bootstrap, Davison and Hinkley 1997, section 3.8, whole clusters resampled.

    >>> value, ends = geometric({"a": [0.0], "b": [0.0]})
    >>> value, ends
    (1.0, None)
    """
    values = [value for family in logs.values() for value in family]
    middle = math.exp(statistics.fmean(values))
    if len(logs) < LEAST_FAMILIES:
        return middle, None
    import numpy as np

    sums = np.array([sum(family) for family in logs.values()])
    sizes = np.array([len(family) for family in logs.values()])
    drawn = np.random.default_rng(0).integers(len(sums), size=(N_RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.exp(np.quantile(means, [ALPHA / 2, 1 - ALPHA / 2]))
    return middle, (float(low), float(high))


def _overall(problems: Sequence[Problem], names: Sequence[str], baseline: str) -> Table:
    rows = []
    for name in names:
        difference = [mean(p.compared[name].differences) or 0.0 for p in problems]
        equal = [
            mean([at[name] for p in problems if name in (at := getattr(p, attribute))])
            for attribute in ("at_epochs", "at_time")
        ]
        epochs = [_epochs(p, name) for p in problems]
        cells = [
            _range([len(p.compared[name].mine) for p in problems]),
            show(mean([p.regrets[name] for p in problems]) or 0.0),
        ]
        if name == baseline:
            rows.append((name, str(len(problems)), *cells, "1", *"-----", "1.00"))
            continue
        ratio, ends = geometric(log_ratios(problems, name))
        better, worse = _wins(problems, name)
        worst = max(range(len(problems)), key=difference.__getitem__)
        rows.append(
            (
                name, str(len(problems)), *cells,
                f"{ratio:.2f}" + (f" [{ends[0]:.2f}, {ends[1]:.2f}]" if ends else ""),
                f"{better} / {worse} / {len(problems) - better - worse}",
                f"{_signed(difference[worst])} {problems[worst].title}",
                _signed(mean(difference) or 0.0),
                *("-" if value is None else _signed(value) for value in equal),
                f"{statistics.fmean(epochs):.2f}",
            )
        )  # fmt: skip
    head = (
        "algorithm", "tables", "seeds", "mean regret", "geometric ratio [95 % CI over families]",
        "better / worse / open", "worst table", "mean difference", "difference at equal epochs",
        "difference at equal time", "epochs",
    )  # fmt: skip
    return Table(f"Winners' normalised regret against {baseline}", head, tuple(rows))


def _by_family(problems: Sequence[Problem], names: Sequence[str], baseline: str) -> Table:
    sizes = Counter(p.family for p in problems)
    of = {name: log_ratios(problems, name) for name in names}
    rows = [
        (name, *(f"{math.exp(statistics.fmean(of[name][family])):.2f}" for family in sizes))
        for name in names
    ]
    head = ("algorithm", *(f"{family} (n = {n})" for family, n in sizes.items()))
    return Table(f"Geometric ratio of regrets to {baseline}'s, by family", head, tuple(rows))


def _ranks(problems: Sequence[Problem], names: Sequence[str]) -> Table:
    """A block is a table: seeds are no further problems."""
    means = mean_ranks([[p.regrets[name] for name in names] for p in problems])
    rows = sorted(zip(names, means, strict=True), key=lambda row: row[1])
    title = "Mean rank of mean regrets over tables (1 is best)"
    return Table(title, ("algorithm", "mean rank"), tuple((n, f"{m:.2f}") for n, m in rows))


def _epochs(problem: Problem, name: str) -> float:
    """Of an algorithm's runs, as a multiple of the baseline's of the same seeds."""
    runs = problem.compared[name].runs
    return sum(run.view.n_epochs for run, _ in runs) / (sum(b.view.n_epochs for _, b in runs) or 1)


def _wins(problems: Sequence[Problem], name: str) -> tuple[int, int]:
    """Tables on which the interval of the mean difference over seeds lies below, and above, 0."""
    ends = [mean_interval(p.compared[name].differences) for p in problems]
    return sum(e is not None and e[1] < 0 for e in ends), sum(
        e is not None and e[0] > 0 for e in ends
    )


def _signed(value: float) -> str:
    return f"{'+' * (round(value, 4) >= 0)}{show(value)}"


def _sentences(
    problems: Sequence[Problem], names: Sequence[str], baseline: str, of: Mapping[str, Problem]
) -> list[str]:
    kinds = Counter(p.data or "real" for p in problems)
    families = Counter(p.family for p in problems)
    seeds = [len(p.compared[baseline].runs) for p in problems]
    simulated = " SIMULATED TIME." if any(p.group.simulated for p in problems) else ""
    lines = [
        f"n = {len(problems)} tables in {len(families)} families, {_range(seeds)} seeds of {baseline} each; "
        f"workers: {workers_of(problems)}; {', '.join(f'{n} {kind}' for kind, n in kinds.items())}."
        f"{simulated} Each table counts once.",
        f"Geometric ratio: of mean regrets, those below {FLOOR} counted as {FLOOR}; below 1 is better. "
        + (
            f"Its interval resamples families ({N_RESAMPLES:,} times)."
            if len(families) >= LEAST_FAMILIES
            else f"No interval: {len(families)} families, {LEAST_FAMILIES} are the least."
        ),
        "Better, worse, open: tables on which the 95 % interval of the mean difference over seeds lies "
        "below 0, above 0, or holds 0 (or has too few seeds).",
        "At equal epochs, at equal time: mean paired difference of the best value so far of any epoch, when "
        f"as many epochs, or as much time, were used as {baseline} used; an algorithm that ended earlier "
        "keeps its last value. Mean difference is that of the winners, whatever was used: read it with the "
        f"column `epochs`, times {baseline}'s. Node-hours are equal at equal time, for both had the same "
        "workers all the time.",
    ]
    if len(names) > 2:
        _, chi2, p_value = friedman([[p.regrets[name] for name in names] for p in problems])
        critical = critical_difference(len(names), len(problems))
        lines.append(
            f"Friedman over tables: chi-square {chi2:.2f}, {len(names) - 1} degrees of freedom, p "
            f"{say_p(p_value)}; critical difference of mean ranks {critical:.2f} (Nemenyi, 5 %)."
        )
    if left := [title for title, p in of.items() if p not in problems]:
        lines.append(f"Not in these numbers, of another baseline: {', '.join(left)}.")
    return lines


def workers_of(problems: Sequence[Problem]) -> str:
    return ", ".join(sorted({p.group.workers for p in problems}, key=natural))


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"
