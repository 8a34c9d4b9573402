"""The time limit: why a run must pause, if it must.

There are two reasons: SIGUSR1 (a batch script forwards it before its job ends), and the job's end
time, as the batch system states it (suite.run.batch).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

from suite.core.errors import ConfigError
from suite.run import batch

PAUSED = 75
"""Exit code of a paused run (EX_TEMPFAIL of sysexits.h): the same command with resume=auto continues it."""
# Of the seconds before the job's end: what workers have, to end their epochs and write checkpoints. The
# rest is for the closing line and the batch script.
_SHARE_OF_WORKERS = 0.75
_LEAST_WAIT_S = 5.0
_asked = False
_SIGNAL, _ENDS = "SIGUSR1 came", "the job ends in"


def is_pause(reason: str) -> bool:
    """Whether a journal's closing line tells of a pause: by how its reason begins."""
    return reason.startswith((_SIGNAL, _ENDS))


def listen(worker: bool) -> None:
    """Handle SIGUSR1 and SIGUSR2; every rank calls this first. mpirun forwards both to every rank, and a rank
    without a handler dies. Workers ignore them; rank 0 acts on the first, and on the second while a run
    trains (suite.launch.signals).
    """
    signal.signal(signal.SIGUSR1, signal.SIG_IGN if worker else _note)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _note(*_: Any) -> None:
    global _asked
    _asked = True


class Limit:
    """before_s: seconds before the job's end at which a run pauses.

    It pauses earlier where an epoch is measured to take longer than that (`measured`): a pause comes at
    the end of an epoch, and what was trained since the last checkpoint would be lost.
    """

    def __init__(self, before_s: float, clock: Callable[[], float] = time.time) -> None:
        if not before_s >= 0:
            raise ConfigError(f"backend.pause_before_s={before_s}: must be seconds >= 0.")
        self._before_s, self._clock = before_s, clock
        self._epoch_s = 0.0
        self.end_s = batch.end_time_s()

    def measured(self, epoch_s: float) -> None:
        """Seconds that the epochs being trained take: the longest of them. Counts until the next call."""
        self._epoch_s = epoch_s

    @property
    def before_s(self) -> float:
        """Seconds before the job's end at which the run pauses, by the setting and by what is measured."""
        return max(self._before_s, self._epoch_s / _SHARE_OF_WORKERS)

    def due(self) -> str:
        """Why the run must pause now; empty if it need not."""
        if _asked:
            return _SIGNAL
        if self.end_s is not None and (left := self.end_s - self._clock()) <= self.before_s:
            longer = self.before_s > self._before_s
            epoch = f", an epoch takes {self._epoch_s:.0f} s" if longer else ""
            return f"{_ENDS} {left:.0f} s (backend.pause_before_s={self._before_s:g}{epoch})"
        return ""

    def wait_s(self) -> float:
        """Seconds that a pause, asked for now, may wait for the ends of epochs and their checkpoints.

        Where the job's end is known, until a quarter of `before_s` is left.
        """
        wait_s = max(self.before_s * _SHARE_OF_WORKERS, _LEAST_WAIT_S)
        if self.end_s is None:
            return wait_s
        kept_s = self.before_s * (1 - _SHARE_OF_WORKERS)
        return max(self.end_s - self._clock() - kept_s, _LEAST_WAIT_S)

    def end_wait_s(self) -> float:
        """Seconds that a run which ends with its job waits for the ends of epochs, once a pause is due: until
        half of `before_s` is left, which is for the winner's evaluation and the record.
        """
        half_s = self.before_s / 2
        return half_s if (left_s := self.left_s) is None else max(left_s - half_s, 0.0)

    @property
    def left_s(self) -> float | None:
        """Seconds until the job's end; None where it is unknown."""
        return None if self.end_s is None else self.end_s - self._clock()

    def check(self, epoch_s: float) -> None:
        """Raise ConfigError where the time left cannot hold one epoch of `epoch_s` seconds."""
        if self.end_s is None:
            return
        left = self.end_s - self._clock() - self.before_s
        if left < epoch_s:
            raise ConfigError(
                f"end of the job: {max(left, 0):.0f} s are left to train (after "
                f"backend.pause_before_s={self.before_s:g}), one epoch takes about {epoch_s:g} s; "
                "ask for more time (--time)."
            )
