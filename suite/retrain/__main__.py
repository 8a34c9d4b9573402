"""Is the winner better than the runner-up, or was it lucky? Both are trained again.

    swiftbench retrain runs/quickstart/TIME/0-hyperband-seed0 --n 10

Winner and runner-up of a completed run (lowest objective at max_epochs) are trained anew to
max_epochs, n times each, by the run's own target, worker and device settings, in this process. No
seed is used twice: repeat i of the winner has stream_seed(seed, "retrain", 2 i), of the runner-up
2 i + 1, so both samples are independent and a larger n keeps the first repeats. A table draws one
of the configuration's recordings by that seed; where it holds only one, there is no spread to see.

Printed, and written to retrain.json beside the run's journal: mean, sample standard deviation,
least and greatest of validation and test values, and whether the gap between the means is more than
the spread explains (Welch's t-test, two-sided). The value that the search saw stands beside them:
the winner's is the best of many draws, and usually too good. A training that fails is counted and
left out. Where the data here are not those of the run (label, name, digests, sizes) nothing is trained,
unless --unlike-data is given; other code and versions are said, and stand in the file. Numbers are
{"value", "unit"} as in records (`values` for several).

Exit code: 0; 1: it could not be done, or too many trainings failed; 130: interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from suite.core.command import argument_parser, run_command
from suite.core.errors import DataError, unknown_name
from suite.core.printable import printable
from suite.retrain.variability import lines, retrain


def main(arguments: Sequence[str] | None = None) -> int:
    """Train again and print the comparison; returns the exit code."""
    parser = argument_parser("suite.retrain", __doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a completed run")
    parser.add_argument(
        "--n",
        type=int,
        default=10,
        metavar="N",
        help="trainings of each of the two (default: %(default)s)",
    )
    parser.add_argument(
        "--unlike-data", action="store_true", help="train too on other data than the run's"
    )
    parser.add_argument("--backend", default="inline", help="inline: one after the other, here")
    given = parser.parse_args(arguments)
    try:
        return run_command("retrain", lambda: _retrain(given))
    except KeyboardInterrupt:
        print("retrain: interrupted; nothing was written.", file=sys.stderr)
        return 130


def _retrain(given: argparse.Namespace) -> int:
    if given.backend != "inline":
        raise unknown_name("backend", given.backend, ("inline",))
    try:
        report = retrain(
            given.run, given.n, unlike_data=given.unlike_data,
            say=lambda text: print(printable(text), flush=True),
        )  # fmt: skip
    except OSError as error:
        raise DataError(str(error)) from None
    print("\n".join(lines(report)))
    return 0 if all(trial["n"]["value"] >= 2 for trial in report["trials"]) else 1


if __name__ == "__main__":
    sys.exit(main())
