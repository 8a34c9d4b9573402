"""The curves that a run has finished, as training sets for a predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from suite.core.predictor import Features
from suite.core.types import Curve, Rows


class CurveMemory:
    """Keeps each trial's longest curve and its encoded configuration; makes a predictor's rows of them.

    features: what a predictor sees. A trial that failed is forgotten.

    >>> memory = CurveMemory(Features())
    >>> memory.observe(0, (4.0, 2.0, 1.0))
    >>> memory.observe(1, (5.0,))
    >>> memory.n_known(3), memory.known(1)
    (1, {0: (4.0, 2.0, 1.0), 1: (5.0,)})
    >>> memory.training_set(to_epoch=3, e=2)
    (((4.0, 2.0),), (1.0,))
    """

    def __init__(self, features: Features) -> None:
        self._features = features
        self._curves: dict[int, Curve] = {}
        self._configs: dict[int, Sequence[float]] = {}

    def on_config(self, trial_id: int, x: Sequence[float]) -> None:
        """x: the trial's configuration encoded to [0, 1]^d."""
        self._configs[trial_id] = x

    def observe(self, trial_id: int, curve: Curve | None) -> None:
        """A finished job's curve; None: the trial failed."""
        if curve is None:
            self._curves.pop(trial_id, None)
        else:
            self._curves[trial_id] = curve

    def curve(self, trial_id: int) -> Curve:
        """The trial's curve. Raises KeyError where none is known."""
        return self._curves[trial_id]

    def n_known(self, to_epoch: int) -> int:
        """Number of curves with at least `to_epoch` epochs."""
        return sum(1 for curve in self._curves.values() if len(curve) >= to_epoch)

    def known(self, to_epoch: int) -> dict[int, Curve]:
        """trial_id -> curve, of the curves with at least `to_epoch` epochs, by trial_id."""
        return {t: c for t, c in sorted(self._curves.items()) if len(c) >= to_epoch}

    def training_set(self, to_epoch: int, e: int) -> tuple[Rows, tuple[float, ...]]:
        """(X, y) of all curves known at `to_epoch`: rows of the first e epochs, and the value there."""
        known = self.known(to_epoch)
        return self.rows(known, e), tuple(curve[to_epoch - 1] for curve in known.values())

    def rows(self, curves: Mapping[int, Curve], e: int) -> Rows:
        """One row a trial of `curves`, in their order, of each curve's first e epochs."""
        configs = [self._configs.get(t, ()) for t in curves]
        return self._features.rows([curve[:e] for curve in curves.values()], configs)
