"""Signals that end a run: noted, or raised once, so that its journal is closed and its record written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any, Self

BY_HAND = (signal.SIGINT, signal.SIGUSR2)


class Signals:
    """Ctrl-C and SIGTERM (of mpirun after Ctrl-C, or of the batch system) end a run, once: a second one does
    not cut off the closing line and the record, for which the first one asked.

    ends_by_hand: asked at a Ctrl-C; where it says True, the search ends by itself, and only the next one
    cuts it. SIGUSR2 is a Ctrl-C that mpirun hands on, and does not end by.
    """

    def __init__(self, ends_by_hand: Callable[[], bool]) -> None:
        self._ends_by_hand = ends_by_hand
        self._n_raised, self._deferred, self._came_late = 0, False, False
        self._before: dict[int, Any] = {}

    def defer(self) -> None:
        """From here on a signal is noted, and raised when the run is closed."""
        self._deferred = True

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
                # A shell's background job ignores Ctrl-C, and so does its run.
                if number != signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._stop)
        return self

    def _stop(self, number: int, _: Any) -> None:
        if self._deferred:
            self._came_late = True
        elif number in BY_HAND and self._ends_by_hand():
            return
        elif not self._n_raised:
            self._n_raised += 1
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        # After the first one, the run is interrupted anyway, and says so.
        if self._came_late and not self._n_raised:
            raise KeyboardInterrupt
