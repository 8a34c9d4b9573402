"""What the repeats say: summaries, the gap between winner and runner-up, the gain over the default."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from suite.retrain.repeats import Repeat

WINNER, RUNNER_UP, DEFAULT = "winner", "runner-up", "default"
SPLITS = ("validation", "test")
ALPHA = 0.05


@dataclass(slots=True)
class Sample:
    """One configuration and its repeats.

    trial_id, searched: of the search, its value after max_epochs there; None for the default.
    """

    role: str
    trial_id: int | None
    config: Mapping[str, Any]
    searched: float | None
    repeats: list[Repeat] = field(default_factory=list)

    @property
    def scored(self) -> list[Repeat]:
        return [repeat for repeat in self.repeats if repeat.is_scored]

    def values(self, split: str) -> list[float]:
        """One number for each training that succeeded, in order."""
        return [getattr(repeat, split) for repeat in self.scored]


def of_sample(sample: Sample, unit: str, value: Callable[[float], float]) -> dict[str, Any]:
    """A sample as the file holds it. value: an objective in the metric's own direction."""
    searched = None if sample.searched is None else {"value": sample.searched, "unit": unit}
    return {
        "role": sample.role,
        "trial_id": sample.trial_id,
        "config": dict(sample.config),
        "searched": {"validation": searched},
        "n": {"value": len(sample.scored), "unit": "trainings"},
        "failures": [repeat.failure for repeat in sample.repeats if repeat.failure],
        "seeds": [repeat.seed for repeat in sample.scored],
        "train": {"value": round(sum(r.train_s for r in sample.repeats), 6), "unit": "s"},
        "curves": {"values": [list(map(value, r.curve)) for r in sample.scored], "unit": unit},
        **{split: summary(sample.values(split), unit) for split in SPLITS},
    }


def summary(values: Sequence[float], unit: str) -> dict[str, Any]:
    """Mean, sample standard deviation, least and greatest; null where there is none."""
    numbers: dict[str, Any] = dict.fromkeys(("mean", "std", "min", "max"))
    if values:
        numbers = {
            "mean": _finite(statistics.fmean, values),
            "min": min(values),
            "max": max(values),
        }
        numbers["std"] = _finite(statistics.stdev, values) if len(values) > 1 else None
    named = {k: None if v is None else {"value": v, "unit": unit} for k, v in numbers.items()}
    return {**named, "values": {"values": list(values), "unit": unit}}


def _finite(function: Callable[[Sequence[float]], float], values: Sequence[float]) -> float | None:
    """None where the result is beyond the range of a float."""
    try:
        value = function(values)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def gap(winner: Sequence[float], runner_up: Sequence[float], unit: str) -> dict[str, Any]:
    """Runner-up's mean minus winner's, the spread within both, and Welch's p.

    beyond_chance: p < 0.05. p is None where it is not defined: fewer than two values of one, or no
    spread in either.
    """
    gap: dict[str, Any] = {"value": None, "spread": None, "p": None, "beyond_chance": None}
    gap |= {"unit": unit, "n": [len(winner), len(runner_up)]}
    if not winner or not runner_up:
        return gap
    of_winner, of_runner_up = (_finite(statistics.fmean, values) for values in (winner, runner_up))
    if of_winner is None or of_runner_up is None or math.isinf(of_runner_up - of_winner):
        return gap
    gap["value"] = of_runner_up - of_winner
    if min(len(winner), len(runner_up)) < 2:
        return gap
    within = [_finite(statistics.stdev, values) for values in (winner, runner_up)]
    if None in within:
        return gap
    gap["spread"] = _finite(
        lambda values: math.hypot(*values) / math.sqrt(2), [v or 0.0 for v in within]
    )
    if (gap["spread"] or 0.0) > 0:
        p = _welch_p(winner, runner_up)
        if math.isfinite(p):
            gap |= {"p": p, "beyond_chance": p < ALPHA}
    return gap


def _welch_p(one: Sequence[float], other: Sequence[float]) -> float:
    from scipy.stats import ttest_ind

    # One of the two may well have no spread: a table's.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(ttest_ind(one, other, equal_var=False).pvalue)


def gain(winner: Sample, default: Sample, split: str, unit: str, mode: str) -> dict[str, Any]:
    """How much better the winner is than the default, paired by seed: positive where tuning helped.

    value: mean of the differences; std: theirs; low, high: Student's t-interval of the mean at `level`. Pairs
    are the seeds that succeeded with both; None where there are too few. percent: the same of each pair's
    change from the default's value to the winner's, in the metric's own direction: a loss that tuning lowers
    has a negative one. None where a default's value is 0.
    """
    sign = 1.0 if mode == "min" else -1.0
    before = {repeat.seed: getattr(repeat, split) for repeat in default.scored}
    pairs = [(before[r.seed], getattr(r, split)) for r in winner.scored if r.seed in before]
    differences = [sign * (one - other) for one, other in pairs]
    changes = [100 * (new - old) / abs(old) if old else math.inf for old, new in pairs]
    return {
        **_mean_of_pairs(differences),
        "level": 1 - ALPHA,
        "unit": unit,
        "n": len(pairs),
        "percent": {
            **_mean_of_pairs(changes if all(map(math.isfinite, changes)) else []),
            "unit": "%",
        },
    }


def _mean_of_pairs(numbers: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation and Student's interval of the mean; None where they are not defined."""
    n = len(numbers)
    mean = _finite(statistics.fmean, numbers) if n else None
    std = _finite(statistics.stdev, numbers) if n > 1 else None
    found: dict[str, Any] = {"value": mean, "std": std, "low": None, "high": None}
    if mean is not None and std is not None:
        from scipy.stats import t

        half = float(t.ppf(1 - ALPHA / 2, n - 1)) * std / math.sqrt(n)
        if math.isfinite(mean - half) and math.isfinite(mean + half):
            found |= {"low": mean - half, "high": mean + half}
    return found
