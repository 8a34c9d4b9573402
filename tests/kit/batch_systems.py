"""Jobs of batch/ on this host: submitted, waited for, and what their runs say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kit.gridengine import Cell
from kit.mpi_runs import journals_in, text_in
from kit.pbs import StandIn

ROOT = Path(__file__).resolve().parents[2]
_FOREIGN = ("SUITE_", "OMPI_", "PMIX_", "PRTE_", "SLURM_", "JOB_")


@dataclass
class Job:
    """A job that has left the queue for good, and all that its starts, or its continuations, printed."""

    number: str
    out: str
    seconds: float


class System:
    """One batch system. environment: of its clients. folder: where jobs print and runs go."""

    script: str

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        # Not "runs": a path with "pe" in it once kept mpirun from starting.
        self.folder, self.runs = folder, folder / "experiments"
        folder.mkdir(parents=True, exist_ok=True)
        kept = {k: v for k, v in environment.items() if not k.startswith(_FOREIGN)}
        self.variables = kept | {
            "SUITE_SITE": "local", "SUITE_ROOT": str(ROOT), "SUITE_RUNS": str(self.runs),
            "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
        }  # fmt: skip

    def run(self, *words: str, cwd: Path = ROOT, **variables: str) -> str:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=self.variables | variables,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode:
            raise AssertionError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def submit(self, ranks: int, wall_s: int, *words: str, array: int = 0, **variables: str) -> str:
        """A job's number. array: its tasks, where it is to be one."""
        raise NotImplementedError

    def is_queued(self) -> bool:
        """Whether any job of this system waits or runs."""
        raise NotImplementedError

    def pause(self, job: str) -> None:
        """SIGUSR1, as before the end of its time."""
        raise NotImplementedError

    def end(self, job: str) -> None:
        """A user ends it."""
        self.run("qdel", job)

    def wait(self, job: str, timeout_s: float = 400) -> Job:
        begun = time.monotonic()
        while self.is_queued():
            if time.monotonic() - begun > timeout_s:
                raise AssertionError(
                    f"job {job}: still there after {timeout_s} s:\n{self.printed()}"
                )
            time.sleep(0.3)
        return Job(job, self.printed(), time.monotonic() - begun)

    def printed(self) -> str:
        files = (path for path in self.folder.iterdir() if path.is_file())
        return "".join(
            path.read_text() for path in sorted(files, key=lambda p: p.stat().st_mtime_ns)
        )

    def until(self, is_so: Callable[[], bool], timeout_s: float = 120) -> None:
        deadline = time.monotonic() + timeout_s
        while not is_so():
            if time.monotonic() > deadline:
                raise AssertionError(self.printed())
            time.sleep(0.1)

    def epochs(self) -> int:
        return text_in(self.runs, b'"event":"epoch"')

    def folders(self) -> list[Path]:
        return [path.parent for path in journals_in(self.runs)]

    def rank_0(self) -> int:
        (path,) = self.runs.glob(".*/*/verdict.pid")
        return int(path.read_text())


class GridEngine(System):
    script = "batch/gridengine.sh"

    def __init__(self, folder: Path, cell: Cell) -> None:
        super().__init__(folder, cell.environment())

    def submit(self, ranks: int, wall_s: int, *words: str, array: int = 0, **variables: str) -> str:
        out = self.folder / f"{len(list(self.folder.iterdir()))}.out"
        options = ["-o", str(out), "-pe", "mpi", str(ranks), "-l", f"h_rt={wall_s}"]
        options += ["-t", f"1-{array}"] if array else []
        said = self.run("qsub", "-terse", *options, self.script, *words, **variables)
        return said.strip().partition(".")[0]

    def is_queued(self) -> bool:
        return bool(self.run("qstat").strip())

    def pause(self, job: str) -> None:
        """qmod cannot send a signal of choice: it goes to the job's script, as s_rt's goes to all."""
        place = (
            Path(self.variables["SGE_ROOT"]) / "execd" / "localhost" / "active_jobs" / f"{job}.1"
        )
        os.kill(int((place / "job_pid").read_text()), 10)


class Pbs(System):
    """The stand-in."""

    script = "batch/pbs.sh"

    def __init__(self, folder: Path, pbs: StandIn) -> None:
        super().__init__(folder, pbs.environment())
        self._pbs = pbs

    def submit(self, ranks: int, wall_s: int, *words: str, array: int = 0, **variables: str) -> str:
        options = ["-l", f"select=1:ncpus={ranks}:mpiprocs={ranks}", "-l", f"walltime={wall_s}"]
        options += ["-J", f"0-{array - 1}"] if array else []
        given = {"SUITE_WORDS": " ".join(f"'{word}'" for word in words), **variables}
        # From there, because there it prints.
        said = self.run("qsub", *options, str(ROOT / self.script), cwd=self.folder, **given)
        return re.sub(r"\W.*", "", said.strip())

    def is_queued(self) -> bool:
        return set(self._pbs.states()) != {"F"}

    def pause(self, job: str) -> None:
        self.run("qsig", "-s", "USR1", job)
