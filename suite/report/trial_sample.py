"""The trials of a comparison as one sample: configurations, and their values after equally many epochs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suite.report.runs import Group

LEAST_DRAWN = 8
"""Trials below which a figure of them says nothing."""

_ABSENT: Any = object()
"""In place of the value of a hyperparameter that plays no part in a configuration."""

WANTED, MOST = 40, 400
"""Trials that should have trained for the epoch of the sample, and that are taken at most."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration with its values (in the metric's own direction) after epoch 1, 2, ..."""

    config: Mapping[str, Any]
    values: Sequence[float]
    won: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """Trials that trained for `epoch` epochs at least, of n_all; names: of hyperparameters that differ."""

    epoch: int
    trials: Sequence[Trial]
    n_all: int
    names: Sequence[str]

    @property
    def values(self) -> list[float]:
        """After `epoch` epochs."""
        return [trial.values[self.epoch - 1] for trial in self.trials]

    def column(self, name: str) -> tuple[list[float], list[str]]:
        """A hyperparameter of each trial as a number, and the labels of 0, 1, ... where it has words. NaN
        where it plays no part.
        """
        values = [trial.config.get(name, _ABSENT) for trial in self.trials]
        present = [value for value in values if value is not _ABSENT]
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in present):
            return [math.nan if v is _ABSENT else float(v) for v in values], []
        labels = sorted({str(value) for value in present})
        places = {label: float(place) for place, label in enumerate(labels)}
        return [math.nan if v is _ABSENT else places[str(v)] for v in values], labels

    def imputed(self, name: str) -> list[float]:
        """`column`, with a number below all others where it plays no part: what a tree tells apart at once.

        Source: as in SMAC (Hutter et al. 2011, LION 5).
        """
        numbers, _ = self.column(name)
        present = [x for x in numbers if not math.isnan(x)]
        below = min(present) - (max(present) - min(present) or 1.0)
        return [below if math.isnan(x) else x for x in numbers]


def trials(group: Group) -> list[Trial]:
    """Every configuration of the group's runs once, with the longest of its curves."""
    longest: dict[str, Trial] = {}
    for run in group.runs:
        for trial in run.view.trials.values():
            key = json.dumps(dict(trial.config), sort_keys=True, default=str)
            values = [run.view.value(objective) for objective in trial.curve]
            won = run.view.winner == trial.trial_id
            known = longest.get(key)
            if known is not None:
                won = won or known.won
                values = max(values, list(known.values), key=len)
            longest[key] = Trial(trial.config, values, won)
    return [trial for trial in longest.values() if trial.values]


def sample(group: Group) -> Sample | None:
    """The trials at the largest epoch that enough of them trained for. None where there are too few."""
    everyone = trials(group)
    if len(everyone) < LEAST_DRAWN:
        return None
    lengths = sorted((len(trial.values) for trial in everyone), reverse=True)
    epoch = lengths[min(WANTED, len(lengths)) - 1]
    chosen = [trial for trial in everyone if len(trial.values) >= epoch][:MOST]
    names = list(dict.fromkeys(name for trial in chosen for name in trial.config))
    differing = [
        n for n in names if len({str(trial.config.get(n, _ABSENT)) for trial in chosen}) > 1
    ]
    return Sample(epoch, chosen, len(everyone), differing) if differing else None


def rungs(everyone: Sequence[Trial], most: int = 8) -> list[int]:
    """Epochs at which trials ended, where at least LEAST_DRAWN trained for them; the last of too many."""
    ends = sorted({len(trial.values) for trial in everyone})
    return [end for end in ends if sum(len(t.values) >= end for t in everyone) >= LEAST_DRAWN][
        -most:
    ]


def rank_correlations(everyone: Sequence[Trial], epochs: Sequence[int]) -> list[list[float | None]]:
    """Spearman's rho of the values after two epochs, over the trials that trained for both.

    One row an epoch; None where fewer than LEAST_DRAWN trials trained so far, or all values are equal.
    Source: Spearman 1904 (Am. J. Psychol. 15:72), as in scipy.stats.spearmanr.
    """
    from scipy.stats import spearmanr

    table: list[list[float | None]] = [[None] * len(epochs) for _ in epochs]
    for i, first in enumerate(epochs):
        for j, second in enumerate(epochs):
            both = [t.values for t in everyone if len(t.values) >= max(first, second)]
            x, y = [v[first - 1] for v in both], [v[second - 1] for v in both]
            if len(both) >= LEAST_DRAWN and len(set(x)) > 1 and len(set(y)) > 1:
                table[i][j] = float(spearmanr(x, y).statistic)
    return table
