"""Figures of a comparison's trials: importance, slices, parallel coordinates, rank correlation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suite.report import style
from suite.report.importance import LEAST_R2, importances
from suite.report.runs import Group
from suite.report.trial_sample import Sample, rank_correlations, rungs, sample, trials

_COLUMNS = 4
_MOST_HYPERPARAMETERS = 12
_WIDE = 100.0
_BELOW = -0.16
"""In a figure of lines: where one runs through a hyperparameter that plays no part, the axes being 0 to 1."""
"""Ratio of the largest to the smallest positive value above which an axis is logarithmic."""

_SHADES = "viridis"


def importance(group: Group, path: Path) -> Path | None:
    """A bar a hyperparameter. None where no forest can tell."""
    chosen = sample(group)
    found = importances(chosen) if chosen is not None else None
    if chosen is None or found is None or found.r2 < LEAST_R2:
        return None
    names = sorted(found.of, key=lambda name: found.of[name][0])[-_MOST_HYPERPARAMETERS:]
    figure = style.canvas(1.0 + 0.3 * len(names))
    axes = figure.subplots()
    means, spreads = zip(*(found.of[name] for name in names), strict=True)
    axes.barh(range(len(names)), means, xerr=spreads, color=style.OKABE_ITO[0], height=0.6,
              error_kw={"ecolor": style.QUIET, "linewidth": 1.2})  # fmt: skip
    axes.set_yticks(range(len(names)), [style.folded(name, 26) for name in names])
    axes.tick_params(axis="y", length=0, labelcolor=style.INK)
    axes.grid(visible=False, axis="y")
    axes.set_xlim(left=min(0.0, *(m - s for m, s in found.of.values())))
    axes.set_xlabel("importance: R² that is lost when the values are shuffled")
    note = f"{_about(group, chosen)}, forest's R² on trials left out {found.r2:.2f}, line: sd over folds"
    return style.save(figure, group, note, path)


def slices(group: Group, path: Path) -> Path | None:
    """The value against each hyperparameter. None where there are too few trials."""
    if (chosen := sample(group)) is None:
        return None
    names = chosen.names[:_MOST_HYPERPARAMETERS]
    columns = min(len(names), _COLUMNS)
    rows = -(-len(names) // columns)
    figure = style.canvas(0.75 + 2.1 * rows)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    values = [style.drawable(value) for value in chosen.values]
    won = [i for i, trial in enumerate(chosen.trials) if trial.won]
    for axes, name in zip(panels.flat, names, strict=False):
        x, labels = chosen.column(name)
        axes.scatter(x, values, s=12, color=style.OKABE_ITO[0], alpha=0.6, linewidth=0)
        axes.scatter(
            [x[i] for i in won], [values[i] for i in won], s=60, marker="*", color=style.WARN,
            linewidth=0, zorder=3,
        )  # fmt: skip
        _ticks(axes, x, labels)
        axes.set_xlabel(style.folded(name, 26))
    for axes in panels.flat[len(names) :]:
        axes.set_visible(False)
    style.log_if_wide(panels[0][0], values)
    for axes in panels[:, 0]:
        axes.set_ylabel(f"validation {style.escape(group.metric)}\n({group.first.better})")
    note = f"{_about(group, chosen)}, star: winner of a run"
    if any(math.isnan(x) for name in names for x in chosen.column(name)[0]):
        note += ", left out where it plays no part"
    return style.save(figure, group, note, path)


def _ticks(axes: Any, x: Sequence[float], labels: Sequence[str]) -> None:
    """Words at their numbers; few and short numbers elsewhere."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    if labels:
        shown = labels[:8]
        axes.set_xticks(
            range(len(shown)), [style.folded(label[:14], 14) for label in shown], rotation=30
        )
        axes.set_xlim(-0.5, len(labels) - 0.5)
        return
    x = [value for value in x if not math.isnan(value)]
    if min(x) > 0 and max(x) / min(x) > _WIDE:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(numticks=4))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        whole = all(value == int(value) for value in x)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=3, integer=whole))


