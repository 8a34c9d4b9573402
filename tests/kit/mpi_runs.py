"""Real mpirun for the tests of this folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kit.driving import compose
from suite.core.run_settings import RunSettings
from suite.launch.assemble import assemble
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
    if any("=fault_" in override for override in overrides):
        flags += ["--config-dir", f"{PLUGINS}/conf"]
    # A later override of a key takes the place of an earlier one.
    last = {o.partition("=")[0]: o for o in overrides if not o.startswith("-")}
    return [
        *start,
        *flags,
        "tracking=later",
        "report=false",
        *last.values(),
    ]


STILL_S = 300.0
"""A launch of which neither its output nor a journal grows for so long hangs; a slow machine does not."""
LOST_S = 60.0
"""After rank 0 is lost mpirun may stand still so long, as in slurm/common.sh."""


def journals_in(runs: Path) -> list[Path]:
    """The journals below a folder in which runs write and tidy meanwhile, in order."""
    found = []
    for folder, folders, names in os.walk(runs):
        if journals.NAME in names:
            found.append(Path(folder) / journals.NAME)
            folders.clear()
    return sorted(found)


def text_in(runs: Path, text: bytes) -> int:
    """How often the journals hold the text."""
    return sum(path.read_bytes().count(text) for path in journals_in(runs))


class Launch:
    """A started command, its output in a file. It is waited for as long as it makes progress.

    runs: the folder in which its journals grow. extra: variables over those of `environment`.
    """

    lost_s, still_s = LOST_S, STILL_S

    def __init__(self, ranks: int, *overrides: str, runs: Path, **extra: str) -> None:
        self.runs = runs
        runs.parent.mkdir(parents=True, exist_ok=True)
        self._verdict = runs.parent / "verdict"
        self._verdict.unlink(missing_ok=True)
        self._verdict.with_name("verdict.pid").unlink(missing_ok=True)
        mark = {"SUITE_LAUNCH": uuid.uuid4().hex}
        self._mark = "SUITE_LAUNCH=" + mark["SUITE_LAUNCH"]
        n = len(list(runs.parent.glob("out-*")))
        self._out = runs.parent / f"out-{n}"
        with open(self._out, "wb") as out:
            self.process = subprocess.Popen(
                self.line(ranks, *overrides), env=environment(runs) | extra | mark, cwd=runs.parent,
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def line(self, ranks: int, *overrides: str) -> list[str]:
        """What is started."""
        return command(ranks, *overrides)

    def until(self, reached: Callable[[], object] = lambda: False) -> str:
        """Wait until `reached()` is true, or for the end; the output so far.

        Raises AssertionError where nothing grows any more.
        """
        grown, since = -1, time.monotonic()
        while self.process.poll() is None and not reached():
            if (size := self._size()) != grown:
                grown, since = size, time.monotonic()
            still_s = time.monotonic() - since
            if still_s > self.lost_s and self._rank_0_is_lost():
                # Open MPI 5.0.11's mpirun itself hangs after 1 of 80 losses of rank 0 or so.
                self._end()
                break
            if still_s > self.still_s:
                self._end()
                raise AssertionError(f"hangs: nothing new for {self.still_s:g} s\n{self.out}")
            time.sleep(0.02)
        return self.out

    def processes(self) -> dict[int, str]:
        """PID of each of its processes -> its rank, as text; mpirun's is "-"."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                variables = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if self._mark in variables:
                names = ("OMPI_COMM_WORLD_RANK=", "PMI_RANK=")
                ranks = [v.partition("=")[2] for v in variables if v.startswith(names)]
                found[int(entry.name)] = ranks[0] if ranks else "-"
        return found

    @property
    def out(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def code(self) -> int:
        """Rank 0's exit code: mpirun may pass on a lost worker's status."""
        return int(self._verdict.read_text()) if self._verdict.exists() else self.process.poll()

    def _rank_0_is_lost(self) -> bool:
        """Whether the process that said that it is rank 0 has gone without a verdict."""
        said = self._verdict.with_name(f"{self._verdict.name}.pid")
        if self._verdict.exists() or not said.exists():
            return False
        status = Path(f"/proc/{said.read_text().strip()}/status")
        return not status.exists() or "\nState:\tZ" in status.read_text()

    def _size(self) -> int:
        return sum(p.stat().st_size for p in (self._out, *journals_in(self.runs)))

    def _end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Launcher:
    """launcher(ranks, *overrides): run the suite on that many MPI ranks (0: inline); returns how it
    ended.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, ranks: int, *overrides: str) -> Done:
        runs = self.folder / "runs"
        before = set(journals_in(runs))
        start = time.monotonic()
        launch = Launch(ranks, *overrides, runs=runs)
        out = launch.until()
        new = sorted(set(journals_in(runs)) - before)
        folder = new[0].parent if new else None
        return Done(launch.code, out, folder, time.monotonic() - start)


def curves(folder: Path) -> dict:
    """trial_id -> curve as the fold has it, and the winner: what must not depend on who trained."""
    header, lines, _ = journals.read(folder / journals.NAME)
    # A journal does not keep every setting. Groups of ranks are refused outside the launch.
    backend = {**header["config"]["backend"], "ranks_per_trial": 1}
    parts = assemble(RunSettings.of({**compose(), **header["config"], "backend": backend}))
    driver = Driver(parts.conductor, None)
    driver.replay(lines)
    return {
        "winner": parts.conductor.winner,
        "curves": {i: trial.curve for i, trial in parts.conductor.trials.items()},
        "given_up": {i: str(why) for i, why in parts.conductor.given_up.items()},
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
