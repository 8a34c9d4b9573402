"""Objectives of trials that were trained to different epochs, made comparable."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from suite.core.types import Curve


def comparable(
    curves: Mapping[int, Curve | None],
    n_least: int = 8,
    least_epochs: int = 1,
    clip: float = 0.8,
) -> tuple[int, dict[int, float]] | None:
    """(T, {trial_id: value}): objectives at T, the most epochs that n_least trials have reached.

    Logarithms where all are positive, clipped at their `clip` quantile, so that poor trials do not
    dominate; a failed trial (None) has the value at which they are clipped. None where T
    would be less than least_epochs, or fewer than n_least trials have come so far.
    Source: the budget with enough observations of Falkner et al. 2018 (arXiv 1807.01774), sec. 4.2.
    """
    lengths = sorted((len(c) for c in curves.values() if c is not None), reverse=True)
    if len(lengths) < n_least or lengths[n_least - 1] < max(least_epochs, 1):
        return None
    T = lengths[n_least - 1]
    values = {i: c[T - 1] for i, c in sorted(curves.items()) if c is not None and len(c) >= T}
    if min(values.values()) > 0:
        values = {i: math.log(value) for i, value in values.items()}
    cap = float(np.quantile(list(values.values()), clip))
    values = {i: min(value, cap) for i, value in values.items()}
    return T, values | {i: cap for i, c in sorted(curves.items()) if c is None}
