"""From what is published to a CSV of curves: one file a family of the catalogue, named after it.

A family's module holds `convert(table, files)`: table is the catalogue's name, files are (path in the
repository, content) in any order, read one after the other so that none must be kept. It returns the CSV's
text, whose SHA-256 the catalogue states. It raises DataError, or any of FAULTS where a file is not in the
publisher's format; `swiftbench fetch curves` says which.
"""

from __future__ import annotations

import csv
import importlib
import math
import zipfile
from collections.abc import Iterable, Sequence
from typing import Protocol

File = tuple[str, bytes]

FAULTS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, csv.Error,
          zipfile.BadZipFile)  # fmt: skip
"""What a reader of another format raises."""


class Convert(Protocol):
    def __call__(self, table: str, files: Iterable[File]) -> str: ...


def converter(family: str) -> Convert:
    """The one of a family. Raises ModuleNotFoundError where the published files are tables themselves."""
    convert: Convert = importlib.import_module(f"{__name__}.{family}").convert
    return convert


def number(value: float, digits: int) -> str:
    """A cell: so many significant digits; empty for what is not finite."""
    return f"{value:.{digits}g}" if math.isfinite(value) else ""


def csv_text(
    hyperparameters: Sequence[str],
    rows: Iterable[Sequence[str]],
    n_epochs: int,
    *,
    seconds: bool = False,
) -> str:
    """A table: hyperparameters, v_1 .. v_T and, with seconds, t_1 .. t_T; a row a training."""
    header = [*hyperparameters]
    for prefix in ("v_", "t_") if seconds else ("v_",):
        header += [f"{prefix}{epoch}" for epoch in range(1, n_epochs + 1)]
    lines = [header, *rows]
    return "".join(",".join(line) + "\n" for line in lines)


def steps(times: Sequence[float]) -> list[float]:
    """Seconds of each step, of the seconds since the begin."""
    return [b - a for a, b in zip([0.0, *times], times)]  # noqa: B905 (one more at the begin)
