"""How long a trial's epochs take, from those that it has trained."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

SHORT = 8
"""Epochs below which a trial's speed is drawn towards the mean of all."""
STRAGGLERS = 1.02
"""Mean over median of an epoch's duration: 1 % of the epochs take several times as long."""


class Speeds:
    """Milliseconds of an epoch, by trial. `saw` takes all durations of a trial's epochs so far.

    The median stands for a trial, because one straggler must not decide; and without its first epoch,
    which pays for start-up and caches. So a speed is known of trials with `n_known` epochs (2; 1 where no
    trial has more); where only the first is there, it stands for a later one as it does in the mean over
    trials of known speed. Below 8 epochs (n) the median counts as n - 1 trials (of one epoch: as one) and
    the mean over all known ones as one.
    """

    def __init__(self, n_known: int = 2) -> None:
        self._n_known = n_known
        self._place: dict[int, int] = {}
        self._firsts: list[int] = []
        self._medians: list[float] = []
        self._lengths: list[int] = []
        # Sums over trials of known speed.
        self._n = 0
        self._sum = self._sum_firsts = 0.0

    def saw(self, trial_id: int, epochs_ms: Sequence[int]) -> None:
        if not (n := len(epochs_ms)):
            return
        place = self._place.setdefault(trial_id, len(self._medians))
        if place == len(self._medians):
            for kept in (self._firsts, self._medians, self._lengths):
                kept.append(0)
        elif self._lengths[place] >= self._n_known:
            self._count(place, -1)
        self._firsts[place] = epochs_ms[0]
        self._medians[place] = float(median(epochs_ms[1:] if n > 1 else epochs_ms))
        self._lengths[place] = n
        if n >= self._n_known:
            self._count(place, 1)

    def _count(self, place: int, sign: int) -> None:
        self._n += sign
        self._sum += sign * self._medians[place]
        self._sum_firsts += sign * self._firsts[place]

    def __len__(self) -> int:
        """Trials of which a speed is known."""
        return self._n

    def knows(self, trial_id: int) -> bool:
        place = self._place.get(trial_id)
        return place is not None and self._lengths[place] >= self._n_known

    @property
    def n_seen(self) -> int:
        """Trials that have trained an epoch."""
        return len(self._lengths)

    @property
    def mean_ms(self) -> float:
        """The mean over known trials of their medians, stragglers counted; 0: none is known."""
        return STRAGGLERS * self._sum / self._n if self._n else 0.0

    def of(self, trial_ids: Sequence[int]) -> NDArray[np.float64]:
        """(len(trial_ids),): an epoch of each; of a trial without epochs the mean; 0: none is known."""
        if not self._n:
            return np.zeros(len(trial_ids))
        return np.append(self._all(), self.mean_ms)[[self._place.get(i, -1) for i in trial_ids]]

    def known(self) -> NDArray[np.float64]:
        """(len(self),): an epoch of each trial of known speed."""
        return self._all()[np.array(self._lengths, dtype=int) >= self._n_known]

    def _all(self) -> NDArray[np.float64]:
        n, medians = np.array(self._lengths, dtype=int), np.array(self._medians)
        if self._n and self._sum_firsts:
            medians = np.where(n < self._n_known, medians * (self._sum / self._sum_firsts), medians)
        weight = np.maximum(n - 1, 1)
        short = (medians * weight + self.mean_ms) / (weight + 1)
        return np.where(n < SHORT, short, STRAGGLERS * medians)
