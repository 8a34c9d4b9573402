"""Jobs that are sent again: of lost workers, after a resume, and those that the end of a budget stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from suite.core import types as t


class SentAgain:
    """Trials and the epoch to train them to, handed out before anything new; the latest first."""

    def __init__(self) -> None:
        self._queue: deque[tuple[int, int]] = deque()
        self._stopped: list[t.Job] = []

    def __bool__(self) -> bool:
        """Whether one can be handed out."""
        return bool(self._queue)

    def add(self, job: t.Job) -> None:
        self._queue.appendleft((job.trial_id, job.to_epoch))

    def stop(self, job: t.Job) -> None:
        """A budget is used up: only a resume sends it again, where the run goes on."""
        self._stopped.append(job)

    def resume(self, cut: Sequence[t.Job]) -> None:
        """cut: jobs that were in flight. All that were cut or stopped come in the order of their begin."""
        for job in sorted([*cut, *self._stopped], key=lambda job: job.job_id, reverse=True):
            self.add(job)
        self._stopped.clear()

    def take(self, may: Callable[[int], bool]) -> tuple[int, int] | None:
        """The first whose trial may be handed out now."""
        for place, again in enumerate(self._queue):
            if may(again[0]):
                del self._queue[place]
                return again
        return None

    @property
    def trial_ids(self) -> set[int]:
        """Of all that wait, and those that were stopped."""
        return {trial_id for trial_id, _ in self._queue} | {job.trial_id for job in self._stopped}
