"""A Slurm job gives back the nodes of which every worker was released (backend.shrink_job)."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from suite.core.printable import printable

_TIMEOUT_S = 30.0


class JobSize:
    """Asks Slurm to take a node out of this job when all ranks on it are released; never rank 0's.

    job: Slurm's number; empty: outside of one, nothing is asked. hosts: rank -> node name, of all ranks,
    rank 0's too. scontrol runs beside the search; where it fails, that is said once on stderr, and nothing
    more is asked. Slurm ends the processes on a node that leaves: a launcher that takes a lost node for the
    end of all (mpirun without --with-ft ulfm) would end the run. So this is for sites where it was tried.
    Source: scontrol(1), `update JobId=... NodeList=...` of a running job relinquishes the other nodes.
    """

    def __init__(
        self, job: str, hosts: Mapping[int, str], run: Callable[..., Any] = subprocess.run
    ) -> None:
        self._job, self._run = job, run
        self._left = dict(hosts)
        self._own = hosts.get(0)
        self._is_refused = not job
        self._lock = threading.Lock()

    def released(self, ranks: Iterable[int]) -> threading.Thread | None:
        """These are not needed any more. The thread that asks Slurm, if a node can go; None: none can."""
        gone = {self._left.pop(rank) for rank in ranks if rank in self._left}
        there = [*dict.fromkeys(self._left.values())]
        if self._is_refused or gone <= set(there) or self._own not in there:
            return None
        asking = threading.Thread(target=self._ask, args=(there,), daemon=True)
        asking.start()
        return asking

    def _ask(self, nodes: Sequence[str]) -> None:
        words = ["scontrol", "update", f"JobId={self._job}", f"NodeList={','.join(nodes)}"]
        with self._lock:
            if self._is_refused:
                return
            try:
                done = self._run(words, capture_output=True, text=True, timeout=_TIMEOUT_S)
                why = done.stderr.strip() if done.returncode else ""
                self._is_refused = bool(done.returncode)
            except (OSError, subprocess.TimeoutExpired) as error:
                why, self._is_refused = f"{type(error).__name__}: {error}", True
        if self._is_refused:
            print(
                printable(f"suite: the job keeps its nodes: scontrol update: {why}", most=300),
                file=sys.stderr, flush=True,
            )  # fmt: skip
