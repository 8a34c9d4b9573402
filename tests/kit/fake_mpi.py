"""MPI for rank 0 without MPI: the other ranks are objects of this process, and time is made up.

`make_world` gives rank 0's World; a message to a worker is answered at once. As with real libraries what has
arrived is found by the second probe, not by the first.
"""

# ruff: noqa: N802 - MPI's names

from __future__ import annotations

import functools
import pickle
from collections import deque
from typing import Any

from kit.driving import compose
from models.synthetic_curves import TableTarget
from suite.backends.clock import AttentiveClock
from suite.backends.contract import RunContext
from suite.backends.forecasts import Forecaster
from suite.backends.mpi import runner, world
from suite.backends.mpi.backend import MPI
from suite.run.identity import ProcessIdentity
from suite.worker.worker import Worker

ELSEWHERE = ProcessIdentity("node", "boot of another machine", "pid:[1]", 1, 1)


class FakeWorker:
    """A rank that trains at once. Each on_...(content) gives what it sends: (word, content)s, or bytes."""

    def __init__(self, place: ProcessIdentity = ELSEWHERE) -> None:
        self.place, self.rank = place, 0
        self.heard: list[str] = []

    def hello(self) -> list[Any]:
        return [("hello", None, self.place)]

    def take(self, word: str, run_id: str | None, content: Any) -> list[Any]:
        self.heard.append(word)
        answers = getattr(self, f"on_{word}", lambda _: [])(content)
        return [a if isinstance(a, bytes) else (a[0], run_id, a[1]) for a in answers]

    def on_begin(self, _):
        return [("joined", {"device": "cpu", "data_set": {}})]

    def on_job(self, job):
        return [("events", self.events(self.worker.run, job))]

    def on_score(self, job):
        return [("events", self.events(self.worker.score, job))]

    def on_pause(self, _):
        return [("paused", None)]

    def on_end(self, _):
        return [("ended", None)]

    def events(self, work, job):
        events: list[Any] = []
        work(self.rank, job, events.append)
        return events


class Network:
    """mpi4py's module and its communicator, as far as rank 0 uses them."""

    ANY_SOURCE, BYTE, ERRORS_RETURN = -1, "byte", 0
    Exception = type("MPIError", (Exception,), {})

    class Status:
        def Get_source(self):
            return self.rank

        def Get_count(self, _):
            return self.size

    def __init__(self, workers):
        self.COMM_WORLD = self
        self.workers = dict(enumerate(workers, start=1))
        self.arrived: deque[tuple[int, bytes]] = deque()
        self.fresh = False
        self.n_finalized = 0
        # All hold each other's trials, so that no checkpoint is needed.
        shared = Worker(TableTarget(), None, resident_trials=10_000)
        for rank, worker in self.workers.items():
            worker.rank, worker.worker = rank, shared
            self.arrive(rank, worker.hello())

    def arrive(self, rank, messages):
        self.arrived += [(rank, m if isinstance(m, bytes) else pickle.dumps(m)) for m in messages]
        self.fresh = True

    def Set_errhandler(self, _):
        pass

    def Finalize(self):
        self.n_finalized += 1

    def Get_rank(self):
        return 0

    def Get_size(self):
        return 1 + len(self.workers)

    def Get_failed(self):
        raise NotImplementedError

    def isend(self, message, dest, tag):
        self.arrive(dest, self.workers[dest].take(*pickle.loads(pickle.dumps(message))))
        return self

    def Improbe(self, source, tag, status):
        if self.fresh or not self.arrived:
            self.fresh = False
            return None
        status.rank, self.data = self.arrived.popleft()
        status.size = len(self.data)
        return self

    def Irecv(self, buffer):
        buffer[0][:] = self.data
        return self

    def Test(self):
        return True


class FakeTime:
    """Seconds that pass by themselves: `step_s` a look."""

    def __init__(self, step_s: float = 0.01) -> None:
        self.now_s, self.step_s = 0.0, step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


class _NoWatch:
    def __init__(self, *_):
        pass

    def done(self):
        pass


def make_world(monkeypatch, workers, seconds=None):
    """Rank 0's World with these workers, from rank 1 on."""
    network, seconds = Network(workers), seconds or FakeTime()
    monkeypatch.setattr(world, "Watch", _NoWatch)
    monkeypatch.setattr(world.library, "load", lambda: network)
    monkeypatch.setattr(world, "AttentiveClock", lambda: AttentiveClock(seconds))
    monkeypatch.setattr("time.sleep", lambda _: None)
    made = world.World()
    monkeypatch.setattr(world, "_world", made)
    return made


@functools.cache
def _settings():
    return {k: v for k, v in compose("backend=mpi")["backend"].items() if k != "_target_"}


def mpi_runner(max_epochs=9, checkpoints=None, **changed):
    """A run on the fake world. checkpoints: their place. changed: settings of the backend, over conf's."""
    run = RunContext(
        model={}, target=TableTarget(), checkpoints=checkpoints, forecaster=Forecaster(None, 0), seed=0,
        max_epochs=max_epochs,
    )  # fmt: skip
    return runner.MPIRunner(MPI(**{**_settings(), **changed}), run)
