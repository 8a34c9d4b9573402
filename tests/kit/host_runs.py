"""Runs of the suite over test hosts (kit.hosts): rank 0 on n1, the workers on the others."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kit.hosts import Cluster, Host
from kit.mpi_runs import Launch, command, curves, environment, journals_in
from suite.run import journal as journals

# Of PRRTE's daemons, so that a test need not wait for Open MPI's 300 + 9 * 20 s.
KEEPALIVE = {
    "PRTE_MCA_oob_tcp_keepalive_time": "5",
    "PRTE_MCA_oob_tcp_keepalive_intvl": "1",
    "PRTE_MCA_oob_tcp_keepalive_probes": "5",
}
# What mpirun hands to ranks on other hosts only where it is told to.
HANDED_ON = ("SUITE_", "PYTHON", "OMP_", "MLFLOW_")


class HostLaunch(Launch):
    """mpirun on host number `first`, its ranks on the hosts by `slots`: host -> ranks; rank 0 comes first.

    extra: variables of mpirun and all ranks. prefix: words before `python -m suite` on every host.
    """

    # Longer than suite.backends.mpi.last_resort waits.
    lost_s = 90.0

    def __init__(
        self, cluster: Cluster, *overrides: str, slots: dict[str, int] | None = None,
        runs: Path | None = None, prefix: Sequence[str] = (), first: int = 0, **extra: str,
    ) -> None:  # fmt: skip
        self.cluster, self._prefix, self._first = cluster, list(prefix), cluster.hosts[first]
        self._slots = slots or {host.name: 1 for host in cluster.hosts}
        self._extra = cluster.environment() | extra
        self.was_ended = False
        super().__init__(
            sum(self._slots.values()), *overrides, runs=runs or cluster.folder / "runs",
            **self._extra,
        )  # fmt: skip

    def line(self, ranks: int, *overrides: str) -> list[str]:
        names = [*environment(self.runs), *self._extra, "SUITE_LAUNCH"]
        handed = [w for n in dict.fromkeys(names) if n.startswith(HANDED_ON) for w in ("-x", n)]
        suite = command(0, *overrides)
        hosts = ",".join(f"{name}:{n}" for name, n in self._slots.items())
        mpirun = ["mpirun", "--with-ft", "ulfm", "--host", hosts, "--map-by", "slot"]
        words = [*mpirun, "--bind-to", "none", "-n", str(ranks), *handed, *self._prefix, *suite]
        return self._first.words(*words, folder=self.runs.parent)

    def _rank_0_is_lost(self) -> bool:
        """Rank 0 has ended, or is lost, and mpirun stands still."""
        return "0" not in self.processes().values()

    def _end(self) -> None:
        """End mpirun, as slurm/run.sbatch does: TERM, then KILL. Its daemons find out by themselves."""
        self.was_ended = True
        mine = self._first.processes()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in (pid for pid in self.processes() if pid in mine):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
                return
        self.process.kill()
        self.process.wait()

    def kill(self, rank: int, number: int = signal.SIGKILL) -> int:
        """A signal to that rank. 1 if it ran."""
        victims = [pid for pid, one in self.processes().items() if one == str(rank)]
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return int(bool(victims))

    def n_epochs(self) -> int:
        """Epochs in the journal, as far as a reader from outside sees them."""
        n = 0
        for path in journals_in(self.runs):
            for line in path.read_bytes().splitlines():
                if line.startswith(b'{"event":"epoch"'):
                    n += line.split(b'"epoch":', 1)[1].split(b'"objective"')[0].count(b",")
        return n

    def outlived_s(self) -> float:
        """How long mpirun has run after rank 0's end, at its own end."""
        return time.time() - self._verdict.stat().st_mtime if self._verdict.exists() else 0.0

    @property
    def folder(self) -> Path:
        return journals_in(self.runs)[0].parent

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """The journal's lines so far, those of one event."""
        if not (found := journals_in(self.runs)):
            return []
        return [line for line in journals.read(found[0])[1] if name in ("", line["event"])]


def orphans(hosts: Sequence[Host], within_s: float) -> tuple[int, float]:
    """Processes that are left on the hosts after so many seconds at most; when none was left, s.

    What is left is printed.
    """
    start = time.monotonic()
    while left := [(host.name, pid) for host in hosts for pid in host.processes()]:
        if time.monotonic() - start > within_s:
            print(*(f"left on {name}: {_told(pid)}" for name, pid in left), sep="\n", flush=True)
            break
        time.sleep(0.1)
    return len(left), time.monotonic() - start


def _told(pid: int) -> str:
    """Its number, its parent's, its age in seconds and its command line."""
    words = ["ps", "-o", "pid,ppid,etimes,args", "--no-headers", "-ww", "-p", str(pid)]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip() or f"{pid}, gone"


def wait(reached: Callable[[], object], within_s: float = 120.0) -> float:
    """Seconds until `reached()`. Raises AssertionError where that takes longer than `within_s`."""
    start = time.monotonic()
    while not reached():
        if time.monotonic() - start > within_s:
            raise AssertionError(f"not within {within_s:g} s")
        time.sleep(0.05)
    return time.monotonic() - start


def decided(folder: Path) -> dict[str, Any]:
    """Curves, winner, trials given up and stopped: what must be equal."""
    lines = journals.read(folder / journals.NAME)[1]
    stopped = {k: v for line in lines for k, v in line.get("stopped", {}).items()}
    return curves(folder) | {"stopped": stopped}
