"""The MPI backend, rank 0's side: point to point, no collective; a worker's death is an event.

Messages are tuples (word, run_id, ...), pickled by mpi4py within one job's processes:
  to a worker    begin(settings) · job(Job) · score(Job) · pause() · end() · exit(finalize)
                 meet(port) · broken(why): of groups (backend.ranks_per_trial), see groups.py
  from a worker  hello(place) · joined(facts) · refused(why) · events([Event]) · paused() · ended()
                 leaving(why) · ready(port)
A run is fenced: begin and end carry its id, workers answer both, and what carries another id is
dropped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from suite.backends import groups
from suite.backends.ask import AskThread, Forecaster
from suite.backends.mpi_world import world
from suite.core import types as t
from suite.core.errors import ConfigError, PausedError, StoppedError
from suite.core.target import Target
from suite.run.driver import Driver
from suite.run.limit import Limit

SLEEP_S = (
    1e-4,
    2e-3,
)  # idle polling starts at the first and grows to the second: a few percent of a core
FENCE_S = 30.0  # how long a run's end waits for workers to answer


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
