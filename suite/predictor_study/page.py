"""How well curves are predicted: R² against known epochs, number of training curves, and features.

    swiftbench study                                             MLPF's table, three predictors
    swiftbench study --predictors svr,loo_svr --splits 20        others, fewer draws
    swiftbench study --table ptb --out ptb
    swiftbench study --sizes --samplers random,tabu              5 to 200 training curves: R², seconds

The experiment `predictors`: fits on a recorded table, no runs; so it has no conf/experiment/*.yaml,
whose files are sweeps of runs. Predictors are conf/predictor/*.yaml; KEY=VALUE changes the
configuration they are made of (+common.published_reads=1000). Writes summary.json, predictors.md and
predictors.png.

With --sizes: sizes.json, sizes.md, sizes.png (R² and processor seconds of a fit against the number of
training curves) and predicted.png (predicted against true), leak-free.

Protocols (a split is one draw; every predictor and every cell meets the same splits):
leak_free (default): of each configuration one recording is drawn, so that repeats never stand on
  both sides; half of the configurations are tested, the first n of the other half train. Scalers
  are the predictors' own, fitted on the training rows. R² in the metric's own unit.
published: Pasetto et al. 2022 (IEEE QCE) and Garcia Amboage et al. 2023 (arXiv 2311.17508) on every
  recording, repeats as separate rows, the one with the largest last value dropped; every 2nd
  epoch; the target is the epoch before the last; quantile scalers of X and y fitted on all rows
  before splitting; half tested, the first n of the other half train; `svr` is an epsilon-SVR with
  C = 67.61, gamma = 0.1, epsilon = 0.02. R² of quantile-scaled values. `r2_swapped` is what the
  published table holds: predictions taken for the truth.
Deviation from the published runs: rows stand in the table's order of configurations, so a split of
a given number is another one; QSVR trains on the first n rows (of more than 20 it draws 20).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from suite.core.curve_table import CurveTable
from suite.core.errors import ConfigError, DataError, SuiteError
from suite.core.escaping import for_markdown
from suite.core.plugins import make
from suite.core.target import Target
from suite.curves.model_yaml import read_table
from suite.predictor_study.protocols import PANELS, Cell, Curves
from suite.report import style
from suite.report.output import make_output, write_file

_FLOOR = -0.5  # where the figure's axis ends: below it only the size of a failure differs


def read(path: Path) -> Curves:
    """The table that a model's YAML describes, or the catalogue's of that name (mlpf).

    Raises ConfigError where it describes none.
    """
    try:
        spec = read_table(path)
    except SuiteError as error:
        raise ConfigError(f"--table {error}") from None
    target = make(spec, "table", Target)
    table = getattr(target, "table", None)
    if not isinstance(table, CurveTable):
        raise ConfigError(f"--table {path}: {type(target).__name__} is no curve table; name one.")
    kept = [
        (
            tuple(r.values for r in recordings if np.isfinite(r.values).all()),
            target.space.encode(config),
        )
        for config, recordings in zip(table.configs, table.recordings, strict=True)
    ]
    kept = [each for each in kept if each[0]]
    if not kept:
        raise DataError(f"--table {path}: every training failed; nothing can be predicted.")
    values, encoded = zip(*kept, strict=True)
    name = Path(str(spec["description"]["file"])).stem
    return Curves(name, target.data, target.goal.name, table.n_epochs, values, encoded)


def write(rows: Sequence[Mapping[str, Any]], curves: Curves, out: Path) -> list[Path]:
    """summary.json, predictors.md and predictors.png in `out`, each whole.

    Raises ConfigError where the folder or the disk refuses.
    """
    make_output(out, None)
    paths = [out / name for name in ("summary.json", "predictors.md", "predictors.png")]
    write_file(paths[0], json.dumps({"rows": list(rows)}, indent=1, allow_nan=False) + "\n")
    write_file(paths[1], markdown(rows, curves))
    _draw(rows, curves, paths[2])
    return paths


def markdown(rows: Sequence[Mapping[str, Any]], curves: Curves) -> str:
    first = rows[0]
    n_curves = sum(map(len, curves.values))
    of = (
        "quantile-scaled values"
        if first["protocol"] == "published"
        else for_markdown(curves.metric)
    )
    lines = [
        f"# Predictors on {for_markdown(curves.name)}",
        "",
        f"{len(curves.values)} configurations, {n_curves} curves of {curves.n_epochs} epochs; "
        f"protocol {first['protocol']}, n = {first['n_splits']} splits; R² of {of}, mean ± sd over "
        "splits; ρ: Spearman's rank correlation, mean; fit: median.",
    ]
    swapped = " R² swapped |" if "r2_swapped_mean" in first else ""
    for key, (title, cells) in PANELS.items():
        lines += ["", f"| {title} | predictor | R² |{swapped} ρ | fit [ms] |"]
        lines += ["|---|---|---:|" + ("---:|" if swapped else "") + "---:|---:|"]
        for cell in cells:
            for row in (row for row in rows if _is(row, cell)):
                cells_of_row = [str(row[key]), row["predictor"], _pm(row["r2_mean"], row["r2_sd"])]
                if swapped:
                    cells_of_row.append(_pm(row["r2_swapped_mean"], row["r2_swapped_sd"]))
                rho = row["spearman_mean"]
                cells_of_row += [
                    "-" if rho is None else f"{rho:.3f}",
                    f"{1e3 * row['fit_s_median']:.2f}",
                ]
                lines.append(f"| {' | '.join(cells_of_row)} |")
    return "\n".join(lines) + "\n"


def _pm(mean: float | None, sd: float | None) -> str:
    return "-" if mean is None or sd is None else f"{mean:.3f} ± {sd:.3f}"


def _is(row: Mapping[str, Any], cell: Cell) -> bool:
    at = (row["fraction"], row["n_train"], row["features"])
    return at == (cell.fraction, cell.n_train, "+".join(cell.use))


def _draw(rows: Sequence[Mapping[str, Any]], curves: Curves, path: Path) -> None:
    names = list(dict.fromkeys(row["predictor"] for row in rows))
    others = [name for name in names if name != "constant"]
    colours = {name: style.OKABE_ITO[i % len(style.OKABE_ITO)] for i, name in enumerate(others)}
    with style.rc():
        figure = style.canvas(3.7)
        panels = figure.subplots(1, 3, sharey=True, width_ratios=(1, 1, 1.15))
        marks: list[Any] = []
        for axes, (key, (title, cells)) in zip(panels, PANELS.items(), strict=True):
            for k, name in enumerate(names):
                shown = [
                    r for cell in cells for r in rows if r["predictor"] == name and _is(r, cell)
                ]
                x = np.arange(len(shown)) + 0.14 * (k - (len(names) - 1) / 2)
                mark = axes.errorbar(
                    x, [r["r2_mean"] for r in shown], yerr=[r["r2_sd"] for r in shown],
                    marker="o", markersize=4.5, capsize=0, elinewidth=1.2, linewidth=1.0,
                    linestyle="none" if key == "features" else "-", label=style.escape(name),
                    color=colours.get(name, style.QUIET),
                )  # fmt: skip
                marks += [mark] if axes is panels[0] else []
            labels = [str(r[key]).replace("+", "\n+ ") for r in shown]
            labels = [s.replace("hyperparameters", "hyper-\nparameters") for s in labels]
            axes.set_xticks(range(len(labels)), labels, fontsize=7.5)
            style.title(axes, title, "")
        lowest = min(row["r2_mean"] - row["r2_sd"] for row in rows)
        panels[0].set_ylim(max(lowest - 0.03, _FLOOR), 1.0)
        panels[0].set_ylabel("R² on curves not seen (higher is better)")
        style.legend(figure, marks)
        row = rows[0]
        base = f"else {Cell().fraction:g} of the curve, {Cell().n_train} curves, curve alone"
        facts = [curves.name, f"protocol {row['protocol']}", f"n = {row['n_splits']} splits"]
        facts += ["dot: mean, bar: sd", base]
        words = "  ·  ".join(facts + [f"axis cut at {_FLOOR:g}"] * (lowest < _FLOOR))
        style.footed(figure, words, curves.data, simulated=False, path=path)
