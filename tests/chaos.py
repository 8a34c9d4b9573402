"""Chaos: runs that lose workers, rank 0 or their job at random moments, against undisturbed ones.

    python tests/chaos.py                       all of it, over half an hour on two idle cores
    python tests/chaos.py --workers 3 --rank0 1 --seed 7

    --workers N   runs in which one or two of four workers get SIGKILL at random moments
    --rank0 N     runs in which rank 0 gets SIGKILL and the same line is submitted again
    --requeue N   Slurm jobs (slurm/run.sbatch) that `scontrol requeue` sends back
    --limit N     Slurm jobs whose time limit is shorter than their run

Each run is one of hyperband, swift_svr (overlap=false), successive_halving; on digits_cnn (real
images, real checkpoints). Every run must end, with the winner, the curves and the trials stopped of
the undisturbed inline run; epochs trained twice are counted. A line a run, then a summary; exit
code 1 if any differs. All random choices come from --seed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from kit.mpi_runs import curves, environment  # noqa: E402
from suite.run import journal as journals  # noqa: E402

ALGORITHMS = ("hyperband", "swift_svr", "successive_halving")
SETTINGS = ("model=digits_cnn", "overlap=false", "resume=auto", "max_attempts=9")
QUIET = ("tracking=later", "report=false", "backend.checkpoint_every_s=0.5")
TIMEOUT_S = 180.0  # a launch whose journal has not grown for so long hangs; a slow machine does not


@dataclass
class Ended:
    """One disturbed run. launches: how often it was submitted; seconds: all of them together."""

    kind: str
    algorithm: str
    seed: int
    launches: int
    kills: int
    seconds: float
    lost: int
    retrained: int
    differences: int
    why: str

    def line(self) -> str:
        how = f"{self.launches} launches, {self.kills} kills, {self.lost} workers lost"
        twice = f"{self.retrained} epochs trained twice, {self.differences} of them differently"
        verdict = self.why or "equal"
        return (
            f"{self.kind:8s} {self.algorithm:18s} seed {self.seed}: {verdict}; {how}; {twice}; "
            f"{self.seconds:.1f} s"
        )


class Chaos:
    def __init__(self, seed: int, folder: Path, ranks: int = 5, max_epochs: int = 27) -> None:
        self.max_epochs = max_epochs
        self.rng, self.folder, self.ranks = random.Random(seed), folder, ranks
        self._whole: dict[tuple[str, int, int], Any] = {}
        self._n = 0

    def undisturbed(self, algorithm: str, seed: int) -> Any:
        if (algorithm, seed, self.max_epochs) not in self._whole:
            stamp = f"{algorithm}-{seed}-{self.max_epochs}"
            env = environment(self.folder / "whole") | {"SUITE_STAMP": stamp}
            line = self.command(algorithm, seed, ranks=0)
            subprocess.run(line, env=env, cwd=self.folder, check=True, capture_output=True)
            (found,) = (self.folder / "whole").rglob(f"*/{stamp}/*/{journals.NAME}")
            self._whole[algorithm, seed, self.max_epochs] = decided(found.parent)
        return self._whole[algorithm, seed, self.max_epochs]

    def command(self, algorithm: str, seed: int, ranks: int) -> list[str]:
        suite = [sys.executable, "-m", "suite", f"algorithm={algorithm}", f"seed={seed}"]
        mpirun = ["mpirun", "--with-ft", "ulfm", "--oversubscribe", "-n", str(ranks)]
        suite.append(f"max_epochs={self.max_epochs}")
        return [*(mpirun if ranks else []), *suite, *SETTINGS, *QUIET]

    def pick(self) -> tuple[str, int, str, Path]:
        """Algorithm, seed, a name for the run, and where its runs lie."""
        self._n += 1
        algorithm, seed = ALGORITHMS[self._n % len(ALGORITHMS)], self.rng.randrange(3)
        return algorithm, seed, f"chaos{self._n}", self.folder / f"{self._n}" / "runs"

    def workers(self) -> Ended:
        """Kill one or two of the workers, each when a random share of the epochs is there."""
        algorithm, seed, name, runs = self.pick()
        whole = self.undisturbed(algorithm, seed)
        n_epochs = sum(len(curve) for curve in whole["curves"].values())
        victims = self.rng.sample(range(1, self.ranks), self.rng.choice((1, 2)))
        moments = sorted(self.rng.uniform(0.05, 0.9) for _ in victims)
        plan = [(victim, int(at * n_epochs)) for victim, at in zip(victims, moments, strict=True)]
        return self._launched("workers", algorithm, seed, name, runs, [plan])

    def rank0(self) -> Ended:
        """Kill rank 0 once or twice, and submit again."""
        algorithm, seed, name, runs = self.pick()
        whole = self.undisturbed(algorithm, seed)
        n_epochs = sum(len(curve) for curve in whole["curves"].values())
        moments = sorted(self.rng.uniform(0.05, 0.9) for _ in range(self.rng.choice((1, 2))))
        plans = [[(0, int(at * n_epochs))] for at in moments]
        return self._launched("rank0", algorithm, seed, name, runs, [*plans, []])

    def requeue(self) -> Ended:
        """Send a Slurm job back once or twice: Slurm kills all of it and starts it again."""
        algorithm, seed, _, runs = self.pick()
        whole = self.undisturbed(algorithm, seed)
        n_epochs = sum(len(curve) for curve in whole["curves"].values())
        moments = sorted(self.rng.uniform(0.1, 0.8) for _ in range(self.rng.choice((1, 2))))
        start = time.monotonic()
        job = self.submit(algorithm, seed, runs, "--time=10")
        sent = 0
        for at in moments:
            while running(job) and n_reported(runs) < at * n_epochs:
                time.sleep(0.1)
            sent += _scontrol("requeue", job)
            time.sleep(3)  # it is no longer running, not yet pending
        why = over(job)
        return self.judged("requeue", algorithm, seed, runs, 1 + sent, 0, start, why)

    def limit(self) -> Ended:
        """A job shorter than its run: it pauses, requeues itself and goes on.

        Slurm counts limits in whole minutes: successive halving is over before.
        """
        algorithm, seed, _, runs = self.pick()
        while algorithm == "successive_halving":
            algorithm, seed, _, runs = self.pick()
        self.max_epochs, before = 81, self.max_epochs
        try:
            self.undisturbed(algorithm, seed)
            start = time.monotonic()
            options = ("--time=2", "--signal=B:USR1@30")
            job = self.submit(algorithm, seed, runs, *options, more=("backend.pause_before_s=25",))
            why = over(job)
            n = (runs.parent / "out").read_text().count("requeued, continues")
            why = why or ("" if n else "it was not cut: too fast for its limit")
            return self.judged("limit", algorithm, seed, runs, 1 + n, 0, start, why)
        finally:
            self.max_epochs = before

    def submit(
        self, algorithm: str, seed: int, runs: Path, *options: str, more: tuple[str, ...] = ()
    ) -> str:
        """A job on four nodes by slurm/run.sbatch; its id."""
        runs.mkdir(parents=True)
        suite = self.command(algorithm, seed, ranks=0)[3:]
        line = ["sbatch", "--parsable", "--nodes=4", "--ntasks-per-node=2", "--gres=gpu:1"]
        line += [f"--output={runs.parent / 'out'}", *options, "slurm/run.sbatch", *suite, *more]
        line.append("backend.device=cpu")  # the GPUs of a test cluster are none
        env = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SUITE_"))}
        env |= {"SUITE_SITE": os.environ.get("SUITE_SITE", "local"), "SUITE_RUNS": str(runs)}
        done = subprocess.run(line, env=env, cwd=ROOT, check=True, capture_output=True, text=True)
        return done.stdout.strip().split(";")[0]

    def _launched(
        self, kind: str, algorithm: str, seed: int, name: str, runs: Path,
        plans: list[list[tuple[int, int]]],
    ) -> Ended:  # fmt: skip
        """One launch a plan, each a list of (rank, epochs after which it is killed)."""
        runs.parent.mkdir(parents=True)
        env = environment(runs) | {"SUITE_STAMP": "one", "SUITE_CHAOS": name}
        start, kills, why = time.monotonic(), 0, ""
        for plan in plans:
            Path(env["SUITE_VERDICT"]).unlink(missing_ok=True)
            with open(runs.parent / "out", "a") as out:
                process = subprocess.Popen(
                    self.command(algorithm, seed, self.ranks), env=env, cwd=runs.parent,
                    stdout=out, stderr=out,
                )  # fmt: skip
                try:
                    for victim, after in plan:
                        _watch(process, runs, after)
                        kills += kill(name, victim)
                    _watch(process, runs)
                except subprocess.TimeoutExpired:
                    why = f"hung: nothing new in the journal for {TIMEOUT_S:g} s"
                    process.kill()
                    process.wait()
        return self.judged(kind, algorithm, seed, runs, len(plans), kills, start, why)

    def judged(
        self, kind: str, algorithm: str, seed: int, runs: Path, launches: int, kills: int,
        start: float, why: str = "",
    ) -> Ended:  # fmt: skip
        seconds = time.monotonic() - start
        found = list(runs.glob(f"*/*/*/{journals.NAME}"))
        if len(found) != 1:
            why = why or f"{len(found)} journals"
            return Ended(kind, algorithm, seed, launches, kills, seconds, 0, 0, 0, why)
        folder = found[0].parent
        last = journals.read(found[0])[1][-1]
        lost = sum(line["event"] == "lost" for line in journals.read(found[0])[1])
        if (last["event"], last.get("status")) != ("closed", "completed"):
            why = why or f"not completed: {json.dumps(last)[:200]}"
        mine, whole = decided(folder), self.undisturbed(algorithm, seed)
        if not why:
            why = next((f"{key} differ" for key in whole if mine[key] != whole[key]), "")
        twice = json.loads((folder / "record.json").read_text())["epochs"] if not why else {}
        retrained = int(twice.get("retrained", {}).get("value", 0))
        differences = int(twice.get("differing", {}).get("value", 0))
        return Ended(
            kind, algorithm, seed, launches, kills, seconds, lost, retrained, differences, why
        )


def decided(folder: Path) -> dict[str, Any]:
    """Curves, winner, trials given up, and trials stopped: what must be equal."""
    lines = journals.read(folder / journals.NAME)[1]
    stopped = {k: v for line in lines for k, v in line.get("stopped", {}).items()}
    return curves(folder) | {"stopped": stopped}


def _scontrol(*words: str) -> int:
    return int(subprocess.run(["scontrol", *words], capture_output=True).returncode == 0)


def _state(job: str) -> str:
    done = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True)
    return next((w[9:] for w in done.stdout.split() if w.startswith("JobState=")), "GONE")


def running(job: str) -> bool:
    return _state(job) in ("PENDING", "RUNNING", "COMPLETING", "REQUEUED", "CONFIGURING")


def over(job: str) -> str:
    """Wait for the job's end; why that was none, or nothing."""
    deadline = time.monotonic() + 4 * TIMEOUT_S
    while time.monotonic() < deadline:
        if not running(job):
            time.sleep(2)  # a job that requeues itself shows its end for a moment
            if not running(job):
                state = _state(job)
                return "" if state == "COMPLETED" else f"the job ended as {state}"
        time.sleep(0.5)
    subprocess.run(["scancel", job])
    return f"hung: not over within {4 * TIMEOUT_S:g} s"


