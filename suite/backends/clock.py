"""Clocks on rank 0: a run's, and the one that the workers' silence is measured by."""

from __future__ import annotations

import time
from collections.abc import Callable

MOST_STEP_S = 1.0


class Clock:
    """Seconds since the run began. `before_s`: what a resumed run had used before."""

    def __init__(self, before_s: float, read: Callable[[], float] = time.monotonic) -> None:
        self._before_s, self._read = before_s, read
        self.restart()

    def restart(self) -> None:
        """Start again: a run's clock starts when its workers can train; imports do not count."""
        self._began = self._read() - self._before_s

    def now(self) -> float:
        return self._read() - self._began


class AttentiveClock:
    """Seconds in which this process was looking: each call of `now` adds at most one second.

    A deadline for somebody else must not run while nobody could have seen an answer: while this process was
    stopped (SIGSTOP, a suspended job or virtual machine) or waited for a slow disk. Call `now` often.
    """

    def __init__(self, read: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._last = read()
        self._now = 0.0

    def now(self) -> float:
        last, self._last = self._last, self._read()
        self._now += min(max(self._last - last, 0.0), MOST_STEP_S)
        return self._now
