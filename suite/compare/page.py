"""The page of `python -m suite.compare`: figures of merit side by side, and reference values."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from suite.compare.comparable import Side, budget, notes
from suite.compare.figures_of_merit import UNITS, Measured, Reference, figures
from suite.compare.machines import machines
from suite.results.spread import Spread, spread_of_all


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

    def lines(self, label: Label) -> list[str]:
        """The table with its title and its notes."""
        seeds = [run.seed for run in self.groups[0]]
        direction = ">=" if label.mode == "max" else "<="
        aimed = "no target value"
        if self.aim is not None:
            aimed = f"target {label.metric} {direction} {self.aim:.6g}"
        return [
            "",
            f"{self._title()}: n = {len(seeds)} (seeds {_seeds(seeds)}), {aimed}",
            *_table(self, label),
            *(f"  note: {note}" for note in notes(self.sides, self.groups)),
        ]

    def ratio(self, figure: str, i: int) -> str:
        """Of the medians of side i and of the first, and the range over seeds where there are several."""
        one, other = self.figures[figure][0], self.figures[figure][i]
        if one is None or other is None or (of := _ratio(one.median, other.median)) is None:
            return "-"
        low, high = self.ratios(figure, i)
        return f"{of:.3f}" + (f" [{low:.3f}, {high:.3f}]" if low is not None else "")

    def ratios(self, figure: str, i: int) -> tuple[float | None, float | None]:
        """The smallest and largest ratio of one seed, side i to the first; None: not of several seeds."""
        pairs = zip(self.by_seed[figure][0], self.by_seed[figure][i], strict=True)
        each = [_ratio(one, other) for one, other in pairs if one is not None and other is not None]
        known = [ratio for ratio in each if ratio is not None]
        return (min(known), max(known)) if len(each) == len(known) > 1 else (None, None)

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


def page(
    sides: Sequence[Side],
    target: float | None,
    expected: Sequence[Reference],
    marks: Sequence[str] = (),
) -> tuple[list[str], bool]:
    """What is printed, and whether every reference value holds. marks: said above every number."""
    record = next(sides[0].all()).record
    label = Label(*(str(record["target"][key]) for key in ("metric", "mode", "unit")))
    lines = [
        f"{record['experiment']} / {record['model']}, {record['data']} data, {label.metric} "
        f"({label.mode}), max_epochs {record['max_epochs']['value']}{_budget(sides)}"
    ]
    for side in sides:
        lines += [f"{side.label}: {side.name}", *(f"   {words}" for words in machines(side))]
    lines += marks
    medians: dict[tuple[str, str], Mapping[str, Spread | None]] = {}
    for of_row in _rows(sides):
        row = Row.of(of_row, target)
        lines += row.lines(label)
        medians |= row.medians()
    verdicts = [verdict for reference in expected for verdict in _judge(reference, medians)]
    if verdicts:
        lines += ["", "reference values (medians):", *(f"  {line}" for _, line in verdicts)]
    return lines, all(passed for passed, _ in verdicts)


def _budget(sides: Sequence[Side]) -> str:
    """The budgets that all runs have; where they differ, a note says so."""
    of_runs = [budget(run.record) for side in sides for run in side.all()]
    alike = {
        name: value
        for name, value in of_runs[0].items()
        if all(own.get(name) == value for own in of_runs)
    }
    return "".join(f", {name}={value}" for name, value in alike.items())


def table(sides: Sequence[Side], target: float | None) -> list[dict[str, Any]]:
    """The same numbers for programs: one row a figure, side and algorithm. null: unknown, or not reached.

    ratio: of this side's median to the first side's; ratio_low, ratio_high: over seeds.
    """
    mode, unit = (str(next(sides[0].all()).record["target"][key]) for key in ("mode", "unit"))
    found = []
    for of_row in _rows(sides):
        row = Row.of(of_row, target)
        for figure, spreads in row.figures.items():
            for i, ((side, algorithm), spread) in enumerate(zip(of_row, spreads, strict=True)):
                low, high = row.ratios(figure, i) if i else (None, None)
                base = spreads[0]
                both = (base.median, spread.median) if base and spread and i else None
                found.append({
                    "side": side.label, "name": side.name, "algorithm": algorithm, "figure": figure,
                    "unit": UNITS[figure] or unit, "better": better(figure, mode),
                    "n": None if spread is None else spread.n,
                    "n_missed": None if spread is None else spread.n_missed,
                    **{
                        key: _finite(None if spread is None else getattr(spread, key))
                        for key in ("median", "low", "high")
                    },
                    "ratio": _ratio(*both) if both else None,
                    "ratio_low": low, "ratio_high": high,
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


def _table(row: Row, label: Label) -> list[str]:
    head = ["median (range)", "", "better", *(side.label for side, _ in row.sides)]
    first = row.sides[0][0].label
    head += [f"{side.label}/{first}" for side, _ in row.sides[1:]]
    cells = [head]
    for figure, spreads in row.figures.items():
        ratios = [row.ratio(figure, i) for i in range(1, len(spreads))]
        unit = f"[{UNITS[figure] or label.unit}]"
        cells.append([figure, unit, better(figure, label.mode), *map(_cell, spreads), *ratios])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = [[c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in cells]
    return [
        *("  " + "  ".join(line).rstrip() for line in padded),
        "  ratio: of the medians; in brackets the smallest and largest ratio of one seed",
    ]


def better(figure: str, mode: str) -> str:
    """Which way a figure of merit is better."""
    return "higher" if figure == "best" and mode == "max" else "lower"


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
