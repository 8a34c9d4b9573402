"""What `python -m suite.compare` says: figures of merit side by side, and reference values."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from suite.compare.comparable import Side, budget, notes
from suite.compare.figures_of_merit import (
    OF_ENERGY,
    UNITS,
    Measured,
    Reference,
    better,
    figures,
)
from suite.compare.machines import kinds, machines
from suite.results.spread import Interval, Spread, median_interval, spread_of_all


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as they are shown, the first row their heads; below it what is to be known of them."""

    title: str
    cells: Sequence[Sequence[str]]
    feet: Sequence[str]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that is said. sides: label, name, machines by name. marks: stand above every number. verdicts: of
    reference values. holds: whether all of these do.
    """

    headline: str
    sides: Sequence[tuple[str, str, Sequence[Mapping[str, str]]]]
    marks: Sequence[str]
    tables: Sequence[Table]
    verdicts: Sequence[str]
    holds: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One table of the page: a group of runs a side.

    sides: each with the algorithm whose runs are its group. groups: those runs, by seed. aim: the
    target value, None: there is none. figures: figure -> its spread on each side;
    by_seed: figure -> its value on each side at each seed.
    """

    sides: Sequence[tuple[Side, str]]
    groups: Sequence[Sequence[Measured]]
    aim: float | None
    figures: Mapping[str, Sequence[Spread | None]]
    by_seed: Mapping[str, Sequence[Sequence[float | None]]]

    @classmethod
    def of(cls, sides: Sequence[tuple[Side, str]], target: float | None) -> Row:
        """target: None: the worst of the sides' medians of best values."""
        groups = [side.runs[algorithm] for side, algorithm in sides]
        aim = _aim(groups) if target is None else target
        measured = [[figures(run, aim) for run in runs] for runs in groups]
        by_seed = {
            figure: [[one[figure] for one in of_side] for of_side in measured] for figure in UNITS
        }
        spreads = {figure: [spread_of_all(v) for v in values] for figure, values in by_seed.items()}
        return cls(sides, groups, aim, spreads, by_seed)

    def table(self, label: Label) -> Table:
        """The table with its title and its notes."""
        seeds = [run.seed for run in self.groups[0]]
        direction = ">=" if label.mode == "max" else "<="
        aimed = "no target value"
        if self.aim is not None:
            aimed = f"target {label.metric} {direction} {self.aim:.6g}"
        return Table(
            f"{self._title()}: n = {len(seeds)} (seeds {_seeds(seeds)}), {aimed}",
            _cells(self, label),
            self._feet(label),
            [*notes(self.sides, self.groups), *self._unlike_meters()],
        )

    def _feet(self, label: Label) -> list[str]:
        higher = [name for name in UNITS if better(name, label.mode) == "higher"]
        feet = [f"lower is better, but of {', '.join(higher)}"]
        if len(self.sides) == 1:
            return feet
        feet.append("ratio: of the medians")
        n = len(self.groups[0])
        if (sample := median_interval([float(i) for i in range(n)])) is not None:
            feet[-1] += (
                f"; in brackets an interval for the ratio of one seed's runs: it holds the median of these "
                f"ratios in {100 * sample.coverage:.3g} % of such comparisons (n = {n}"
                + ("; 6 seeds are needed for 95 %)" if sample.coverage < 0.95 else ")")
            )
        return feet

    def _unlike_meters(self) -> Iterator[str]:
        scopes = [self._scope(i) for i in range(len(self.sides))]
        if len(set(scopes)) > 1:
            of = ", ".join(
                f"{scope or 'no meter'} ({side.label})"
                for scope, (side, _) in zip(scopes, self.sides, strict=True)
            )
            yield f"energy: of unlike scopes, and no ratio: {of}"

    def _scope(self, i: int) -> str | None:
        """What the joules of a side are of; None: some run has none."""
        scopes = {run.energy_scope for run in self.groups[i]}
        return None if None in scopes else "; ".join(sorted(filter(None, scopes)))

    def ratio(self, figure: str, i: int) -> str:
        """Of the medians of side i and of the first, and its interval where there are several seeds."""
        of, interval = self.ratios(figure, i)
        if of is None:
            return "-"
        return f"{of:.3f}" + (f" [{interval.low:.3f}, {interval.high:.3f}]" if interval else "")

    def ratios(self, figure: str, i: int) -> tuple[float | None, Interval | None]:
        """(ratio of the medians, side i to the first; interval of the median ratio of one seed).

        None: not known, not reached, of unlike meters; of one seed there is no interval.
        """
        one, other = self.figures[figure][0], self.figures[figure][i]
        if one is None or other is None or (of := _ratio(one.median, other.median)) is None:
            return None, None
        if figure in OF_ENERGY and self._scope(0) != self._scope(i):
            return None, None
        pairs = zip(self.by_seed[figure][0], self.by_seed[figure][i], strict=True)
        each = [_ratio(a, b) for a, b in pairs if a is not None and b is not None]
        known = [ratio for ratio in each if ratio is not None]
        return of, median_interval(known) if len(known) == len(each) else None

    def medians(self) -> Medians:
        """Side and algorithm -> figure -> its spread."""
        return {
            (side.label, algorithm): {
                figure: spreads[i] for figure, spreads in self.figures.items()
            }
            for i, (side, algorithm) in enumerate(self.sides)
        }

    def _title(self) -> str:
        algorithms = {algorithm for _, algorithm in self.sides}
        if len(algorithms) == 1:
            return algorithms.pop()
        return " | ".join(f"{side.label} {algorithm}" for side, algorithm in self.sides)


