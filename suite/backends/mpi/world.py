"""Rank 0's view of the other ranks, and the one World of a process.

What ends a worker: ULFM sees death by signal; a process that exits is seen by its PID, where rank 0 has the
same PIDs; a worker that raises says so and then kills itself (mpirun does not report an exit); one that
hangs is found by report_timeout_s; one that sends garbage is ended.
Source: Bland et al. 2013 (User Level Failure Mitigation); MPI 5.0 has it in a chapter of its own.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable
from typing import Any

from suite.backends import launcher
from suite.backends.clock import AttentiveClock
from suite.backends.mpi import farewell, groups, last_resort, library, lifeline, received
from suite.backends.mpi.messages import TAG, Message
from suite.backends.mpi.watch import Watch
from suite.core.errors import ConfigError, StoppedError
from suite.run.identity import ProcessIdentity, process_identity

# How often ULFM is asked for failures, and this node's processes are looked for.
LOOK_EVERY_S = 0.05
PIDS_EVERY_S = 0.5
SLEEP_S = 1e-3
# Most seconds of MPI_Init, and until every rank has said where it is.
START_S = 600.0
GREET_S = 300.0
# Messages that one look takes, so that a flood of them does not keep rank 0 from its other work.
MOST_MESSAGES = 256


class World:
    """Rank 0's view of the other ranks, for the life of the process: which are alive, on which node,
    and their messages.

    Raises ConfigError where MPI calls this process another rank than 0.
    """

    def __init__(self) -> None:
        lifeline.watch()
        watch = Watch(START_S, _no_start)
        try:
            self._mpi = library.load()
        finally:
            watch.done()
        self._comm = self._mpi.COMM_WORLD
        # Errors become exceptions, not aborts.
        self._comm.Set_errhandler(self._mpi.ERRORS_RETURN)
        if (rank := self._comm.Get_rank()) != 0:
            raise ConfigError(
                f"rank {rank}: MPI's number of this process; the launcher's variables make it rank 0. "
                "Unset those of another launcher (OMPI_COMM_WORLD_RANK, PMI_RANK, SLURM_PROCID)."
            )
        self.clock = AttentiveClock()
        self._me = process_identity()
        self._sending: list[Any] = []
        # Messages on their way, in order: (rank, request, what it fills).
        self._receiving: list[tuple[int, Any, bytearray]] = []
        self._looked = self._counted = 0.0
        self._acked = 0
        self.size: int = self._comm.Get_size()
        self.alive: set[int] = set(range(1, self.size))
        # worker -> who it is, never written anywhere
        self.places: dict[int, ProcessIdentity] = {}
        # worker -> why, not yet reported to a run
        self.lost: dict[int, str] = {}
        # worker -> why, of all that were ever lost
        self.gone: dict[int, str] = {}
        self.hung: set[int] = set()
        self._n_left = 0
        self._released = False
        self.framework: str | None = None
        # leader -> its ranks, formed once
        self.groups: dict[int, tuple[int, ...]] = {}
        self.ranks_per_trial: int | None = None
        self._group_interface: str | None = None
        self._greet()

    def _greet(self) -> None:
        """Wait until every rank has reported its node; rank 0 needs that to assign devices."""
        deadline = self.clock.now() + GREET_S
        while self.alive - set(self.places):
            for rank, message in self.poll():
                if message[0] == "hello":
                    self.places[rank] = message[2]
            if self.clock.now() > deadline:
                silent = sorted(self.alive - set(self.places))
                raise StoppedError(
                    f"ranks {silent} did not start within {GREET_S:g} s; see the launcher's messages."
                )
            time.sleep(SLEEP_S)

    def hosts(self) -> dict[int, str]:
        """rank -> what ranks have in common that share devices and a loopback: machine and host name.

        Containers of one machine with names of their own have devices and loopbacks of their own.
        """
        return {rank: f"{who.node} {who.host}" for rank, who in self.places.items()}

    def names(self) -> dict[int, str]:
        """rank -> name of its node as Slurm has it, the host's without its domain; rank 0's too."""
        everyone = {0: self._me, **self.places}
        return {rank: who.host.partition(".")[0] for rank, who in everyone.items()}

    def local_index(self, rank: int) -> int:
        """Which worker of its host a rank is, 0, 1, ...: rank 0 takes no device."""
        hosts = self.hosts()
        return sorted(r for r, host in hosts.items() if host == hosts[rank]).index(rank)

    def node(self, rank: int) -> str:
        """An opaque label of the rank's machine: names of hosts stay out of journals."""
        return launcher.node_labels({r: who.node for r, who in self.places.items()})[rank]

    def group(self, k: int, interface: str | None) -> None:
        """Form groups of k, at the first run; with the name of an interface they may span nodes.

        Raises ConfigError where a later run differs.
        """
        if self.ranks_per_trial not in (None, k):
            raise ConfigError(
                f"backend.ranks_per_trial={k}: this launch has groups of {self.ranks_per_trial}; "
                "one number a launch. Start a second one."
            )
        if self.ranks_per_trial is None:
            self.groups = groups.form(self.hosts(), k, interface is not None)
            self.ranks_per_trial, self._group_interface = k, interface
        elif interface != self._group_interface:
            raise ConfigError(
                f"backend.group_interface={interface or 'null'}: the groups of this launch have "
                f"{self._group_interface or 'null'}; one a launch. Start a second one."
            )

    def interface(self, leader: int) -> str | None:
        """Over which the ranks of this group meet; None: they are on one node, and meet on its loopback."""
        hosts = self.hosts()
        spans = len({hosts[rank] for rank in self.groups[leader]}) > 1
        return self._group_interface if spans else None

    def leader(self, rank: int) -> int | None:
        """The leader of the rank's group; None: idle."""
        return next((who for who, ranks in self.groups.items() if rank in ranks), None)

    def break_groups(self) -> dict[int, str]:
        """Groups that have lost a rank, (leader -> why); the others of them end, too."""
        broken: dict[int, str] = {}
        for leader, ranks in list(self.groups.items()):
            if dead := [rank for rank in ranks if rank not in self.alive]:
                why = self.gone.get(dead[0], "died")
                broken[leader] = why if len(ranks) == 1 else f"rank {dead[0]} of its group {why}"
                del self.groups[leader]
                for rank in set(ranks) & self.alive:
                    self.give_up(rank, why)
        return broken

    # --- messages ---------------------------------------------------------------------------------

    def send(self, rank: int, message: Message) -> None:
        """Never waits; a send to a dead rank shows up as its loss."""
        with contextlib.suppress(self._mpi.Exception):
            self._sending.append(self._comm.isend(message, dest=rank, tag=TAG))

    def poll(self) -> list[tuple[int, Message]]:
        """Messages that have arrived, oldest first, of living ranks; also checks sends and failures.

        Never waits: a large message needs its sender's help, and that one may be in the midst of an epoch.
        """
        self.clock.now()
        try:
            self._receive()
        except self._mpi.Exception:
            # With a failed rank, ANY_SOURCE raises until the failure is acknowledged.
            self._looked = 0.0
        messages: list[tuple[int, Message]] = []
        for rank, data in self._received():
            if rank not in self.alive:
                continue
            try:
                message = received.read(data)
            except received.GarbageError as error:
                self.give_up(rank, f"sent garbage: {error}")
                continue
            if message[0] == "leaving":
                self._lose(rank, message[2])
            else:
                messages.append((rank, message))
        self._sending = [request for request in self._sending if self._state(request) == "open"]
        if time.monotonic() - self._looked > LOOK_EVERY_S:
            self._look()
        return messages

    def _receive(self) -> None:
        """Begin to receive what has come."""
        status, misses = self._mpi.Status(), 0
        while misses < library.MISSES and len(self._receiving) < MOST_MESSAGES:
            message = self._comm.Improbe(source=self._mpi.ANY_SOURCE, tag=TAG, status=status)
            if message is None:
                misses += 1
                continue
            misses, rank = 0, status.Get_source()
            if (n := status.Get_count(self._mpi.BYTE)) > received.MOST_BYTES:
                # Not received: nothing of this rank is wanted any more.
                self.give_up(rank, f"sent garbage: {n} bytes; the most is {received.MOST_BYTES}")
                continue
            data = bytearray(n)
            self._receiving.append((rank, message.Irecv([data, self._mpi.BYTE]), data))

    def _received(self) -> list[tuple[int, bytearray]]:
        """Whole messages, those of one rank in the order in which they were sent."""
        whole: list[tuple[int, bytearray]] = []
        open_: list[tuple[int, Any, bytearray]] = []
        waiting: set[int] = set()
        for rank, request, data in self._receiving:
            state = "open" if rank in waiting else self._state(request)
            if state == "open":
                waiting.add(rank)
                open_.append((rank, request, data))
            elif state == "done":
                whole.append((rank, data))
        self._receiving = open_
        return whole

    def _state(self, request: Any) -> str:
        """done, open, or failed (the other rank is dead)."""
        try:
            return "done" if request.Test() else "open"
        except self._mpi.Exception:
            return "failed"

    # --- losses -----------------------------------------------------------------------------------

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
                    self.hung.discard(rank)
                    self._lose(rank, "died (seen by ULFM)")
        except (self._mpi.Exception, NotImplementedError):
            # An MPI without ULFM ends the whole job when a rank dies.
            pass
        if self._looked - self._counted < PIDS_EVERY_S:
            return
        self._counted = self._looked
        for rank in list(self.alive):
            if self._is_near(rank) and not self.places[rank].runs():
                self._lose(rank, "exited (its process is gone)")

    def _is_near(self, rank: int) -> bool:
        """Whether rank 0 can look for the rank's process, and end it."""
        who = self.places.get(rank)
        return who is not None and self._me.shares_pids(who)

    def give_up(self, rank: int, why: str) -> None:
        """A rank that is silent or sends garbage: treated as dead, and ended.

        Where its process is out of reach it ends itself when it reads that; until then it may hang.
        """
        if not (self._is_near(rank) and self.places[rank].kill()):
            self.send(rank, ("broken", None, why))
            self.hung.add(rank)
        self._lose(rank, why)

    def let_leave(self, ranks: Iterable[int]) -> None:
        """Idle ranks end by themselves, Finalize included: no loss. Where Finalize waits for all ranks
        (`launcher.why_nodes_stay`) they would hang.
        """
        for rank in ranks:
            self.groups.pop(rank, None)
            if rank in self.alive:
                self.send(rank, ("exit", None, True))
                self.alive.discard(rank)
                self._n_left += 1

    def _lose(self, rank: int, why: str) -> None:
        if rank in self.alive:
            self.alive.discard(rank)
            self.lost[rank] = self.gone[rank] = why

    def release(self) -> None:
        """Let every worker go while rank 0 still writes reports: they and their devices are free then.

        Nothing is done where a rank was lost: launchers end a launch in which a rank leaves without
        Finalize, and with a dead rank Finalize may hang. After this the world is of no more use.
        """
        if self.is_whole and not self._released:
            self._let_go()
            self._mpi.Finalize()
            self._released = True

    @property
    def is_whole(self) -> bool:
        """Whether no rank was lost."""
        return len(self.alive) + self._n_left == self.size - 1

    def hand_back(self, content: Any) -> None:
        """Let every worker return from `serve` with `content`; a later run needs them to serve again."""
        self._tell_all("return", (content, self.is_whole), within_s=60.0)

    def _let_go(self) -> None:
        self._tell_all("exit", self.is_whole, within_s=5.0)

    def _tell_all(self, word: str, content: Any, within_s: float) -> None:
        for rank in sorted(self.alive):
            self.send(rank, (word, None, content))
        deadline = self.clock.now() + within_s
        while self._sending and self.clock.now() < deadline:
            self.poll()
            time.sleep(SLEEP_S)

    def exit(self, code: int) -> None:
        """Let every worker go and leave.

        Finalize only if no rank was lost: with a dead rank it may hang.
        """
        if not self._released:
            self._let_go()
        sys.stdout.flush()
        sys.stderr.flush()
        if not self.is_whole:
            last_resort.arm()
        # A stopped process out of reach would keep mpirun waiting for ever.
        if self.hung:
            self._comm.Abort(code)
        if self.is_whole and not self._released:
            self._mpi.Finalize()
        os._exit(code)


