"""The figure of regret over node-hours: each run once, and looped."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from suite.report import style
from suite.report.node_hours import over_tables, used
from suite.report.problems import FLOOR, Problems, workers_of

NAME = "node-hours.png"
_MOST, _POINTS = 2.0, 100
"""Times the baseline's node-hours, and points of a line."""


def draw(judged: Problems, path: Path) -> Path | None:
    """Two panels, one line an algorithm; a dot where its runs ended on average.

    None where no line has a value.
    """
    shares = [_MOST * (i + 1) / _POINTS for i in range(_POINTS)]
    lines = {
        looped: {
            name: [
                math.nan if value is None else value
                for value in over_tables(judged.problems, name, shares, looped)
            ]
            for name in judged.algorithms
        }
        for looped in (False, True)
    }
    drawn = [v for panel in lines.values() for line in panel.values() for v in line if v == v]
    if not drawn:
        return None
    group = replace(judged.problems[0].group, algorithms=judged.algorithms)
    looks = style.looks(group)
    with style.rc():
        figure = style.canvas(3.9 + 0.2 * -(-len(judged.algorithms) // 4))
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (looped, panel) in zip(panels, lines.items(), strict=True):
            for name, line in panel.items():
                width = 2.6 if name == judged.baseline else 1.5
                axes.plot(shares, line, **(looks[name] | {"linewidth": width}))
                end = used(judged.problems, name)
                if not looped and end <= _MOST:
                    value = line[max(math.ceil(end / _MOST * _POINTS) - 1, 0)]
                    axes.plot([end], [value], "o", markersize=4.5, color=looks[name]["color"])
            axes.set_xlim(0, _MOST)
            axes.set_xlabel(f"node-hours, times {style.escape(judged.baseline)}'s")
        style.log_if_wide(panels[0], drawn, ratio=2.0)
        style.title(panels[0], "Each run once", "dot: ended, on average")
        style.title(panels[1], "Looped", "the next seed's run follows")
        panels[0].set_ylabel("normalised regret, geometric mean")
        _legend(figure, judged, looks)
        data = sorted({p.data for p in judged.problems if p.data})
        words = (
            f"n = {len(judged.problems)} tables  ·  workers: {workers_of(judged.problems)}  ·  "
            f"regrets below {FLOOR} count as {FLOOR}"
        )
        simulated = any(p.group.simulated for p in judged.problems)
        return style.footed(figure, words, " and ".join(data), simulated, path)


def caption(judged: Problems) -> tuple[str, str]:
    """Title and caption of the figure."""
    return (
        "Regret over node-hours",
        "Normalised regret of the best value so far, mean over seeds, geometric mean over "
        f"n = {len(judged.problems)} tables (workers: {workers_of(judged.problems)}), "
        f"against node-hours (workers times wall clock), times {judged.baseline}'s on the same table "
        "with the same seed. Left: a run that ended keeps its last "
        "value. Right: when a run ends, the next seed's begins and the best so far is kept.",
    )


def _legend(figure: Any, judged: Problems, looks: dict[str, dict[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], label=style.escape(name), **looks[name]) for name in judged.algorithms]
    style.legend(figure, marks, handlelength=2.2)
