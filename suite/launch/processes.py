"""Tasks side by side in processes of this machine: a lost process costs its task, and no other.

The standard library's pool ends as a whole where one of its processes is killed, and does not say whose task
was lost; here each process is known by what it does.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Generic, Self, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_PATIENCE_S = 60.0
"""For a task that was asked to end: it closes its files."""


@dataclass(frozen=True)
class Lost:
    """In place of a result: the process was killed. exit_code: -9 for signal 9, as Python says it."""

    exit_code: int | None

    def __str__(self) -> str:
        code = self.exit_code
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        return f"its process was ended {how}"


@dataclass
class _Worker(Generic[Task]):
    process: BaseProcess
    pipe: Connection
    task: Task | None = None


class Processes(Generic[Task, Result]):
    """`work(task)` in n processes, each begun anew (spawn): nothing of this one's threads comes along.

    work, tasks and results are pickled; work is a function of a module. Each process takes one thread for
    its linear algebra, unless the environment says otherwise: n of them share the machine.

    A context: at its end processes with a task are asked to end by SIGTERM, and `left` holds what they
    still said. They ignore Ctrl-C, which a terminal sends to all: this process decides.

    >>> with Processes(abs, 2) as processes:
    ...     sorted(result for _, result in processes.done([-1, -2, 3]))
    [1, 2, 3]
    """

    def __init__(self, work: Callable[[Task], Result], n: int) -> None:
        self._work, self._n = work, n
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker[Task]] = []
        self.left: list[tuple[Task, Result | Lost]] = []
        """Tasks that were under way at the end, with their results."""

    def __enter__(self) -> Self:
        return self

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
            ready = wait(pipes, 0 if wanted else None) if pipes else []
            for worker in [worker for worker in self._workers if worker.pipe in ready]:
                yield self._result(worker)
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
        # Where it was killed while it waited, `_result` says so.
        with contextlib.suppress(OSError):
            worker.pipe.send(task)

    def _started(self) -> _Worker[Task]:
        before = {name: os.environ.get(name) for name in _THREADS}
        mine, its = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(its, self._work), daemon=True)
        for name in _THREADS:
            os.environ.setdefault(name, "1")
        try:
            process.start()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
        its.close()
        worker = _Worker[Task](process, mine)
        self._workers.append(worker)
        return worker

    def _result(self, worker: _Worker[Task]) -> tuple[Task, Result | Lost]:
        task, worker.task = worker.task, None
        assert task is not None
        try:
            return task, worker.pipe.recv()
        except (EOFError, OSError):
            self._workers.remove(worker)
            worker.process.join(_PATIENCE_S)
            return task, Lost(worker.process.exitcode)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        # A second Ctrl-C does not cut off what the first one asked for.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._end()
        finally:
            signal.signal(signal.SIGINT, before)

    def _end(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        until = time.monotonic() + _PATIENCE_S
        for worker in list(self._workers):
            if worker.task is not None:
                worker.pipe.poll(max(until - time.monotonic(), 0.0))
                self.left.append(
                    self._result(worker) if worker.pipe.poll() else (worker.task, Lost(None))
                )
        for worker in self._workers:
            worker.process.join(max(until - time.monotonic(), 0.1))
            if worker.process.is_alive():
                worker.process.kill()
        self._workers = []


def _serve(pipe: Connection, work: Callable[[Task], Result]) -> None:
    """A process: one task after the other, until its parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            pipe.send(work(pipe.recv()))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
