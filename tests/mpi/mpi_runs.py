"""Real mpirun for the tests of this folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from suite.launch import assemble
from suite.run import journal as journals
from suite.run.driver import Driver

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PLUGINS = str(ROOT / "tests" / "plugins")
sys.path.insert(0, PLUGINS)
os.environ["SUITE_PLUGINS"] = "suite_faults"  # this process re-folds what the launched ones wrote


@dataclass
class Done:
    code: int
    out: str
    folder: Path | None
    seconds: float

    @property
    def lines(self):
        return journals.read(self.folder / journals.NAME)[1]

    @property
    def status(self):
        last = self.lines[-1]
        return last["status"] if last["event"] == "closed" else "unfinished"


def environment(runs: Path) -> dict:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMIX_", "PRTE_"))}
    env |= {
        "SUITE_VERDICT": str(runs.parent / "verdict"),
        "PYTHONPATH": f"{PLUGINS}:{ROOT}", "PYTHONSAFEPATH": "1", "SUITE_PLUGINS": "suite_faults",
        "SUITE_RUNS": str(runs), "PATH": f"{BIN}:{env['PATH']}", "SUITE_PROGRESS": "plain",
    }  # fmt: skip
    if os.getuid() == 0:
        env |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return env


def command(ranks: int, *overrides: str) -> list[str]:
    start = [sys.executable, "-m", "suite"]
    if ranks > 0:
        start = ["mpirun", "--with-ft", "ulfm", "--oversubscribe", "-n", str(ranks), *start]
    flags = [o for o in overrides if o.startswith("-")]
    return [
        *start,
        *flags,
        "tracking=later",
        "report=false",
        *(o for o in overrides if o not in flags),
    ]


class Launcher:
    """launcher(ranks, *overrides): run the suite on that many MPI ranks (0: inline); returns how it
    ended.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, ranks: int, *overrides: str, timeout: float = 120) -> Done:
        runs = self.folder / "runs"
        before = set(runs.rglob(journals.NAME))
        verdict = self.folder / "verdict"
        verdict.unlink(missing_ok=True)
        start = time.monotonic()
        done = subprocess.run(
            command(ranks, *overrides), env=environment(runs), cwd=self.folder, timeout=timeout,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        new = sorted(set(runs.rglob(journals.NAME)) - before)
        # mpirun may pass on a lost worker's status; as ./bench does, ask rank 0.
        code = int(verdict.read_text()) if verdict.exists() else done.returncode
        return Done(code, done.stdout, new[0].parent if new else None, time.monotonic() - start)


def curves(folder: Path) -> dict:
    """trial_id -> curve as the fold has it, and the winner: what must not depend on who trained."""
    header, lines, _ = journals.read(folder / journals.NAME)
    parts = assemble(header["config"])
    driver = Driver(parts.conductor, None)
    driver.replay(lines)
    found = {i: trial.curve for i, trial in parts.conductor.trials.items()}
    return {
        "winner": parts.conductor.winner,
        "curves": found,
        "given_up": dict(parts.conductor.given_up),
    }


def noticed_after(done: Done, worker: int) -> float:
    """Seconds from the last that was heard of the worker to the journal's line that says it is
    lost.
    """
    lost = next(
        i
        for i, line in enumerate(done.lines)
        if line["event"] == "lost" and line["worker"] == worker
    )
    heard = [_last(line["time_s"]) for line in done.lines[:lost] if line.get("worker") == worker]
    return done.lines[lost]["time_s"] - heard[-1]


def _last(time_s) -> float:
    return time_s[-1] if isinstance(time_s, list) else time_s
