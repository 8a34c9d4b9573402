"""Which trials of `suite.schedulers.price` have begun, and what each is doing: training, paused, over."""

from __future__ import annotations

from collections.abc import Sequence


class Trials:
    """By number, in the order of begin, as the ladder and the beliefs count them. rungs: epochs of each."""

    def __init__(self, rungs: Sequence[int]) -> None:
        self._rungs = rungs
        self.ids: list[int] = []
        self.epochs: list[int] = []
        """That were told: those of the highest rung that the trial has come to."""
        self.number: dict[int, int] = {}
        """trial_id -> number."""
        self.flying: dict[int, int] = {}
        """number -> the rung for which it is being trained."""
        self.failed: set[int] = set()
        self.finished: list[int] = []
        """At R, in the order in which they came there."""
        self.protected: set[int] = set()
        """Of those that fly: never compared, trained to R in one job."""
        self.resorted: set[int] = set()
        """Of those that fly: as a last resort."""

    def __len__(self) -> int:
        return len(self.ids)

    def begin(self, trial_id: int, protected: bool) -> int:
        """A new trial; its number."""
        i = self.number[trial_id] = len(self.ids)
        self.ids.append(trial_id)
        self.epochs.append(0)
        if protected:
            self.protected.add(i)
        return i

    def told(self, i: int, failed: bool) -> int:
        """Its job has ended; the rung for which it was trained."""
        rung = self.flying.pop(i)
        self.protected.discard(i)
        self.resorted.discard(i)
        if failed:
            self.failed.add(i)
        else:
            self.epochs[i] = self._rungs[rung]
            if rung == len(self._rungs) - 1:
                self.finished.append(i)
        return rung

    def waiting(self) -> list[int]:
        """Numbers of trials that could go on, by trial id."""
        n = [
            i
            for i, epochs in enumerate(self.epochs)
            if 0 < epochs < self._rungs[-1] and i not in self.flying and i not in self.failed
        ]
        return sorted(n, key=self.ids.__getitem__)

    @property
    def expects_result(self) -> bool:
        """Whether a trial has come to R, or one that is being trained to R will in time."""
        last = len(self._rungs) - 1
        near = (k == last for i, k in self.flying.items() if i not in self.resorted)
        return bool(self.finished) or any(near)
