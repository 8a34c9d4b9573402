"""budget.end=job: when a run must have ended in this batch job, and what its end takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import median

from suite.core import types as t
from suite.core.errors import ConfigError
from suite.core.printable import hours
from suite.run import batch

_LAST = 200
"""Epochs of which the longest counts."""
_OUTLIER = 5.0
"""Times the median: a longer epoch is left out. Where such a one is being trained at the end, it is cut."""
_GREW = 1.1
"""A margin that has grown to so many times itself, and by a second, is said anew."""


class JobEnd:
    """The end of this batch job, as it was when this was made: a wall clock that is set later moves nothing.

    margin: seconds before it at which the search ends. They are backend.pause_before_s, which stays for the
    winner's evaluation, the record and the batch script, and what was measured in this run: the longest of
    the last 200 epochs (without those of over five times their median), because jobs end with their present
    epoch, and the longest restore and checkpoint of a job.

    Raises ConfigError outside of a job, and where nothing but the margin is left of it.
    """

    def __init__(
        self,
        pause_before_s: float,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        end_s = batch.end_time_s()
        if end_s is None:
            raise ConfigError(
                f"budget.end=job: {' and '.join(batch.END_TIMES)} are not set: this is no batch job; use "
                "budget.hours, or set the first (seconds since 1970, e.g. of date -d '+2 hours' +%s)."
            )
        self._clock, self._pause_before_s = clock, pause_before_s
        self._end_s = clock() + end_s - wall()
        self._epochs_s: deque[float] = deque(maxlen=_LAST)
        self._job_s = 0.0
        self._said_ms: int | None = None
        if (left_s := self._end_s - clock()) <= pause_before_s:
            when = f"ended {hours(-left_s)} ago" if left_s <= 0 else f"ends in {left_s:.0f} s"
            raise ConfigError(
                f"budget.end=job: the job {when}, and backend.pause_before_s={pause_before_s:g} is left for "
                "the end of the run; submit a new job (resume=auto goes on), or ask for more time (--time)."
            )

    def saw(self, event: t.Event) -> None:
        """Any event of the run, also of the processes before this one."""
        if isinstance(event, t.EpochReport):
            self._epochs_s.append(event.train_s + event.eval_s)
        elif isinstance(event, t.JobFinished):
            self._job_s = max(self._job_s, event.restore_s + event.checkpoint_s)

    @property
    def margin_s(self) -> float:
        return self._pause_before_s + self._epoch_s() + self._job_s

    def _epoch_s(self) -> float:
        if not self._epochs_s:
            return 0.0
        most = _OUTLIER * median(self._epochs_s)
        return max(seconds for seconds in self._epochs_s if seconds <= most)

    def allocation(self, now_s: float) -> t.Allocation | None:
        """The event that says the end anew, at this time of the run's clock; None: what was said stands."""
        margin_ms = round(1000 * self.margin_s)
        if self._said_ms is not None and margin_ms <= max(
            _GREW * self._said_ms, self._said_ms + 1000
        ):
            return None
        self._said_ms = margin_ms
        end_ms = round(1000 * (now_s + self._end_s - self._clock())) - margin_ms
        return t.Allocation(max(end_ms, 0), margin_ms, batch.job_id(), round(now_s, 6))
