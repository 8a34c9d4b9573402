"""Rank 0's view of the other ranks, and the one World of a process.

What ends a worker: ULFM sees death by signal; a process of this node that exits is seen by its pid;
a worker that raises says so and then kills itself (mpirun does not report an exit); one that hangs
is found by report_timeout_s.
Source: Bland et al. 2013 (User Level Failure Mitigation); MPI 5.0 has it in a chapter of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from suite.backends import groups
from suite.core.errors import ConfigError, StoppedError

TAG = 7
LOOK_EVERY_S = 0.05  # how often ULFM is asked for failures
PIDS_EVERY_S = 0.5  # how often this node's processes are looked for


class World:
    """Rank 0's view of the other ranks, for the life of the process: who lives, where, and what
    they said.
    """

    def __init__(self) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self._comm = MPI.COMM_WORLD
        self._comm.Set_errhandler(MPI.ERRORS_RETURN)  # errors become exceptions, not aborts
        self._requests: list[Any] = []
        self._looked = self._counted = 0.0
        self._acked = 0
        self.size: int = self._comm.Get_size()
        self.alive: set[int] = set(range(1, self.size))
        self.places: dict[
            int, tuple[str, int]
        ] = {}  # worker -> (host, pid), never written anywhere
        self.lost: dict[int, str] = {}  # worker -> why, not yet told to a run
        self.hung: set[int] = set()
        self.framework: str | None = None
        self.groups: dict[int, tuple[int, ...]] = {}  # leader -> its ranks, formed once
        self.ranks_per_trial: int | None = None
        self._greet()

    def _greet(self) -> None:
        """Every rank says where it is; only then can rank 0 give out devices."""
        deadline = time.monotonic() + 300
        while len(self.places) + self.size - 1 - len(self.alive) < self.size - 1:
            for rank, message in self.poll():
                if message[0] == "hello":
                    self.places[rank] = message[2]
            if time.monotonic() > deadline:
                silent = sorted(self.alive - set(self.places))
                raise StoppedError(
                    f"ranks {silent} did not start within 300 s; see the launcher's messages."
                )
            time.sleep(1e-3)

    def local_index(self, rank: int) -> int:
        """Which worker of its node a rank is, 0, 1, ...: rank 0 takes no device."""
        host = self.places[rank][0]
        return sorted(r for r, (h, _) in self.places.items() if h == host).index(rank)

    def node(self, rank: int) -> str:
        """An opaque label of the rank's node: host names stay out of journals."""
        hosts = list(dict.fromkeys(self.places[r][0] for r in sorted(self.places)))
        return f"node{hosts.index(self.places[rank][0])}"

    def group(self, k: int) -> None:
        """Form groups of k, at the first run. Raises ConfigError where a later run differs."""
        if self.ranks_per_trial not in (None, k):
            raise ConfigError(
                f"backend.ranks_per_trial={k}: this launch has groups of {self.ranks_per_trial}; "
                "one number a launch. Start a second one."
            )
        if self.ranks_per_trial is None:
            self.groups = groups.form({r: host for r, (host, _) in self.places.items()}, k)
        self.ranks_per_trial = k

    def leader(self, rank: int) -> int | None:
        """The leader of the rank's group; None: idle."""
        return next((who for who, ranks in self.groups.items() if rank in ranks), None)

    def break_groups(self) -> dict[int, str]:
        """Groups that have lost a rank, (leader -> why); the others of them end, too."""
        found: dict[int, str] = {}
        for leader, ranks in list(self.groups.items()):
            if gone := [rank for rank in ranks if rank not in self.alive]:
                why = self.lost.get(gone[0], "died")
                found[leader] = why if len(ranks) == 1 else f"rank {gone[0]} of its group {why}"
                del self.groups[leader]
                for rank in set(ranks) & self.alive:
                    self.send(rank, ("broken", None, why))
                    if self.places[rank][0] == socket.gethostname():
                        self.give_up(rank, why)
                    else:
                        self._lose(rank, why)
        return found

    def send(self, rank: int, message: tuple[Any, ...]) -> None:
        """Never waits; a send to a dead rank shows up as its loss."""
        with contextlib.suppress(self._mpi.Exception):
            self._requests.append(self._comm.isend(message, dest=rank, tag=TAG))

    def poll(self) -> list[tuple[int, tuple[Any, ...]]]:
        """Messages that are here, oldest first, of living ranks; also looks after sends and
        failures.
        """
        found: list[tuple[int, tuple[Any, ...]]] = []
        status = self._mpi.Status()
        try:
            while len(found) < 256 and self._comm.Iprobe(
                source=self._mpi.ANY_SOURCE, tag=TAG, status=status
            ):
                rank = status.Get_source()
                message = self._comm.recv(source=rank, tag=TAG)
                if message[0] == "leaving":
                    self._lose(rank, message[2])
                elif rank in self.alive:
                    found.append((rank, message))
        except self._mpi.Exception:
            self._looked = (
                0.0  # with a failed rank, ANY_SOURCE raises until the failure is acknowledged
            )
        if self._requests:
            self._requests = [request for request in self._requests if not self._done(request)]
        if time.monotonic() - self._looked > LOOK_EVERY_S:
            self._look()
        return found

    def _done(self, request: Any) -> bool:
        try:
            return bool(request.test()[0])
        except self._mpi.Exception:
            return True

    def _look(self) -> None:
        """Failures that ULFM knows of, and processes of this node that are gone."""
        self._looked = time.monotonic()
        try:
            group = self._comm.Get_failed()
            if (n := group.Get_size()) > self._acked:
                self._acked = n
                self._comm.Ack_failed(n)
                world = self._comm.Get_group()
                for rank in self._mpi.Group.Translate_ranks(group, list(range(n)), world):
                    self._lose(rank, "died (seen by ULFM)")
        except (self._mpi.Exception, NotImplementedError):
            pass  # an MPI without ULFM ends the whole job when a rank dies
        if self._looked - self._counted < PIDS_EVERY_S:
            return
        self._counted = self._looked
        here = socket.gethostname()
        for rank in list(self.alive):
            host, pid = self.places.get(rank, ("", 0))
            if host == here and not _exists(pid):
                self._lose(rank, "exited (its process is gone)")

    def give_up(self, rank: int, why: str) -> None:
        """A rank that is silent: treated as dead, and killed where that is possible."""
        host, pid = self.places[rank]
        if host == socket.gethostname():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        else:
            self.hung.add(rank)
        self._lose(rank, why)

    def _lose(self, rank: int, why: str) -> None:
        if rank in self.alive:
            self.alive.discard(rank)
            self.lost[rank] = why

    def exit(self, code: int) -> None:
        """Let every worker go and leave.

        Finalize only where nobody was lost: with a dead rank it may hang.
        """
        whole = len(self.alive) == self.size - 1
        for rank in sorted(self.alive):
            self.send(rank, ("exit", None, whole))
        deadline = time.monotonic() + 5.0
        while self._requests and time.monotonic() < deadline:
            self.poll()
            time.sleep(1e-3)
        sys.stdout.flush()
        sys.stderr.flush()
        if self.hung:  # a stopped process on another node would keep mpirun waiting for ever
            self._comm.Abort(code)
        if whole:
            self._mpi.Finalize()
        os._exit(code)


