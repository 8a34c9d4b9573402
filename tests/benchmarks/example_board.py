"""An example of a leaderboard, of runs that this script makes: docs/examples/board.

    python tests/benchmarks/example_board.py --to runs/example_board    minutes; runs that are there are kept
    cp -r runs/example_board/board docs/examples/                       the pages that the repository has

SIMULATED: the level `scaling` on 50 simulated workers (closed division), and the same searches on fewer and
on more (open division: the level fixes the target alone), from MLPF's published table. Real: random search on
the level `test` (open division), by the processor of this machine, whose load is whatever it was. Two entries
are made wrong on purpose, to show what becomes of them: a copy of one submission under another machine's
name, and one whose record was changed after it was packed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from suite.leaderboard.__main__ import main as leaderboard
from suite.submit import package
from suite.submit.submitting import Wanted, submit

LABEL = (
    "EXAMPLE, no result: made by tests/benchmarks/example_board.py on one machine with two shared cores. "
    "Simulated clusters have simulated seconds; one entry is a copy under another name and one was changed, "
    "on purpose."
)
SIZES = (20, 50, 200)
LEVEL_SIZE = 50
"""Workers of the level `scaling`."""


def main() -> None:
    """Make what is missing: runs, submissions, the board."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, default=Path("runs/example_board"))
    to = parser.parse_args().to.resolve()
    shutil.rmtree(to / "submissions", ignore_errors=True)
    for size in SIZES:
        searched(to, f"sim{size}", ["task=mlpf", "backend=simulate", f"backend.workers={size}",
                                    "algorithm=hyperband,swift_svr", "seed=0,1,2", "n_jobs=1"])  # fmt: skip
        packed(to, f"sim{size}", "scaling", "A simulated cluster", "simulated",
               division="closed" if size == LEVEL_SIZE else "open")  # fmt: skip
    searched(to, "one", ["max_epochs=27", "algorithm=random_search", "scheduler.n_trials=2", "backend=inline",
                         "seed=0,1,2"])  # fmt: skip
    packed(to, "one", "test", "Two shared cores, one worker", processor(), division="open")
    for size in (5, 10):
        searched(to, f"sim{size}", ["task=mlpf", "backend=simulate", f"backend.workers={size}",
                                    "algorithm=hyperband", "seed=0"])  # fmt: skip
        packed(to, f"sim{size}", "scaling", f"Cluster of {size}", "simulated", division="open")
    wrong_on_purpose(to / "submissions")
    leaderboard([
        str(to / "submissions"), "--to", str(to / "board"), "--title", "An example board", "--label", LABEL,
    ])  # fmt: skip


def searched(to: Path, name: str, words: Sequence[str]) -> None:
    """The sweep of these words in runs/NAME/t, unless it is there."""
    if (to / "runs" / name / "t").is_dir():
        return
    environ = {**os.environ, "SUITE_RUNS": str(to / "runs"), "SUITE_STAMP": "t"}
    more = ("-m", f"name={name}", "report=false", "tracking=later")
    subprocess.run([sys.executable, "-m", "suite", *more, *words], env=environ, check=True)


def packed(to: Path, name: str, level: str, machine: str, model: str, *, division: str) -> None:
    """Its submission; the archive is left out, which holds the same."""
    system: dict[str, Any] = {
        "name": machine,
        "nodes": 1,
        "node": {"processors": [{"model": model, "count": 1, "cores": os.cpu_count() or 1}]},
        "notes": "an example",
    }
    (to / "system.yaml").write_text(yaml.safe_dump(system))
    done = submit(
        [to / "runs" / name / "t"],
        Wanted(to / "system.yaml", to / "submissions" / name, division, level, site="an example"),
    )
    done.archive.unlink()


def processor() -> str:
    """Of this machine, as Linux names it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "unknown")


def wrong_on_purpose(submissions: Path) -> None:
    """A copy under another machine's name, with right digests; and a record that was changed later."""
    copy = Path(shutil.copytree(submissions / "sim10", submissions / "copy"))
    system = json.loads((copy / package.SYSTEM).read_text())
    (copy / package.SYSTEM).write_text(package.dumps(system | {"name": "Another machine, it says"}))
    first = json.loads((copy / package.NAME).read_text())
    for one in first["files"]:
        if one["path"] == package.SYSTEM:
            one["bytes"] = (copy / package.SYSTEM).stat().st_size
            one["sha256"] = package.digest_of(copy / package.SYSTEM, copy)
    (copy / package.NAME).write_text(package.dumps(first))
    record = next((submissions / "sim5" / "runs").iterdir()) / "record.json"
    record.write_text(record.read_text().replace('"completed"', '"failed"', 1))


if __name__ == "__main__":
    main()
