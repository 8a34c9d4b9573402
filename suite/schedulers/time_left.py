"""What is left of a budget, as a scheduler that fills it asks: of time on all workers, or of epochs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.core.machine import Machine
from suite.surrogates.speeds import Speeds

_FASTER = 0.9
"""A trial's speed, as it is reckoned, may come to be so much of it when more of its epochs, or others', are
measured: what would not fit then is taken never to fit."""


class Budget(ABC):
    """max_epochs: R."""

    def __init__(self, max_epochs: int) -> None:
        self.max_epochs = max_epochs

    @abstractmethod
    def used(self) -> float:
        """The share that is used; 1 or more: nothing is left."""

    @abstractmethod
    def n_trainings(self) -> float:
        """Trials that all of it trains to R; at least 1."""

    @abstractmethod
    def fit(self, trial_ids: Sequence[int], epochs: NDArray[np.int_]) -> NDArray[np.bool_]:
        """Whether each of these trials, which have come to `epochs`, can come to R in what is left."""

    @abstractmethod
    def fit_fresh(self) -> float:
        """The share of new trials that can come to R in what is left, by what was measured."""

    @abstractmethod
    def may_fit(self, trial_ids: Sequence[int], epochs: NDArray[np.int_]) -> NDArray[np.bool_]:
        """As `fit`, now or at any time later: False only where it does not become True again."""

    @abstractmethod
    def may_fit_fresh(self, flying: Collection[int]) -> float:
        """As `fit_fresh`, at most, now or at any time later. flying: trials that are being trained."""

    @property
    def wants_speeds(self) -> bool:
        """Whether to train paused trials on, rather than new ones, until more is known of their speed."""
        return False

    def begins(self, trial_id: int, n_epochs: int) -> None:  # noqa: B027 (optional hook)
        """So many epochs of this trial are handed out."""

    def told(self, trial_id: int) -> None:  # noqa: B027 (optional hook)
        """A job of this trial is over."""

    @property
    def overhead_epochs(self) -> float:
        """What a job takes besides its epochs, in epochs."""
        return 0.0

    @property
    def diagnostics(self) -> dict[str, Any]:
        return {}


class EpochBudget(Budget):
    """n_epochs in all, however many workers train them. Knows no time: an epoch is an epoch."""

    def __init__(self, max_epochs: int, n_epochs: int) -> None:
        super().__init__(max_epochs)
        self._n_epochs, self._handed_out = n_epochs, 0

    def used(self) -> float:
        return self._handed_out / self._n_epochs

    def n_trainings(self) -> float:
        return max(self._n_epochs / self.max_epochs, 1.0)

    def fit(self, trial_ids: Sequence[int], epochs: NDArray[np.int_]) -> NDArray[np.bool_]:
        return np.asarray(self.max_epochs - epochs <= self._n_epochs - self._handed_out)

    def fit_fresh(self) -> float:
        return float(self.max_epochs <= self._n_epochs - self._handed_out)

    def may_fit(self, trial_ids: Sequence[int], epochs: NDArray[np.int_]) -> NDArray[np.bool_]:
        # What is handed out never comes back.
        return self.fit(trial_ids, epochs)

    def may_fit_fresh(self, flying: Collection[int]) -> float:
        return self.fit_fresh()

    def begins(self, trial_id: int, n_epochs: int) -> None:
        self._handed_out += n_epochs

    @property
    def diagnostics(self) -> dict[str, Any]:
        return {"n_epochs": self._n_epochs, "handed_out": self._handed_out}


class TimeBudget(Budget):
    """Trainings must be over when the run's budget of time ends (`Machine.end_ms`), by the limit that comes
    first, as things are.

    A trial that would have to restart, because no idle worker holds it, needs the measured overhead of a
    job besides. Until the speed of n_speeds trials is known, new ones are taken to fit. Of the speeds see
    `suite.surrogates.speeds`.
    """

    def __init__(self, max_epochs: int, n_speeds: int, machine: Machine) -> None:
        super().__init__(max_epochs)
        self._n_speeds, self._machine = n_speeds, machine
        self._speeds = Speeds(min(2, max_epochs))

    @property
    def _end_ms(self) -> int:
        end_ms = self._machine.end_ms
        # Without a node node-hours have no end, and nobody who asks.
        return max(self._machine.now_ms if end_ms is None else end_ms, 1)

    @property
    def _left_ms(self) -> int:
        return self._end_ms - self._machine.now_ms

    def used(self) -> float:
        return self._machine.now_ms / self._end_ms

    def n_trainings(self) -> float:
        mean_ms, n = self._speeds.mean_ms, max(self._machine.n_workers, 1)
        return n * max(1.0, self._end_ms / (self.max_epochs * mean_ms)) if mean_ms else float(n)

    def fit(self, trial_ids: Sequence[int], epochs: NDArray[np.int_]) -> NDArray[np.bool_]:
        left_ms, overhead_ms = self._left_ms, self._machine.overhead_ms
        needed_ms = (self.max_epochs - epochs) * self._speeds.of(trial_ids)
        fits = np.asarray((needed_ms <= left_ms) & (left_ms > 0))
        for i in np.flatnonzero(fits & (needed_ms + overhead_ms > left_ms)).tolist():
            fits[i] = self._machine.is_resident(trial_ids[i])
        return fits

    def fit_fresh(self) -> float:
        left_ms = self._left_ms
        if len(self._speeds) < self._n_speeds:
            return float(left_ms > 0)
        return float((self._speeds.known() * self.max_epochs <= left_ms).mean())

    def may_fit(self, trial_ids: Sequence[int], epochs: NDArray[np.int_]) -> NDArray[np.bool_]:
        left_ms = self._left_ms
        needed_ms = (self.max_epochs - epochs) * self._speeds.of(trial_ids)
        return np.asarray((needed_ms * _FASTER <= left_ms) & (left_ms > 0))

    def may_fit_fresh(self, flying: Collection[int]) -> float:
        left_ms = self._left_ms
        if left_ms <= 0 or len(self._speeds) < self._n_speeds:
            return float(left_ms > 0)
        fitting = int((self._speeds.known() * self.max_epochs * _FASTER <= left_ms).sum())
        # Those whose speed is not known yet may be of any.
        n_open = sum(not self._speeds.knows(i) for i in flying)
        return (fitting + n_open) / (len(self._speeds) + n_open)

    @property
    def wants_speeds(self) -> bool:
        # Where the lowest rung is one epoch, new ones alone would never make a speed known.
        return len(self._speeds) < self._n_speeds <= self._speeds.n_seen

    def told(self, trial_id: int) -> None:
        self._speeds.saw(trial_id, self._machine.epochs_ms(trial_id))

    @property
    def overhead_epochs(self) -> float:
        mean_ms = self._speeds.mean_ms
        return self._machine.overhead_ms / mean_ms if mean_ms else 0.0

    @property
    def diagnostics(self) -> dict[str, Any]:
        """handed_back: the share of their time that workers had no use for after their last job. over_s: from
        the end to the run's, with the winner's evaluation.
        """
        machine, end_ms = self._machine, self._end_ms
        idle_ms = sum(max(end_ms - last, 0) for last in machine.last_busy_ms)
        n = max(len(machine.last_busy_ms), 1)
        return {
            "end_s": end_ms / 1000,
            "over_s": max(machine.now_ms - end_ms, 0) / 1000,
            "handed_back": round(idle_ms / (n * end_ms), 4),
            "epoch_s": round(self._speeds.mean_ms / 1000, 3),
            "job_overhead_s": machine.overhead_ms / 1000,
        }
