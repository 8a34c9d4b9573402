"""What is compared: each measure's median and range over seeds, pairs with the baseline, tests."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from suite.report.regret import nregret, scale
from suite.report.runs import Group, Run
from suite.report.statistics import (
    ALPHA,
    LEAST,
    N_RESAMPLES,
    Margin,
    equivalence,
    fewer,
    holm,
    interval,
    paired,
)
from suite.results.spread import Spread, spread
from suite.results.workers import Energy

Pairs = list[tuple[float, float]]

_ACCURACIES = ("accuracy", "acc", "balanced_accuracy", "top1_accuracy")
"""Names, without `val_`, of the metric that people understand beside a loss."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One row. `value` of a run (None: it has none); `pair`: (value, baseline's) into a comparison.

    label: of the row; short: of the page's column; decimals: fixed, or None: `digits` significant.
    """

    key: str
    label: str
    short: str
    value: Callable[[Run], float | None]
    pair: Callable[[float, float], float] | None = None
    signed: bool = False
    decimals: int | None = None
    digits: int = 4


def measures(group: Group) -> list[Measure]:
    """The rows of a group's table. Values in the metric's own direction; seconds; per cent."""
    best, test = f"best validation {group.metric}", f"test {group.metric} of the winner"
    regret = Measure(
        "nregret", "normalised regret of the winner", "normalised regret", _nregret, digits=3
    )
    good = f"{'positive' if group.first.sign < 0 else 'negative'} is better"
    workers = Measure("workers", "workers", "workers", _workers, decimals=0)
    rows = [
        *([workers] if several_workers(group) else []),
        Measure("epochs", "epochs trained", "epochs", _epochs, decimals=0),
        Measure("saved", "  saved, paired [%]", "saved [%]", _epochs, _saved, decimals=1),
        Measure("wall", "wall clock [s]", "wall clock [s]", _wall, digits=3),
        Measure("ratio", "  ratio, paired", "ratio", _wall, _ratio, decimals=2),
        Measure("stopped", "trials stopped by prediction", "stopped", _stopped, decimals=0),
        Measure("diverged", "trials diverged", "diverged", _diverged, decimals=0),
        Measure("best", best, "best validation", _best),
        Measure(
            "difference",
            f"  difference, paired ({good})",
            f"difference ({good})",
            _best,
            _minus,
            signed=True,
            digits=3,
        ),
        Measure("test", test, "test", lambda run: run.view.test_value),
        *_accuracies(group),
        *([regret] if any(scale(run.view) for run in group.runs) else []),
        Measure("idle", "idle share of workers [%]", "idle [%]", _idle, decimals=1),
        Measure("predictor", "predictor [s]", "predictor [s]", _predictor, digits=3),
    ]
    if sources := sorted({e.source for e in _energies(group)}):
        # Seconds that no meter saw are said with the number: it is a lower bound then.
        least = min((e.covered for e in _energies(group) if e.covered is not None), default=1.0)
        of = "" if least > 0.995 else f", {100 * least:.0f} % of workers' time read"
        label = f"energy by {'; '.join(sources)}{of} [kWh]"
        rows.append(Measure("energy", label, "energy [kWh]", _kwh, digits=3))
        rows.append(Measure("joules", "  an epoch [J]", "J an epoch", _joules_an_epoch, digits=3))
    return rows if group.baseline else [row for row in rows if row.pair is None]


def several_workers(group: Group) -> bool:
    """Whether its runs had several numbers of workers, so that seconds compare these too."""
    return len({run.n_workers for run in group.runs}) > 1


def _workers(run: Run) -> float | None:
    return float(run.n_workers)


def _epochs(run: Run) -> float | None:
    return float(run.view.n_epochs)


def _wall(run: Run) -> float | None:
    return run.view.wall_s


def _stopped(run: Run) -> float | None:
    return float(run.n_stopped)


def _diverged(run: Run) -> float | None:
    return float(run.n_diverged)


def _best(run: Run) -> float | None:
    return run.best


def _accuracies(group: Group) -> list[Measure]:
    """The winner's accuracy on both splits, where the target reports one beside its objective."""
    name = next((name for run in group.runs if (name := accuracy_name(run))), None)
    if name is None:
        return []
    word = name.removeprefix("val_")
    return [
        Measure(
            "val_accuracy", f"validation {word} of the winner", f"validation {word}",
            lambda run: winner_metrics(run).get(name),
        ),
        Measure(
            "test_accuracy", f"test {word} of the winner", f"test {word}",
            lambda run: run.view.test_metrics.get(name),
        ),
    ]  # fmt: skip


