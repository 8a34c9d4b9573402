"""python -m suite.predictor_study: how well predictors extend recorded curves."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suite.core.command import argument_parser, run_command
from suite.core.errors import unknown_name
from suite.launch.compose import compose
from suite.predictor_study import page
from suite.predictor_study.protocols import PROTOCOLS, study
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
        help="folder of what is written (default: runs/predictors/TABLE-PROTOCOL)",
    )
    parser.add_argument("--protocol", default="leak_free", metavar="NAME",
                        help=f"one of {', '.join(PROTOCOLS)} (default: %(default)s)")  # fmt: skip
    parser.add_argument("--predictors", default="svr,qsvr,constant", metavar="LIST",
                        help="names of conf/predictor, with commas (default: %(default)s)")  # fmt: skip
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
    curves = page.read(options.table)
    rows = study(curves, specs, options.protocol, options.splits, options.seed)
    runs = Path(os.environ.get("SUITE_RUNS", "runs"))
    out = options.out or runs / "predictors" / f"{curves.name}-{options.protocol}"
    paths = page.write(rows, curves, out)
    print(f"{paths[1].read_text()}\nreport: {out}")
    return 0


def _leaf(name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """A predictor's leaf, with what it takes from the rest of conf/ filled in."""
    known = sorted(path.stem for path in (CONF / "predictor").glob("*.yaml") if path.stem != "none")
    if name not in known:
        raise unknown_name("--predictors", name, known)
    leaf: dict[str, Any] = compose([f"predictor={name}", *overrides])["predictor"]
    return leaf


if __name__ == "__main__":
    sys.exit(main())
