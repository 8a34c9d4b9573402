"""python -m suite.predictor_study: how well predictors extend recorded curves."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suite.annealing.samplers import SAMPLERS
from suite.core.command import argument_parser, run_command
from suite.core.errors import ConfigError, unknown_name
from suite.launch.compose import compose
from suite.predictor_study import page, sizes_page
from suite.predictor_study.protocols import PROTOCOLS, study
from suite.predictor_study.sizes import SIZES, sizes_study
from suite.run.paths import CONF


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 where an argument or the table is wrong."""
    parser = argument_parser("suite.predictor_study", page.__doc__)
    parser.add_argument("--table", type=Path, default=Path("mlpf"), metavar="TABLE",
                        help="of `curves list`, or a table's YAML (default: %(default)s)")  # fmt: skip
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of what is written (default: runs/predictors/TABLE-PROTOCOL, or TABLE-sizes)",
    )
    parser.add_argument("--protocol", default="leak_free", metavar="NAME",
                        help=f"one of {', '.join(PROTOCOLS)} (default: %(default)s)")  # fmt: skip
    parser.add_argument("--predictors", default="svr,qsvr,constant", metavar="LIST",
                        help="names of conf/predictor, with commas (default: %(default)s)")  # fmt: skip
    parser.add_argument("--samplers", default="", metavar="LIST",
                        help="qsvr with each too: its samplers, files of conf/sampler")  # fmt: skip
    every = ",".join(map(str, SIZES))
    parser.add_argument("--sizes", nargs="?", const=every, metavar="LIST",
                        help="numbers of training curves alone (without LIST %(const)s): "
                        "R², processor time, predicted against true")  # fmt: skip
    parser.add_argument("--row-s", type=float, metavar="S",
                        help="with --sizes: most processor seconds of a row")  # fmt: skip
    parser.add_argument("--splits", type=int, default=60, metavar="N",
                        help="draws of training and test curves (default: %(default)s)")  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the draws (default: %(default)s)"
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE",
                        help="settings of the predictors, as a run takes them")  # fmt: skip
    options = parser.parse_args(arguments)
    return run_command("study", lambda: _study(options))


def _study(options: argparse.Namespace) -> int:
    named = [name for name in options.predictors.split(",") if name]
    specs = {name: _leaf(name, options.overrides) for name in named}
    specs |= {
        f"qsvr, {name}": _with_sampler(name, options.overrides)
        for name in options.samplers.split(",")
        if name
    }
    sizes = None if options.sizes is None else _sizes(options.sizes)
    curves = page.read(options.table)
    runs = Path(os.environ.get("SUITE_RUNS", "runs"))
    kind = options.protocol if sizes is None else "sizes"
    out = options.out or runs / "predictors" / f"{curves.name}-{kind}"
    if sizes is None:
        rows = study(curves, specs, options.protocol, options.splits, options.seed)
        paths = page.write(rows, curves, out)
    else:
        if options.protocol != "leak_free":
            raise ConfigError(
                f"--protocol={options.protocol}: --sizes is leak-free; leave one of them out."
            )
        by_size = sizes_study(curves, specs, sizes, options.splits, options.seed, options.row_s)
        paths = sizes_page.write(by_size, curves, out)
    print(f"{paths[1].read_text()}\nreport: {out}")
    return 0


def _sizes(words: str) -> list[int]:
    """Numbers of training curves, with commas."""
    try:
        return [int(word) for word in words.split(",") if word]
    except ValueError:
        raise ConfigError(f"--sizes={words}: must be integers with commas, 5,10,20.") from None


def _with_sampler(name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """The leaf of qsvr with another sampler: one of its own by name, or a file of conf/sampler."""
    if name in SAMPLERS:
        return _leaf("qsvr", [f"predictor.sampler={name}", *overrides])
    files = [path.stem for path in (CONF / "sampler").glob("*.yaml")]
    if name not in files:
        raise unknown_name("--samplers", name, [*SAMPLERS, *files])
    return _leaf("qsvr", [f"sampler@predictor.sampler={name}", *overrides])


def _leaf(name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """A predictor's leaf, with what it takes from the rest of conf/ filled in."""
    known = sorted(path.stem for path in (CONF / "predictor").glob("*.yaml") if path.stem != "none")
    if name not in known:
        raise unknown_name("--predictors", name, known)
    leaf: dict[str, Any] = compose([f"predictor={name}", *overrides])["predictor"]
    return leaf


if __name__ == "__main__":
    sys.exit(main())