def parallel(group: Group, path: Path) -> Path | None:
    """A line a trial over its hyperparameters, coloured by the rank of its value."""
    if (chosen := sample(group)) is None:
        return None
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    names = chosen.names[:_MOST_HYPERPARAMETERS]
    scaled, ends = zip(*(_scaled(*chosen.column(name)) for name in names), strict=True)
    sign = group.first.sign
    order = sorted(range(len(chosen.trials)), key=lambda i: -sign * chosen.values[i])
    rank = {i: place / max(len(order) - 1, 1) for place, i in enumerate(order)}
    figure = style.canvas(3.6)
    axes = figure.subplots()
    lines = [[(k, column[i]) for k, column in enumerate(scaled)] for i in order]
    shades = [colormaps[_SHADES](1 - rank[i]) for i in order]
    if len(names) > 1:
        axes.add_collection(LineCollection(lines, colors=shades, linewidths=0.9, alpha=0.6))
    for i, trial in enumerate(chosen.trials):
        if trial.won:
            axes.plot([column[i] for column in scaled], color=style.WARN, linewidth=2.0, zorder=3)
    for k, (low, high) in enumerate(ends):
        axes.axvline(k, color=style.FAINT, linewidth=0.8, zorder=1)
        for text, y, gap in ((low, 0, -12), (high, 1, 5)):
            axes.annotate(text, (k, y), (0, gap), textcoords="offset points", ha="center",
                          fontsize=8, color=style.QUIET)  # fmt: skip
    axes.set_xticks(range(len(names)), [style.folded(n, max(100 // len(names), 8)) for n in names])
    axes.tick_params(axis="x", length=0, pad=16, labelcolor=style.INK)
    axes.set_yticks([])
    axes.set_xlim(-0.4, len(names) - 0.6)
    is_absent = any(_BELOW in column for column in scaled)
    axes.set_ylim(_BELOW - 0.06 if is_absent else -0.02, 1.1)
    axes.grid(visible=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    note = f"{_about(group, chosen)}, dark: best, light: worst, red: winner of a run"
    if is_absent:
        note += ", below an axis: plays no part"
    return style.save(figure, group, note, path)


def _scaled(x: Sequence[float], labels: Sequence[str]) -> tuple[list[float], tuple[str, str]]:
    """A column between 0 and 1 (by logarithms where it is wide), and what its ends are."""
    present = [v for v in x if not math.isnan(v)]
    low, high = min(present), max(present)
    names = (labels[0][:12], labels[-1][:12]) if labels else (f"{low:.3g}", f"{high:.3g}")
    if not labels and low > 0 and high / low > _WIDE:
        x, low, high = [math.log(v) for v in x], math.log(low), math.log(high)
    span = (high - low) or 1.0
    return [_BELOW if math.isnan(v) else (v - low) / span for v in x], (
        style.escape(names[0]),
        style.escape(names[1]),
    )


def rank_correlation(group: Group, path: Path) -> Path | None:
    """Spearman's rho between the values at two rungs. None where fewer than two have enough trials."""
    everyone = trials(group)
    epochs = rungs(everyone)
    if len(epochs) < 2:
        return None
    table = rank_correlations(everyone, epochs)
    figure = style.canvas(1.3 + 0.42 * len(epochs))
    axes = figure.subplots()
    shown = [[float("nan") if v is None else v for v in row] for row in table]
    axes.imshow(shown, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for i, row in enumerate(table):
        for j, value in enumerate(row):
            n = sum(len(trial.values) >= epochs[max(i, j)] for trial in everyone)
            text = f"n = {n}" if i == j else "-" if value is None else f"{value:.2f}"
            dark = value is not None and abs(value) > 0.6
            axes.text(j, i, text, ha="center", va="center", fontsize=8.5,
                      color="white" if dark else style.INK)  # fmt: skip
    names = [str(epoch) for epoch in epochs]
    axes.set_xticks(range(len(epochs)), names)
    axes.set_yticks(range(len(epochs)), names)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.set_xlabel("after epoch")
    axes.set_ylabel("after epoch")
    note = "Spearman's rho of validation values, over trials that trained for both epochs"
    return style.save(figure, group, note, path)


def _about(group: Group, chosen: Sample) -> str:
    n = len(chosen.trials)
    return (
        f"values after epoch {chosen.epoch}, n = {n} of {chosen.n_all} configurations of all runs"
    )
