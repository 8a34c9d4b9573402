"""Faults of clusters over test hosts: what happens, how soon it is noticed, and what it costs. Root, Linux.

    python tests/cluster/faults.py                    all of them, one after another; a row each
    python tests/cluster/faults.py link_2s read_only  these
    python tests/cluster/faults.py --list             their names, and what must happen

Each fault: rank 0 on n1, a worker on each of n2, n3, n4 (kit.hosts), Hyperband on SYNTHETIC curves with a
pause an epoch. It strikes when a fifth of the epochs is there. The run, resubmitted where it must be,
ends with the decisions of the undisturbed inline run, and no process is left on any host.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from kit.host_faults import folder as folders  # noqa: E402
from kit.host_faults import gridengine, images, machine, mpich, network, slurm  # noqa: E402
from kit.host_faults.case import Case, Row  # noqa: E402
from kit.hosts import why_not  # noqa: E402

FAULTS: dict[str, Callable[[Case], Row]] = {
    name: fault
    for module in (network, machine, folders, mpich, slurm, gridengine, images)
    for name, fault in vars(module).items()
    if callable(fault)
    and fault.__module__ == module.__name__
    and not (name.startswith("_") or name == "absent" or isinstance(fault, type))
}
NEEDS = {
    "bindfs": ("dead_mount", "late_files", "two_at_once_no_locks", "requeued_while_it_runs"),
}


def absent(name: str) -> str:
    """What this fault needs and the machine does not have; empty: nothing."""
    for program, faults in NEEDS.items():
        if name in faults and shutil.which(program) is None:
            return f"{program} is absent (Debian has it)"
    if name.startswith("image_"):
        return images.absent(name)
    module = {"mpich": mpich, "slurm": slurm, "gridengine": gridengine}.get(name.partition("_")[0])
    return module.absent() if module else ""


def run(name: str, folder: Path, seed: int = 0) -> Row:
    """One fault, in a new folder below `folder`. Raises AssertionError where it does not end as it must."""
    own = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
    with Case(name, own, seed) as case:
        return FAULTS[name](case)


def table(rows: list[dict[str, Any]]) -> str:
    """Rows by fault, as Markdown; of several the least and the most."""

    def spread(values: list[Any]) -> str:
        known = sorted(value for value in values if value is not None)
        if not known:
            return "-"
        return f"{known[0]:g}" + (f" to {known[-1]:g}" if known[-1] > known[0] else "")

    lines = [
        "| fault | what happened | noticed, s | equal | epochs again | launches | orphans | n |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    for name, fault in FAULTS.items():
        if some := [row for row in rows if row["fault"] == name]:
            must = " ".join((fault.__doc__ or "").split())
            numbers = [spread([row[key] for row in some]) for key in ("again", "launches")]
            lines.append(
                f"| {must} | {some[-1]['happened']} | {spread([row['noticed_s'] for row in some])} "
                f"| {sum(row['equal'] for row in some)} of {len(some)} | {' | '.join(numbers)} "
                f"| {sum(row['orphans'] for row in some)} | {len(some)} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="faults; all without")
    parser.add_argument("--list", action="store_true", help="the faults, and what must happen")
    parser.add_argument("--folder", type=Path, help="for the shared folders")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a file to which rows are added, as JSON lines")
    parser.add_argument("--table", type=Path, help="print the rows of such a file as a table")
    given = parser.parse_args()
    if given.table:
        print(table([json.loads(line) for line in given.table.read_text().splitlines()]))
        return
    if given.list:
        for name, fault in FAULTS.items():
            print(f"{name:18s} {fault.__doc__}")
        return
    if why := why_not():
        sys.exit(f"faults: {why}.")
    bad = 0
    # Not "tmp": mpirun takes "pe" anywhere in a host file's path for a directive (docs/clusters.md).
    with tempfile.TemporaryDirectory(prefix="faults-", dir=given.folder) as folder:
        for name in given.names or FAULTS:
            if why := absent(name):
                print(f"{name}: skipped: {why}", flush=True)
                continue
            try:
                row = run(name, Path(folder), given.seed)
            except Exception as error:
                bad += 1
                print(f"{name}: {type(error).__name__}: {error}", flush=True)
                continue
            bad += not row.equal or row.orphans > 0
            print(json.dumps(asdict(row)), flush=True)
            if given.out:
                with open(given.out, "a") as out:
                    out.write(json.dumps(asdict(row)) + "\n")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
