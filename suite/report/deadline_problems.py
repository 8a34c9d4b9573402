"""Deadlines over tables: each table counts once, and the interval resamples families of them.

Tables have different seconds. A deadline of one is that of another where their runs had one budget.trainings;
else by its place: the first, second, ... of those that a table was searched with on as many workers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from suite.report.deadline_members import Deadline
from suite.report.deadline_tables import values, verdict
from suite.report.problems import FLOOR, LEAST_FAMILIES, LEAST_TABLES, geometric
from suite.report.regret import table_of
from suite.report.regret_chapter import Section, Table, show
from suite.report.statistics import LEAST, mean
from suite.results.find import natural


def over_tables(found: Sequence[Deadline]) -> tuple[list[Section], list[str]]:
    """A section for each number of workers and deadline that LEAST_TABLES tables have; a sentence on what has
    no such section.
    """
    on_tables = [d for d in found if d.on_table and d.baseline is not None]
    of_workers: dict[str, dict[str, list[Deadline]]] = {}
    for deadline in on_tables:
        tables = of_workers.setdefault(deadline.group.workers, {})
        tables.setdefault(table_of(deadline.group.first.view), []).append(deadline)
    sections, left_out = [], []
    for n_workers in sorted(of_workers, key=natural):
        tables = of_workers[n_workers]
        if all(d.asked is not None for deadlines in tables.values() for d in deadlines):
            sections += _by_trainings(tables, n_workers)
            continue
        numbers = {len(deadlines) for deadlines in tables.values()}
        if len(tables) < LEAST_TABLES:
            continue
        if len(numbers) > 1:
            left_out.append(
                f"{n_workers} workers: not judged over tables: they have different numbers of deadlines."
            )
            continue
        for place in range(n := numbers.pop()):
            at = {table: deadlines[place] for table, deadlines in tables.items()}
            sections.append(
                _section(at, n_workers, f", deadline {place + 1} of {n}" if n > 1 else "")
            )
    return sections, left_out


def _by_trainings(tables: Mapping[str, Sequence[Deadline]], n_workers: str) -> list[Section]:
    """One section for each number of trainings that LEAST_TABLES tables have."""
    of: dict[float, dict[str, Deadline]] = {}
    for table, deadlines in tables.items():
        for deadline in deadlines:
            of.setdefault(deadline.asked or 0.0, {})[table] = deadline
    return [
        _section(at, n_workers, f", budget.trainings={asked:g}")
        for asked, at in sorted(of.items())
        if len(at) >= LEAST_TABLES
    ]


def _section(at: Mapping[str, Deadline], n_workers: str, place: str) -> Section:
    found = list(at.values())
    baseline = found[0].baseline or ""
    same = [d for d in found if d.baseline == baseline]
    common = [
        name for name in same[0].readings if all(name in d.readings and d.pairs(name) for d in same)
    ]
    rows = [_row(at, same, name, baseline) for name in common]
    head = (
        "algorithm", "tables", "seeds", "mean regret", "geometric ratio [95 % CI over families]",
        "better / worse / open", "worst table", "workers busy [%]", "handed back [%]",
    )  # fmt: skip
    first = same[0].group
    trainings = [d.trainings for d in same]
    families = {_family(d) for d in same}
    kinds = sorted({d.group.data or "real" for d in same})
    simulated = "; SIMULATED TIME" if any(d.group.simulated for d in same) else ""
    about = (
        f"n = {len(same)} tables in {len(families)} families ({', '.join(kinds)} data{simulated}); deadline "
        f"after {min(trainings):.2f} to {max(trainings):.2f} mean trainings of a table; {n_workers} workers; "
        f"baseline {baseline}"
    )
    table = Table(f"Regret at the deadline against {baseline}", head, tuple(rows))
    return Section(
        f"Over {len(same)} tables, {n_workers} workers{place}",
        about,
        first,
        (table,),
        tuple(_sentences(same)),
    )


def _row(
    at: Mapping[str, Deadline], same: Sequence[Deadline], name: str, baseline: str
) -> tuple[str, ...]:
    of_table = {table: values(d, name) for table, d in at.items() if d in same}
    seeds = [len(both) for both in of_table.values()]
    means = [mean([x for x, _ in both]) or 0.0 for both in of_table.values()]
    readings = [r for d in same for r in d.readings[name]]
    row = [
        name, str(len(same)),
        f"{min(seeds)}" if min(seeds) == max(seeds) else f"{min(seeds)} to {max(seeds)}",
        show(mean(means) or 0.0),
    ]  # fmt: skip
    use = (
        f"{100 * (mean([r.busy for r in readings]) or 0.0):.1f}",
        f"{100 * (mean([r.handed_back for r in readings]) or 0.0):.1f}",
    )
    if name == baseline:
        return (*row, "1", "-", "-", *use)
    logs: dict[str, list[float]] = {}
    differences, verdicts = {}, []
    for deadline, (table, both) in zip(same, of_table.items(), strict=True):
        x, b = (mean([pair[i] for pair in both]) or 0.0 for i in (0, 1))
        logs.setdefault(_family(deadline), []).append(math.log(max(x, FLOOR) / max(b, FLOOR)))
        own = [mine - theirs for mine, theirs in both]
        differences[table] = mean(own) or 0.0
        verdicts.append(verdict(deadline, own))
    middle, ends = geometric(logs)
    better, worse = verdicts.count("better"), verdicts.count("worse")
    worst = max(differences, key=differences.__getitem__)
    return (
        *row, f"{middle:.2f}" + (f" [{ends[0]:.2f}, {ends[1]:.2f}]" if ends else ""),
        f"{better} / {worse} / {len(same) - better - worse}",
        f"{differences[worst]:+.4f} {worst}", *use,
    )  # fmt: skip


def _family(deadline: Deadline) -> str:
    return deadline.group.family or table_of(deadline.group.first.view)


def _sentences(same: Sequence[Deadline]) -> list[str]:
    families = len({_family(d) for d in same})
    interval = (
        "its interval resamples families"
        if families >= LEAST_FAMILIES
        else f"no interval: {families} families, {LEAST_FAMILIES} are the least"
    )
    return [
        f"Geometric ratio: of mean regrets over pairs, those below {FLOOR} counted as {FLOOR}; below 1 is "
        f"better; each table counts once; {interval}. Better, worse: tables on which the 95 % interval of "
        "the mean paired difference lies below or above 0; open: it holds 0, or there are fewer than "
        f"{LEAST} pairs. Worst table: by the mean difference.",
    ]
