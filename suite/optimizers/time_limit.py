"""A limit of time for calls into other people's code: what does not answer ends, and its name is said."""

from __future__ import annotations

import faulthandler
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from suite.core.errors import ConfigError

_TICKS = 10
_STDERR = 2
_MOST_S = 1e6


class NoAnswerError(BaseException):
    """The call has not come back in time; says where it is. No Exception: packages catch those and go on."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise NoAnswerError in the block after so many seconds of the clock on the wall.

    The time is counted in ten ticks, so that a process that was stopped for hours (SIGSTOP, a suspended
    job) has lost one of them. Code that is compiled and does not come back to Python cannot be interrupted:
    after twice the time the process says where it stands, on standard error, and exits with 1; a run's
    journal is whole then, and `resume=` goes on. There is no limit outside the main thread, and where
    somebody's own timer is running (of a test, say).
    """
    if signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return
    n, over = 0, False

    def tick(_: int, frame: FrameType | None) -> None:
        nonlocal n
        n += 1
        if n >= _TICKS and not over:
            raise NoAnswerError(_place(frame))

    try:
        before = signal.signal(signal.SIGALRM, tick)
    except ValueError:  # not the main thread
        yield
        return
    faulthandler.dump_traceback_later(2 * seconds, exit=True, file=_STDERR)
    signal.setitimer(signal.ITIMER_REAL, seconds / _TICKS, seconds / _TICKS)
    try:
        yield
    finally:
        over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()


def _place(frame: FrameType | None) -> str:
    if frame is None:
        return "?"
    return f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"


def check_limit(name: str, seconds: float) -> None:
    """Raise ConfigError where it is no number of seconds in (0, 1e6]."""
    if not 0 < seconds <= _MOST_S:
        raise ConfigError(f"{name}={seconds:g}: must be a number of seconds in (0, {_MOST_S:g}].")
