"""The study by number of training curves as files: sizes.json, sizes.md, sizes.png, predicted.png."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from suite.core.escaping import for_markdown
from suite.predictor_study.protocols import Cell, Curves
from suite.predictor_study.sizes import POINTS_OF, SizeRow
from suite.report import style
from suite.report.output import make_output, write_file

_FLOOR = -0.5
"""Where the axis of R² ends: below it only the size of a failure differs."""
_LEAST_SPLITS = 5
"""Of a mean that is drawn."""
_SHOWN = 20
"""Training curves of the predictions that are drawn; of a smaller table the most that it has."""
_MARKS = "os^Dv<>PXp"


def write(rows: Sequence[SizeRow], curves: Curves, out: Path) -> list[Path]:
    """The four files in `out`, each whole. Raises ConfigError where the folder or the disk refuses."""
    make_output(out, None)
    paths = [out / name for name in ("sizes.json", "sizes.md", "sizes.png", "predicted.png")]
    about = {"table": curves.name, "data": curves.data, "metric": curves.metric}
    summary = about | {"rows": [row.summary() for row in rows]}
    write_file(paths[0], json.dumps(summary, indent=1, allow_nan=False) + "\n")
    write_file(paths[1], markdown(rows, curves))
    draw_sizes(rows, curves, paths[2])
    draw_predicted(rows, curves, paths[3])
    return paths


def markdown(rows: Sequence[SizeRow], curves: Curves) -> str:
    lines = [
        f"# Training curves, on {for_markdown(curves.name)}",
        "",
        f"{len(curves.values)} configurations ({curves.data}), {_facts(rows)}. R² of "
        f"{for_markdown(curves.metric)} of curves not seen; sd over splits. Fit: processor seconds, median "
        "(quartiles).",
        "",
        "| curves | predictor | R² mean ± sd | best | worst | n | fit [s] |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        of = row.summary()
        fit = (
            f"{of['fit_cpu_s_median']:.2g} ({of['fit_cpu_s_low']:.2g}..{of['fit_cpu_s_high']:.2g})"
        )
        cells = [
            str(row.n_train),
            for_markdown(row.predictor),
            f"{of['r2_mean']:.3f} ± {of['r2_sd']:.3f}",
        ]
        cells += [f"{of['r2_best']:.3f}", f"{of['r2_worst']:.3f}", str(of["n_splits"]), fit]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _facts(rows: Sequence[SizeRow]) -> str:
    few, many = min(len(row.r2) for row in rows), max(len(row.r2) for row in rows)
    n = str(many) if few == many else f"{few} to {many}"
    return f"leak-free, the first {Cell().fraction:g} of each curve known, n = {n} splits"


def _looks(rows: Sequence[SizeRow]) -> dict[str, dict[str, Any]]:
    """Colour and mark of each predictor; the one that knows nothing is grey."""
    names = list(dict.fromkeys(row.predictor for row in rows))
    return {
        name: {
            "color": style.QUIET
            if name == "constant"
            else style.OKABE_ITO[i % len(style.OKABE_ITO)],
            "marker": _MARKS[i % len(_MARKS)],
            "linestyle": ("-", "--", ":")[i // len(style.OKABE_ITO) % 3],
        }
        for i, name in enumerate(names)
    }


def draw_sizes(rows: Sequence[SizeRow], curves: Curves, path: Path) -> None:
    """R² (mean, best and worst) and the fit's processor time, by number of training curves."""
    with style.rc():
        looks = _looks(rows)
        figure = style.canvas(3.7 + 0.07 * len(looks))
        left, right = figure.subplots(1, 2)
        marks, lowest = [], 1.0
        # Beside each other, not over each other: all within a fifth of the logarithmic axis' steps.
        apart = 1.2 ** (np.arange(len(looks)) / max(len(looks) - 1, 1) - 0.5)
        most = max(len(row.r2) for row in rows)
        for place, (name, look) in enumerate(looks.items()):
            mine = [row.summary() for row in rows if row.predictor == name]
            # The mean of a few splits would only say which ones they were.
            kept = [of for of in mine if of["n_splits"] >= min(_LEAST_SPLITS, most)]
            x = np.array([of["n_train"] for of in kept]) * apart[place]
            mean = np.array([of["r2_mean"] for of in kept])
            ends = [mean - [of["r2_worst"] for of in kept], [of["r2_best"] for of in kept] - mean]
            lowest = min([lowest, *(of["r2_worst"] for of in kept)])
            marks.append(
                left.errorbar(
                    x, mean, yerr=ends, markersize=4.5, elinewidth=0.8, linewidth=1.0,
                    label=style.escape(name), **look,
                )
            )  # fmt: skip
            seconds = [of["fit_cpu_s_median"] for of in mine]
            around = [
                np.subtract(seconds, [of["fit_cpu_s_low"] for of in mine]),
                np.subtract([of["fit_cpu_s_high"] for of in mine], seconds),
            ]
            few = [k for k, of in enumerate(kept) if of["n_splits"] < most]
            hollow = look | {"linestyle": "none", "markersize": 4.5, "markerfacecolor": "white"}
            left.plot(x[few], mean[few], zorder=3, **hollow)
            right.errorbar(
                [of["n_train"] for of in mine],
                seconds,
                yerr=around,
                markersize=4.5,
                elinewidth=0.8,
                linewidth=1.0,
                **look,
            )
        sizes = sorted({row.n_train for row in rows})
        for axes in (left, right):
            axes.set_xscale("log")
            axes.set_xticks(sizes, [str(size) for size in sizes])
            axes.minorticks_off()
            axes.set_xlabel("training curves")
        left.set_ylim(max(lowest - 0.03, _FLOOR), 1.0)
        left.set_ylabel("R² on curves not seen (higher is better)")
        right.set_yscale("log")
        right.set_ylabel("processor seconds of a fit")
        style.title(left, "How well", "")
        style.title(right, "How long", "")
        style.legend(figure, marks)
        words = [
            curves.name,
            _facts(rows),
            "left: mean, bar from worst to best; right: median, bar: quartiles",
        ]
        few_splits = f"left: of {_LEAST_SPLITS} splits or more, hollow: fewer than {most}"
        words += [few_splits] * (min(len(row.r2) for row in rows) < most)
        words += [f"axis cut at {_FLOOR:g}"] * bool(lowest < _FLOOR)
        style.footed(figure, "  ·  ".join(words), curves.data, simulated=False, path=path)


