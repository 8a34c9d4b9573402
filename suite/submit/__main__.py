"""Pack runs for somebody who checks them: one folder, and one archive with the same files.

    swiftbench submit runs/quickstart/TIME --system system.yaml --to submission
    swiftbench submit runs/quickstart/TIME --system system.yaml --to submission --level test --division closed
    swiftbench submit runs/quickstart/TIME --system system.yaml --to submission --sign ~/.ssh/id_ed25519

Packed are every run at or below the folders (journal, record, recorded sample sets), the report of a sweep,
the machine's description, and submission.json, which names each file with its SHA-256. Runs must have ended.
Paths, user and host names are replaced in the packed journals (<path>, <user>, <host>), and the packed
records are made from these; what looks like a secret is refused. The same input gives the same bytes.
What a checker looks at stands in docs/rules.md; run `swiftbench check` yourself before you send it.

Exit code: 0; 1: it could not be done, and nothing was written; 2: wrong arguments.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from suite.core.command import argument_parser, run_command
from suite.core.printable import printable
from suite.submit import package
from suite.submit.submitting import Wanted, submit


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack the runs; returns the exit code."""
    parser = argument_parser("suite.submit", __doc__)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="RUNS", help="run folders, or folders above them"
    )
    parser.add_argument(
        "--system", type=Path, required=True, metavar="FILE", help="system.yaml: the machine"
    )
    parser.add_argument(
        "--to", type=Path, required=True, metavar="FOLDER",
        help="the folder to make; FOLDER.tar is made beside it",
    )  # fmt: skip
    parser.add_argument(
        "--division", choices=package.DIVISIONS, default="open",
        help="by whose rules (docs/rules.md; default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--level", metavar="NAME", help="level of conf/levels.yaml that was run")
    parser.add_argument("--site", metavar="TEXT", help="whose machine it is")
    parser.add_argument(
        "--contact", metavar="TEXT", help="whom to ask; it will be read by strangers"
    )
    parser.add_argument(
        "--accounting", type=Path, metavar="FILE", help="output of sacct for the runs' jobs"
    )
    parser.add_argument("--sign", type=Path, metavar="KEY", help="sign with this key of OpenSSH")
    given = parser.parse_args(arguments)
    return run_command("submit", lambda: _submit(given))


def _submit(given: argparse.Namespace) -> int:
    wanted = Wanted(
        given.system, given.to, given.division, given.level, given.site, given.contact,
        given.accounting, given.sign,
    )  # fmt: skip
    done = submit(given.folders, wanted)
    n = f"{done.n_runs} run{'s' * (done.n_runs != 1)}"
    print(f"{n} in {printable(done.folder)} and {printable(done.archive)}")
    if done.n_cleaned:
        print(f"{done.n_cleaned} lines held names of paths, users or hosts, which were replaced")
    print(f"next: swiftbench check {printable(done.archive)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
