"""The figure of retrain: curves and end values of the default, the winner and the runner-up."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.report import style
from suite.report.runs import data_words
from suite.report.statistics import LEAST
from suite.results.retrained import Configuration, Gain, Retrained

NAME = "retrain.png"
ORDER = ("default", "winner", "runner-up")
_COLOURS = {"default": style.QUIET, "winner": style.OKABE_ITO[0], "runner-up": style.OKABE_ITO[4]}
_WORDS = {"default": "default: before", "winner": "winner: after", "runner-up": "runner-up"}
_SPREAD = 0.36
"""Of a configuration's dots along the axis, on which configurations are 1 apart."""


def draw(retrained: Retrained, title: str, path: Path) -> Path | None:
    """Write the figure; None where no training succeeded. title: names the task.

    Left: mean over seeds after each epoch and one standard deviation around it, and every seed where there
    are few; files of earlier versions have no curves. Right: a dot a seed at the end, with mean and standard
    deviation. Raises ConfigError where the folder or the disk refuses.
    """
    shown = _shown(retrained)
    if not shown:
        return None
    from matplotlib.lines import Line2D

    with style.rc():
        figure = style.canvas(4.1)
        has_curves = any(one.curves for one in shown)
        panels = list(figure.subplots(1, 3, width_ratios=[1.2, 1, 1]))
        if not has_curves:
            panels.pop(0).set_visible(False)
        unit = "" if retrained.unit in ("", "1") else f" [{retrained.unit}]"
        better = "lower" if retrained.mode == "min" else "higher"
        metric = style.escape(retrained.metric.removeprefix("val_"))
        if has_curves:
            axes = panels.pop(0)
            _curves(axes, shown, retrained.mode)
            style.title(axes, "While training", "on validation data", below=True)
            axes.set_ylabel(f"validation {metric}{unit}\n({better} is better)")
        panels[1].sharey(panels[0])
        panels[1].tick_params(labelleft=False)
        panels[0].set_ylabel(f"{metric}{unit}")
        for axes, split in zip(panels, ("validation", "test"), strict=True):
            values = {one.role: getattr(one, split) for one in shown}
            _dots(axes, values)
            gained = _gained(retrained.gain.get(split))
            style.title(axes, f"At the end, {split}", gained, below=True)
        marks = [
            Line2D([], [], color=_COLOURS[one.role], linewidth=2, label=_WORDS[one.role])
            for one in shown
        ]
        # The title belongs to the legend: one of the figure's own would lie upon it.
        figure.legend(
            handles=marks, loc="outside upper left", ncols=len(marks), handlelength=1.4,
            title="\n".join(map(style.escape, textwrap.wrap(title[: style.MOST_LETTERS], 80))),
            title_fontproperties={"weight": "bold", "size": 11}, alignment="left",
        )  # fmt: skip
        return style.footed(figure, _note(retrained), data_words([retrained.data]), False, path)


def caption(retrained: Retrained) -> tuple[str, str]:
    """Title and caption, with the numbers of the figure."""
    parts = []
    for one in _shown(retrained):
        parts.append(f"{one.role} {_mean(one.test)} on test data (n = {len(one.test)})")
    gains = [
        f"{split} {gain.value:+.3g}{_interval(gain)}, n = {gain.n}"
        for split, gain in retrained.gain.items()
    ]
    words = (
        f"Trained anew with seeds that the search did not use: {'; '.join(parts)}: mean and standard "
        f"deviation of {retrained.metric} after {retrained.max_epochs} epochs."
    )
    if gains:
        words += (
            f" Gain by tuning (mean of the differences, seed by seed, positive where the winner is "
            f"better, with its interval): {'; '.join(gains)}."
        )
    if retrained.tuned:
        level = next(iter(retrained.gain.values())).level
        words += (
            f" Tuned against default (mean change of the pairs, {100 * level:.0f} % interval): "
            f"{'; '.join(retrained.tuned)}."
        )
    if retrained.gain and retrained.default_source:
        words += f" The default: {retrained.default_source}."
    return f"Trained again: {retrained.algorithm}, seed {retrained.seed}", words


