"""What each algorithm is good for: its largest gain over the baseline, of what a search costs and finds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from suite.report.regret import nregret
from suite.report.runs import Group, Run
from suite.report.statistics import paired
from suite.results.spread import Spread, spread

LEAST_GAIN = 0.05
"""Per cent: less is shown as 0.0."""

TIE = 1.0
"""Points of per cent within which the first quantity of the list is named: seconds and node-hours, say."""


@dataclass(frozen=True, slots=True)
class Change:
    """One quantity of an algorithm against the baseline, in per cent; negative is better.

    less: the words of a gain ("fewer epochs"). over_seeds: of the paired changes; None: the change is that
    of the sums over the pairs, as some pair's baseline is 0.
    """

    quantity: str
    less: str
    percent: float
    n: int
    over_seeds: Spread | None


@dataclass(frozen=True, slots=True)
class Merit:
    """One algorithm. gain: its largest one; None where it has none."""

    algorithm: str
    changes: Sequence[Change]
    gain: Change | None


def merits(group: Group) -> list[Merit]:
    """Of every algorithm but the baseline that has pairs with it; empty without a baseline."""
    found = []
    for name in group.algorithms:
        if name == group.baseline:
            continue
        changes = [c for q in _quantities(group) if (c := _change(group, name, *q)) is not None]
        if changes:
            best = min(change.percent for change in changes)
            gain = next(change for change in changes if change.percent <= best + TIE)
            found.append(Merit(name, changes, gain if gain.percent < -LEAST_GAIN else None))
    return found


_Value = Callable[[Run, Run], float | None]
"""Of a run, given the baseline's run of its seed."""


def _quantities(group: Group) -> list[tuple[str, str, _Value]]:
    """Name, the words of a gain, value."""
    known = all(run.view.usage.node_s is not None for run in group.runs)
    kind = "node-hours" if known else "worker-hours"
    reached = f"epochs to {group.baseline}'s best value"
    return [
        ("epochs", "fewer epochs", lambda run, _: float(run.view.n_epochs)),
        ("wall clock", "less wall clock", lambda run, _: run.view.wall_s),
        (kind, f"fewer {kind}", lambda run, _: _occupied_s(run, known)),
        (reached, f"fewer {reached}", _epochs_to),
        ("regret", "less regret", lambda run, _: nregret(run.view)),
    ]


def _occupied_s(run: Run, nodes_known: bool) -> float | None:
    return run.view.usage.node_s if nodes_known else run.view.usage.worker_s


def _epochs_to(run: Run, base: Run) -> float | None:
    """Epochs trained, of all trials, until the best value of the baseline's run was reached; inf: never."""
    if (goal := base.view.best) is None:
        return None
    reached = (float(p.n_epochs) for p in run.view.anytime if p.best <= goal.best)
    return next(reached, math.inf)


def _change(group: Group, name: str, quantity: str, less: str, value: _Value) -> Change | None:
    """None where no pair has the quantity, the baseline has none of it, or a run never came to it."""
    bases = {run.seed: run for run in group.of(group.baseline or "")}
    runs = [run for run in group.of(name) if run.seed in bases]
    mine = {run.seed: value(run, bases[run.seed]) for run in runs}
    theirs = {run.seed: value(base := bases[run.seed], base) for run in runs}
    pairs = paired(mine, theirs)
    if not pairs or sum(b for _, b in pairs) <= 0 or not all(math.isfinite(x) for x, _ in pairs):
        return None
    if all(b > 0 for _, b in pairs):
        percents = [100 * (x / b - 1) for x, b in pairs]
        return Change(quantity, less, statistics.median(percents), len(pairs), spread(percents))
    total = 100 * (sum(x for x, _ in pairs) / sum(b for _, b in pairs) - 1)
    return Change(quantity, less, total, len(pairs), None)