def draw_predicted(rows: Sequence[SizeRow], curves: Curves, path: Path) -> None:
    """A panel a predictor: predicted against true, on the diagonal where they agree."""
    size = max(
        row.n_train for row in rows if row.n_train <= max(_SHOWN, min(r.n_train for r in rows))
    )
    shown = [row for row in rows if row.n_train == size]
    n_columns = min(len(shown), 4)
    n_rows = math.ceil(len(shown) / n_columns)
    low, high = np.quantile([value for row in shown for value in row.true], (0.0, 1.0))
    edge = 0.05 * (high - low) or 1.0
    n_outside = 0
    with style.rc():
        figure = style.canvas(0.9 + 2.35 * n_rows)
        panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
        looks = _looks(rows)
        for axes, row in zip(panels, shown, strict=False):
            ends = [low - edge, high + edge]
            axes.plot(ends, ends, color=style.FAINT, linewidth=0.9)
            predicted = np.clip(row.predicted, *ends)
            n_outside += int((predicted != np.array(row.predicted)).sum())
            axes.plot(
                row.true,
                predicted,
                markersize=3,
                alpha=0.6,
                **looks[row.predictor] | {"linestyle": "none"},
            )
            axes.set_xlim(ends)
            axes.set_ylim(ends)
            mean = float(np.mean(row.r2[:POINTS_OF]))
            style.title(axes, row.predictor, f"R² {mean:.3f}", below=True)
        for axes in panels[len(shown) :]:
            axes.set_visible(False)
        grid = panels.reshape(n_rows, n_columns)
        for axes in grid[:, 0]:
            axes.set_ylabel("predicted")
        # The lowest panel of each column: the last row may have fewer.
        for axes in panels[max(len(shown) - n_columns, 0) : len(shown)]:
            axes.set_xlabel(f"true {style.escape(curves.metric)}")
            axes.tick_params(labelbottom=True)
        n_splits = " or ".join(
            map(str, sorted({min(POINTS_OF, len(row.r2)) for row in shown}, reverse=True))
        )
        words = [
            curves.name,
            f"{size} training curves, the first {Cell().fraction:g} of each curve known, leak-free",
        ]
        words += [f"test curves of {n_splits} splits, R²: their mean"]
        words += [f"{n_outside} predictions beyond the axes are drawn at their end"] * (
            n_outside > 0
        )
        style.footed(figure, "  ·  ".join(words), curves.data, simulated=False, path=path)