def accuracy_name(run: Run) -> str | None:
    """What the target calls the accuracy that it reports beside its objective; None where it has none."""
    names = (name for name in winner_metrics(run) if name.removeprefix("val_") in _ACCURACIES)
    return next((name for name in names if name != run.header.metric.name), None)


def winner_metrics(run: Run) -> Mapping[str, float]:
    """All that the target reported of the winner after its last epoch; empty without a winner."""
    return {} if run.view.winner is None else run.view.trials[run.view.winner].epochs[-1].metrics


def _nregret(run: Run) -> float | None:
    return nregret(run.view)


def _idle(run: Run) -> float | None:
    return None if run.idle is None else 100 * run.idle


def _predictor(run: Run) -> float | None:
    return run.view.predictor_s


def _energies(group: Group) -> list[Energy]:
    return [e for run in group.runs if (e := run.view.energy).joules is not None]


def _kwh(run: Run) -> float | None:
    joules = run.view.energy.joules
    return None if joules is None else joules / 3.6e6


def _joules_an_epoch(run: Run) -> float | None:
    joules, n = run.view.energy.joules, run.view.n_epochs + run.view.counts.n_retrained
    return None if joules is None or not n else joules / n


def _saved(value: float, baseline: float) -> float:
    return 100 * (1 - value / baseline) if baseline else math.nan


def _ratio(value: float, baseline: float) -> float:
    return value / baseline if baseline else math.nan


def _minus(value: float, baseline: float) -> float:
    return value - baseline


def cell(group: Group, measure: Measure, algorithm: str) -> Spread | None:
    """Median and range over one algorithm's seeds, or their pairs where the measure compares."""
    if measure.pair is None:
        return spread([measure.value(run) for run in group.of(algorithm)])
    return spread([measure.pair(x, b) for x, b in pairs(group, measure, algorithm)])


def pairs(group: Group, measure: Measure, algorithm: str) -> Pairs:
    """(value, baseline's value) of every seed that both have."""
    if group.baseline is None or algorithm == group.baseline:
        return []
    mine, theirs = (
        {run.seed: measure.value(run) for run in group.of(name)}
        for name in (algorithm, group.baseline)
    )
    return paired(mine, theirs)


def number(value: float, digits: int = 4, signed: bool = False, like: float | None = None) -> str:
    """`digits` significant digits, without an exponent where people write none.

    like: the number whose size sets the decimals (default: value): a range has one precision.
    """
    if not math.isfinite(value):
        return "-"
    scale = abs(value if like is None else like)
    sign = "+" if signed else ""
    if scale == 0:
        return "0"
    if scale < 1e-4 or scale >= 1e7:
        return f"{value:{sign}.{digits - 1}e}"
    decimals = min(max(digits - 1 - math.floor(math.log10(scale)), 0), 6)
    if value == int(value) and scale >= 10 and like is None:
        decimals = 0
    return fixed(value, decimals, sign)


def fixed(value: float, decimals: int, sign: str = "") -> str:
    """A number with so many decimals; what rounds to zero has no sign.

    >>> fixed(-0.04, 1), fixed(0.0, 1, "+"), fixed(1234.5, 1)
    ('0.0', '0.0', '1,234.5')
    """
    rounded = round(value, decimals)
    return f"{rounded:{sign},.{decimals}f}" if rounded else f"{0:.{decimals}f}"


def parts(over_seeds: Spread | None, measure: Measure) -> tuple[str, str]:
    """The median and, where there is more than one value, its range."""
    if over_seeds is None:
        return "-", ""
    like = (
        max(abs(over_seeds.low), abs(over_seeds.high)) if measure.signed else abs(over_seeds.median)
    )

    def show(value: float) -> str:
        if measure.decimals is None:
            return number(value, measure.digits, measure.signed, like or None)
        half = measure.decimals == 0 and value != int(
            value
        )  # the median of an even number of counts
        return fixed(value, 1 if half else measure.decimals)

    around = (
        "all equal"
        if over_seeds.low == over_seeds.high
        else f"{show(over_seeds.low)}..{show(over_seeds.high)}"
    )
    return show(over_seeds.median), around if over_seeds.n > 1 else ""


