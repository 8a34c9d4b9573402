"""Made-up seconds of epochs: what a simulated worker takes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from suite.core.curve_table import Recording
from suite.core.seeds import stream

if TYPE_CHECKING:
    from suite.backends.simulate import Simulate

# Trials whose durations are drawn at once.
_BLOCK = 64


class Durations:
    """Seconds of each epoch of each trial, drawn by (seed, trial), in whatever order asked."""

    def __init__(self, cluster: Simulate, seed: int, max_epochs: int) -> None:
        self._cluster, self._seed, self._max_epochs = cluster, seed, max_epochs
        self._blocks: dict[int, list[list[float]]] = {}
        self._ends: dict[int, list[float]] = {}

    def ends(self, trial_id: int, recording: Recording) -> list[float]:
        """Seconds from a trial's begin to the end of its epochs 0, 1, 2, ... (the first is 0)."""
        if (ends := self._ends.get(trial_id)) is not None:
            return ends
        if recording.train_s is not None:
            evals = recording.eval_s or (0.0,) * len(recording.train_s)
            each = [a + b for a, b in zip(recording.train_s, evals, strict=True)]
            ends = [0.0, *itertools.accumulate(each)]
        else:
            block, row = divmod(trial_id, _BLOCK)
            if block not in self._blocks:
                # Seconds beyond a float's range become infinite; `_start` names the settings.
                with np.errstate(over="ignore"):
                    self._blocks[block] = self._draw(block)
            ends = self._blocks[block][row]
        self._ends[trial_id] = ends
        return ends

    def _draw(self, block: int) -> list[list[float]]:
        cluster = self._cluster
        rng = stream(self._seed, "durations", block)
        shape = (_BLOCK, self._max_epochs)
        seconds = cluster.epoch_s * np.exp(cluster.trial_sigma * rng.standard_normal((_BLOCK, 1)))
        seconds = seconds * np.maximum(1 + cluster.epoch_noise * rng.standard_normal(shape), 0.05)
        seconds = (
            np.where(rng.random(shape) < cluster.straggler_share, cluster.straggler_factor, 1)
            * seconds
        )
        ends = np.zeros((_BLOCK, self._max_epochs + 1))
        np.cumsum(seconds, axis=1, out=ends[:, 1:])
        rows: list[list[float]] = ends.tolist()
        return rows
