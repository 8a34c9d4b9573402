"""The tables of `price_deadlines.py`, of its rows."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.deadline_runs import BASELINE
from suite.files import published_tables
from suite.report.problems import geometric

FLOOR, LOW_FLOOR = 0.01, 0.002
RIVALS = (BASELINE, "random_search_filling", "asha")
KINDS = (
    "authors", "lcbench", "deepobs", "rl", "taskset", "algoperf", "klein", "nasbench_nlp", "alexnet",
)  # fmt: skip
FIRST_HALF = ("lcbench", "deepobs", "rl", "authors")
N_RESAMPLES = 2000

Cell = tuple[str, int, str]
"""Task, workers, deadline."""


@dataclass
class Rows:
    """by: algorithm -> cell -> seed -> row. families: of each task."""

    by: Mapping[str, Mapping[Cell, Mapping[int, Mapping[str, Any]]]]
    families: Mapping[str, str]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> Rows:
        by: dict[str, dict[Cell, dict[int, Mapping[str, Any]]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        families = {}
        for row in rows:
            families[row["task"]] = row["family"]
            by[row["algorithm"]][row["task"], row["workers"], row["deadline"]][row["seed"]] = row
        return cls(by, families)

    def cells(self, workers: Collection[int], deadlines: Collection[str]) -> list[Cell]:
        every = self.by.get(BASELINE, {})
        return sorted(c for c in every if c[1] in workers and c[2] in deadlines)

    def seeds(self, names: Iterable[str]) -> list[int]:
        """Those that every one of these searches has in all cells."""
        held = [set(of) for name in names for of in self.by[name].values()]
        cells = {len(self.by[name]) for name in names}
        return sorted(set.intersection(*held)) if held and len(cells) == 1 else []

    def regrets(self, name: str, cell: Cell, seeds: Sequence[int]) -> list[float]:
        return [self.by[name][cell][seed]["regret"] for seed in seeds]

    def mean(self, name: str, cells: Iterable[Cell], seeds: Sequence[int], key: str) -> float:
        return statistics.fmean(self.by[name][c][s][key] or 0.0 for c in cells for s in seeds)

    def log_ratio(
        self, name: str, base: str, cell: Cell, seeds: Sequence[int], floor: float
    ) -> float:
        mine, theirs = (
            max(statistics.fmean(self.regrets(n, cell, seeds)), floor) for n in (name, base)
        )
        return math.log(mine / theirs)

    def by_family(
        self, name: str, base: str, cells: Iterable[Cell], seeds: Sequence[int], floor: float
    ) -> dict[str, list[float]]:
        """Log ratio of each table, its cells' mean."""
        of: dict[str, list[float]] = defaultdict(list)
        for cell in cells:
            of[cell[0]].append(self.log_ratio(name, base, cell, seeds, floor))
        logs: dict[str, list[float]] = defaultdict(list)
        for task, values in of.items():
            logs[self.families[task]].append(statistics.fmean(values))
        return logs

    def verdicts(
        self, name: str, base: str, cells: Iterable[Cell], seeds: Sequence[int]
    ) -> tuple[int, int, int]:
        """Cells better, worse, open by the paired bootstrap over seeds."""
        counts = [0, 0, 0]
        drawn = np.random.default_rng(0).integers(len(seeds), size=(N_RESAMPLES, len(seeds)))
        for cell in cells:
            differences = np.subtract(
                self.regrets(name, cell, seeds), self.regrets(base, cell, seeds)
            )
            low, high = np.quantile(differences[drawn].mean(axis=1), [0.025, 0.975])
            counts[0 if high < 0 else 1 if low > 0 else 2] += 1
        return counts[0], counts[1], counts[2]


def _number(value: float, digits: int = 2) -> str:
    """As the documents write them: .31, 1.27."""
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits}f}"


def _ratio(logs: Mapping[str, Sequence[float]], interval: bool = True) -> str:
    value, ends = geometric(logs)
    if not interval or not ends:
        return _number(value)
    return f"{_number(value)} [{_number(ends[0])}, {_number(ends[1])}]"


def _line(rows: Rows, name: str, base: str, cells: list[Cell], seeds: list[int]) -> str:
    """A row of the main table."""
    better, worse, neither = rows.verdicts(name, base, cells, seeds)
    logs = {c: rows.log_ratio(name, base, c, seeds, FLOOR) for c in cells}
    worst = max(cells, key=lambda c: logs[c])
    busy, back, begun, trained = (
        rows.mean(name, cells, seeds, key) for key in ("busy", "handed_back", "trials", "trainings")
    )
    given = _number(back) if name.startswith("price") else "-"
    compared = ["1", "1", "-", "-"] if name == base else [
        _ratio(rows.by_family(name, base, cells, seeds, FLOOR)),
        _ratio(rows.by_family(name, base, cells, seeds, LOW_FLOOR), interval=False),
        f"{better} / {worse} / {neither}",
        f"{worst[0]} {math.exp(logs[worst]):.1f}",
    ]  # fmt: skip
    use = [_number(busy), given, f"{begun:.0f}", f"{trained:.0f}"]
    return f"| {' | '.join([f'`{name}`', str(len(seeds)), *compared, *use])} |"


