"""The performance profile: on what share of the tables an algorithm is how near to the best one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from suite.report import style
from suite.report.problems import FLOOR, Problems

NAME = "profile.png"


def draw(problems: Problems, path: Path) -> Path | None:
    """One step line an algorithm (Dolan and Moré 2002, Math. Program. 91:201)."""
    from matplotlib.ticker import StrMethodFormatter

    n = len(problems.problems)
    most = max(max(ratios) for ratios in problems.to_best.values())
    group = replace(problems.problems[0].group, algorithms=problems.algorithms)
    looks = style.looks(group)
    with style.rc():
        figure = style.canvas(3.4 + 0.2 * -(-len(problems.algorithms) // 4))
        axes = figure.subplots()
        for name, ratios in problems.to_best.items():
            x = sorted(ratios)
            y = [100 * (i + 1) / n for i in range(n)]
            width = 2.6 if name == problems.baseline else 1.6
            # The line begins at the share of tables on which it is itself the best.
            axes.plot(
                [1.0, *x, most], [0.0, *y, 100.0], drawstyle="steps-post",
                **(looks[name] | {"linewidth": width}),
            )  # fmt: skip
        if most > 1:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.set_xlim(1.0, most)
        axes.set_ylim(0, 103)
        axes.set_xlabel("mean regret, times the best algorithm's on that table")
        axes.set_ylabel("tables [%]")
        _legend(figure, problems, looks)
        data = sorted({p.data for p in problems.problems if p.data})
        words = f"n = {n} tables  ·  regrets below {FLOOR} count as {FLOOR}  ·  higher is better"
        simulated = any(p.group.simulated for p in problems.problems)
        return style.footed(figure, words, " and ".join(data), simulated, path)


def caption(problems: Problems) -> tuple[str, str]:
    """Title and caption of the figure."""
    families = len({p.family for p in problems.problems})
    return (
        "Performance profile",
        "Share of the tables on which an algorithm's mean regret is at most so many times that of the best "
        f"algorithm there. n = {len(problems.problems)} tables in {families} families; regrets below {FLOOR} "
        f"count as {FLOOR}. Tables of one family are not independent.",
    )


def _legend(figure: Any, problems: Problems, looks: dict[str, dict[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], label=style.escape(name), **looks[name]) for name in problems.algorithms
    ]
    style.legend(figure, marks, handlelength=2.2)