def saved_by_prediction(group: Group) -> list[str]:
    """What predictions did to one run, on average over the runs that have them."""
    names = [name for name in group.algorithms if any(run.n_stopped for run in group.of(name))]
    runs = [run for name in names for run in group.of(name)]
    if not runs:
        return []
    stopped = sum(run.n_stopped for run in runs) / len(runs)
    sentence = f"a run with a predictor ({', '.join(names)}; n = {len(runs)}), on average: "
    sentence += f"{stopped:.1f} trials stopped by prediction"
    known = {run.seed: epochs for run in group.of(group.baseline or "") if (epochs := _epochs(run))}
    shares = [1 - (_epochs(run) or 0) / known[run.seed] for run in runs if run.seed in known]
    if shares:
        sentence += f", {100 * sum(shares) / len(shares):.1f} % of {group.baseline}'s epochs saved"
    return [sentence]


def tests(group: Group, margin: Margin) -> list[str]:
    """A sentence on cost and quality of each algorithm against the baseline, and on the tests."""
    if group.baseline is None:
        return []
    by_key = {measure.key: measure for measure in measures(group)}
    others = [name for name in group.algorithms if name != group.baseline and group.of(name)]
    at_baseline = spread([run.best for run in group.of(group.baseline)])
    limit = margin.absolute(at_baseline.median) if at_baseline else 0.0
    cost = {name: pairs(group, by_key["epochs"], name) for name in others}
    quality = {name: pairs(group, by_key["best"], name) for name in others}
    p_cost = _adjusted(cost, fewer)
    p_quality = _adjusted(quality, lambda values: equivalence(values, limit)) if limit > 0 else {}
    lines = []
    for name in others:
        n = max(len(cost[name]), len(quality[name]))
        result = f"n = {n}: too few for a test (made from {LEAST} pairs on)"
        if n >= LEAST:
            result = _cost(cost[name], p_cost.get(name))
            result += "; " + _quality(quality[name], p_quality.get(name))
        lines.append(f"{name} against {group.baseline}: {result}")
    if p_cost or p_quality:
        share = f" ({margin} of the baseline's median)" if margin.relative else ""
        lines.append(
            "Tests on pairs of equal seed: cost by Wilcoxon's signed-rank test, one-sided (fewer "
            f"epochs than {group.baseline}); quality by two one-sided signed-rank tests (TOST) on "
            f"the best validation {group.metric}, margin {number(limit, 3)}{share}; p adjusted for "
            "the number of algorithms (Holm). Intervals: 95 % of the median over pairs, percentile "
            f"bootstrap ({N_RESAMPLES:,} resamples, seeded), each on its own."
        )
    return lines


def _adjusted(
    of_algorithms: dict[str, Pairs], test: Callable[[Sequence[float]], float]
) -> dict[str, float]:
    p = {name: test([x - b for x, b in v]) for name, v in of_algorithms.items() if len(v) >= LEAST}
    return dict(zip(p, holm(list(p.values())), strict=True))


def _cost(values: Pairs, p: float | None) -> str:
    n = len(values)
    if p is None:
        return f"cost: n = {n}: too few for a test"
    saved = [_saved(x, b) for x, b in values]
    around = _within(interval(saved), lambda value: fixed(value, 1))
    middle = statistics.median(saved)
    return f"epochs saved {fixed(middle, 1)} % (median{around}), n = {n}, one-sided p {say_p(p)}"


def _quality(values: Pairs, p: float | None) -> str:
    n = len(values)
    if n < LEAST:
        return f"quality: n = {n}: too few for a test"
    differences = [_minus(x, b) for x, b in values]
    ends, middle = interval(differences), statistics.median(differences)
    like = max(abs(value) for value in (middle, *(ends or ()))) or None

    def show(value: float) -> str:
        return number(value, 3, True, like)

    measured = f"difference {show(middle)} (median{_within(ends, show)}), n = {n}"
    if p is None:
        return f"quality: {measured}, no test, margin 0"
    verdict = "equivalent within the margin" if p < ALPHA else "equivalence not shown"
    return f"quality {verdict}: {measured}, TOST p {say_p(p)}"


def _within(ends: tuple[float, float] | None, show: Callable[[float], str]) -> str:
    return f"; 95 % CI [{show(ends[0])}, {show(ends[1])}]" if ends else ""


def say_p(p: float) -> str:
    """`= 0.012`, or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
