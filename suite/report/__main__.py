"""python -m suite.report RUN_FOLDERS: tables on the terminal; figures, report.md, report.html."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from suite import report
from suite.core.errors import SuiteError
from suite.report.statistics import parse_margin


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 where there is nothing to report or an argument is wrong."""
    parser = argparse.ArgumentParser(prog="python -m suite.report", description=__doc__)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="run folders, or folders above them"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="default: report/ in the folders' common parent"
    )
    parser.add_argument(
        "--format",
        default=",".join(report.FORMATS),
        metavar="LIST",
        help=f"of {', '.join(report.FORMATS)}; or text: only the terminal's table "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--margin",
        default="5%",
        metavar="M",
        help="of equivalence in quality: a share of the baseline's median best value, or a number "
        "in the metric's unit, like 0.002 (default: 5%%)",
    )
    options = parser.parse_args(arguments)
    formats = [name for name in options.format.split(",") if name]
    try:
        margin = parse_margin(options.margin)
        print(report.summary(options.folders, margin=margin))
        if formats != ["text"]:
            out = report.write(options.folders, options.out, margin=margin, formats=formats)
            print(f"\nreport: {out / 'report.html' if 'html' in formats else out}")
    except SuiteError as error:
        print(f"suite.report: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