def _no_start() -> None:
    n = launcher.world_size() - 1
    print(
        f"suite: MPI_Init has not returned within {START_S:g} s: the {n} other rank(s) of this launch did "
        "not start, or mpi4py's library and the launcher do not fit (swiftbench doctor). In a shell that is "
        "one task of a launch use backend=inline.",
        file=sys.stderr,
        flush=True,
    )


_world: World | None = None


def world() -> World:
    """The one World of this process. Raises ConfigError where there is no second rank."""
    global _world
    wanted = launcher.wanted_size(os.environ)
    if _world is None:
        _world = World()
    if wanted not in (None, _world.size):
        raise ConfigError(
            f"SUITE_WORLD_SIZE={wanted}: the launcher made a world of {_world.size} rank(s); where "
            "its MPI and this one's do not go together, srun needs --mpi=pmix for Open MPI and "
            "--mpi=pmi2 for MPICH."
        )
    if _world.size < 2:
        n = launcher.slurm_tasks(os.environ)
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


def release() -> None:
    """Let the workers go, if there are any and all are well; rank 0 has reports to write."""
    if _world is not None:
        try:
            _world.release()
        except Exception as error:
            # The report is worth more than their leaving early.
            print(f"suite: workers stay until the end: {error}", file=sys.stderr, flush=True)


def dismiss(code: int, may_wait: bool) -> None:
    """Let the workers go and end this process; at rank 0's end, whatever happened before.

    Where MPI was never begun it stays so. may_wait: workers that were never met may wait in MPI_Init.
    """
    if _world is None and not library.begun():
        if may_wait:
            farewell.send(launcher.world_size() - 1)
        os._exit(code)
    try:
        if _world is None:
            raise StoppedError("no world came of MPI_Init")
        _world.exit(code)
    except Exception as error:
        print(f"suite: leaving MPI: {error}; aborting the job.", file=sys.stderr, flush=True)
        library.load().COMM_WORLD.Abort(code or 1)
