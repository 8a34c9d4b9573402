"""The time limit: why a run must pause, if it must.

Two things say so: SIGUSR1 (what a batch script passes on before its job ends), and the job's end
time, which the environment names as SUITE_END_TIME (or Slurm as SLURM_JOB_END_TIME) in seconds
since 1970.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from suite.core.errors import ConfigError

PAUSED = 75  # exit code, EX_TEMPFAIL of sysexits.h: the same line goes on later
_NAMES = ("SUITE_END_TIME", "SLURM_JOB_END_TIME")
_asked = False


def listen(worker: bool) -> None:
    """To be called by every rank before anything else: mpirun hands SIGUSR1 to all of them, and it
    kills who has no handler. Workers leave the answer to rank 0.
    """
    signal.signal(signal.SIGUSR1, signal.SIG_IGN if worker else _note)


def _note(*_: Any) -> None:
    global _asked
    _asked = True


def end_time_s(environment: Mapping[str, str] | None = None) -> float | None:
    """Seconds since the epoch at which the job ends; None where nobody says.

    Raises ConfigError for what is no number.
    """
    environment = os.environ if environment is None else environment
    for name in _NAMES:
        if value := environment.get(name, ""):
            try:
                return float(value)
            except ValueError:
                raise ConfigError(
                    f"{name}={value}: must be seconds since 1970, e.g. of date +%s."
                ) from None
    return None


class Limit:
    """before_s: seconds before the job's end at which a run pauses."""

    def __init__(self, before_s: float = 120.0, clock: Callable[[], float] = time.time) -> None:
        if not before_s >= 0:
            raise ConfigError(f"backend.pause_before_s={before_s}: must be seconds >= 0.")
        self.before_s, self._clock = before_s, clock
        self.end_s = end_time_s()

    def due(self) -> str:
        """Why the run must pause now; empty where it need not."""
        if _asked:
            return "SIGUSR1 came"
        if self.end_s is not None and (left := self.end_s - self._clock()) <= self.before_s:
            return f"the job ends in {left:.0f} s (backend.pause_before_s={self.before_s:g})"
        return ""

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
