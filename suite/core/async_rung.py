"""A rung of asynchronous successive halving: which trials finished, and which may be promoted."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from suite.core.types import Curve

Place = tuple[float, int]
"""(objective at the rung, trial_id): ties go to the lower trial_id."""


class AsyncRung:
    """Trials that finished here, best first, and those of them not promoted: two sorted lists.

    to_epoch: epochs in total that a trial has here. A diverged trial counts, as the rung's last.
    """

    def __init__(self, to_epoch: int) -> None:
        self.to_epoch = to_epoch
        # finished jobs, of diverged trials too
        self._n_told = 0
        self._finished: list[Place] = []
        self._waiting: list[Place] = []

    def tell(self, trial_id: int, curve: Curve | None) -> None:
        self._n_told += 1
        if curve is not None:
            place = (curve[self.to_epoch - 1], trial_id)
            insort(self._finished, place)
            insort(self._waiting, place)

    @property
    def reached(self) -> bool:
        return bool(self._finished)

    @property
    def finished(self) -> Sequence[Place]:
        """All that finished here, best first, promoted or not; without the diverged."""
        return self._finished

    def promote(self, eta: int) -> int | None:
        """The best trial among the top 1/eta that was not promoted before; it is now."""
        if not self._waiting:
            return None
        if bisect_left(self._finished, self._waiting[0]) >= self._n_told // eta:
            return None
        return self._waiting.pop(0)[1]
