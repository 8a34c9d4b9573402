"""Are these runs what their folders say: every journal replayed, every record made again.

    swiftbench verify runs/quickstart/TIME           each run at or below a folder
    swiftbench verify runs/quickstart/TIME --json    for programs, by results_schema/verify.schema.json

Checked are the journal's lines, their order, the header, every decision of the search (scheduler, searcher
and conductor are made from the header's configuration, and fold the journal again), and that record.json is
this journal's and what it gives. Nothing is trained or written; no data are needed but a curve table's file.
A stranger's run names classes: of the suite, of models/, and of the packages that SUITE_PLUGINS admits.

Exit code: 0: every check of every run passed (a run without record.json passes without that check); 1: one
failed, or a run could not be replayed here; 2: wrong arguments.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from suite.core.command import argument_parser, run_command
from suite.core.printable import printable
from suite.results.find import common_parent, require_runs
from suite.verify.checks import Verdict, document, verify


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the verdicts; returns the exit code."""
    parser = argument_parser("suite.verify", __doc__)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="run folders, or folders above them"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args(arguments)
    return run_command("verify", lambda: _verify(given.folders, given.json))


def _verify(folders: Sequence[Path], as_json: bool) -> int:
    runs = require_runs(folders)
    top = common_parent(folders)
    verdicts = []
    for folder in runs:
        place = folder.relative_to(top).as_posix() if folder != top else folder.name
        verdicts.append(verify(folder, printable(place)))
        if not as_json:
            print("\n".join(lines(verdicts[-1])), flush=True)
    if as_json:
        print(json.dumps(document(verdicts), indent=1, allow_nan=False))
    else:
        n = sum(verdict.holds for verdict in verdicts)
        print(f"{n} of {len(verdicts)} run{'s' * (len(verdicts) > 1)} verified")
    return 0 if all(verdict.holds for verdict in verdicts) else 1


def lines(verdict: Verdict) -> list[str]:
    """A run's checks, for people."""
    return [
        verdict.place,
        *(f"  {check.status:4}  {check.name:7}  {check.text}" for check in verdict.checks),
    ]


if __name__ == "__main__":
    sys.exit(main())
