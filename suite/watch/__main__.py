"""Runs on a terminal while they are trained: epochs, best so far, curves, workers and those lost, time left.

    swiftbench watch runs/quickstart/TIME          until its runs are over; Ctrl-C leaves it, and stops no run
    swiftbench watch runs --once                   one look; so it is where the output is no terminal

It reads journals alone, so it works on a login node while the job runs. Runs that begin later are found.

Exit code: 0; 1: no run there, or bad input; 2: wrong arguments; 130: Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from suite.core.command import argument_parser, run_command
from suite.core.errors import ConfigError
from suite.results.find import find_runs, require_runs
from suite.watch.following import FollowedRun

LOOK_EVERY_S = 1.0
FIND_EVERY_S = 5.0
LINGER_S = 10.0
"""Between two runs of a sweep all that are found are over: so long it is waited for another."""


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0; 1: there is no run; 130: interrupted."""
    parser = argument_parser("suite.watch", __doc__)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="run folders, or folders above them"
    )
    parser.add_argument("--once", action="store_true", help="print one look and end")
    parser.add_argument(
        "--every", type=float, default=LOOK_EVERY_S, metavar="S",
        help="seconds between two looks (default: %(default)g)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    return run_command("watch", lambda: _watch(options))


def _watch(options: argparse.Namespace) -> int:
    if not options.every >= 0.1:
        raise ConfigError(f"--every {options.every:g}: must be at least 0.1 (seconds).")
    runs = [FollowedRun(folder) for folder in require_runs(options.folders)]
    from rich.console import Console

    from suite.watch.frame import frame

    for run in runs:
        run.look()
    console = Console(file=_screen(), highlight=False)
    if options.once or not console.is_terminal or all(run.is_over for run in runs):
        console.print(frame(runs, console.width))
        return 0
    from rich.live import Live

    with Live(frame(runs, console.width), console=console, auto_refresh=False) as live:
        for _ in looks(runs, options.folders, options.every):
            live.update(frame(runs, console.width), refresh=True)
    return 0


def _screen() -> TextIO:
    """The terminal itself: what a command prints otherwise passes a guard that escapes colours."""
    terminal = sys.__stdout__
    return terminal if terminal is not None and terminal.isatty() else sys.stdout


def looks(
    runs: list[FollowedRun],
    folders: Sequence[Path],
    every_s: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Yields after each look at `runs`, which grows where further ones begin, until all are over."""
    found = over_since = clock()
    while True:
        sleep(every_s)
        if clock() - found >= FIND_EVERY_S:
            found = clock()
            known = {run.folder for run in runs}
            runs += [FollowedRun(folder) for folder in find_runs(folders) if folder not in known]
        for run in runs:
            run.look()
        yield
        if not all(run.is_over for run in runs):
            over_since = clock()
        elif clock() - over_since >= LINGER_S:
            return


if __name__ == "__main__":
    sys.exit(main())
