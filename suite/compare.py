"""Floor 4: the same search on two machines, or two algorithms on one, by figures of merit.

    python -m suite.compare A B [...]                 each a record.json, a run folder or a sweep's
    python -m suite.compare A B --target 0.25         the value of "to target" figures
    python -m suite.compare A [B ...] --reference conf/experiment/x.yaml

Compared is only what is comparable: records of one schema's major version, experiment, model with
its settings (space, split, a table's checksum), data label, metric and max_epochs, completed, with
the same set of seeds for each algorithm on each side. A refusal names the field and both values.
Settings that may differ (overlap, workers, threads, algorithm's own) are printed where they do.

Sides with the same algorithms are compared algorithm by algorithm; sides of one algorithm each,
with each other. The target value is by default the worst of the sides' medians of best values, so
that at least half the runs of each side reach it. The figures are said in suite.merits.

Exit code: 0; 1: a reference value is missed or could not be checked, or bad input; 2: refused.
"""

from __future__ import annotations

import argparse
import math
import statistics
import string
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from suite.core.errors import ConfigError, SuiteError
from suite.merits import UNITS, Measured, Reference, Spread, figures, references, spread
from suite.sides import Refusal, Side, check, notes, read


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m suite.compare", description="Records side by side.", allow_abbrev=False
    )
    parser.add_argument("sides", nargs="+", type=Path, help="record.json, run folder, or folder of")
    parser.add_argument("--target", type=float, metavar="X", help="value, in the metric's unit")
    parser.add_argument("--reference", type=Path, metavar="YAML", help="an experiment's")
    given = parser.parse_args(arguments)
    try:
        if given.target is not None and not math.isfinite(given.target):
            raise ConfigError(f"target={given.target}: must be a finite number.")
        if len(given.sides) < 2 and given.reference is None:
            raise ConfigError("sides=1: must be two or more, or one with --reference.")
        expected = references(given.reference) if given.reference else []
        sides = [read(path, label) for label, path in zip(_labels(), given.sides, strict=False)]
        check(sides)
        lines, ok = page(sides, given.target, expected)
    except Refusal as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    except SuiteError as error:
        print(f"compare: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0 if ok else 1


def _labels() -> Iterator[str]:
    yield from string.ascii_uppercase
    raise ConfigError("sides: must be at most 26.")


# --- the page ------------------------------------------------------------------------------------


def page(
    sides: Sequence[Side], target: float | None, expected: Sequence[Reference]
) -> tuple[list[str], bool]:
    """What is printed, and whether every reference value holds."""
    record = next(sides[0].all()).record
    metric, mode = record["target"]["metric"], record["target"]["mode"]
    lines = [
        f"{record['experiment']} / {record['model']}, {record['data']} data, {metric} ({mode}), "
        f"max_epochs {record['max_epochs']['value']}"
    ]
    lines += [f"{side.label}: {side.name}" for side in sides]
    same = set(sides[0].runs) == set(sides[-1].runs)
    pairs = [[(s, name) for s in sides] for name in sides[0].runs]
    if not same:
        pairs = [[(side, next(iter(side.runs))) for side in sides]]
    medians: dict[tuple[str, str], list[tuple[str, Spread | None]]] = {}
    for row in pairs:
        groups = [side.runs[name] for side, name in row]
        aim = _aim(groups) if target is None else target
        table = [[figures(run, aim) for run in runs] for runs in groups]
        found = {k: [spread([one[k] for one in some]) for some in table] for k in UNITS}
        title = row[0][1] if same else " | ".join(f"{s.label} {name}" for s, name in row)
        seeds = [run.seed for run in groups[0]]
        aimed = (
            "no target value"
            if aim is None
            else f"target {metric} {'>=' if mode == 'max' else '<='} {aim:.6g}"
        )
        lines += ["", f"{title}: n = {len(seeds)} (seeds {_seeds(seeds)}), {aimed}"]
        lines += _table(row, found, str(record["target"]["unit"]))
        lines += [f"  note: {note}" for note in notes(row, groups)]
        for i, (side, name) in enumerate(row):
            medians[side.label, name] = [(figure, found[figure][i]) for figure in UNITS]
    judged = [it for reference in expected for it in _judge(reference, medians)]
    if judged:
        lines += ["", "reference values (medians):", *(f"  {said}" for _, said in judged)]
    return lines, all(ok for ok, _ in judged)


def _aim(groups: Sequence[Sequence[Measured]]) -> float | None:
    """The worst of the groups' medians of best values; None where a run has none."""
    sign = groups[0][0].sign
    best = [[run.best for run in runs] for runs in groups]
    if any(value is None for some in best for value in some):
        return None
    return sign * max(statistics.median([sign * (v or 0.0) for v in some]) for some in best)


def _table(
    row: Sequence[tuple[Side, str]], found: Mapping[str, Sequence[Spread | None]], unit: str
) -> list[str]:
    head = ["median (range)", ""] + [side.label for side, _ in row]
    first = row[0][0].label
    head += [f"{side.label}/{first}" for side, _ in row[1:]]
    cells = [head]
    for figure, spreads in found.items():
        ratios = [_ratio(spreads[0], other) for other in spreads[1:]]
        cells.append([figure, f"[{UNITS[figure] or unit}]", *map(_cell, spreads), *ratios])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = [[c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in cells]
    return ["  " + "  ".join(line).rstrip() for line in padded]


def _cell(found: Spread | None) -> str:
    if found is None:
        return "-"
    around = f" ({_n(found.low)}..{_n(found.high)})" if found.low != found.high else ""
    missed = f", {found.n_missed} of {found.n} missed it" if found.n_missed else ""
    return _n(found.median) + around + missed


def _n(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.5g}" if abs(value) < 1e5 else f"{value:.0f}"


def _ratio(one: Spread | None, other: Spread | None) -> str:
    if one is None or other is None or math.isinf(one.median) or math.isinf(other.median):
        return "-"
    return f"{other.median / one.median:.3f}" if one.median else "-"


def _seeds(seeds: Sequence[int]) -> str:
    run = list(range(seeds[0], seeds[0] + len(seeds)))
    return (
        f"{seeds[0]}..{seeds[-1]}" if seeds == run and len(run) > 3 else ", ".join(map(str, seeds))
    )


def _judge(
    reference: Reference, medians: Mapping[tuple[str, str], Sequence[tuple[str, Spread | None]]]
) -> Iterator[tuple[bool, str]]:
    """Pass or fail of one reference on each side and algorithm; unmeasured is a fail."""
    bounds = " .. ".join("" if b is None else f"{b:g}" for b in (reference.lower, reference.upper))
    wanted = f"{reference.value:g} [{bounds}] {reference.unit}"
    named = [key for key in medians if reference.algorithm in (None, key[1])]
    if not named:
        yield False, f"FAIL {reference.name}: no run of {reference.algorithm}, expected {wanted}"
    for label, name in named:
        found = dict(medians[label, name])[reference.figure]
        ok = found is not None and reference.holds(found.median)
        verdict = "pass" if ok else "FAIL"
        got = "not measured" if found is None else _n(found.median)
        yield (
            ok,
            f"{verdict} {label} {name}/{reference.figure}: {got}, expected {wanted}",
        )


if __name__ == "__main__":
    sys.exit(main())
