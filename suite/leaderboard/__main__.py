"""A static site of submissions, each checked again: scores, scaling, energy, systems, verdicts.

    swiftbench leaderboard submissions --to board    submissions: a folder of what `swiftbench submit` made
    swiftbench leaderboard submissions --to board --retrain 2 --draw 77
    swiftbench leaderboard submissions --to board --allowed-signers FILE

Every submission is checked by this program before it is shown (`swiftbench check`); a verdict that a
submission brings does not count, nothing of it is run, and its text is text on the pages. What is broken, or
holds a run of another submission, is listed with the reason and not counted. Levels and divisions stand
apart, and what is simulated or a stand-in is labelled. The pages load nothing, and need no server: open
board/index.html.

Exit code: 0: the site was written, whatever the verdicts; 1: it was not; 2: wrong arguments.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from suite.check.findings import Asked
from suite.core.command import argument_parser, run_command
from suite.core.errors import ConfigError, check_integer
from suite.core.printable import printable
from suite.leaderboard import entries, site


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the submissions and write the site; returns the exit code."""
    parser = argument_parser("suite.leaderboard", __doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="that holds submissions")
    parser.add_argument(
        "--to", type=Path, default=Path("leaderboard"), metavar="FOLDER",
        help="the site; an earlier one is replaced (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--title", default="Leaderboard", metavar="TEXT", help="of the first page")
    parser.add_argument(
        "--label",
        default="",
        metavar="TEXT",
        help="what the board is, said in its head (an example, say)",
    )
    parser.add_argument(
        "--retrain",
        type=int,
        default=0,
        metavar="K",
        help="drawn trials of each real run to train again",
    )
    parser.add_argument("--share", type=float, default=1.0, help="of their epochs (default: all)")
    parser.add_argument("--draw", type=int, default=0, metavar="SEED", help="which draws them")
    parser.add_argument(
        "--allowed-signers", type=Path, metavar="FILE", help="whose signature counts (ssh-keygen)"
    )
    given = parser.parse_args(arguments)
    return run_command("leaderboard", lambda: _leaderboard(given))


def _leaderboard(given: argparse.Namespace) -> int:
    check_integer("retrain", given.retrain, 0)
    if not 0 < given.share <= 1:
        raise ConfigError(f"share={given.share}: must be a number in (0, 1].")
    site.check_place(given.to)
    asked = Asked(given.retrain, given.share, given.draw)
    board = entries.read(given.folder, asked, given.allowed_signers)
    site.write(board, given.to, asked, title=given.title, label=given.label)
    counts = Counter(entry.status for entry in board.entries)
    said = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
    n = len(board.entries)
    print(f"{n} submission{'s' * (n != 1)} ({said}); open {printable(given.to / 'index.html')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
