"""The MPI backend, a worker's side: serve runs until rank 0 lets go.

The framework is imported by the first run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from suite import energy, facts
from suite.backends import devices, groups
from suite.backends.mpi_world import TAG
from suite.checkpoints import open_checkpoints
from suite.core import types as t
from suite.core.plugins import make
from suite.core.target import Target
from suite.worker import Worker

SLEEP_S = (1e-4, 1e-2)  # an idle worker may wait long: longer sleeps than rank 0's
FLUSH_EVERY_S = 0.05  # fast epochs share a message: one journal line for several


_OF_LEADERS = ("events", "joined", "paused")


class _Cancelled(BaseException):
    """Rank 0 ended the run while a job was training."""


class _Server:
    def __init__(self) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self._comm = MPI.COMM_WORLD
        self._comm.Set_errhandler(MPI.ERRORS_RETURN)
        self.rank = self._comm.Get_rank()
        if self._comm.Get_size() < 2:
            print(
                "suite: this launcher started single processes, not MPI ranks (srun --mpi=pmix "
                "does).",
                file=sys.stderr,
            )
            os._exit(1)
        self._requests: list[Any] = []
        self._target: Target | None = None
        self._spec = ""
        self._device = "cpu"
        self._worker: Worker | None = None
        self._meter: energy.Meter | None = None
        self._run_id: str | None = None
        self._outbox: list[t.Event] = []
        self._flushed = 0.0
        self._ended = self._pausing = False
        self._group: Any = None  # where several ranks train a trial; for the life of the process
        self._met = False
        self._inbox: list[tuple[Any, ...]] = []  # of a group: read ahead, answered in order

    def serve(self) -> NoReturn:
        self.post("hello", (socket.gethostname(), os.getpid()))
        sleep_s = SLEEP_S[0]
        while True:
            message = self.receive()
            if message is None:
                time.sleep(sleep_s)
                sleep_s = min(sleep_s * 1.3, SLEEP_S[1])
                continue
            sleep_s = SLEEP_S[0]
            word, run_id, content = message
            if word == "exit":
                self.leave(content)
            elif word == "broken":
                raise groups.GroupBroken(content)
            elif word == "begin":
                self._run_id, self._ended, self._pausing = run_id, False, False
                self.begin(content)
            elif run_id == self._run_id:
                with contextlib.suppress(_Cancelled):
                    self.act(word, content)
                if word == "end" or self._ended:
                    self._outbox.clear()
                    self.post("ended", None)
                    self._run_id = None

    def begin(self, settings: dict[str, Any]) -> None:
        """Make the target if it is another than the last run's, and stage it; errors refuse this
        run only.
        """
        self._start = start = time.monotonic()
        ranks = settings.get("group", (self.rank,))
        if ranks is None:
            self.post("refused", groups.IDLE)
            return
        try:
            spec = json.dumps(settings["spec"], sort_keys=True)
            if self._target is None or spec != self._spec:
                self._worker = self._target = None
                devices.limit_threads(settings["threads"])
                self._device = devices.pin(
                    settings["device"],
                    settings["local_index"],
                    settings.get("share_gpus", False),
                )
                target: Target = make(settings["spec"], "model")
                target.stage(self._device)
                self._target, self._spec = target, spec
            if len(ranks) > 1:
                self._begin_group(self._target, settings, ranks)
                return
            self._worker = Worker(
                self._target,
                open_checkpoints(settings, Path(settings["checkpoints"])),
                resident_trials=settings["resident_trials"],
                checkpoint_every_s=settings["checkpoint_every_s"],
                paused=lambda: self._pausing,
            )
        except Exception as error:
            traceback.print_exc(limit=-4)
            self.post("refused", f"{type(error).__name__}: {error}"[:500])
            return
        self._join(settings["threads"], start)

    def _begin_group(self, target: Target, settings: dict[str, Any], ranks: Any) -> None:
        """Ready to meet the others of the group; `_meet` joins the run."""
        if self._group is None:
            assert target.parallel is not None
            module, _, name = target.parallel.rpartition(".")
            self._group = getattr(importlib.import_module(module), name)(
                ranks.index(self.rank), len(ranks), self._device,
                float(settings["report_timeout_s"]), bool(settings.get("share_gpus")),
            )  # fmt: skip
        target.group = self._group
        self._threads = settings["threads"]
        self._worker = groups.GroupWorker(
            target,
            open_checkpoints(settings, Path(settings["checkpoints"])),
            group=self._group,
            look=self._wishes,
            cancel=self._cancel,
            resident_trials=settings["resident_trials"],
            checkpoint_every_s=settings["checkpoint_every_s"],
        )
        leads = self._group.rank == 0 and not self._met
        self.post("ready", self._group.offer() if leads else None)
        self.drain(5.0)

    def _meet(self, port: int) -> None:
        if not self._met:
            self._group.join(port)
        self._met = True
        self._join(self._threads, self._start)

    def _wishes(self) -> tuple[bool, bool]:
        """Has rank 0 asked for a pause, or for the run's end?"""
        words = {word for word, run_id, _ in self._inbox if run_id in (self._run_id, None)}
        return "pause" in words or self._pausing, bool(words & {"end", "exit"})

    def _cancel(self) -> None:
        raise _Cancelled  # the message that asked for it is, or will be, in the inbox

    def _join(self, threads: int, start: float) -> None:
        assert self._target is not None
        stage_s = round(time.monotonic() - start, 3)  # next to nothing where the last run's serves
        said = facts.worker(self._device, "", threads)
        if self._meter is not None:
            self._meter.close()
        self._meter = energy.Meter(self._device)
        said["energy"] = self._meter.facts()
        if self._group is not None and self._device != "cpu":  # one meter a worker: its leader's
            self._meter.close()
            self._meter = None
            said["energy"] = {"source": "none", "why": "a group's devices are not summed"}
        data_set = dict(self._target.provenance)
        self.post("joined", {**said, "stage_s": stage_s, "data_set": data_set})

    def act(self, word: str, job: Any) -> None:
        if word == "meet":
            self._meet(job)
        if word == "pause":
            self._pausing = True
            self.post("paused", None)
        if word not in ("job", "score") or self._worker is None or self._pausing:
            return
        (self._worker.run if word == "job" else self._worker.score)(self.rank, job, self.send)
        self.flush()
        if self._pausing:
            self.post("paused", None)

    def send(self, event: t.Event) -> None:
        """Reports stream up and are never answered; between epochs rank 0's end is noticed."""
        if isinstance(event, t.JobFinished) and self._meter is not None:
            event = dataclasses.replace(event, energy_j=self._meter.joules())
        self._outbox.append(event)
        if time.monotonic() - self._flushed >= FLUSH_EVERY_S:
            self.flush()
            self._look()

    def flush(self) -> None:
        if self._outbox:
            self.post("events", self._outbox)
            self._outbox = []
        self._flushed = time.monotonic()

    def _look(self) -> None:
        """Has rank 0 ended the run, or died, while this job trains?"""
        try:
            if 0 in self._failed():
                os._exit(1)
            if self._group is not None:
                while self._comm.Iprobe(source=0, tag=TAG):
                    self._inbox.append(self._comm.recv(source=0, tag=TAG))
            elif self._comm.Iprobe(source=0, tag=TAG):
                word, run_id, content = self._comm.recv(source=0, tag=TAG)
                if word == "exit":
                    self.leave(content)
                if word == "pause" and run_id == self._run_id:
                    self._pausing = True
                if word == "end" and run_id == self._run_id:
                    self._ended = True
                    raise _Cancelled
        except self._mpi.Exception:
            os._exit(1)  # rank 0 is gone; there is nobody to work for

    def _failed(self) -> list[int]:
        try:
            group = self._comm.Get_failed()
            n = group.Get_size()
            return (
                list(self._mpi.Group.Translate_ranks(group, list(range(n)), self._comm.Get_group()))
                if n
                else []
            )
        except NotImplementedError:
            return []

    def receive(self) -> tuple[Any, ...] | None:
        if self._inbox:
            return self._inbox.pop(0)
        try:
            if self._comm.Iprobe(source=0, tag=TAG):
                message: tuple[Any, ...] = self._comm.recv(source=0, tag=TAG)
                return message
            if time.monotonic() - self._flushed > 1.0:
                self._flushed = time.monotonic()
                if 0 in self._failed():
                    os._exit(1)
        except self._mpi.Exception:
            os._exit(1)  # rank 0 is gone
        return None

    def post(self, word: str, content: Any) -> None:
        if self._group is not None and self._group.rank > 0 and word in _OF_LEADERS:
            return
        self._requests = [r for r in self._requests if not r.test()[0]]
        self._requests.append(self._comm.isend((word, self._run_id, content), dest=0, tag=TAG))

    def drain(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not all(
            request.test()[0] for request in self._requests
        ):
            time.sleep(1e-3)

    def leave(self, finalize: bool) -> NoReturn:
        self.drain(5.0)
        sys.stdout.flush()
        sys.stderr.flush()
        if finalize:
            self._mpi.Finalize()
        os._exit(0)


def serve() -> NoReturn:
    """What every rank but 0 does. A worker that cannot go on says so and kills itself by signal.

    mpirun takes no notice of a process that exits with an error under ULFM; a signal it does see.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is rank 0's to answer
    server: _Server | None = None
    try:
        server = _Server()
        server.serve()
    except BaseException as error:
        traceback.print_exc()
        sys.stderr.flush()
        with contextlib.suppress(BaseException):
            if server is not None:
                server.post("leaving", f"{type(error).__name__}: {error}"[:500])
                server.drain(1.0)
    os.kill(os.getpid(), signal.SIGKILL)
    os._exit(1)