class Label(NamedTuple):
    """Of the metric that all runs have in common."""

    metric: str
    mode: str
    unit: str


Medians = Mapping[tuple[str, str], Mapping[str, Spread | None]]


def comparison(
    sides: Sequence[Side],
    target: float | None,
    expected: Sequence[Reference],
    marks: Sequence[str] = (),
) -> Comparison:
    """All that is said of these sides. marks: said above every number."""
    record = next(sides[0].all()).record
    label = Label(*(str(record["target"][key]) for key in ("metric", "mode", "unit")))
    rows = [Row.of(of_row, target) for of_row in _rows(sides)]
    medians: dict[tuple[str, str], Mapping[str, Spread | None]] = {}
    for row in rows:
        medians |= row.medians()
    verdicts = [verdict for reference in expected for verdict in _judge(reference, medians)]
    return Comparison(
        f"{record['experiment']} / {record['model']}, {record['data']} data, {label.metric} "
        f"({label.mode}), max_epochs {record['max_epochs']['value']}{_budget(sides)}",
        [(side.label, side.name, kinds(side)) for side in sides],
        marks,
        [row.table(label) for row in rows],
        [line for _, line in verdicts],
        all(passed for passed, _ in verdicts),
    )


def _budget(sides: Sequence[Side]) -> str:
    """The budgets that all runs have; where they differ, a note says so."""
    of_runs = [budget(run.record) for side in sides for run in side.all()]
    alike = {
        name: value
        for name, value in of_runs[0].items()
        if all(own.get(name) == value for own in of_runs)
    }
    return "".join(f", {name}={value}" for name, value in alike.items())


