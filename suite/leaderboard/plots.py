"""Figures of a level: seconds to the target over sizes, a panel an algorithm, of what was counted."""

from __future__ import annotations

import base64
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.files import read_bytes
from suite.leaderboard.entries import SIMULATED, Entry
from suite.report import style

MOST_SYSTEMS = 18
"""Machines that one figure shows: six colours, three marks."""
_MARKS = ("o", "s", "^")
_MOST_BYTES = 2**24

_Point = tuple[int, float, float, float]
"""Size, and median, smallest and largest seconds."""


def sizes_of(entries: Sequence[Entry]) -> tuple[str, dict[int, int]]:
    """What the figure's machines are counted in, and the size of each by its entry's number.

    Nodes; workers where an entry stands on no node (simulated ones), or none has more than one node: points
    of one node each would stand above each other.
    """
    by_nodes = all(entry.nodes for entry in entries) and any(
        (entry.nodes or 0) > 1 for entry in entries
    )
    if by_nodes:
        return "nodes", {entry.number: entry.nodes or 0 for entry in entries}
    return "workers", {entry.number: entry.workers for entry in entries}


def scaling(entries: Sequence[Entry]) -> str | None:
    """The figure as a data URI; None where no counted submission reached the target.

    Submissions of one machine, by its name, are one line. What the runs are of is said below it where it is
    not real.
    """
    unit, sizes = sizes_of(entries)
    algorithms: dict[str, dict[str, list[_Point]]] = {}
    for entry in entries:
        for result in entry.results:
            spread, _ = result.figures.get("seconds_to_target", (None, ""))
            if (
                spread is None
                or not math.isfinite(spread.high)
                or spread.low <= 0
                or not sizes[entry.number]
            ):
                continue
            point = (sizes[entry.number], spread.median, spread.low, spread.high)
            algorithms.setdefault(result.algorithm, {}).setdefault(entry.title, []).append(point)
    if not algorithms:
        return None
    names = list(dict.fromkeys(name for of in algorithms.values() for name in of))
    looks = {name: _look(i) for i, name in enumerate(names[:MOST_SYSTEMS])}
    with style.rc(), tempfile.TemporaryDirectory(prefix="swiftbench-board-") as folder:
        figure = style.canvas(3.1 + 0.17 * ((len(looks) + 1) // 2))
        panels = figure.subplots(1, len(algorithms), squeeze=False, sharex=True, sharey=True)[0]
        for axes, (algorithm, of) in zip(panels, sorted(algorithms.items()), strict=True):
            _panel(axes, algorithm, of, looks)
            axes.set_xlabel(unit)
        panels[0].set_ylabel("seconds to target")
        style.legend(figure, [_handle(name, look) for name, look in looks.items()])
        words = "points: medians over a submission's runs; bars: range; dashes: twice the size, half the time"
        labels = {label for entry in entries for label in entry.labels}
        kinds = sorted(label.removesuffix(" data") for label in labels - {"real data", SIMULATED})
        path = style.footed(
            figure,
            words,
            ", ".join(kinds).upper(),
            SIMULATED in labels,
            Path(folder) / "scaling.png",
        )
        data = read_bytes(path, max_bytes=_MOST_BYTES)
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _panel(
    axes: Any,
    algorithm: str,
    of: Mapping[str, Sequence[_Point]],
    looks: Mapping[str, Mapping[str, Any]],
) -> None:
    """One algorithm: a line a machine, and from its smallest size on what perfect scaling would give."""
    for name, look in looks.items():
        if not (points := sorted(of.get(name, ()))):
            continue
        size, middle, low, high = (
            [style.drawable(value) for value in column] for column in zip(*points, strict=True)
        )
        around = [
            [m - x for m, x in zip(middle, low, strict=True)],
            [x - m for m, x in zip(middle, high, strict=True)],
        ]
        axes.errorbar(size, middle, yerr=around, capsize=2.5, linewidth=1.3, markersize=5, **look)
        if len(set(size)) > 1:
            perfect = [middle[0] * size[0] / n for n in size]
            axes.plot(
                size, perfect, linestyle=(0, (3, 3)), linewidth=0.9, color=look["color"], alpha=0.6
            )
    style.title(axes, algorithm, "")
    sizes = sorted({point[0] for points in of.values() for point in points})
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.minorticks_off()
    style.log_if_wide(
        axes, [value for points in of.values() for point in points for value in point[2:]], 1.0001
    )
    if len(sizes) == 1:
        axes.set_xlim(sizes[0] / 2, sizes[0] * 2)


def _look(number: int) -> dict[str, Any]:
    colours = style.OKABE_ITO
    return {"color": colours[number % len(colours)], "marker": _MARKS[number // len(colours)]}


def _handle(name: str, look: Mapping[str, Any]) -> Any:
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], linewidth=1.3, markersize=5, label=style.escape(name[: style.MOST_LABEL]), **look
    )
