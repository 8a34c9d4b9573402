"""The same search on two machines, or two algorithms on one, by figures of merit.

    swiftbench compare here/runs/TIME there/runs/TIME          each a record.json, a run folder or a sweep's
    swiftbench compare A B --target 0.25                       epochs and seconds until this value is reached
    swiftbench compare A --reference conf/experiment/x.yaml    against the values that an experiment must give
    swiftbench compare A B --format html > page.html           or md, json, csv

Compared is only what is comparable: records of one schema's major version, experiment, model with
its settings (space, split, a table's checksum), data label, data set (name, digests, stand-in, sizes),
metric and max_epochs, completed, with the same set of seeds for each algorithm on each side. A refusal
names the field and both values. --unlike-data compares runs on other data sets all the same, and says so
above the numbers.
Settings that may differ (overlap, workers, threads, algorithm's own) are printed where they do.

Sides with the same algorithms are compared algorithm by algorithm; sides of one algorithm each,
with each other. The target value is by default the worst of the sides' medians of best values, so
that at least half the runs of each side reach it. suite.compare.figures_of_merit defines the figures. Lower
is better, where the table does not say otherwise. A ratio has an interval, by its seeds.

Exit code: 0; 1: a reference value is missed or could not be checked, or bad input; 2: wrong
arguments; 3: refused.
"""

from __future__ import annotations

import csv
import json
import math
import string
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from suite.compare.comparable import Refusal, check, read
from suite.compare.figures_of_merit import references
from suite.compare.page import Comparison, comparison, rows_for_programs
from suite.compare.rendering import as_html, as_markdown, as_text
from suite.core.command import argument_parser, run_command
from suite.core.errors import ConfigError
from suite.core.printable import printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison; returns the exit code."""
    parser = argument_parser("suite.compare", __doc__)
    parser.add_argument(
        "sides", nargs="+", type=Path, metavar="SIDE",
        help="what is compared: a record.json, a run folder, or a folder of runs",
    )  # fmt: skip
    parser.add_argument(
        "--target", type=float, metavar="X",
        help="value to be reached, in the metric's unit (default: what half the runs of each side reach)",
    )  # fmt: skip
    parser.add_argument(
        "--reference", type=Path, metavar="YAML",
        help="an experiment's file; its `reference` holds the values that the first side must give",
    )  # fmt: skip
    parser.add_argument(
        "--unlike-data",
        action="store_true",
        help="compare runs on unlike data sets all the same, and say so",
    )
    parser.add_argument(
        "--format", choices=("text", "md", "html", "json", "csv"), default="text",
        help="md, html: the same page; json, csv: a row a figure, side, algorithm (default: %(default)s)",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    return run_command(
        "compare",
        lambda: _compare(
            given.sides, given.target, given.reference, given.unlike_data, given.format
        ),
    )


def _compare(
    paths: Sequence[Path],
    target: float | None,
    reference: Path | None,
    unlike_data: bool,
    form: str,
) -> int:
    if target is not None and not math.isfinite(target):
        raise ConfigError(f"target={target}: must be a finite number.")
    if len(paths) < 2 and reference is None:
        raise ConfigError("sides=1: must be two or more, or one with --reference.")
    expected = references(reference) if reference else []
    try:
        sides = [read(path, label) for label, path in zip(_labels(), paths, strict=False)]
        marks = check(sides, unlike_data=unlike_data)
        said = comparison(sides, target, expected, marks)
    except Refusal as refusal:
        print(f"compare: {printable(refusal)}", file=sys.stderr)
        return 3
    if form in _PAGES:
        print(_PAGES[form](said))
    else:
        _print_for_programs(rows_for_programs(sides, target), said, form)
    return 0 if said.holds else 1


_PAGES = {"text": as_text, "md": as_markdown, "html": as_html}


def _print_for_programs(rows: Sequence[dict[str, Any]], said: Comparison, form: str) -> None:
    """To stdout, with nothing else in it."""
    if form == "json":
        document = {
            "rows": rows,
            "sides": [{"side": s, "name": n, "machines": kinds} for s, n, kinds in said.sides],
            "marks": list(said.marks),
            "notes": [note for table in said.tables for note in table.notes],
            "verdicts": list(said.verdicts),
        }
        print(json.dumps(document, indent=1, allow_nan=False))
        return
    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {k: printable(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows
    )


def _labels() -> Iterator[str]:
    yield from string.ascii_uppercase
    raise ConfigError("sides: must be at most 26.")


if __name__ == "__main__":
    sys.exit(main())
