"""The critical-difference diagram: mean ranks on a line, bars over what cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suite.report import style
from suite.report.measures import say_p
from suite.report.ranks import Ranking, Ranks
from suite.report.statistics import ALPHA

NAME = "ranks.png"
_STEP, _BAR = 0.17, 0.075
"""Inches between labels, and between bars."""


def draw(ranks: Ranks, path: Path) -> Path | None:
    """One panel for quality, one for cost, after Demšar 2006. None where nothing was ranked."""
    if not ranks.rankings:
        return None
    with style.rc():
        rows = (len(ranks.algorithms) + 1) // 2
        bars = max(len(cliques(ranking)) for ranking in ranks.rankings)
        depth = 0.12 + _BAR * bars + _STEP * rows
        figure = style.canvas(2 * (0.95 + depth) + 0.35)
        panels = figure.subplots(2, 1)
        for axes, ranking in zip(panels, ranks.rankings, strict=True):
            _panel(axes, ranks, ranking, depth)
        data = sorted({group.data for group in ranks.groups if group.data})
        words = f"{', '.join(ranks.tables)}  ·  n = {ranks.n_blocks} blocks (table and seed)  ·  "
        words += "bar: not further apart than the critical difference"
        simulated = any(group.simulated for group in ranks.groups)
        return style.footed(figure, words, " and ".join(data), simulated, path)


def cliques(ranking: Ranking) -> list[tuple[float, float]]:
    """First and last mean rank of each largest run of neighbours that cannot be told apart."""
    ordered = sorted(ranking.means.values())
    reach = ranking.critical if ranking.p < ALPHA else float("inf")
    bars: list[tuple[float, float]] = []
    for i, start in enumerate(ordered):
        end = max(mean for mean in ordered[i:] if mean - start <= reach)
        if len([m for m in ordered if start <= m <= end]) > 1 and (not bars or end > bars[-1][1]):
            bars.append((start, end))
    return bars


def _panel(axes: Any, ranks: Ranks, ranking: Ranking, depth: float) -> None:
    """y in inches: the line at 0, labels below it, the critical difference above it."""
    k = len(ranking.means)
    colours = style.colours(ranks.groups[0])
    axes.set_xlim(0.35, k + 0.65)
    axes.set_ylim(-depth - 0.05, 0.5)
    axes.axis("off")
    shown = f"Friedman p {say_p(ranking.p)}"
    style.title(axes, f"Mean rank by {ranking.quantity}", f"1 is best;  {shown}")
    axes.hlines(0, 1, k, color=style.INK, linewidth=1)
    for tick in range(1, k + 1):
        axes.vlines(tick, 0, 0.06, color=style.INK, linewidth=1)
        axes.annotate(str(tick), (tick, 0.09), ha="center", fontsize=8.5, color=style.QUIET)
    width = min(ranking.critical, k - 1)
    axes.plot([1, 1 + width], [0.36, 0.36], "|-", color=style.INK, linewidth=1.2, markersize=6)
    axes.annotate(
        f"critical difference {ranking.critical:.2f}", (1 + width, 0.36), (6, 0),
        textcoords="offset points", va="center", fontsize=8.5, color=style.QUIET,
    )  # fmt: skip
    bars = cliques(ranking)
    for i, (start, end) in enumerate(bars):
        y = -0.1 - _BAR * i
        axes.hlines(y, start - 0.02, end + 0.02, color=style.INK, linewidth=3.4)
    top = -0.12 - _BAR * len(bars)
    _labels(axes, ranking, colours, top)


def _labels(axes: Any, ranking: Ranking, colours: dict[str, str], top: float) -> None:
    """The better half on the left, the rest on the right; outermost ranks highest."""
    ordered: Sequence[tuple[str, float]] = sorted(ranking.means.items(), key=lambda item: item[1])
    k, half = len(ordered), (len(ordered) + 1) // 2
    for i, (name, mean) in enumerate(ordered):
        left = i < half
        y = top - _STEP * (i if left else k - 1 - i) - 0.06
        x, side = (0.92, "right") if left else (k + 0.08, "left")
        colour = colours.get(name, style.INK)
        axes.plot([mean, mean, x], [0, y, y], color=colour, linewidth=1.2, zorder=1)
        axes.plot(mean, 0, "o", color=colour, markersize=5, zorder=3, clip_on=False)
        axes.annotate(
            f"{style.escape(name)}  {mean:.2f}", (x, y), (-3 if left else 3, 0), ha=side,
            textcoords="offset points", va="center", fontsize=9, color=colour, weight="bold",
            annotation_clip=False,
        )  # fmt: skip
