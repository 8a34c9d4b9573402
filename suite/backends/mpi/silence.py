"""How long workers have been silent, and may be: deadlines that follow progress.

A worker that trains is heard at the end of an epoch. So what an epoch takes counts: by the setting
(report_timeout_s), and by what this worker's last epochs took. Time in which rank 0 did not look is
nobody's silence (AttentiveClock).
"""

from __future__ import annotations

from collections.abc import Iterator

from suite.backends.clock import AttentiveClock

# A worker may be silent for so many of its last epochs, where that is longer than the setting.
EPOCHS = 3


class Silence:
    """The busy workers of a run, and what their epochs take. limit_s: backend.report_timeout_s."""

    def __init__(self, clock: AttentiveClock, limit_s: float) -> None:
        self._clock, self._limit_s = clock, limit_s
        # Busy worker -> when it was last heard.
        self._since_s: dict[int, float] = {}
        # Busy worker -> how long it may be silent at least.
        self._least_s: dict[int, float] = {}
        # Worker -> what its last two epochs took.
        self._epochs_s: dict[int, list[float]] = {}

    def __contains__(self, rank: int) -> bool:
        return rank in self._since_s

    def __iter__(self) -> Iterator[int]:
        return iter(self._since_s)

    def __len__(self) -> int:
        return len(self._since_s)

    def begin(self, rank: int, least_s: float = 0.0) -> None:
        """The rank got a job, or something else to do, for which it may be silent for `least_s`."""
        self._since_s[rank], self._least_s[rank] = self._clock.now(), least_s

    def end(self, rank: int) -> None:
        """The rank is idle or gone: nothing to wait for."""
        self._since_s.pop(rank, None)

    def heard(self, rank: int, epoch_s: float | None = None) -> None:
        """The rank sent something. epoch_s: what the last epoch in it took, by its own clock."""
        if (since_s := self._since_s.get(rank)) is None:
            return
        now = self._clock.now()
        if epoch_s is not None:
            # Its own clock may have counted what all slept.
            before = self._epochs_s.get(rank, [])[-1:]
            self._epochs_s[rank] = [*before, min(epoch_s, now - since_s)]
        self._since_s[rank] = now

    def epoch_s(self) -> float:
        """Seconds of the longest epoch being trained, as far as it is measured."""
        return max(map(self._epoch_s, self._since_s), default=0.0)

    def left_s(self, rank: int) -> float:
        """Seconds that a busy rank may still be silent; negative: it is overdue."""
        limit_s = max(self._limit_s, self._least_s[rank], EPOCHS * self._epoch_s(rank))
        return self._since_s[rank] + limit_s - self._clock.now()

    def overdue(self) -> list[tuple[int, float]]:
        """(rank, seconds of its silence) of those that were silent for too long."""
        late = [rank for rank in self._since_s if self.left_s(rank) < 0]
        return [(rank, self._clock.now() - self._since_s[rank]) for rank in late]

    def _epoch_s(self, rank: int) -> float:
        # The shorter of two: one may have been disturbed.
        return min(self._epochs_s.get(rank, ()), default=0.0)
