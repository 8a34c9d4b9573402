"""The MPI backend, rank 0's side: point to point, no collective; a worker's death is an event."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from suite.backends import launcher
from suite.backends.backoff import Backoff
from suite.backends.clock import Clock
from suite.backends.contract import RunContext
from suite.backends.forecasts import AskThread
from suite.backends.mpi import groups
from suite.backends.mpi.job_size import JobSize
from suite.backends.mpi.joining import Joining
from suite.backends.mpi.messages import Begin
from suite.backends.mpi.received import GarbageError, Progress
from suite.backends.mpi.silence import Silence
from suite.backends.mpi.world import World, world
from suite.core import types as t
from suite.core.errors import ConfigError, PausedError
from suite.run import batch
from suite.run.driver import Decider
from suite.run.limit import Limit
from suite.worker.settings import WorkerSettings

# Idle polling: from the first to the second, a few percent of a core.
SLEEP_S = (1e-4, 2e-3)
# How long a run's end waits for idle workers to answer; those that train have as long as they may be silent.
FENCE_S = 30.0


class MPIRunner:
    """Runs jobs on every other rank."""

    def __init__(self, settings: WorkerSettings, run: RunContext) -> None:
        self._limit = Limit(settings.pause_before_s)
        self._limit.check(run.epoch_s)
        self._world = world()
        if self._world.framework not in (None, run.target.framework):
            raise ConfigError(
                f"model framework={run.target.framework}: these workers have "
                f"{self._world.framework} loaded; one framework a launch. Start a second one."
            )
        self._world.framework = run.target.framework
        over_nodes = settings.group_interface is not None
        groups.check(settings.ranks_per_trial, self._world.hosts(), over_nodes)
        self._world.group(settings.ranks_per_trial, settings.group_interface)
        self._settings, self._run = WorkerSettings.of(settings), run
        self._run_id = uuid.uuid4().hex

    def run(self, driver: Decider) -> None:
        asks = AskThread(self._run.forecaster)
        n_bytes = self._run.target.checkpoint_bytes
        search = _Search(
            self._world,
            self._run_id,
            self._settings,
            self._limit,
            driver,
            asks,
            can_save=lambda: self._run.checkpoints.has_room(n_bytes),
        )
        try:
            with self._fence(search):
                search.loop()
        finally:
            asks.close()

    @contextlib.contextmanager
    def _fence(self, search: _Search) -> Iterator[None]:
        """Every living worker begins and ends the run together with rank 0; late messages are dropped."""
        world = self._world
        world.break_groups()
        # Lost before this run: its conductor does not know them.
        world.lost.clear()
        for rank in sorted(world.alive):
            leader = world.leader(rank)
            group = None if leader is None else world.groups[leader]
            begin = Begin(
                self._settings,
                self._run.model,
                self._run.checkpoints,
                world.local_index(rank),
                group,
                None if leader is None else world.interface(leader),
            )
            world.send(rank, ("begin", self._run_id, begin))
        try:
            yield
        except (KeyboardInterrupt, PausedError):
            # mpirun leaves a quarter of a second: the journal must be closed now, and the workers
            # are ending.
            raise
        except BaseException:
            self._end_run(search)
            raise
        self._end_run(search)

    def _end_run(self, search: _Search) -> None:
        """Wait until every living worker has answered that it is idle.

        One that trains reads the end after its epoch, one that stages its data after that.
        """
        world = self._world
        waiting = set(world.alive)
        for rank in sorted(waiting):
            world.send(rank, ("end", self._run_id, None))
        asked = world.clock.now()
        left_s = self._limit.left_s
        patience_s = FENCE_S if left_s is None else max(min(FENCE_S, left_s / 4), 1.0)
        backoff = Backoff(*SLEEP_S)
        while waiting & world.alive:
            for rank, (word, run_id, content) in world.poll():
                if run_id == self._run_id:
                    search.heard(rank, word, content)
                if (word, run_id) == ("ended", self._run_id):
                    waiting.discard(rank)
            for rank in waiting & world.alive:
                if world.clock.now() - asked > patience_s and (why := search.overdue(rank)):
                    world.give_up(rank, f"did not end the run: {why}")
            world.break_groups()
            backoff.sleep()


class _Search:
    """One run's loop: messages up, commands down, until the conductor shuts it down."""

    def __init__(
        self,
        world: World,
        run_id: str,
        settings: WorkerSettings,
        limit: Limit,
        driver: Decider,
        asks: AskThread,
        can_save: Callable[[], bool],
    ) -> None:
        # Whether rank 0's host can write a checkpoint now.
        self._can_save = can_save
        self._world, self._run_id, self._settings, self._limit = world, run_id, settings, limit
        self._driver, self._asks = driver, asks
        self._clock = Clock(driver.time_s)
        self._silence = Silence(world.clock, settings.report_timeout_s)
        # Worker -> its job, and what it has reported of it.
        self._jobs: dict[int, Progress] = {}
        self._joining = Joining(
            world, driver.agreement, driver.min_workers, settings.join_timeout_s
        )
        # Whether the run's clock has started. Until then events wait.
        self._begun = False
        # Until when a pause waits for the ends of epochs; or the end of the run that comes instead.
        self._pause_until: float | None = None
        self._end_until: float | None = None
        # Rank -> its job, once it was asked to end it with its epoch as a budget is used up; None: not asked.
        self._stopping: dict[int, int] | None = None
        job = batch.slurm_job_id() if settings.shrink_job else ""
        self._size = JobSize(job, world.names(), launcher.why_nodes_stay(os.environ))
        self._events: list[t.Event] = []
        self._on: Mapping[str, Callable[[int, Any], None]] = {
            "events": self._on_events,
            "paused": self._on_paused,
            "joined": self._on_joined,
            "refused": self._joining.refused,
            "ready": self._on_ready,
        }

    def loop(self) -> None:
        self._driver.now = self._clock.now
        backoff = Backoff(*SLEEP_S)
        while True:
            self._ask_for_pause()
            self._listen()
            self._look_for_losses()
            self._events += self._asks.answers()
            self._start_clock()
            self._check_budget()
            if self._events and self._begun:
                if self._carry_out(self._tell()):
                    return
                backoff.reset()
                continue
            self._check_pause()
            self._check_start()
            self._driver.tick()
            backoff.sleep()

    # --- messages ---------------------------------------------------------------------------------

    def _listen(self) -> None:
        for rank, (word, run_id, content) in self._world.poll():
            if run_id != self._run_id:
                # Of a rank given up, or of the last run.
                continue
            self.heard(rank, word, content)
            if (handler := self._on.get(word)) is None:
                continue
            try:
                handler(rank, content)
            except GarbageError as error:
                self._world.give_up(rank, f"sent garbage: {error}")

    def heard(self, rank: int, word: str, content: Any) -> None:
        """A message of this run has come from the rank."""
        reports = [e for e in content if isinstance(e, t.EpochReport)] if word == "events" else []
        self._silence.heard(rank, reports[-1].train_s + reports[-1].eval_s if reports else None)
        self._limit.measured(self._silence.epoch_s())

    def overdue(self, rank: int) -> str:
        """Why nothing is to be expected of the rank any more; empty: it may answer yet."""
        leader = self._world.leader(rank)
        if leader is None:
            return "no answer"
        if leader in self._silence:
            left_s = self._silence.left_s(leader)
            return "" if left_s > 0 else "its epoch takes too long (backend.report_timeout_s)"
        return self._joining.overdue(leader)

    def _on_events(self, rank: int, events: list[Any]) -> None:
        if (progress := self._jobs.get(rank)) is None:
            raise GarbageError("events without a job")
        progress.check(rank, events)
        last = events[-1] if events else None
        if isinstance(last, t.JobFailed) and last.reason == "storage" and self._can_save():
            # A mount that is read-only, full or gone on one host must not stop all of them.
            self._events += events[:-1]
            here = "cannot write where rank 0 can, its host's mount is at fault"
            self._world.give_up(rank, f"{here}: {last.message.partition('; mend it')[0]}")
            return
        self._events += events

    def _on_paused(self, rank: int, _: None) -> None:
        if self._stopping is not None:
            job_id = self._stopping.pop(rank, None)
            progress = self._jobs.get(rank)
            # It may have ended, and its worker may have another: the winner's score.
            if progress is not None and progress.job.job_id == job_id:
                self._forget(rank)
                self._events.append(t.JobStopped(rank, progress.job.job_id))
            return
        if self._pause_until is None:
            raise GarbageError("paused, although nobody asked for it")
        self._forget(rank)

    def _forget(self, rank: int) -> None:
        """The rank is idle: nothing to wait for."""
        self._silence.end(rank)
        self._jobs.pop(rank, None)

    def _on_joined(self, rank: int, facts: Mapping[str, Any]) -> None:
        event = self._joining.joined(rank, facts)
        if isinstance(event, t.WorkerJoined):
            self._silence.end(rank)
        self._note(event)

    def _on_ready(self, rank: int, content: tuple[int | None, Mapping[str, Any]]) -> None:
        """When all ranks of a group are ready, they may wait for each other."""
        # A worker of an older version sends the port alone.
        port, facts = content if isinstance(content, tuple) else (None, {})
        if (leader := self._world.leader(rank)) is None:
            return
        may_meet, refused = self._joining.ready(leader, rank, port, facts)
        self._note(refused)
        if may_meet:
            self._send(leader, "meet", self._joining.port(leader))
            # Heard again when it has joined: it still warms up.
            self._silence.begin(leader, self._settings.join_timeout_s)

    def _note(self, event: t.Event | None) -> None:
        if event is not None:
            self._events.append(event)

    def _send(self, leader: int, word: str, content: Any) -> None:
        """To a worker: all ranks of its group, of which the leader alone reports."""
        for rank in self._world.groups.get(leader, ()):
            self._world.send(rank, (word, self._run_id, content))

    # --- workers ----------------------------------------------------------------------------------

    def _look_for_losses(self) -> None:
        self._give_up_silent()
        for rank, why in self._world.break_groups().items():
            self._forget(rank)
            self._note(self._joining.lost(rank, why))
        self._world.lost.clear()

    def _give_up_silent(self) -> None:
        limit_s = self._settings.report_timeout_s
        for rank, silent_s in self._silence.overdue():
            if rank in self._world.alive:
                why = f"silent for {silent_s:.1f} s (report_timeout_s={limit_s:g})"
                self._world.give_up(rank, why)

    def _start_clock(self) -> None:
        if not self._begun and self._joining.may_begin(self._asks.is_warm):
            self._begun = True
            self._clock.restart()

    def _check_start(self) -> None:
        if (stopped := self._joining.too_few()) is not None:
            if self._events:
                # Who was refused, for the journal.
                self._tell()
            raise stopped

    # --- the time limit ---------------------------------------------------------------------------

    def _ask_for_pause(self) -> None:
        if self._pause_until is not None or not self._limit.due():
            return
        now = self._world.clock.now()
        if self._begun and self._driver.ends_instead():
            if self._end_until is None:
                self._end_until = now + self._limit.end_wait_s()
            if now >= self._end_until:
                self._cut_late()
            return
        self._pause_until = now + self._limit.wait_s()
        for rank in self._silence:
            self._send(rank, "pause", None)

    def _cut_late(self) -> None:
        """The batch job ends with the run: what does not come to the end of its epoch is not waited for. Its
        trial goes on from its last checkpoint, in another job; its worker evaluates no winner.
        """
        for rank, job_id in (self._stopping or {}).items():
            progress = self._jobs.get(rank)
            if progress is not None and progress.job.job_id == job_id:
                self._forget(rank)
                why = "did not come to the end of its epoch before the batch job's end"
                self._events += [t.JobStopped(rank, job_id), t.WorkerLost(rank, why)]

    def _check_pause(self) -> None:
        """Raise PausedError when every job is checkpointed, or when no time is left to wait for that."""
        if self._pause_until is None:
            return
        if self._world.clock.now() > self._pause_until or not self._silence:
            n = len(self._silence)
            cut = f"; {n} workers did not reach the end of an epoch in time" if n else ""
            raise PausedError(f"{self._limit.due()}{cut}")

    def _check_budget(self) -> None:
        """Where a budget is used up, ask every job to end with its epoch, by a checkpoint."""
        if not self._begun or self._pause_until is not None:
            return
        if (used := self._driver.budget_used(self._clock.now())) is not None:
            self._events.append(used)
        if self._driver.ending and self._stopping is None:
            self._stopping = {rank: progress.job.job_id for rank, progress in self._jobs.items()}
            for rank in self._stopping:
                self._send(rank, "pause", None)

    # --- the conductor ----------------------------------------------------------------------------

    def _tell(self) -> list[t.Command]:
        """Hand the events over, stamped; returns the commands to carry out."""
        now = round(self._clock.now(), 6)
        stamped = [dataclasses.replace(event, time_s=now) for event in self._events]
        self._events.clear()
        for event in stamped:
            if isinstance(event, t.JobFinished | t.JobFailed | t.Scored):
                self._forget(event.worker)
        commands = self._driver.handle(stamped)
        if self._pause_until is None:
            return commands
        # No job starts any more; a resumed run sends it again.
        return [command for command in commands if isinstance(command, t.Shutdown)]

    def _carry_out(self, commands: list[t.Command]) -> bool:
        """True at the run's end."""
        for command in commands:
            match command:
                case t.Start(worker, job):
                    self._hand_out(worker, "job", job)
                case t.Score(worker, job):
                    self._hand_out(worker, "score", job)
                case t.Ask(request):
                    self._asks.submit(request)
                case t.Release(worker):
                    self._send(worker, "release", None)
                    if leaving := self._size.released(self._world.groups.get(worker, ())):
                        self._world.let_leave(leaving)
                        self._size.ask()
                case t.Shutdown():
                    return True
        return False

    def _hand_out(self, worker: int, word: str, job: t.Job) -> None:
        self._send(worker, word, job)
        self._silence.begin(worker)
        self._jobs[worker] = Progress(job, word == "score", job.from_epoch)