def rows_for_programs(sides: Sequence[Side], target: float | None) -> list[dict[str, Any]]:
    """The same numbers for programs: one row a figure, side and algorithm. null: unknown, or not reached.

    ratio: of this side's median to the first side's; ratio_low, ratio_high: its interval, which covers the
    median ratio of one seed with ratio_coverage.
    """
    mode, unit = (str(next(sides[0].all()).record["target"][key]) for key in ("mode", "unit"))
    found = []
    for of_row in _rows(sides):
        row = Row.of(of_row, target)
        for figure, spreads in row.figures.items():
            for i, ((side, algorithm), spread) in enumerate(zip(of_row, spreads, strict=True)):
                ratio, interval = row.ratios(figure, i) if i else (None, None)
                found.append({
                    "side": side.label, "name": side.name, "algorithm": algorithm, "figure": figure,
                    "unit": UNITS[figure] or unit, "better": better(figure, mode),
                    "n": None if spread is None else spread.n,
                    "n_missed": None if spread is None else spread.n_missed,
                    **{
                        key: _finite(None if spread is None else getattr(spread, key))
                        for key in ("median", "low", "high")
                    },
                    "ratio": ratio,
                    "ratio_low": interval and interval.low,
                    "ratio_high": interval and interval.high,
                    "ratio_coverage": interval and interval.coverage,
                    "machine": " | ".join(machines(side)),
                })  # fmt: skip
    return found


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _rows(sides: Sequence[Side]) -> list[list[tuple[Side, str]]]:
    """What stands side by side: algorithm by algorithm, or one algorithm of each side."""
    if all(set(side.runs) == set(sides[0].runs) for side in sides):
        return [[(side, algorithm) for side in sides] for algorithm in sides[0].runs]
    return [[(side, next(iter(side.runs))) for side in sides]]


def _aim(groups: Sequence[Sequence[Measured]]) -> float | None:
    """The worst of the groups' medians of best values; None where a run has none."""
    sign = groups[0][0].sign
    best = [[run.best for run in runs] for runs in groups]
    if any(value is None for of_side in best for value in of_side):
        return None
    return sign * max(statistics.median([sign * (v or 0.0) for v in of_side]) for of_side in best)


def _cells(row: Row, label: Label) -> list[list[str]]:
    head = ["median (range)", "unit", "better", *(side.label for side, _ in row.sides)]
    first = row.sides[0][0].label
    head += [f"{side.label}/{first}" for side, _ in row.sides[1:]]
    cells = [head]
    for figure, spreads in row.figures.items():
        ratios = [row.ratio(figure, i) for i in range(1, len(spreads))]
        unit = f"[{UNITS[figure] or label.unit}]"
        cells.append([figure, unit, better(figure, label.mode), *map(_cell, spreads), *ratios])
    return cells


def _cell(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    around = f" ({_n(spread.low)}..{_n(spread.high)})" if spread.low != spread.high else ""
    missed = f", {spread.n_missed} of {spread.n} missed it" if spread.n_missed else ""
    return _n(spread.median) + around + missed


def _n(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.5g}" if abs(value) < 1e5 else f"{value:.0f}"


def _ratio(one: float, other: float) -> float | None:
    return other / one if one and math.isfinite(one) and math.isfinite(other) else None


def _seeds(seeds: Sequence[int]) -> str:
    run = list(range(seeds[0], seeds[0] + len(seeds)))
    return (
        f"{seeds[0]}..{seeds[-1]}" if seeds == run and len(run) > 3 else ", ".join(map(str, seeds))
    )


def _judge(reference: Reference, medians: Medians) -> Iterator[tuple[bool, str]]:
    """Pass or fail of one reference on each side and algorithm; unmeasured is a fail."""
    bounds = " .. ".join("" if b is None else f"{b:g}" for b in (reference.lower, reference.upper))
    wanted = f"{reference.value:g} [{bounds}] {reference.unit}"
    named = [key for key in medians if reference.algorithm in (None, key[1])]
    if not named:
        yield False, f"FAIL {reference.name}: no run of {reference.algorithm}, expected {wanted}"
    for label, algorithm in named:
        measured = medians[label, algorithm][reference.figure]
        passed = measured is not None and reference.holds(measured.median)
        verdict = "pass" if passed else "FAIL"
        median = "not measured" if measured is None else _n(measured.median)
        line = f"{verdict} {label} {algorithm}/{reference.figure}: {median}, expected {wanted}"
        yield passed, line
