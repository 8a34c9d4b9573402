"""What runs say: a table on the terminal; figures, report.md and one page, report.html.

    swiftbench report runs/quickstart/TIME                  the runs of one sweep, compared
    swiftbench report runs/a/TIME runs/b/TIME --out both    of two
    swiftbench report runs/quickstart/TIME --format text    only the terminal's table
    swiftbench report runs/a/TIME --baseline asha           compared with ASHA, not with Hyperband

Runs of one model and one max_epochs are compared with each other, paired by seed.

Exit code: 0; 1: no run can be read, or bad input; 2: wrong arguments.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from suite import report
from suite.core.command import argument_parser, run_command
from suite.core.printable import printable
from suite.report import contents, tables
from suite.report.statistics import parse_margin


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 where no run can be read or an argument is wrong."""
    parser = argument_parser("suite.report", __doc__)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="run folders, or folders above them"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the report (default: report/ in the folders' common parent)",
    )
    parser.add_argument(
        "--format",
        default=",".join(report.FORMATS),
        metavar="LIST",
        help=f"what is written: {', '.join(report.FORMATS)}, separated by commas; or text: only the "
        "terminal's table (default: %(default)s)",
    )
    parser.add_argument(
        "--margin",
        default="5%",
        metavar="M",
        help="largest difference in quality that counts as none: a share of the baseline's median best "
        "value, or a number in the metric's unit, like 0.002 (default: 5%%)",
    )
    parser.add_argument(
        "--baseline",
        metavar="NAME",
        help="the algorithm that others are compared with (default: plain Hyperband)",
    )
    options = parser.parse_args(arguments)
    formats = [name for name in options.format.split(",") if name]
    return run_command("report", lambda: _report(options, formats))


def _report(options: argparse.Namespace, formats: list[str]) -> int:
    what = contents.read(options.folders, parse_margin(options.margin), options.baseline)
    print(tables.report_as_text(what))
    if formats != ["text"]:
        out, failures = report.write_report(what, options.folders, options.out, formats=formats)
        for line in failures[len(what.failures) :]:
            print(f"could not be made: {printable(line)}")
        print(f"\nreport: {printable(out / 'report.html' if 'html' in formats else out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