def _watch(process: subprocess.Popen[bytes], runs: Path, after: float = math.inf) -> None:
    """Until so many epochs are reported, or the process's end. Raises TimeoutExpired (it hangs)."""
    seen, since = -1, time.monotonic()
    while process.poll() is None and (n := n_reported(runs)) < after:
        if n > seen:
            seen, since = n, time.monotonic()
        if time.monotonic() - since > TIMEOUT_S:
            raise subprocess.TimeoutExpired("mpirun", TIMEOUT_S)
        time.sleep(0.02 if after < math.inf else 0.2)


def n_reported(runs: Path) -> int:
    """Epochs in the journal, as far as a reader from outside sees them."""
    n = 0
    for path in runs.glob(f"*/*/*/{journals.NAME}"):
        for line in path.read_bytes().splitlines():
            if line.startswith(b'{"event":"epoch"'):
                n += line.split(b'"epoch":', 1)[1].split(b'"objective"')[0].count(b",")
    return n


def kill(name: str, rank: int) -> int:
    """SIGKILL that rank of the run: found by its environment. 1 if there was such a process."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        wanted = (f"SUITE_CHAOS={name}", f"OMPI_COMM_WORLD_RANK={rank}")
        if all(text.encode() in variables for text in wanted):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"suite" in words and b"python" in Path(words[0].decode()).name.encode():
                os.kill(int(entry.name), signal.SIGKILL)
                return 1
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--rank0", type=int, default=None)
    parser.add_argument("--requeue", type=int, default=None)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--folder", type=Path, help="shared by the nodes")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    full = {"workers": 20, "rank0": 10, "requeue": 5, "limit": 5}
    counts = {kind: getattr(given, kind) for kind in full}
    if all(n is None for n in counts.values()):
        counts = full
    ended: list[Ended] = []
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        chaos = Chaos(given.seed, Path(folder))
        for kind, n in counts.items():
            for _ in range(n or 0):
                ended.append(getattr(chaos, kind)())
                print(ended[-1].line(), flush=True)
    for kind in counts:
        some = [x for x in ended if x.kind == kind]
        if some:
            equal = sum(not x.why for x in some)
            middle = statistics.median(x.seconds for x in some)
            print(
                f"{kind}: {equal} of {len(some)} equal to the undisturbed run; "
                f"{sum(x.kills for x in some)} kills, {sum(x.lost for x in some)} workers lost, "
                f"{sum(x.retrained for x in some)} epochs trained twice; median {middle:.1f} s"
            )
    sys.exit(any(x.why for x in ended))


if __name__ == "__main__":
    main()
