"""Is a submission what it says: every rule of docs/rules.md that its journals can show, rule by rule.

    swiftbench check submission.tar                         an archive or a folder of swiftbench submit
    swiftbench check submission.tar --all                   what passed, and what no journal shows, too
    swiftbench check submission.tar --retrain 2 --draw 77   two drawn trials of each run again
    swiftbench check submission.tar --allowed-signers FILE  whose signature counts (ssh-keygen(1))
    swiftbench check a.tar b.tar --json                     by results_schema/check.schema.json

Every decision of each run is taken again from its journal, every forecast is asked again, values of tables
are looked up, simulated runs are simulated again; digests, seeds, budgets, clocks, workers and energy are
compared. No code of a submission runs: targets are made by the files of this installation. Nothing is
written into it. What a journal cannot show is said as such (open), and is no reason against a run.

Exit code: 0: nothing failed and everything was looked at; 1: a rule is broken; 2: wrong arguments; 3: nothing
failed, but something could not be looked at here (skip).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from suite.check.document import document, lines
from suite.check.findings import Asked
from suite.check.submission import check
from suite.core.command import argument_parser, run_command
from suite.core.errors import ConfigError, check_integer

CODES = {"pass": 0, "fail": 1, "open": 3}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the verdicts; returns the exit code."""
    parser = argument_parser("suite.check", __doc__)
    parser.add_argument(
        "submissions", nargs="+", type=Path, metavar="SUBMISSION", help="archives or folders"
    )
    parser.add_argument("--all", action="store_true", help="list what passed and what is open too")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--retrain",
        type=int,
        default=0,
        metavar="K",
        help="drawn trials of each run to train again, and the winner",
    )
    parser.add_argument(
        "--share", type=float, default=1.0, help="of their epochs, from the first (default: all)"
    )
    parser.add_argument(
        "--draw", type=int, default=0, metavar="SEED", help="the checker's seed, which draws them"
    )
    parser.add_argument(
        "--tolerance", type=float, metavar="X", help="relative; default: as docs/rules.md says"
    )
    parser.add_argument("--image", metavar="DIGEST", help="the image that runs must name")
    parser.add_argument(
        "--allowed-signers", type=Path, metavar="FILE", help="whose signature counts (ssh-keygen)"
    )
    given = parser.parse_args(arguments)
    return run_command("check", lambda: _check(given))


def _check(given: argparse.Namespace) -> int:
    check_integer("retrain", given.retrain, 0)
    if not 0 < given.share <= 1:
        raise ConfigError(f"share={given.share}: must be a number in (0, 1].")
    if given.tolerance is not None and not 0 <= given.tolerance < 1:
        raise ConfigError(f"tolerance={given.tolerance}: must be a number in [0, 1).")
    asked = Asked(given.retrain, given.share, given.draw, given.tolerance, given.image)
    checked = check(given.submissions, asked, given.allowed_signers)
    said = document(checked, asked)
    if given.json:
        print(json.dumps(said, indent=1, allow_nan=False))
    else:
        for one in checked:
            print("\n".join(lines(one, everything=given.all)))
    return CODES[str(said["verdict"])]


if __name__ == "__main__":
    sys.exit(main())
