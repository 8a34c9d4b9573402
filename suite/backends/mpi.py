"""The MPI backend, rank 0's side: point to point, no collective; a worker's death is an event.

Messages are tuples (word, run_id, ...), pickled by mpi4py within one job's processes:
  to a worker    begin(settings) · job(Job) · score(Job) · pause() · end() · exit(finalize)
                 meet(port) · broken(why): of groups (backend.ranks_per_trial), see groups.py
  from a worker  hello(place) · joined(facts) · refused(why) · events([Event]) · paused() · ended()
                 leaving(why) · ready(port)
A run is fenced: begin and end carry its id, workers answer both, and what carries another id is
dropped.

What ends a worker: ULFM sees death by signal; a process of this node that exits is seen by its pid;
a worker that raises says so and then kills itself (mpirun does not report an exit); one that hangs
is found by report_timeout_s.
Source: Bland et al. 2013 (User Level Failure Mitigation); MPI 5.0 has it in a chapter of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from suite.backends import groups
from suite.backends.ask import AskThread, Forecaster
from suite.core import types as t
from suite.core.errors import ConfigError, PausedError, StoppedError
from suite.core.target import Target
from suite.run.driver import Driver
from suite.run.limit import Limit

TAG = 7
SLEEP_S = (
    1e-4,
    2e-3,
)  # idle polling starts at the first and grows to the second: a few percent of a core
LOOK_EVERY_S = 0.05  # how often ULFM is asked for failures
PIDS_EVERY_S = 0.5  # how often this node's processes are looked for
FENCE_S = 30.0  # how long a run's end waits for workers to answer


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


class MPIBackend:
    """Runs jobs on every other rank.

    `settings` is conf/backend's; `spec` the model's YAML leaf, sent to workers.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        target: Target,
        settings: Mapping[str, Any],
        checkpoints: Path,
        forecaster: Forecaster,
        limit: Limit | None = None,
    ) -> None:
        self._limit = limit or Limit()
        self._world = world()
        if self._world.framework not in (None, target.framework):
            raise ConfigError(
                f"model framework={target.framework}: these workers have {self._world.framework} "
                "loaded; "
                "one framework a launch. Start a second one."
            )
        self._world.framework = target.framework
        hosts = {r: host for r, (host, _) in self._world.places.items()}
        k = groups.check(settings.get("ranks_per_trial", 1), target, hosts)
        self._world.group(k)
        self._settings = settings
        self._begin = {**settings, "spec": dict(spec), "checkpoints": str(checkpoints)}
        self._run_id = uuid.uuid4().hex
        self._forecaster = forecaster
        self._heard: dict[int, float] = {}  # busy worker -> when it was last heard

    def run(self, driver: Driver) -> None:
        self._least = driver.conductor.min_workers
        ask = AskThread(self._forecaster)
        try:
            with self._fence():
                self._loop(driver, ask)
        finally:
            ask.close()

    def _loop(self, driver: Driver, ask: AskThread) -> None:
        world = self._world
        began = time.monotonic() - driver.time_s
        driver.now = lambda: time.monotonic() - began
        refused: dict[int, str] = {}
        joined: set[int] = set()
        ready: dict[int, dict[int, Any]] = {}  # leader -> rank -> port, until the group has met
        sleep_s = SLEEP_S[0]
        paused_at: float | None = None
        while True:
            if paused_at is None and self._limit.due():
                paused_at = time.monotonic()
                for rank in self._heard:
                    self._send(rank, "pause", None)
            events: list[t.Event] = []
            for rank, message in world.poll():
                word, run_id, content = message
                if run_id != self._run_id:
                    continue  # a zombie, or the last run's
                if rank in self._heard:
                    self._heard[rank] = time.monotonic()
                if word == "events":
                    events += content
                elif word == "paused":
                    self._heard.pop(rank, None)
                elif word == "joined":
                    if not joined:  # a run's clock starts when it can train, not with imports
                        began = time.monotonic() - driver.time_s
                    joined.add(rank)
                    events.append(t.WorkerJoined(rank, facts=self._facts(rank, content)))
                elif word == "refused":
                    if (leader := world.leader(rank)) is not None:
                        refused[leader] = content
                elif word == "ready":
                    self._meet(rank, content, ready)
            self._give_up_silent()
            for rank, why in world.break_groups().items():
                self._heard.pop(rank, None)
                refused.setdefault(rank, why)
                if rank in joined:
                    events.append(t.WorkerLost(rank, why))
            world.lost.clear()
            events += ask.answers()
            if events:
                now = round(time.monotonic() - began, 6)
                stamped = [dataclasses.replace(event, time_s=now) for event in events]
                for event in stamped:
                    if isinstance(event, t.JobFinished | t.JobFailed | t.Scored):
                        self._heard.pop(event.worker, None)
                commands = driver.handle(stamped)
                if paused_at is not None:  # nothing begins any more; a resumed run sends it again
                    commands = [x for x in commands if isinstance(x, t.Shutdown)]
                if self._carry_out(commands, ask):
                    return
                sleep_s = SLEEP_S[0]
                continue
            if paused_at is not None:
                late = time.monotonic() - paused_at > max(self._limit.before_s * 0.75, 5.0)
                if late or not self._heard:
                    n = len(self._heard)
                    cut = f"; {n} workers did not reach the end of an epoch in time" if n else ""
                    raise PausedError(f"{self._limit.due()}{cut}")
            self._check_start(joined, refused, time.monotonic() - began - driver.time_s)
            driver.tick()
            time.sleep(sleep_s)
            sleep_s = min(sleep_s * 1.3, SLEEP_S[1])

    def _carry_out(self, commands: list[t.Command], ask: AskThread) -> bool:
        for command in commands:
            match command:
                case t.Start(worker, job):
                    self._send(worker, "job", job)
                    self._heard[worker] = time.monotonic()
                case t.Score(worker, job):
                    self._send(worker, "score", job)
                    self._heard[worker] = time.monotonic()
                case t.Ask(request):
                    ask.submit(request)
                case t.Shutdown():
                    return True
        return False

    def _send(self, leader: int, word: str, content: Any) -> None:
        """To a worker: all ranks of its group, of which the leader alone reports."""
        for rank in self._world.groups.get(leader, ()):
            self._world.send(rank, (word, self._run_id, content))

    def _meet(self, rank: int, port: int | None, ready: dict[int, dict[int, Any]]) -> None:
        """When all ranks of a group are ready, they may wait for each other."""
        leader = self._world.leader(rank)
        if leader is None:
            return
        ready.setdefault(leader, {})[rank] = port
        if len(ready[leader]) == len(self._world.groups[leader]):
            self._send(leader, "meet", ready[leader][leader])

    def _facts(self, rank: int, said: Mapping[str, Any]) -> dict[str, Any]:
        world = self._world
        facts = {**said, "node": world.node(rank)}
        if (k := world.ranks_per_trial or 1) > 1:
            idle = [r for r in sorted(world.alive) if world.leader(r) is None]
            facts |= {"ranks": k, "idle_ranks": idle}
        return facts

    def _give_up_silent(self) -> None:
        limit = self._settings["report_timeout_s"]
        now = time.monotonic()
        for rank, heard in list(self._heard.items()):
            if now - heard > limit and rank in self._world.alive:
                self._world.give_up(
                    rank, f"silent for {now - heard:.1f} s (report_timeout_s={limit:g})"
                )

    def _check_start(self, joined: set[int], refused: Mapping[int, str], waited_s: float) -> None:
        """A run that too few workers join must not wait for ever."""
        if len(joined) >= self._least:
            return
        limit = self._settings["join_timeout_s"]
        if not set(self._world.groups) - set(refused) - joined or waited_s > limit:
            why = next(iter(refused.values()), f"no more within join_timeout_s={limit:g}")
            raise StoppedError(
                f"{len(joined)} workers joined, min_workers={self._least}: {why}; "
                "lower it, or add some."
            )

    @contextlib.contextmanager
    def _fence(self) -> Iterator[None]:
        """Every living worker begins and ends the run with us; late messages of it meet nobody."""
        world = self._world
        world.break_groups()
        world.lost.clear()  # lost before this run: its fold has never met them
        for rank in sorted(world.alive):
            settings = {**self._begin, "local_index": world.local_index(rank)}
            leader = world.leader(rank)
            settings["group"] = None if leader is None else world.groups[leader]
            world.send(rank, ("begin", self._run_id, settings))
        try:
            yield
        except (KeyboardInterrupt, PausedError):
            # mpirun leaves a quarter of a second: the journal must be closed now, and the workers
            # are ending
            raise
        except BaseException:
            self._end_run()
            raise
        self._end_run()

    def _end_run(self) -> None:
        """Wait until every living worker has answered that it is idle."""
        world = self._world
        waiting = set(world.alive)
        for rank in sorted(waiting):
            world.send(rank, ("end", self._run_id, None))
        deadline = time.monotonic() + FENCE_S
        while waiting & world.alive:
            for rank, message in world.poll():
                if message[:2] == ("ended", self._run_id):
                    waiting.discard(rank)
            if time.monotonic() > deadline:
                for rank in waiting & world.alive:
                    world.give_up(rank, f"did not end the run within {FENCE_S:g} s")
            time.sleep(SLEEP_S[0])
