"""Valid runs in the words of other people's harnesses.

    swiftbench export merits runs --level test                   figures of merit, a line each, and medians
    swiftbench export merits runs/mine --target 0.1              of any runs
    swiftbench export mllog runs/run/TIME/RUN --to run.mllog     a log as MLPerf's checker reads it

Only valid runs are exported: completed, every decision replayed (swiftbench verify), and with --level by the
rules of that level's closed division (swiftbench check). Else nothing is printed or written but the reason.
The lines of `merits` are described in docs/harnesses.md, the rules for the log in benchmark/mllog/hpo.yaml.

Exit code: 0; 1: not valid, or it could not be done; 2: wrong arguments.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from suite.core.command import argument_parser, run_command
from suite.core.errors import ConfigError, DataError
from suite.core.printable import printable
from suite.export import merits, mllog
from suite.export.valid import known_level, valid_runs
from suite.files import UnsafeFileError, write_whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Export; returns the exit code."""
    parser = argument_parser("suite.export", __doc__)
    doors = parser.add_subparsers(dest="door", required=True)
    figures = doors.add_parser("merits", help="figures of merit, a line each", allow_abbrev=False)
    figures.add_argument(
        "folders", nargs="+", type=Path, metavar="RUNS", help="run folders, or folders above them"
    )
    log = doors.add_parser("mllog", help=":::MLLOG lines of one run", allow_abbrev=False)
    log.add_argument("folder", type=Path, metavar="RUN", help="the run's folder, or one above it")
    log.add_argument("--to", type=Path, required=True, metavar="FILE", help="the log to write")
    log.add_argument(
        "--site", default="not stated", metavar="TEXT", help="whose machine it is (submission_org)"
    )
    log.add_argument(
        "--platform", metavar="TEXT",
        help="the machine's name (submission_platform; default: processors or GPUs of the workers)",
    )  # fmt: skip
    for door in (figures, log):
        door.add_argument(
            "--level", metavar="NAME", help="a level of conf/levels.yaml: its target, its rules"
        )
        door.add_argument(
            "--target", type=float, metavar="X", help="value to be reached, in the metric's unit"
        )
    given = parser.parse_args(arguments)
    return run_command("export", lambda: _export(given))


def _export(given: argparse.Namespace) -> int:
    if given.target is not None and not math.isfinite(given.target):
        raise ConfigError(f"target={given.target}: must be a finite number.")
    if given.target is not None and given.level is not None:
        raise ConfigError(f"target={given.target}: level {given.level} has its own; leave one out.")
    level = None if given.level is None else known_level(given.level)
    if given.door == "merits":
        runs = valid_runs(given.folders, level)
        print("\n".join(merits.lines(runs, given.target, level)))
        return 0
    (run, *more) = valid_runs([given.folder], level)
    if more:
        raise ConfigError(f"runs={1 + len(more)}: a log holds one run; name its own folder.")
    labels = mllog.Labels(given.site, given.platform, given.level)
    target = level.target if level is not None else given.target
    rows = mllog.rows(run.view, labels, target)
    try:
        write_whole(given.to, "".join(f"{row}\n" for row in rows))
    except (OSError, UnsafeFileError) as error:
        raise DataError(f"to={printable(given.to)}: {error}; name another file.") from None
    remark = f" ({run.remark}: MLPerf's checker refuses it)" if run.remark else ""
    print(f"{len(rows)} lines in {printable(given.to)}{remark}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