def _exists(pid: int) -> bool:
    """Whether a process of this node runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (OSError, IndexError):
        return not Path("/proc/self/stat").exists()  # no /proc: believe that it runs


_world: World | None = None


def world() -> World:
    """The one World of this process. Raises ConfigError where there is no second rank."""
    global _world
    if _world is None:
        _world = World()
    wanted = os.environ.get("SUITE_WORLD_SIZE", "")
    if wanted and wanted != str(_world.size):
        raise ConfigError(
            f"SUITE_WORLD_SIZE={wanted}: the launcher made a world of {_world.size} rank(s); where "
            "its MPI and this one's do not go together, srun needs --mpi=pmix for Open MPI and "
            "--mpi=pmi2 for MPICH."
        )
    if _world.size < 2:
        n = os.environ.get("SLURM_NTASKS")
        hint = (
            f" SLURM_NTASKS={n}: this launcher did not start MPI ranks; srun --mpi=pmix does."
            if n
            else ""
        )
        raise ConfigError(
            f"backend=mpi: {_world.size} rank; needs 2 or more (rank 0 decides, the others train): "
            f"mpirun -n 3 python -m suite ... or backend=inline.{hint}"
        )
    return _world


def dismiss(code: int) -> None:
    """Let the workers go and end this process; at rank 0's end, whatever happened before."""
    try:
        (_world or World()).exit(code)
    except Exception as error:
        print(f"suite: leaving MPI: {error}; aborting the job.", file=sys.stderr, flush=True)
        from mpi4py import MPI

        MPI.COMM_WORLD.Abort(code or 1)
