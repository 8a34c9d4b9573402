"""An example of a leaderboard, of runs that this script makes: docs/examples/board.

    python tests/benchmarks/example_board.py --to runs/example_board    minutes; runs that are there are kept
    cp -r runs/example_board/board docs/examples/                       the pages that the repository has

SIMULATED: the level `scaling` on its 50 simulated workers (closed division), and other algorithms on the same
(open division), from MLPF's published table. Real: one search on the level `test` by one worker and by two
(open division), by the processor of this machine, whose load is whatever it was. Three entries are made wrong
on purpose, to show what becomes of them: a copy of one submission under another machine's name, one whose
record was changed after it was packed, and one on another cluster than the level's.
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
    "Simulated clusters have simulated seconds; on purpose, one entry is a copy under another name, one was "
    "changed, and one is of another cluster than the level's."
)
WORKERS = (1, 2)
"""Of the real search, a submission for each."""


def main() -> None:
    """Make what is missing: runs, submissions, the board."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, default=Path("runs/example_board"))
    to = parser.parse_args().to.resolve()
    shutil.rmtree(to / "submissions", ignore_errors=True)
    mlpf = ("task=mlpf", "backend=simulate", "n_jobs=1")
    searched(
        to, "level", [*mlpf, "backend.workers=50", "algorithm=hyperband,swift_svr", "seed=0,1,2"]
    )
    packed(to, "level", "scaling", "A simulated cluster", "simulated", division="closed")
    searched(to, "asha", [*mlpf, "backend.workers=50", "algorithm=asha", "seed=0,1,2"])
    packed(to, "asha", "scaling", "A simulated cluster, ASHA", "simulated", division="open")
    for seed, name in enumerate(("later", "twice")):
        searched(to, name, [*mlpf, "backend.workers=50", "algorithm=random_search", f"seed={seed}"])
        packed(to, name, "scaling", f"Cluster {name}", "simulated", division="open")
    searched(to, "small", [*mlpf, "backend.workers=5", "algorithm=hyperband", "seed=0"])
    packed(to, "small", "scaling", "A smaller cluster", "simulated", division="open")
    for n in WORKERS:
        place, ranks = ("inline", 1) if n == 1 else ("mpi", n + 1)
        words = ["experiment=quickstart", "algorithm=swift_svr", "seed=0"]
        searched(to, f"real{n}", [*words, f"backend={place}"], ranks)
        packed(to, f"real{n}", "test", "Two shared cores", processor(), division="open")
    wrong_on_purpose(to / "submissions")
    leaderboard([
        str(to / "submissions"), "--to", str(to / "board"), "--title", "An example board", "--label", LABEL,
    ])  # fmt: skip


def searched(to: Path, name: str, words: Sequence[str], ranks: int = 1) -> None:
    """The sweep of these words in runs/NAME/t, unless it is there. ranks: above 1 by mpirun; one decides."""
    if (to / "runs" / name / "t").is_dir():
        return
    environ = {**os.environ, "SUITE_RUNS": str(to / "runs"), "SUITE_STAMP": "t"}
    more = ("-m", f"name={name}", "report=false", "tracking=later")
    launched = (
        ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks)] if ranks > 1 else []
    )
    subprocess.run(
        [*launched, sys.executable, "-m", "suite", *more, *words], env=environ, check=True
    )


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
    copy = Path(shutil.copytree(submissions / "twice", submissions / "copy"))
    system = json.loads((copy / package.SYSTEM).read_text())
    (copy / package.SYSTEM).write_text(package.dumps(system | {"name": "Another machine, it says"}))
    first = json.loads((copy / package.NAME).read_text())
    for one in first["files"]:
        if one["path"] == package.SYSTEM:
            one["bytes"] = (copy / package.SYSTEM).stat().st_size
            one["sha256"] = package.digest_of(copy / package.SYSTEM, copy)
    (copy / package.NAME).write_text(package.dumps(first))
    record = next((submissions / "later" / "runs").iterdir()) / "record.json"
    record.write_text(record.read_text().replace('"completed"', '"failed"', 1))


if __name__ == "__main__":
    main()
