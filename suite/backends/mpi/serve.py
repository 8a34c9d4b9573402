"""The MPI backend, a worker's side: serve runs until rank 0 lets go.

The framework is imported by the first run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from suite.backends import launcher
from suite.backends.backoff import Backoff
from suite.backends.mpi import groups, library, lifeline
from suite.backends.mpi.messages import TAG, Begin, Message
from suite.backends.mpi.received import MOST_TEXT
from suite.core import plugins
from suite.core import types as t
from suite.core.errors import ConfigError, SuiteError
from suite.core.extras import naming_extras
from suite.core.target import Target, make_target
from suite.run.identity import process_identity
from suite.worker import devices, energy, facts, power_trace
from suite.worker.checkpoints import Checkpoints, open_checkpoints
from suite.worker.worker import Worker

# An idle worker may wait long: longer sleeps than rank 0's.
SLEEP_S = (1e-4, 1e-2)
# The most of them where ranks share cores: by as many times longer, and no longer than this.
MOST_SLEEP_S = 0.25
# How long a released one sleeps before it looks whether the run has ended.
RELEASED_S = 0.25
# Fast epochs share a message: one journal line for several.
FLUSH_EVERY_S = 0.05
# How often an idle worker looks whether rank 0 is still there.
LOOK_EVERY_S = 1.0
# How long a worker helps a large message on its way before it trains on. Small ones need no help.
HAND_OVER_S = 0.05
# Messages that only the leader of a group sends.
_OF_LEADERS = ("events", "joined", "paused")


class _Cancelled(BaseException):
    """Rank 0 ended the run while a job was training."""


class _Returned(BaseException):
    """Rank 0 lets this process go on with what it was doing, and hands it something."""


class _Server:
    def __init__(self) -> None:
        lifeline.watch()
        self._mpi = library.load()
        self._comm = self._mpi.COMM_WORLD
        self._comm.Set_errhandler(self._mpi.ERRORS_RETURN)
        self.rank = self._comm.Get_rank()
        if self._comm.Get_size() < 2:
            print(
                "suite: this launcher started single processes, not MPI ranks (srun --mpi=pmix "
                "does).",
                file=sys.stderr,
            )
            os._exit(1)
        if self.rank == 0:
            print(
                "suite: MPI calls this process rank 0, the launcher's variables do not: unset those of "
                "another launcher (OMPI_COMM_WORLD_RANK, PMI_RANK, SLURM_PROCID).",
                file=sys.stderr,
                flush=True,
            )
            self._comm.Abort(1)
        self._requests: list[Any] = []
        self._target: Target | None = None
        self._model = ""
        self._device = "cpu"
        self._worker: Worker | None = None
        self._meter: energy.Meter | None = None
        self._trace: power_trace.PowerTrace | None = None
        self._run_id: str | None = None
        self._outbox: list[t.Event] = []
        self._flushed = self._looked = 0.0
        self._ended = self._pausing = self._released = False
        # Where several ranks train a trial; for the life of the process.
        self._group: Any = None
        self._met = False
        # Whether the target was warmed up.
        self._warm = False
        # Read ahead while a job trains, answered in order.
        self._inbox: list[Message] = []
        self._on: Mapping[str, Callable[[Any], None]] = {
            "job": lambda job: self._work(job, score=False),
            "score": lambda job: self._work(job, score=True),
            "pause": self._on_pause,
            "meet": self._on_meet,
            "end": self._on_end,
            "release": self._on_release,
        }

        self.post("hello", process_identity())

    def serve(self) -> NoReturn:
        least_s, most_s = SLEEP_S
        backoff = Backoff(least_s, min(most_s * launcher.ranks_per_core(), MOST_SLEEP_S))
        while True:
            message = self.receive()
            if message is None:
                backoff.sleep()
                if self._released:
                    time.sleep(RELEASED_S)
                continue
            backoff.reset()
            self._take(*message)

    def _take(self, word: str, run_id: str | None, content: Any) -> None:
        if word == "exit":
            self.leave(content)
        if word == "return":
            raise _Returned(content)
        if word == "broken":
            raise groups.GroupBroken(content)
        if word == "begin":
            self._run_id, self._ended, self._pausing = run_id, False, False
            self._released = False
            self.begin(content)
        elif run_id == self._run_id:
            with contextlib.suppress(_Cancelled):
                self._on[word](content)
            if self._ended:
                self._outbox.clear()
                self.post("ended", None)
                self._run_id = None

    def begin(self, run: Begin) -> None:
        """Make the target if it is another than the last run's, and stage it; errors refuse this
        run only.
        """
        self._begin, self._start = run, time.monotonic()
        if run.group is None:
            self.post("refused", groups.IDLE)
            return
        try:
            target = self._staged(run)
            checkpoints = open_checkpoints(run.settings.checkpoint, run.checkpoints, target)
            if len(run.group) > 1:
                self._begin_group(target, checkpoints, run.group)
                return
            self._worker = Worker(
                target,
                checkpoints,
                resident_trials=run.settings.resident_trials,
                checkpoint_every_s=run.settings.checkpoint_every_s,
                paused=lambda: self._pausing,
            )
            self._join()
        except Exception as error:
            self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        """Take no part in this run. What the suite raises on purpose says all in its message."""
        if not isinstance(error, SuiteError):
            traceback.print_exc(limit=-4)
        self.post("refused", f"{type(error).__name__}: {error}"[:500])

    def _staged(self, run: Begin) -> Target:
        """The last run's target where the model is the same, else a new one, on this worker's device."""
        model = json.dumps(run.model, sort_keys=True)
        if self._target is None or model != self._model:
            self._worker = self._target = None
            devices.limit_threads(run.settings.threads)
            self._device = devices.pin(
                run.settings.device, run.local_index, run.settings.share_gpus
            )
            target = make_target(run.model)
            with naming_extras():
                target.stage(self._device)
            self._target, self._model, self._warm = target, model, False
        return self._target

    def _begin_group(
        self, target: Target, checkpoints: Checkpoints | None, ranks: tuple[int, ...]
    ) -> None:
        """Ready to meet the others of the group; `_on_meet` joins the run."""
        settings = self._begin.settings
        if self._group is None:
            assert target.parallel is not None
            make_group = plugins.find(target.parallel, "model.parallel")
            self._group = make_group(
                ranks.index(self.rank), len(ranks), self._device,
                settings.report_timeout_s, settings.share_gpus, self._begin.interface,
            )  # fmt: skip
        target.group = self._group
        self._worker = groups.GroupWorker(
            target,
            checkpoints,
            group=self._group,
            look=self._wishes,
            cancel=_cancel,
            resident_trials=settings.resident_trials,
            checkpoint_every_s=settings.checkpoint_every_s,
        )
        leads = self._group.rank == 0 and not self._met
        facts_of_rank = _plain({"data_set": dict(target.provenance), **facts.agreed(target)})
        self.post("ready", (self._group.offer() if leads else None, facts_of_rank))
        self.drain(5.0)

    def _on_meet(self, port: int) -> None:
        if not self._met:
            self._group.join(port)
        self._met = True
        try:
            self._join()
        except SuiteError as error:
            self._refuse(error)

    def _wishes(self) -> tuple[bool, bool]:
        """Has rank 0 asked for a pause, or for the run's end? The message will be answered by serve()."""
        words = {word for word, run_id, _ in self._inbox if run_id in (self._run_id, None)}
        return "pause" in words or self._pausing, bool(words & {"end", "exit"})

    def _join(self) -> None:
        assert self._target is not None
        assert self._worker is not None
        # Both almost 0 where the last run's target is used again.
        stage_s = round(time.monotonic() - self._start, 3)
        if not self._warm:
            self._worker.warm_up()
            self._warm = True
        warm_up_s = round(time.monotonic() - self._start, 3)
        described = facts.worker(self._device, "", self._begin.settings.threads)
        if self._meter is not None:
            self._meter.close()
        if self._trace is not None:
            self._trace.close()
        self._meter = energy.Meter(self._device)
        described["energy"] = self._meter.facts()
        if self._group is not None and self._device != "cpu":
            # One meter a worker: its leader's.
            self._meter.close()
            self._meter = None
            described["energy"] = {"source": "none", "why": "a group's devices are not summed"}
        self._trace = power_trace.start(self._meter, self._begin.checkpoints.beside, self.rank)
        data_set = dict(self._target.provenance)
        described |= {"stage_s": stage_s, "warm_up_s": warm_up_s, "data_set": data_set}
        described |= facts.agreed(self._target)
        self.post("joined", _plain(described))

    def _on_pause(self, _: None) -> None:
        self._pausing = True
        self.post("paused", None)

    def _on_release(self, _: None) -> None:
        """No job comes any more in this run; the process stays for the next one, and costs almost nothing."""
        self._released = True

    def _on_end(self, _: None) -> None:
        self._ended = True
        if self._trace is not None:
            self._trace.close()
            self._trace = None

    def _work(self, job: t.Job, score: bool) -> None:
        # The last job of a run whose budget is used up comes after a pause.
        self._pausing = self._pausing and not score
        if self._worker is None or self._pausing:
            return
        (self._worker.score if score else self._worker.run)(self.rank, job, self.send)
        self.flush()
        if self._pausing:
            self.post("paused", None)

    def send(self, event: t.Event) -> None:
        """Send an event to rank 0, which never answers; also look whether rank 0 is still there."""
        if isinstance(event, t.JobFinished) and self._meter is not None:
            event = dataclasses.replace(event, energy_j=self._meter.joules())
        if isinstance(event, t.JobFailed):
            event = dataclasses.replace(event, message=event.message[:MOST_TEXT])
        self._outbox.append(event)
        if time.monotonic() - self._flushed >= FLUSH_EVERY_S:
            self.flush()
            self.drain(HAND_OVER_S)
            self._look()

    def flush(self) -> None:
        if self._outbox:
            self.post("events", self._outbox)
            self._outbox = []
        self._flushed = time.monotonic()

    def _look(self) -> None:
        """At the end of an epoch: read everything that rank 0 has sent. Ends the job of a run that is over.

        A pause comes first: the job ends by its checkpoint, whatever else has come.
        """
        try:
            if 0 in self._failed():
                os._exit(1)
            while library.has_come(self._comm, 0, TAG):
                self._inbox.append(self._comm.recv(source=0, tag=TAG))
        except self._mpi.Exception:
            # Rank 0 is gone.
            os._exit(1)
        if broken := [content for word, _, content in self._inbox if word == "broken"]:
            raise groups.GroupBroken(broken[0])
        if self._group is None:
            self._pausing, end = self._wishes()
            if end and not self._pausing:
                _cancel()

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

    def receive(self) -> Message | None:
        if self._inbox:
            return self._inbox.pop(0)
        try:
            if library.has_come(self._comm, 0, TAG):
                message: Message = self._comm.recv(source=0, tag=TAG)
                return message
            if time.monotonic() - self._looked > LOOK_EVERY_S:
                self._looked = time.monotonic()
                if 0 in self._failed():
                    os._exit(1)
        except self._mpi.Exception:
            # Rank 0 is gone.
            os._exit(1)
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


