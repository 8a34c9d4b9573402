"""Curve tables: those that are published, and tables from real runs with seconds of every epoch.

    swiftbench curves list                             the published tables, and which of them are here
    swiftbench curves record runs/TIME --to mytable    a table from every run below a folder
    swiftbench curves check mytable                    is this table whole; its contents

`list` shows task=NAME, family, RECORDED or SURROGATE (what a model of recorded curves wrote), the rows, R,
metric and licence of each table of the catalogue, and whether its file lies below SUITE_DATA. Tables of a
family are not independent of each other.

`record` writes DIR/NAME.csv and DIR/datapackage.json (suite.curves.datapackage; these two are the
package, and name no folder) and DIR/model/NAME.yaml, a model for this machine:
`swiftbench run --config-dir DIR model=NAME backend=simulate`.

A row is a trial that was trained for N epochs (--epochs, default: the least max_epochs of the
runs). Shorter trials are left out and counted; with --partial they stay, with empty cells, which
every reader takes for a failure at that epoch: right for replaying the search that was recorded,
wrong for another one that would have trained them longer. Trials that diverged did fail, and are
kept as such. Of one training that stands in several runs (same configuration, same seed of the
trial) the longest is taken: it is no repeat. Equal configurations with other seeds are repeats.

Exit code: 0; 1: it could not be done, and why.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from suite.core.command import argument_parser, run_command
from suite.core.errors import DataError
from suite.curves.listing import lines, listed
from suite.curves.recorder import check, record, summary


def main(arguments: Sequence[str] | None = None) -> int:
    """Record or check; returns the exit code."""
    parser = argument_parser("suite.curves", __doc__)
    doors = parser.add_subparsers(dest="door", required=True)
    recording = doors.add_parser("record", help="make a table from runs", allow_abbrev=False)
    recording.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="run folders, or folders above them"
    )
    recording.add_argument(
        "--to", required=True, type=Path, metavar="DIR", help="folder of the package"
    )
    recording.add_argument(
        "--name",
        help="of the table and its model (default: DIR's name; X_recorded where X is the runs' model)",
    )
    recording.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="epochs of a row (default: the least max_epochs of the runs)",
    )
    recording.add_argument("--partial", action="store_true", help="keep shorter trials, as failed")
    recording.add_argument(
        "--licence", help="SPDX identifier, e.g. CC-BY-4.0 (default: none is stated)"
    )
    checking = doors.add_parser(
        "check", help="check a table: hash, columns, numbers", allow_abbrev=False
    )
    checking.add_argument(
        "table", type=Path, help="a package's folder, a model's YAML, or a name of `curves list`"
    )
    listing = doors.add_parser("list", help="the published tables", allow_abbrev=False)
    listing.add_argument("--family", metavar="NAME", help="of one family (default: all)")
    listing.add_argument("--json", action="store_true", help="all that is known, as JSON")
    given = parser.parse_args(arguments)
    act = {"check": _check, "list": _list, "record": _record}[given.door]
    return run_command("curves", lambda: act(given))


def _list(given: argparse.Namespace) -> int:
    tables = listed(Path(os.environ.get("SUITE_DATA", "data")), given.family)
    print(json.dumps(tables, indent=1) if given.json else "\n".join(lines(tables)))
    return 0


def _check(given: argparse.Namespace) -> int:
    print(f"{given.table.name}: {summary(check(given.table))}")
    return 0


def _record(given: argparse.Namespace) -> int:
    try:
        recorded = record(
            given.folders, given.to, name=given.name, n_epochs=given.epochs,
            partial=given.partial, licence=given.licence,
        )  # fmt: skip
    except OSError as error:
        raise DataError(f"{error}; name another folder with --to.") from None
    print("\n".join(recorded.lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
