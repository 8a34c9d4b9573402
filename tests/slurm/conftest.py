"""The cluster for the tests marked `slurm`: real sbatch, waited for, with what the job printed."""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kit.mpi_runs import journals_in, text_in

ROOT = Path(__file__).resolve().parents[2]
RUNS = "experiments"  # not "runs": a path with "pe" in it once kept mpirun from starting


@dataclass
class Job:
    code: int
    out: str
    folders: list
    seconds: float


@dataclass
class Cluster:
    """submit(script, options, overrides, **environment): a job, from submission to its end."""

    folder: Path
    n: int = field(default=0)

    def environment(self, **variables):
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("SUITE_", "SLURM_"))}
        return keep | {"SUITE_SITE": "local", "SUITE_RUNS": str(self.folder / RUNS)} | variables

    def start(self, script, options, overrides, **variables):
        """The job's id and the file it prints to."""
        self.n += 1
        out = self.folder / f"job{self.n}.out"
        command = ["sbatch", "--parsable", f"--output={out}", *options, f"slurm/{script}"]
        done = subprocess.run(
            [*command, *overrides], cwd=ROOT, env=self.environment(**variables),
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().split(";")[0], out

    def wait(self, job, out, timeout=240):
        """Exit code and output of a job that has left the queue for good."""
        start = time.monotonic()
        while time.monotonic() - start < timeout:
            shown = subprocess.run(
                ["scontrol", "show", "job", job], capture_output=True, text=True
            ).stdout
            words = dict(w.split("=", 1) for w in shown.split() if "=" in w)
            if words.get("JobState") in (
                "COMPLETED",
                "FAILED",
                "TIMEOUT",
                "CANCELLED",
                "NODE_FAIL",
            ):
                code = int(words["ExitCode"].split(":")[0])
                folders = [path.parent for path in journals_in(self.folder / RUNS)]
                return Job(code, out.read_text(), folders, time.monotonic() - start)
            time.sleep(0.3)
        subprocess.run(["scancel", job])
        raise AssertionError(f"job {job} did not end in {timeout} s:\n{out.read_text()[-3000:]}")

    def until_epochs(self, job, out, n, timeout=60):
        """Wait until the runs of this cluster have reported n epochs (an epoch is two words or more)."""
        deadline = time.monotonic() + timeout
        while True:
            if self.words() >= n:
                return
            if time.monotonic() > deadline:
                subprocess.run(["scancel", job])
                raise AssertionError(out.read_text() if out.exists() else "never started")
            time.sleep(0.1)

    def words(self):
        return text_in(self.folder / RUNS, b'"epoch"')

    def submit(self, script, options, overrides, **variables):
        return self.wait(*self.start(script, options, overrides, **variables))


@pytest.fixture
def cluster(tmp_path):
    up = (
        shutil.which("sinfo")
        and subprocess.run(
            ["sinfo", "-h", "-N", "-n", "n1,n2,n3,n4", "-o", "%T"], capture_output=True, text=True
        ).stdout.split()
    )
    if not up or len(up) < 4 or any(state.startswith(("down", "drain")) for state in up):
        said = f"nodes n1..n4={up or 'no Slurm'}: must be four nodes that are up; start the cluster"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    tmp_path.chmod(0o755)
    return Cluster(tmp_path)