def _cancel() -> NoReturn:
    """End the job that trains. The message that asked for this is in the inbox, here or at another rank."""
    raise _Cancelled


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker says of itself as the journal will hold it. Raises ConfigError for anything else."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(facts, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"facts of this worker: {error}; a target's `provenance` must hold plain values (text, "
            "numbers, lists, mappings)."
        ) from None
    return plain


_server: _Server | None = None


def serve() -> tuple[Any, bool]:
    """What every rank but 0 does, until rank 0 lets it go, which ends the process; or until rank 0 hands
    something back (`World.hand_back`): that, and whether no rank was lost.

    A worker that cannot continue reports that and kills itself by signal: under ULFM mpirun ignores a process
    that exits with an error; it does notice a signal.
    """
    global _server
    # Only rank 0 answers Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = _server
    try:
        server = _server = server or _Server()
        server.serve()
    except _Returned as returned:
        signal.signal(signal.SIGINT, before)
        content, is_whole = returned.args[0]
        return content, bool(is_whole)
    except BaseException as error:
        traceback.print_exc()
        sys.stderr.flush()
        with contextlib.suppress(BaseException):
            if server is not None:
                server.post("leaving", f"{type(error).__name__}: {error}"[:500])
                server.drain(1.0)
    os.kill(os.getpid(), signal.SIGKILL)
    os._exit(1)
