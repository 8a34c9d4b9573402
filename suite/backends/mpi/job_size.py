"""A Slurm job gives back the nodes of which every worker was released (backend.shrink_job)."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from suite.core.printable import printable

_TIMEOUT_S = 30.0
# From the word to leave to the end of the node: MPI's end on that side, which nobody can see from here.
_LEAVE_S = 10.0
# Slurm takes no second change of a job while it still books the first: "try again in a bit".
_AGAIN, _AGAIN_S, _TRIES = "try again", 2.0, 15


class JobSize:
    """Asks Slurm to take a node out of this job when all ranks on it are released; never rank 0's.

    job: Slurm's number; empty: outside of one, nothing is asked. hosts: rank -> node name, of all ranks,
    rank 0's too. why_not: why this launcher would not outlive a node; then nothing is asked, and that is said
    once. scontrol runs beside the search; where it fails, that is said once on stderr, and nothing more is
    asked. Slurm ends the processes on a node that leaves, so their MPI must have ended before: `ask` waits
    for that. Source: scontrol(1), `update JobId=... NodeList=...` of a running job relinquishes the other
    nodes. Tried with Slurm 22.05 and Open MPI 5.0.
    """

    def __init__(
        self,
        job: str,
        hosts: Mapping[int, str],
        why_not: str = "",
        run: Callable[..., Any] = subprocess.run,
        leave_s: float = _LEAVE_S,
    ) -> None:
        self._job, self._run, self._why_not, self._leave_s = job, run, why_not, leave_s
        # Ranks that are needed; those that are not, and whose node stays for another rank.
        self._left = dict(hosts)
        self._idle: dict[int, str] = {}
        self._is_refused = not job
        # What the thread is to ask, once the latest ranks have had time to leave.
        self._wanted: list[str] = []
        self._since_s = 0.0
        self._asking: threading.Thread | None = None
        self._lock = threading.Lock()

    def released(self, ranks: Iterable[int]) -> list[int]:
        """These are not needed any more. All ranks of the nodes that can go now: they must leave MPI."""
        gone = {rank: self._left.pop(rank) for rank in ranks if rank in self._left}
        self._idle |= gone
        free = set(gone.values()) - set(self._left.values())
        if self._is_refused or not free:
            return []
        if self._why_not:
            self._refuse(self._why_not)
            return []
        return [rank for rank, host in self._idle.items() if host in free]

    def ask(self) -> threading.Thread:
        """After the ranks of `released` were told to leave. The thread that asks Slurm: once for all that
        leave within some seconds of each other.
        """
        with self._lock:
            self._wanted = [*dict.fromkeys(self._left.values())]
            self._since_s = time.monotonic()
            if self._asking is None:
                self._asking = threading.Thread(target=self._ask, daemon=True)
                self._asking.start()
            return self._asking

    def _ask(self) -> None:
        tries = 0
        while True:
            with self._lock:
                wait_s = self._since_s + self._leave_s - time.monotonic()
                nodes = self._wanted
            if wait_s > 0:
                time.sleep(wait_s)
                continue
            why, tries = self._update(nodes), tries + 1
            if _AGAIN in why and tries < _TRIES:
                time.sleep(_AGAIN_S)
                continue
            if why:
                self._refuse(f"scontrol update: {why}")
            with self._lock:
                if self._is_refused or self._wanted == nodes:
                    self._asking = None
                    return
            tries = 0

    def _update(self, nodes: Sequence[str]) -> str:
        """Why Slurm did not take the other nodes out of the job; empty: it did."""
        words = ["scontrol", "update", f"JobId={self._job}", f"NodeList={','.join(nodes)}"]
        try:
            # In a folder of its own: it leaves scripts that nobody needs where it runs.
            with tempfile.TemporaryDirectory() as folder:
                done = self._run(
                    words, capture_output=True, text=True, timeout=_TIMEOUT_S, cwd=folder
                )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{type(error).__name__}: {error}"
        return (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else ""

    def _refuse(self, why: str) -> None:
        self._is_refused = True
        said = f"suite: the job keeps its nodes: {why}"
        print(printable(said, most=300), file=sys.stderr, flush=True)
