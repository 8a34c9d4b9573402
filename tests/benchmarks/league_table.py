"""The league at equal node-hours over all tables: a row for each algorithm, as in docs/league.md.

    python tests/benchmarks/league_table.py runs/league-hours

Each run is read at its deadline as the report does (chapter "at a deadline"). A table counts once: the mean
regret over the seeds that an algorithm has in common with looped Hyperband; ratios are geometric means over
tables, regrets below .002 counted as .002, and intervals draw families. Tables on which an algorithm or the
baseline has no run are left out for all. No number of workers is mixed with another.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from suite.report.deadline_members import LOOPED, Deadline, deadlines  # noqa: E402
from suite.report.deadlines import Reading  # noqa: E402
from suite.report.groups import collect  # noqa: E402
from suite.report.problems import FLOOR, geometric  # noqa: E402
from suite.report.regret import table_of  # noqa: E402

Pairs = Sequence[tuple[Reading, Reading]]
"""An algorithm's run and the baseline's, of the same seed."""


def title(deadline: Deadline) -> str:
    return table_of(deadline.first.run.view)


def means(pairs: Pairs) -> tuple[float, float]:
    """Mean regret of the algorithm and of the baseline."""
    mine, theirs = zip(*((a.regret or 0.0, b.regret or 0.0) for a, b in pairs), strict=True)
    return statistics.fmean(mine), statistics.fmean(theirs)


def row(name: str, of: Mapping[str, Pairs], families: Mapping[str, str]) -> str:
    """of: table -> its pairs."""
    logs: dict[str, list[float]] = defaultdict(list)
    differences = {}
    for table, pairs in of.items():
        mine, theirs = means(pairs)
        logs[families[table]].append(math.log(max(mine, FLOOR) / max(theirs, FLOOR)))
        differences[table] = mine - theirs
    ratio, ends = geometric(logs)
    interval = f" [{ends[0]:.2f}, {ends[1]:.2f}]" if ends else ""
    worst = max(differences, key=lambda table: differences[table])
    n = sorted({len(pairs) for pairs in of.values()})
    mine = [reading for pairs in of.values() for reading, _ in pairs]
    is_base = name == LOOPED
    cells = (
        f"`{name}`", "-".join(map(str, {n[0]: None, n[-1]: None})),
        f"{statistics.fmean(means(pairs)[0] for pairs in of.values()):.3f}",
        "1" if is_base else f"{ratio:.2f}{interval}",
        "-" if is_base else f"{statistics.fmean(differences.values()):+.3f}",
        "-" if is_base else f"{differences[worst]:+.2f} {worst}",
        f"{100 * statistics.fmean(r.busy for r in mine):.1f}",
        f"{100 * statistics.fmean(r.handed_back for r in mine):.1f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    groups, unreadable = collect(parser.parse_args().folders)
    found = [deadline for deadline in deadlines(groups) if deadline.baseline == LOOPED]
    for n_workers in sorted({deadline.group.workers for deadline in found}):
        of = {title(d): d for d in found if d.group.workers == n_workers}
        names = list(dict.fromkeys(name for d in of.values() for name in d.readings))
        whole = {t: d for t, d in of.items() if all(n in d.readings and d.pairs(n) for n in names)}
        families = {t: d.group.family or t for t, d in whole.items()}
        print(
            f"\n{len(whole)} of {len(of)} tables, {n_workers} workers; SIMULATED TIME where it is\n"
        )
        print("| | seeds | mean regret | regret, times looped Hyperband's [95 % CI] | mean difference "
              "| worst table | busy | handed back |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
        for name in names:
            print(row(name, {t: d.pairs(name) for t, d in whole.items()}, families))
    print("\n".join(unreadable))


if __name__ == "__main__":
    main()