def _main(rows: Rows, names: Sequence[str], base: str, cells: list[Cell], title: str) -> None:
    n = len({c[0] for c in cells})
    print(f"\n**{title}** ({n} tables, {len(cells)} cells; times the regret of `{base}`)\n")
    print("| | seeds | ratio [95 % CI] | floor .002 | better / worse / open | worst | busy | handed back | "
          "trials | at R |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in names:
        if seeds := rows.seeds((name, base)):
            print(_line(rows, name, base, cells, seeds))


def _grid(
    rows: Rows,
    names: Sequence[str],
    bases: Sequence[str],
    workers: Sequence[int],
    deadlines: Sequence[str],
) -> None:
    """Ratios over each base: of all cells, and by machine and deadline, side by side."""
    places = [(n, deadline) for n in workers for deadline in deadlines]
    heads = " | ".join(["all [95 % CI]", *(f"{n} workers, {deadline}" for n, deadline in places)])
    for base in bases:
        print(f"\nTimes the regret of `{base}`\n\n| | seeds | {heads} | handed back |")
        print("|---|---|---|---|" + "---|" * len(places))
        for name in names:
            if name == base or not (seeds := rows.seeds((name, base))):
                continue
            every = rows.cells(workers, deadlines)
            ratios = [_ratio(rows.by_family(name, base, every, seeds, FLOOR))]
            for n, deadline in places:
                logs = rows.by_family(name, base, rows.cells([n], [deadline]), seeds, FLOOR)
                ratios.append(_ratio(logs, interval=False))
            back = (
                _number(rows.mean(name, every, seeds, "handed_back"))
                if name.startswith("price")
                else "-"
            )
            print(f"| `{name}` | {len(seeds)} | {' | '.join(ratios)} | {back} |")


def _rivals(rows: Rows, names: Sequence[str], parts: Sequence[tuple[str, list[Cell]]]) -> None:
    """Searches of the suite over those of RIVALS that keep workers busy."""
    heads = " | ".join(f"over `{base}` | better / worse / open" for base in RIVALS[1:])
    print(f"\n| | seeds | {heads} |\n|---|---|{'---|---|' * len(RIVALS[1:])}")
    for title, cells in parts:
        for name in names:
            if cells and (seeds := rows.seeds((name, *RIVALS))):
                row = [f"`{name}`, {title}", str(len(seeds))]
                for base in RIVALS[1:]:
                    row.append(_ratio(rows.by_family(name, base, cells, seeds, FLOOR)))
                    row.append(" / ".join(map(str, rows.verdicts(name, base, cells, seeds))))
                print(f"| {' | '.join(row)} |")


def _families(rows: Rows, names: Sequence[str], base: str, cells: list[Cell]) -> None:
    tasks = {c[0] for c in cells}
    kinds = {kind: sum(rows.families[task] == kind for task in tasks) for kind in KINDS}
    print(f"\nFamilies apart (number of tables), times the regret of `{base}`\n")
    print("| | seeds | " + " | ".join(f"{kind} ({n})" for kind, n in kinds.items() if n) + " |")
    print("|---|---|" + "---|" * sum(n > 0 for n in kinds.values()))
    for name in names:
        if name != base and (seeds := rows.seeds((name, base))):
            logs = rows.by_family(name, base, cells, seeds, FLOOR)
            ratios = [
                _number(math.exp(statistics.fmean(logs[kind]))) for kind in kinds if kinds[kind]
            ]
            print(f"| `{name}` | {len(seeds)} | " + " | ".join(ratios) + " |")


def _beside_the_best(rows: Rows, name: str, cells: list[Cell]) -> None:
    """Of each family: over that of RIVALS which is the best there."""
    if not (seeds := rows.seeds((name, *RIVALS))):
        return
    print(f"\n{name} over the best of {', '.join(RIVALS)} in each family (n = {len(seeds)})")
    for kind in sorted({rows.families[c[0]] for c in cells}):
        own = [c for c in cells if rows.families[c[0]] == kind]
        ratios = {
            rival: math.exp(statistics.fmean(rows.by_family(name, rival, own, seeds, FLOOR)[kind]))
            for rival in RIVALS
        }
        best = max(ratios, key=lambda rival: ratios[rival])
        print(f"  {kind}: {ratios[best]:.2f} ({best})")


def show(
    of: list[dict[str, Any]], names: Sequence[str], overhead: int, deadlines: Sequence[str]
) -> None:
    """Everything that was declared, of one overhead (epochs a job)."""
    rows = Rows.of(of)
    workers = sorted({row["workers"] for row in of})
    if not rows.seeds((BASELINE,)):
        print(f"overhead {overhead}: no seed has all tables yet")
        return
    timed = {e.name for e in published_tables().values() if e.train_s}
    every = rows.cells(workers, deadlines)
    print(
        f"SIMULATED TIME; overhead {overhead} epochs a job; workers {workers}; regret 1.5: nothing"
    )
    for n in workers:
        for deadline in deadlines:
            cells = rows.cells([n], [deadline])
            ends = rows.mean(BASELINE, cells, rows.seeds((BASELINE,)), "end")
            _main(
                rows,
                names,
                BASELINE,
                cells,
                f"{n} workers, until {deadline} ({ends:.2f} R in the mean)",
            )
    parts = (
        ("all", every),
        ("families not read before", [c for c in every if rows.families[c[0]] not in FIRST_HALF]),
        ("families of the choice", [c for c in every if rows.families[c[0]] in FIRST_HALF]),
        ("tables with recorded seconds", [c for c in every if c[0] in timed]),
        ("tables whose speeds are drawn", [c for c in every if c[0] not in timed]),
    )  # fmt: skip
    for title, cells in parts:
        if cells:
            _main(rows, names, BASELINE, cells, f"{title}, all machines and deadlines")
    _grid(
        rows,
        names,
        [base for base in (*RIVALS[:2], "price_rank") if base in names],
        workers,
        deadlines,
    )
    _rivals(rows, [name for name in names if name.startswith("price")], parts[:3])
    for base in RIVALS:
        _families(rows, names, base, every)
    for name in ("price_rank", "price"):
        _beside_the_best(rows, name, every)
