"""Figures over the seeds of one comparison: anytime best value, and cost against quality."""

from __future__ import annotations

import bisect
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from suite.report import style
from suite.report.measures import cell, fixed, measures, number, several_workers
from suite.report.regret import scale
from suite.report.runs import Group, Run

Steps = tuple[list[float], list[float]]
"""x and y of a step function that holds each y until the next x."""

_POINTS = 400
LEAST_OF_A_BAND = 5
"""Seeds from which on a band says more than their lines."""

_LETTERS = 26
_ROW, _LINE = 0.32, 0.19
"""Inches: of an algorithm's row, and of a line of its label."""


def anytime(group: Group, path: Path) -> Path | None:
    """Best validation value so far against epochs and seconds. None where no run has an epoch."""
    shown = {name: [run for run in group.of(name) if run.view.anytime] for name in group.algorithms}
    shown = {name: runs for name, runs in shown.items() if runs}
    if not shown:
        return None
    from matplotlib.lines import Line2D

    figure = style.canvas(3.75 + 0.18 * (len(shown) // 4))
    left, right = figure.subplots(1, 2, sharey=True)
    looks = style.looks(group)
    end_s = max(run.view.by_time[-1].time_s for runs in shown.values() for run in runs)
    divisor, unit = style.clock(end_s)
    early: list[float] = []
    for name, runs in shown.items():
        by_epochs = [_steps(run) for run in runs]
        early += [_at(steps, 0.03 * steps[0][-1]) for steps in by_epochs]
        _band(left, by_epochs, looks[name])
        _band(right, [_steps(run, divisor) for run in runs], looks[name])
    for axes, label in (
        (left, "epochs trained, all trials together"),
        (right, f"wall clock [{unit}]"),
    ):
        axes.set_xlabel(label)
        axes.set_xlim(left=0)
    style.integers(left.xaxis)
    run = group.first
    left.set_ylabel(f"best validation {style.escape(group.metric)} so far\n({run.better})")
    values = [v for runs in shown.values() for run in runs for v in _steps(run)[1]]
    _focus(left, values, early, run.sign)
    _regret(right, group)
    marks = [
        Line2D(
            [], [], linewidth=1.8, label=f"{style.escape(name)} (n = {len(runs)})", **looks[name]
        )
        for name, runs in shown.items()
    ]
    style.legend(figure, marks, handlelength=2.2)
    bands = any(len(runs) >= LEAST_OF_A_BAND for runs in shown.values())
    note = "line: median, thin: each seed, dot: its end"
    note += f"; band: min to max, from {LEAST_OF_A_BAND} seeds on" if bands else ""
    bests = (p.best for runs in shown.values() for r in runs for p in r.view.anytime)
    return style.save(figure, group, style.clipped(bests) + note, path)


def _steps(run: Run, divisor: float | None = None) -> Steps:
    """Best value so far by epochs, or by time in units of `divisor` seconds."""
    points = run.view.anytime if divisor is None else run.view.by_time
    x = [float(p.n_epochs) if divisor is None else p.time_s / divisor for p in points]
    return [style.drawable(v) for v in x], [style.drawable(run.view.value(p.best)) for p in points]


def _at(steps: Steps, x: float) -> float:
    return steps[1][max(bisect.bisect_right(steps[0], x) - 1, 0)]


def _band(axes: Any, curves: Sequence[Steps], look: dict[str, Any]) -> None:
    """The median, a thin line for each seed, and a band where there are enough of them; a seed that ended
    holds its last value.
    """
    end = max(x[-1] for x, _ in curves)
    start = max(x[0] for x, _ in curves)
    grid = [start + (end - start) * i / (_POINTS - 1) for i in range(_POINTS)]
    across = [[_at(steps, x) for steps in curves] for x in grid]
    axes.plot(grid, [statistics.median(v) for v in across], linewidth=1.8, zorder=3, **look)
    colour = look["color"]
    for x, y in curves:
        axes.plot(x[-1], y[-1], "o", color=colour, markersize=3.5, markeredgewidth=0, zorder=4)
    if len(curves) > 1:
        for x, y in curves:
            axes.step(x, y, where="post", color=colour, linewidth=0.7, alpha=0.45)
    if len(curves) >= LEAST_OF_A_BAND:
        low, high = [min(v) for v in across], [max(v) for v in across]
        axes.fill_between(grid, low, high, color=colour, alpha=0.13, linewidth=0)


def _focus(axes: Any, values: Sequence[float], early: Sequence[float], sign: float) -> None:
    """Leave out the values of the first few epochs, which would press all others flat."""
    kept = [v for v in values if v * sign <= max(e * sign for e in early)]
    low, high = min(kept), max(kept)
    if style.log_if_wide(axes, kept):
        axes.set_ylim(low / 1.08, high * 1.08)
    elif high > low:
        pad = 0.05 * (high - low)
        axes.set_ylim(low - pad, high + pad)


def _regret(axes: Any, group: Group) -> None:
    """Normalised regret on the right, where the table is known and the axis linear."""
    ends = {scale(run.view) for run in group.runs}
    if len(ends) != 1 or (scale_ends := ends.pop()) is None or axes.get_yscale() != "linear":
        return
    best, median = scale_ends
    other = axes.secondary_yaxis(
        "right",
        functions=(
            lambda y: (y - best) / (median - best),
            lambda r: best + r * (median - best),
        ),
    )
    other.set_ylabel("normalised regret")


def comparison(group: Group, path: Path) -> Path | None:
    """Epochs and best value of each seed, a row an algorithm, lines between what shares a seed.

    Seconds too, where runs had several numbers of workers.
    """
    names = [name for name in group.algorithms if group.of(name)]
    if not names:
        return None
    labels = [f"{style.folded(name, _LETTERS)}  (n = {len(group.of(name))})" for name in names]
    n_lines = sum(label.count("\n") + 1 for label in labels)
    figure = style.canvas(1.0 + max(_ROW * len(names), _LINE * n_lines))
    timed = [r.view.wall_s for r in group.runs] if several_workers(group) else []
    left, *between, right = figure.subplots(1, 3 if timed else 2, sharey=True)
    saved = next((measure for measure in measures(group) if measure.key == "saved"), None)
    changes = {}
    for name in names:
        if saved is not None and (change := cell(group, saved, name)) is not None:
            changes[name] = f"  {fixed(-change.median, 1, '+')} %"
    _dots(left, group, names, lambda run: float(run.view.n_epochs), changes)
    left.set_xlabel("epochs trained")
    left.set_xlim(0, 1.08 * max(run.view.n_epochs for run in group.runs) or 1)
    style.integers(left.xaxis)
    divisor, unit = style.clock(max(timed, default=0.0))
    for axes in between:
        _dots(axes, group, names, lambda run: run.view.wall_s / divisor, {})
        axes.set_xlabel(f"wall clock [{unit}]")
        axes.set_xlim(0, 1.08 * max(timed) / divisor or 1)
    _dots(right, group, names, lambda run: run.best, {})
    # Three panels are too narrow for one line.
    gap = "\n" if between else " "
    right.set_xlabel(f"best validation {style.escape(group.metric)}{gap}({group.first.better})")
    right.margins(x=0.12)
    left.set_yticks(range(len(names)), labels)
    left.set_ylim(len(names) - 0.5, -0.5)
    note = "dot: one seed, bar: median, grey line: same seed, %: median of paired differences"
    bests = (run.best for run in group.runs if run.best is not None)
    return style.save(figure, group, style.clipped(bests) + note, path)


def _dots(
    axes: Any,
    group: Group,
    names: Sequence[str],
    value: Callable[[Run], float | None],
    changes: dict[str, str],
) -> None:
    """One row an algorithm; its median, and `changes`, stand to the right of the axes."""
    rows = [{r.seed: v for r in group.of(n) if (v := value(r)) is not None} for n in names]
    colours = style.colours(group)
    for seed in sorted({seed for row in rows for seed in row}):
        places = [(style.drawable(row[seed]), i) for i, row in enumerate(rows) if seed in row]
        axes.plot(*zip(*places, strict=True), color=style.FAINT, linewidth=0.8, zorder=1)
    for i, (name, row) in enumerate(zip(names, rows, strict=True)):
        if not row:
            continue
        colour, middle = colours[name], statistics.median(row.values())
        dots = [style.drawable(v) for v in row.values()]
        axes.scatter(dots, [i] * len(row), s=26, color=colour, alpha=0.75, linewidth=0, zorder=2)
        at = style.drawable(middle)
        axes.vlines(at, i - 0.3, i + 0.3, color=colour, linewidth=2.4, zorder=3)
        axes.annotate(
            number(middle) + changes.get(name, ""), (1, i), (6, 0), va="center", fontsize=8.5,
            xycoords=axes.get_yaxis_transform(), textcoords="offset points", color=colour,
            weight="bold",
        )  # fmt: skip
    axes.tick_params(axis="y", length=0, labelcolor=style.INK)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