def _shown(retrained: Retrained) -> list[Configuration]:
    known = {one.role: one for one in retrained.configurations if one.validation and one.test}
    return [known[role] for role in ORDER if role in known]


def _curves(axes: Any, shown: Sequence[Configuration], mode: str) -> None:
    everything: list[float] = []
    for one in shown:
        curves = [[style.drawable(value) for value in curve] for curve in one.curves]
        columns = list(zip(*curves, strict=False))
        if not columns:
            continue
        epochs = range(1, len(columns) + 1)
        means = [statistics.fmean(column) for column in columns]
        look = {"color": _COLOURS[one.role], "zorder": 3 if one.role == "winner" else 2}
        marker = "o" if len(columns) < 3 else None
        axes.plot(epochs, means, linewidth=1.8, marker=marker, markersize=4, **look)
        if len(curves) < LEAST:
            for curve in curves:
                axes.plot(epochs, curve[: len(columns)], linewidth=0.7, alpha=0.55, **look)
        if len(curves) > 1:
            stds = [statistics.stdev(column) for column in columns]
            low, high = ([m + s * std for m, std in zip(means, stds, strict=True)] for s in (-1, 1))
            axes.fill_between(epochs, low, high, color=look["color"], alpha=0.15, linewidth=0)
        everything += [value for curve in curves for value in curve]
    if mode == "min" and style.log_if_wide(axes, everything):
        # A band may reach below zero, where a logarithm ends.
        axes.set_ylim(0.9 * min(everything), 1.1 * max(everything))
    style.integers(axes.xaxis)
    axes.set_xlabel("epoch")


def _dots(axes: Any, values: Mapping[str, Sequence[float]]) -> None:
    """A dot a seed, beside it mean and standard deviation; the numbers below."""
    for at, (role, ends) in enumerate(values.items()):
        drawable = [style.drawable(value) for value in ends]
        step = _SPREAD / max(len(drawable) - 1, 1)
        x = [at - 0.12 - _SPREAD / 2 + step * i for i in range(len(drawable))]
        axes.plot(x, drawable, "o", color=_COLOURS[role], markersize=4.5, alpha=0.7)
        std = statistics.stdev(drawable) if len(drawable) > 1 else 0.0
        axes.errorbar(
            at + 0.26, statistics.fmean(drawable), yerr=std, fmt="D", color=style.INK, markersize=4,
            linewidth=1.2, capsize=3,
        )  # fmt: skip
    axes.set_xlim(-0.6, len(values) - 0.4)
    labels = [f"{role}\n{_mean(ends, between=chr(10))}" for role, ends in values.items()]
    axes.set_xticks(range(len(values)), labels, fontsize=8)
    axes.tick_params(axis="x", length=0, labelcolor=style.INK)
    axes.grid(visible=False, axis="x")


def _mean(values: Sequence[float], between: str = " ") -> str:
    """`0.0471 ± 0.014`: three figures, and two of the standard deviation."""
    text = f"{statistics.fmean(values):.3g}"
    return f"{text}{between}± {statistics.stdev(values):.2g}" if len(values) > 1 else text


def _gained(gain: Gain | None) -> str:
    return "" if gain is None else f"gain {gain.value:+.3g}{_interval(gain)}"


def _interval(gain: Gain) -> str:
    if gain.low is None or gain.high is None:
        return ""
    return f" ({gain.low:+.3g} to {gain.high:+.3g})"


def _note(retrained: Retrained) -> str:
    n = sorted({len(one.validation) for one in _shown(retrained)})
    counts = str(n[0]) if len(n) == 1 else f"{n[0]} to {n[-1]}"
    parts = [
        f"{retrained.algorithm}, seed {retrained.seed}",
        f"n = {counts} trainings of each to epoch {retrained.max_epochs}",
        "line, diamond: mean; band, bar: standard deviation",
    ]
    if retrained.gain:
        level = next(iter(retrained.gain.values())).level
        parts.append(f"gain: paired by seed, positive is better, {100 * level:.0f} % interval")
    return "  ·  ".join(parts)
