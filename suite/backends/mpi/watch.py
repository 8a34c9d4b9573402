"""A deadline for what cannot be polled: MPI_Init and MPI_Finalize hold the interpreter while they wait."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable


class Watch:
    """Ends this process after `timeout_s` unless `done` or `again` is called before.

    It is watched by a process forked before MPI is touched, which then calls `last_words`.
    """

    def __init__(self, timeout_s: float, last_words: Callable[[], None]) -> None:
        reader, self._writer = os.pipe()
        self._child = os.fork()
        if self._child:
            os.close(reader)
            self.again(timeout_s)
            return
        os.close(self._writer)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a dying mpirun's: the page comes first
        parent, limit_s = os.getppid(), timeout_s
        while select.select([reader], [], [], limit_s)[0]:
            word = os.read(reader, 64)
            if not word:  # the parent has ended
                os._exit(0)
            limit_s = float(word.split()[-1])
        last_words()
        if os.getppid() == parent:
            os.kill(parent, signal.SIGKILL)
        os._exit(1)

    def again(self, timeout_s: float) -> None:
        os.write(self._writer, f"{timeout_s:g} ".encode())

    def done(self) -> None:
        os.close(self._writer)
        os.waitpid(self._child, 0)
