"""What a run of `price` measured of itself, as its journal says it: typed, or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from suite.report.runs import Run
from suite.results.typed import COUNT, NUMBER, SHARE, TEXT, Keys, Rule, list_of, or_null

_PRICE = Rule(
    lambda value: (
        isinstance(value, list | tuple) and len(value) == 2 and all(map(NUMBER.holds, value))
    ),
    "[share of the budget, price]",
)


@dataclass(frozen=True, slots=True)
class Rung:
    """epochs from the begin; n_trials that told them; correlation with the next rung, measured on so many
    trials (0: assumed); None: the last.
    """

    epochs: int
    n_trials: int
    correlation: float | None
    n_measured: int | None


@dataclass(frozen=True, slots=True)
class Said:
    """None: not measured. prices: (share of the budget, objective in standard deviations an R of epochs).

    forest_first, forest_last: correlation of its answers out of bag; trust: with final values.
    left_out: trials that were paused once and could not finish any more; no_new_trial: decisions in which
    no new trial could.
    """

    policy: str
    decides_by: str
    rungs: tuple[Rung, ...]
    fits: int | None
    forest_first: float | None
    forest_last: float | None
    trust: float | None
    fresh_share: float | None
    prices: tuple[tuple[float, float], ...]
    left_out: int | None
    no_new_trial: int | None
    epoch_s: float | None
    overhead_s: float | None


def said(run: Run) -> Said | None:
    """None where the run's scheduler says no such things. Raises ValueError for a value of another type."""
    own = run.view.measured.get("scheduler")
    if not isinstance(own, Mapping) or not {"policy", "rungs", "prices"} <= own.keys():
        return None
    keys = Keys(own, "measured.scheduler.")
    forest = keys.keys("forest") or Keys({})
    answers = forest.keys("out_of_bag_correlation") or Keys({})
    left_out, budget = keys.keys("left_out") or Keys({}), keys.keys("budget") or Keys({})
    return Said(
        policy=keys.get("policy", TEXT, ""),
        decides_by=keys.get("decides_by", TEXT, ""),
        rungs=_rungs(keys.keys("rungs") or Keys({})),
        fits=forest.get("fits", COUNT),
        forest_first=answers.get("first", NUMBER),
        forest_last=answers.get("last", NUMBER),
        trust=forest.get("correlation_with_end", NUMBER),
        fresh_share=keys.get("fresh_share_of_jobs", SHARE),
        prices=tuple((used, price) for used, price in keys.get("prices", list_of(_PRICE), [])),
        left_out=left_out.get("trials", COUNT),
        no_new_trial=left_out.get("no_new_trial", COUNT),
        epoch_s=budget.get("epoch_s", NUMBER),
        overhead_s=budget.get("job_overhead_s", NUMBER),
    )


def _rungs(keys: Keys) -> tuple[Rung, ...]:
    """As many as epochs, trials and correlations are given for."""
    epochs, trials = keys.get("epochs", list_of(COUNT), []), keys.get("trials", list_of(COUNT), [])
    correlations: list[Any] = keys.get("correlation_with_next", list_of(or_null(NUMBER)), [])
    measured: list[Any] = keys.get("measured_on", list_of(COUNT), [])
    n = min(len(epochs), len(trials))
    correlations = [*correlations, *[None] * n]
    measured = [*measured, *[None] * n]
    return tuple(Rung(epochs[k], trials[k], correlations[k], measured[k]) for k in range(n))
