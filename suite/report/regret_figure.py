"""The chapter's figure: mean anytime regret against the baseline's epochs, a panel a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from suite.report import style
from suite.report.regret_chapter import Chapter, Section, pairs, regrets
from suite.report.statistics import mean

NAME = "regret.png"
MOST = 8
"""Panels: the tables of the chapter hold the rest."""

_POINTS = 240


def draw(chapter: Chapter, path: Path) -> Path | None:
    """One panel a table, at most MOST of them. None where no run has a value."""
    curves = [(section, _curves(section)) for section in chapter.sections]
    curves = [(section, lines) for section, lines in curves if lines][:MOST]
    if not curves:
        return None
    names = list(dict.fromkeys(name for section, _ in curves for name in section.group.algorithms))
    looks = _looks(curves[0][0], names)
    shown = [name for name in names if any(name in lines for _, lines in curves)]
    with style.rc():
        columns = min(len(curves), 2)
        rows = -(-len(curves) // columns)
        above = 0.2 * -(-len(shown) // 4)
        figure = style.canvas(0.55 + above + 2.75 * rows)
        panels = figure.subplots(rows, columns, squeeze=False)
        for i, axes in enumerate(panels.flat):
            if i >= len(curves):
                axes.axis("off")
                continue
            _panel(axes, *curves[i], looks)
            if i + columns >= len(curves):
                base = style.escape(str(curves[i][0].group.baseline))
                axes.set_xlabel(f"epochs trained [% of {base}'s]")
        for row in panels:
            row[0].set_ylabel("mean normalised regret")
        _legend(figure, shown, looks)
        groups = [section.group for section, _ in curves]
        data = " and ".join(sorted({group.data for group in groups if group.data}))
        words = "line: mean over paired seeds of the best value so far  ·  dot: its last seed ended"
        simulated = any(group.simulated for group in groups)
        return style.footed(figure, words, data, simulated, path)


def caption(chapter: Chapter) -> tuple[str, str]:
    """Title and caption of the figure."""
    shown = [
        (s.title, len(pairs(s.group, s.group.baseline or ""))) for s in chapter.sections[:MOST]
    ]
    seeds = "; ".join(f"{title}: n = {n} seeds" for title, n in shown)
    base = chapter.sections[0].group.baseline
    return (
        "Anytime regret",
        f"Mean normalised regret of the best value so far, over seeds paired with {base}, against "
        f"epochs trained as a share of {base}'s; from where every seed has a value. A dot marks "
        f"where the last seed of an algorithm ended. {seeds}. Seeds are not new problems.",
    )


Line = tuple[list[float], list[float], bool]
"""Shares of the baseline's epochs, mean regrets, and whether it ended within them."""


def _curves(section: Section) -> dict[str, Line]:
    """Of each algorithm, from where every seed has a value to where its last seed ended."""
    lines = {}
    for name in section.group.algorithms:
        runs = pairs(section.group, name)
        if not runs or not all(base.view.n_epochs and run.view.anytime for run, base in runs):
            continue
        ends = [run.view.n_epochs / base.view.n_epochs for run, base in runs]
        starts = [run.view.anytime[0].n_epochs / base.view.n_epochs for run, base in runs]
        start, end = max(starts), max(ends)
        limit = min(end, 1.0)
        grid = [start + (limit - start) * i / (_POINTS - 1) for i in range(_POINTS)]
        across = zip(*(regrets(run, base, grid, "epochs") for run, base in runs), strict=True)
        means = [style.drawable(mean([v for v in values if v is not None])) for values in across]
        if not any(map(math.isnan, means)):
            lines[name] = ([100 * share for share in grid], means, end <= 1.0)
    return lines


def _looks(section: Section, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour, dashes and width of every algorithm, the same in all panels."""
    baseline = section.group.baseline
    looks = style.looks(replace(section.group, algorithms=tuple(names)))
    return {
        name: look | {"linewidth": 2.6 if name == baseline else 1.6} for name, look in looks.items()
    }


def _panel(
    axes: Any, section: Section, lines: dict[str, Line], looks: dict[str, dict[str, Any]]
) -> None:
    for name, (x, y, ended) in lines.items():
        order = 2 if name == section.group.baseline else 3
        axes.plot(x, y, drawstyle="steps-post", zorder=order, **looks[name])
        if ended:
            axes.plot(
                x[-1], y[-1], "o", color=looks[name]["color"], markersize=4.5, zorder=4,
                markeredgecolor="white", markeredgewidth=0.7, clip_on=False,
            )  # fmt: skip
    n = len(pairs(section.group, section.group.baseline or ""))
    style.title(axes, section.title, f"n = {n} seeds")
    axes.set_xlim(0, 100)
    _scale(axes, lines)


def _scale(axes: Any, lines: dict[str, Line]) -> None:
    """Logarithmic where all is positive; else linear about 0, as far as the most interesting."""
    values = [value for _, y, _ in lines.values() for value in y]
    if min(values) > 0:
        style.log_if_wide(axes, values)
        return
    positive = sorted(value for value in values if value > 0)
    if not positive or positive[-1] < 0.02:
        return
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    # Linear below the size of what lies below zero, so that both ends can be read.
    threshold = max(0.01, 2 * -min(values))
    axes.set_yscale("symlog", linthresh=threshold, linscale=0.6)
    ticks = [t for t in (-0.1, 0, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30) if t <= positive[-1]]
    ticks = [t for t in ticks if t == 0 or abs(t) >= threshold * 0.99]
    axes.set_ylim(min(min(values) * 1.6, -0.15 * threshold), positive[-1] * 1.25)
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.axhline(0, color=style.FAINT, linewidth=0.9, zorder=1)


def _legend(figure: Any, names: Sequence[str], looks: dict[str, dict[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], label=style.escape(name), **looks[name]) for name in names]
    style.legend(figure, marks, handlelength=2.2)
