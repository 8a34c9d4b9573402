"""The figure of test metrics in bins: what the winner measures over a range, beside a reference.

A target may give a test metric for bins of something, in names `NAME[:SERIES]/AXIS LOW..HIGH [UNIT]`:
`jet_response_median/pt 20..30 GeV`, and of a reference `jet_response_median:rule_based/pt 20..30 GeV`.
A name `n_...` counts what lies in the bin. HIGH may be inf.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suite.report import style
from suite.report.runs import Group, Run

_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf"
_BINNED = re.compile(
    r"(?P<name>\w+)(?::(?P<series>\w+))?"
    rf"/(?P<axis>\w+) (?P<low>{_NUMBER})\.\.(?P<high>{_NUMBER})(?: (?P<unit>\S+))?",
    re.ASCII,
)
_COUNT = "n_"
_MOST_PANELS, _COLUMNS, _MOST_BINS = 9, 3, 24
_REFERENCES = (style.QUIET, *style.OKABE_ITO[1:])

Bin = tuple[float, float]


@dataclass(slots=True)
class Panel:
    """One metric over one axis. values: series ("": the winner's own) -> bin -> value; counts: of bins."""

    name: str
    axis: str
    unit: str
    values: dict[str, dict[Bin, float]] = field(default_factory=dict)
    counts: dict[Bin, float] = field(default_factory=dict)

    @property
    def bins(self) -> list[Bin]:
        """In order; those with a count and no value too."""
        every = {*self.counts, *(place for values in self.values.values() for place in values)}
        return sorted(every)[:_MOST_BINS]


def panels(metrics: Mapping[str, float]) -> list[Panel]:
    """What metrics hold in bins, in the order of their names' first appearance."""
    shown: dict[tuple[str, str], Panel] = {}
    counts: dict[str, dict[Bin, float]] = {}
    for text, value in metrics.items():
        if (match := _BINNED.fullmatch(text)) is None:
            continue
        name, axis = match["name"], match["axis"]
        place = (float(match["low"]), float(match["high"]))
        if name.startswith(_COUNT):
            # The first count of an axis says how many lie in its bins.
            counts.setdefault(axis, {}).setdefault(place, value)
            continue
        panel = shown.setdefault((name, axis), Panel(name, axis, match["unit"] or ""))
        panel.values.setdefault(match["series"] or "", {})[place] = value
    for panel in shown.values():
        panel.counts = counts.get(panel.axis, {})
    return list(shown.values())[:_MOST_PANELS]


def winner_of(group: Group) -> Run | None:
    """The run with the best validation value whose winner has test metrics in bins."""
    runs = [run for run in group.runs if run.best is not None and panels(run.view.test_metrics)]
    return min(runs, key=lambda run: run.sign * (run.best or 0.0), default=None)


def caption(group: Group) -> str:
    """Whose winner it is, and what the marks are."""
    run = winner_of(group)
    whose = (
        ""
        if run is None
        else f"Of the winner of {run.algorithm}, seed {run.seed}, n = 1 training, "
    )
    return (
        f"{whose}on test data: each metric in bins, the winner beside a reference where the target has one. "
        "Above: how many lie in each bin; a bin without a bar had too few."
    )


def draw(group: Group, path: Path) -> Path | None:
    """The best run's winner; None where no target measured in bins."""
    if (run := winner_of(group)) is None:
        return None
    from matplotlib.lines import Line2D

    found = panels(run.view.test_metrics)
    n_rows = -(-len(found) // _COLUMNS)
    figure = style.canvas(0.9 + 2.7 * n_rows)
    grid = figure.subplots(n_rows, min(_COLUMNS, len(found)), squeeze=False)
    names = list(dict.fromkeys(series for panel in found for series in panel.values))
    references = [name for name in names if name]
    colours = {name: _REFERENCES[i % len(_REFERENCES)] for i, name in enumerate(references)}
    colours[""] = style.OKABE_ITO[0]
    for axes, panel in zip(grid.flat, found, strict=False):
        _panel(axes, panel, colours)
    for axes in grid.flat[len(found) :]:
        axes.set_visible(False)
    words = {"": f"winner of {run.algorithm}, seed {run.seed}"}
    marks = [
        Line2D(
            [],
            [],
            color=colours[name],
            linewidth=2,
            label=style.escape(words.get(name, _words(name))),
        )
        for name in names
    ]
    style.legend(figure, marks)
    return style.save(figure, group, "test data, one training; numbers above: in each bin", path)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _panel(axes: Any, panel: Panel, colours: Mapping[str, str]) -> None:
    """Bins side by side, equally wide: their ends stand at the ticks."""
    bins = panel.bins
    for series, values in sorted(panel.values.items(), reverse=True):
        at = [i for i, place in enumerate(bins) if place in values]
        y = [style.drawable(values[bins[i]]) for i in at]
        look = {"color": colours[series], "zorder": 3 if series == "" else 2}
        axes.hlines(y, at, [i + 1 for i in at], linewidth=2, **look)
        axes.plot([i + 0.5 for i in at], y, "o" if series == "" else "s", markersize=3.5, **look)
    for i, place in enumerate(bins):
        if place in panel.counts:
            axes.annotate(
                f"{panel.counts[place]:g}", (i + 0.5, 1), (0, -9), ha="center", fontsize=6.5,
                color=style.QUIET, xycoords=axes.get_xaxis_transform(), textcoords="offset points",
            )  # fmt: skip
    # Room for the counts.
    axes.margins(y=0.18)
    ends = [low for low, _ in bins] + [bins[-1][1]]
    axes.set_xticks(range(len(ends)), ["∞" if end == math.inf else f"{end:g}" for end in ends])
    axes.set_xlim(-0.1, len(bins) + 0.1)
    axes.set_xlabel(
        style.escape(f"{_words(panel.axis)} [{panel.unit}]" if panel.unit else _words(panel.axis))
    )
    style.title(axes, _words(panel.name), "")
