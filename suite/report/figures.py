"""Figures over the seeds of one comparison: anytime best value, and cost against quality."""

from __future__ import annotations

import bisect
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from suite.report import style
from suite.report.measures import cell, measures, number
from suite.report.regret import scale
from suite.report.runs import Group, Run

Steps = tuple[list[float], list[float]]
"""x and y of a step function that holds each y until the next x."""

_POINTS = 400


def anytime(group: Group, path: Path) -> Path | None:
    """Best validation value so far against epochs and seconds. None where no run has an epoch."""
    shown = {name: [run for run in group.of(name) if run.view.anytime] for name in group.algorithms}
    shown = {name: runs for name, runs in shown.items() if runs}
    if not shown:
        return None
    figure = style.canvas(3.7)
    left, right = figure.subplots(1, 2, sharey=True)
    colours = style.colours(group)
    end_s = max(run.view.anytime[-1].time_s for runs in shown.values() for run in runs)
    divisor, unit = style.clock(end_s)
    early: list[float] = []
    for name, runs in shown.items():
        by_epochs = [_steps(run) for run in runs]
        early += [_at(steps, 0.03 * steps[0][-1]) for steps in by_epochs]
        _band(left, by_epochs, colours[name], f"{style.escape(name)} (n = {len(runs)})")
        _band(right, [_steps(run, divisor) for run in runs], colours[name])
    for axes, label in (
        (left, "epochs trained, all trials together"),
        (right, f"wall clock [{unit}]"),
    ):
        axes.set_xlabel(label)
        axes.set_xlim(left=0)
    run = group.first
    left.set_ylabel(f"best validation {style.escape(group.metric)} so far\n({run.better})")
    values = [v for runs in shown.values() for run in runs for v in _steps(run)[1]]
    _focus(left, values, early, run.sign)
    _regret(right, group)
    figure.legend(loc="outside upper left", ncols=min(len(shown), 4))
    said = "line: median, band: min to max over seeds, thin: each seed, dot: its end"
    return style.save(figure, group, said, path)


def _steps(run: Run, divisor: float | None = None) -> Steps:
    """Best value so far by epochs, or by time in units of `divisor` seconds."""
    points = run.view.anytime
    x = [float(p.n_epochs) if divisor is None else p.time_s / divisor for p in points]
    return x, [run.view.value(p.best) for p in points]


def _at(steps: Steps, x: float) -> float:
    return steps[1][max(bisect.bisect_right(steps[0], x) - 1, 0)]


def _band(axes: Any, found: Sequence[Steps], colour: str, label: str | None = None) -> None:
    """A thin line for each seed, their median and band; a seed that ended holds its last value."""
    end = max(x[-1] for x, _ in found)
    start = max(x[0] for x, _ in found)
    grid = [start + (end - start) * i / (_POINTS - 1) for i in range(_POINTS)]
    across = [[_at(steps, x) for steps in found] for x in grid]
    axes.plot(
        grid,
        [statistics.median(v) for v in across],
        color=colour,
        linewidth=2,
        label=label,
        zorder=3,
    )
    for x, y in found:
        axes.plot(x[-1], y[-1], "o", color=colour, markersize=3.5, markeredgewidth=0, zorder=4)
    if len(found) > 1:
        for x, y in found:
            axes.step(x, y, where="post", color=colour, linewidth=0.7, alpha=0.4)
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
    if len(ends) != 1 or (found := ends.pop()) is None or axes.get_yscale() != "linear":
        return
    best, median = found
    other = axes.secondary_yaxis(
        "right",
        functions=(
            lambda y: (y - best) / (median - best),
            lambda r: best + r * (median - best),
        ),
    )
    other.set_ylabel("normalised regret")


def comparison(group: Group, path: Path) -> Path | None:
    """Epochs and best value of each seed by algorithm, lines between what shares a seed."""
    names = [name for name in group.algorithms if group.of(name)]
    if not names:
        return None
    figure = style.canvas(3.4)
    left, right = figure.subplots(1, 2)
    saved = next((measure for measure in measures(group) if measure.key == "saved"), None)
    changes = {}
    for name in names:
        if saved is not None and (found := cell(group, saved, name)) is not None:
            changes[name] = f"\n{-found.median:+.1f} %"
    _dots(left, group, names, lambda run: float(run.view.n_epochs), changes)
    left.set_ylabel("epochs trained")
    left.set_ylim(0, 1.1 * max(run.view.n_epochs for run in group.runs) or 1)
    _dots(right, group, names, lambda run: run.best, {})
    right.set_ylabel(f"best validation {style.escape(group.metric)}\n({group.first.better})")
    right.margins(y=0.12)
    said = "dot: one seed, bar: median, grey line: same seed, %: median of paired differences"
    return style.save(figure, group, said, path)


def _dots(
    axes: Any,
    group: Group,
    names: Sequence[str],
    value: Callable[[Run], float | None],
    changes: dict[str, str],
) -> None:
    """One column an algorithm; `changes` is written below its median."""
    rows = [{r.seed: v for r in group.of(n) if (v := value(r)) is not None} for n in names]
    colours = style.colours(group)
    for seed in sorted({seed for row in rows for seed in row}):
        places = [(i, row[seed]) for i, row in enumerate(rows) if seed in row]
        axes.plot(*zip(*places, strict=True), color=style.FAINT, linewidth=0.8, zorder=1)
    for i, (name, row) in enumerate(zip(names, rows, strict=True)):
        if not row:
            continue
        colour, middle = colours[name], statistics.median(row.values())
        axes.scatter(
            [i] * len(row), row.values(), s=26, color=colour, alpha=0.75, linewidth=0, zorder=2
        )
        axes.hlines(middle, i - 0.2, i + 0.2, color=colour, linewidth=2.4, zorder=3)
        axes.annotate(
            number(middle) + changes.get(name, ""), (i + 0.24, middle), va="center", fontsize=8.5,
            color=colour, weight="bold", zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip
    labels = [
        f"{style.escape(name)}\nn = {len(row)}" for name, row in zip(names, rows, strict=True)
    ]
    axes.set_xticks(range(len(names)), [label.replace(" [", "\n[") for label in labels])
    axes.set_xlim(-0.5, len(names) - 0.2)
    axes.tick_params(axis="x", length=0, labelcolor=style.INK)
    axes.grid(visible=False, axis="x")
