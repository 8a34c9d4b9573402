"""Tasks side by side in processes of this machine: a lost process costs its task, and no other.

The standard library's pool ends as a whole where one of its processes is killed, and does not say whose task
was lost; here each process is known by what it does.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from suite.core.errors import SuiteError
from suite.run import limit
from suite.worker.devices import THREADS

Task = TypeVar("Task")
Result = TypeVar("Result")
_READY = "ready"
_ASKED = (signal.SIGINT, signal.SIGUSR1)
"""By these the parent is asked; a process ignores them."""
_PATIENCE_S = 20.0
"""For a task that was asked to end: it closes its files. Slurm kills 30 s after its SIGTERM."""


class CannotStartError(SuiteError):
    """No process of this machine gets as far as its first task."""


@dataclass(frozen=True)
class Lost:
    """In place of a result: why there is none."""

    reason: str

    @classmethod
    def ended(cls, code: int | None) -> Lost:
        """code: as multiprocessing has it, -9 for signal 9; None: it lives, and said nothing."""
        if code is None:
            return cls(f"its process did not end within {_PATIENCE_S:.0f} s and was killed")
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return cls(f"its process was ended {how}")


@dataclass
class _Worker(Generic[Task]):
    process: BaseProcess
    pipe: Connection
    task: Task | None = None
    is_ready: bool = False


class Processes(Generic[Task, Result]):
    """`work(task)` in n processes, each begun anew (spawn): nothing of this one's threads comes along.

    work, tasks and results are pickled; work is a function of a module. Each process takes one thread for
    its linear algebra, unless the environment says otherwise: n of them share the machine.

    A context: at its end processes with a task are asked to end by SIGTERM, and `left` holds what they
    still said. They ignore Ctrl-C, which a terminal sends to all, and SIGUSR1: this process decides. In the
    context Ctrl-C and SIGTERM end `done` by KeyboardInterrupt, between two messages.
    Raises CannotStartError where no process becomes ready (a program that is read from a pipe, say).

    >>> with Processes(abs, 2) as processes:
    ...     sorted(result for _, result in processes.done([-1, -2, 3]))
    [1, 2, 3]
    """

    def __init__(self, work: Callable[[Task], Result], n: int) -> None:
        self._work, self._n, self._was_ready = work, n, False
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker[Task]] = []
        self._is_asked = False
        self._handlers: dict[signal.Signals, Any] = {}
        self.left: list[tuple[Task, Result | Lost]] = []
        """Tasks that were under way at the end, with their results."""

    def __enter__(self) -> Self:
        self._wakes, self._wake = self._context.Pipe(duplex=False)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # A shell's background job ignores Ctrl-C, and so does its sweep.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._handlers[number] = signal.signal(number, self._note)
        return self

    def _note(self, *_: object) -> None:
        """A signal raises nothing at once: half a message read would leave the rest of it to the next."""
        if not self._is_asked:
            self._is_asked = True
            self._wake.send_bytes(b"!")

    def done(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result | Lost]]:
        """Each task with its result, in the order in which they end.

        Tasks are taken from their iterator shortly before they begin, at most n of them ahead: to make one
        (compose a configuration, say) costs the processes no time.
        """
        following, ahead, is_more = iter(tasks), deque[Task](), True
        while True:
            while ahead and (worker := self._idle()):
                self._send(worker, ahead.popleft())
            pipes = [worker.pipe for worker in self._workers if worker.task is not None]
            wanted = is_more and (len(pipes) < self._n or len(ahead) < self._n)
            heard = wait([*pipes, self._wakes], 0 if wanted else None) if pipes else []
            if self._is_asked:
                raise KeyboardInterrupt
            ready = [pipe for pipe in heard if pipe is not self._wakes]
            for worker in [worker for worker in self._workers if worker.pipe in ready]:
                if (pair := self._heard(worker)) is not None:
                    yield pair
            if not ready and wanted:
                try:
                    ahead.append(next(following))
                except StopIteration:
                    is_more = False
            elif not ready:
                return

    def _idle(self) -> _Worker[Task] | None:
        """A process that has no task, begun where there are fewer than n; None: all have one."""
        for worker in self._workers:
            if worker.task is None:
                return worker
        return self._started() if len(self._workers) < self._n else None

    def _send(self, worker: _Worker[Task], task: Task) -> None:
        worker.task = task
        # Where it was killed while it waited, `_heard` says so.
        with contextlib.suppress(OSError):
            worker.pipe.send(task)

    def _started(self) -> _Worker[Task]:
        before = {name: os.environ.get(name) for name in THREADS}
        mine, its = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(its, self._work), daemon=True)
        for name in THREADS:
            os.environ.setdefault(name, "1")
        # Until it has handlers of its own: a terminal's Ctrl-C goes to all processes. The library's own
        # helper, which begins with the first process, unblocks signals.
        resource_tracker.ensure_running()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _ASKED)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
        its.close()
        worker = _Worker[Task](process, mine)
        self._workers.append(worker)
        return worker

    def _heard(self, worker: _Worker[Task]) -> tuple[Task, Result | Lost] | None:
        """What a process said of its task; None: that it is ready. Call it where its pipe has something."""
        try:
            said = worker.pipe.recv()
        except (EOFError, OSError):
            self._workers.remove(worker)
            worker.pipe.close()
            worker.process.join(_PATIENCE_S)
            lost = Lost.ended(worker.process.exitcode)
            if not self._was_ready:
                raise CannotStartError(
                    f"n_jobs={self._n}: no process can be begun ({lost.reason}); use n_jobs=1."
                ) from None
            assert worker.task is not None
            return worker.task, lost
        if not worker.is_ready:
            assert said == _READY
            worker.is_ready = self._was_ready = True
            return None
        task, worker.task = worker.task, None
        assert task is not None
        return task, said

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            # A second signal is noted, too: it does not cut off what the first one asked for.
            self._end()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            self._handlers = {}
            self._wakes.close()
            self._wake.close()

    def _end(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        until = time.monotonic() + _PATIENCE_S
        for worker in self._workers:
            if worker.task is not None:
                self.left.append((worker.task, self._last_words(worker, until)))
            # It waits for its next task: this is the end of them.
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(max(until - time.monotonic(), 0.1))
            if worker.process.is_alive():
                worker.process.kill()
        self._workers = []

    def _last_words(self, worker: _Worker[Task], until: float) -> Result | Lost:
        with contextlib.suppress(EOFError, OSError):
            while worker.pipe.poll(max(until - time.monotonic(), 0.0)):
                if worker.is_ready:
                    said: Result | Lost = worker.pipe.recv()
                    return said
                worker.is_ready = worker.pipe.recv() == _READY
            return Lost.ended(None)
        worker.process.join(1.0)
        return Lost.ended(worker.process.exitcode)


def _serve(pipe: Connection, work: Callable[[Task], Result]) -> None:
    """A process: one task after the other, until its parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit.listen(worker=True)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ASKED)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        pipe.send(_READY)
        while True:
            task = pipe.recv()
            try:
                said: Result | Lost = work(task)
            except Exception as error:
                traceback.print_exc()
                said = Lost(f"{type(error).__name__}: {error}")
            pipe.send(said)
