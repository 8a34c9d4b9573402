"""How well curves are predicted: R² against known epochs, number of training curves, and features.

python -m suite.report.predictors [--table conf/model/mlpf_table.yaml] [--out DIR] [KEY=VALUE ...]

The experiment `predictors`: fits on a recorded table, no runs; so it has no conf/experiment/*.yaml,
whose files are sweeps of runs. Predictors are conf/predictor/*.yaml; KEY=VALUE changes the
configuration they are made of (annealing.n_reads=1000). Writes summary.json, predictors.md and
predictors.png.

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

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from suite import facts
from suite.core.errors import ConfigError, DataError, SuiteError, unknown_name
from suite.core.plugins import make
from suite.core.table import CurveTable
from suite.report import style
from suite.report.prediction import PANELS, PROTOCOLS, Cell, Curves, study

CONF = facts.ROOT / "conf"
_FLOOR = -0.5  # where the figure's axis ends: below it only the size of a failure differs


def read(path: Path) -> Curves:
    """The table that a model's YAML describes. Raises ConfigError where it describes none."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        spec: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except OSError as error:
        raise ConfigError(f"--table {path}: {error.strerror}; name a table's YAML.") from None
    except (YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"--table {path}: cannot be read ({error}).") from None
    if not isinstance(spec, Mapping):
        raise ConfigError(f"--table {path}: holds no mapping; name a table's YAML.")
    target = make({str(key): value for key, value in spec.items()}, "table")
    table = getattr(target, "table", None)
    if not isinstance(table, CurveTable):
        raise ConfigError(f"--table {path}: {type(target).__name__} is no curve table; name one.")
    kept = [
        (tuple(r.values for r in some if np.isfinite(r.values).all()), target.space.encode(config))
        for config, some in zip(table.configs, table.recordings, strict=True)
    ]
    kept = [each for each in kept if each[0]]
    if not kept:
        raise DataError(f"--table {path}: every training failed; nothing can be predicted.")
    values, encoded = zip(*kept, strict=True)
    name = Path(str(spec["description"]["file"])).stem
    return Curves(name, target.data, target.metric, table.n_epochs, values, encoded)


def write(rows: Sequence[Mapping[str, Any]], curves: Curves, out: Path) -> list[Path]:
    """summary.json, predictors.md and predictors.png in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / name for name in ("summary.json", "predictors.md", "predictors.png")]
    paths[0].write_text(json.dumps({"rows": list(rows)}, indent=1, allow_nan=False) + "\n")
    paths[1].write_text(markdown(rows, curves))
    _draw(rows, curves, paths[2])
    return paths


def markdown(rows: Sequence[Mapping[str, Any]], curves: Curves) -> str:
    first = rows[0]
    n_curves = sum(map(len, curves.values))
    of = "quantile-scaled values" if first["protocol"] == "published" else curves.metric
    lines = [
        f"# Predictors on {curves.name}",
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
                said = [str(row[key]), row["predictor"], _pm(row["r2_mean"], row["r2_sd"])]
                if swapped:
                    said.append(_pm(row["r2_swapped_mean"], row["r2_swapped_sd"]))
                rho = row["spearman_mean"]
                said += ["-" if rho is None else f"{rho:.3f}", f"{1e3 * row['fit_s_median']:.2f}"]
                lines.append(f"| {' | '.join(said)} |")
    return "\n".join(lines) + "\n"


def _pm(mean: float | None, sd: float | None) -> str:
    return "-" if mean is None or sd is None else f"{mean:.3f} ± {sd:.3f}"


def _is(row: Mapping[str, Any], cell: Cell) -> bool:
    at = (row["fraction"], row["n_train"], row["features"])
    return at == (cell.fraction, cell.n_train, "+".join(cell.use))


def _draw(rows: Sequence[Mapping[str, Any]], curves: Curves, path: Path) -> None:
    names = list(dict.fromkeys(row["predictor"] for row in rows))
    others = [name for name in names if name != "constant"]
    colours = {name: style._OKABE_ITO[i % len(style._OKABE_ITO)] for i, name in enumerate(others)}
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
            said = [str(r[key]).replace("+", "\n+ ") for r in shown]
            axes.set_xticks(
                range(len(said)), [s.replace("hyperparameters", "hyperpar.") for s in said]
            )
            style.title(axes, title, "")
        lowest = min(row["r2_mean"] - row["r2_sd"] for row in rows)
        panels[0].set_ylim(max(lowest - 0.03, _FLOOR), 1.0)
        panels[0].set_ylabel("R² on curves not seen (higher is better)")
        style.legend(figure, marks)
        row = rows[0]
        base = f"else {Cell().fraction:g} of the curve, {Cell().n_train} curves, curve alone"
        said = [curves.name, f"protocol {row['protocol']}", f"n = {row['n_splits']} splits"]
        said += ["dot: mean, bar: sd", base]
        words = "  ·  ".join(said + [f"axis cut at {_FLOOR:g}"] * (lowest < _FLOOR))
        _foot(figure, style.escape(words), style.escape(curves.data))
        figure.savefig(path, metadata={"Software": None})


def _foot(figure: Any, words: str, data: str) -> None:
    """style.save's footer, for a figure that shows no runs."""
    foot = style._FOOT / figure.get_figheight()
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06, rect=(0, foot, 1, 1 - foot))
    figure.text(0.01, 0.25 * foot, words, fontsize=8, color=style.QUIET)
    figure.text(
        0.99, 0.25 * foot, f"{data} data", color=style.WARN, fontsize=8.5, weight="bold", ha="right"
    )


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 where an argument or the table is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m suite.report.predictors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = CONF / "model" / "mlpf_table.yaml"
    parser.add_argument("--table", type=Path, default=default, metavar="YAML")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: runs/predictors/...")
    parser.add_argument("--protocol", default="leak_free", help=f"of {', '.join(PROTOCOLS)}")
    parser.add_argument("--predictors", default="svr,qsvr,constant", metavar="LIST")
    parser.add_argument("--splits", type=int, default=60, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args(arguments)
    try:
        curves = read(options.table)
        named = [name for name in options.predictors.split(",") if name]
        specs = {name: _leaf(name, options.overrides) for name in named}
        rows = study(curves, specs, options.protocol, options.splits, options.seed)
        runs = Path(os.environ.get("SUITE_RUNS", "runs"))
        out = options.out or runs / "predictors" / f"{curves.name}-{options.protocol}"
        paths = write(rows, curves, out)
    except SuiteError as error:
        print(f"suite.report.predictors: {error}", file=sys.stderr)
        return 1
    print(f"{paths[1].read_text()}\nreport: {out}")
    return 0


def _leaf(name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """A predictor's configuration, with what it takes from conf/config.yaml filled in."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    known = sorted(path.stem for path in (CONF / "predictor").glob("*.yaml") if path.stem != "none")
    if name not in known:
        raise unknown_name("--predictors", name, known)
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            whole = compose("config", [f"predictor={name}", *overrides])
    except HydraException as error:
        raise ConfigError(f"{' '.join(overrides)}: {error}") from None
    OmegaConf.resolve(whole.predictor)
    leaf: Any = OmegaConf.to_container(whole.predictor)
    return {str(key): value for key, value in leaf.items()}


if __name__ == "__main__":
    sys.exit(main())
