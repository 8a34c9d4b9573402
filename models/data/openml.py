"""OpenML table 44973, grid_stability: 10,000 rows, 12 numbers each, and the number to predict.

hardware: 1 thread of a 2-core x86-64 virtual machine with a load of 5; versions: Python 3.11, numpy
2.4; n = 5, a made table of the real shape; number: 0.10 s (0.10..0.15); lineage: the published
study's workflow, which asks OpenML for table 44973 (startscript_openml.sh of August 2024).
Features: tau1..tau4 (reaction times, s), p1..p4 (power, produced positive), g1..g4 (price
elasticities); target stab, the largest real part of the characteristic roots: above 0 the grid is
unstable. Read from OpenML's ARFF, which its interface states the md5 of; the interface's answer
lies beside it as listing.json and names the target and the columns to ignore.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np

from models.data import transfer
from models.data.sources import LISTING, OPENML_FILE, openml
from suite.core.errors import DataError
from suite.files import UnsafeFileError, read_json, read_text

N_ROWS, N_FEATURES = 10_000, 12
TARGET = "stab"
_MOST_BYTES = 1 << 26
_REMEDY = "stage it again: swiftbench fetch openml --to DIR"
_NUMERIC = ("numeric", "real", "integer")
_ATTRIBUTE = re.compile(r"@attribute\s+('[^']*'|\"[^\"]*\"|\S+)\s+(.+)", re.IGNORECASE)


def present(folder: Path) -> bool:
    """Whether the table's file is there. Reads nothing."""
    return (folder / OPENML_FILE).is_file()


def load(folder: Path) -> tuple[Any, Any]:
    """X float32 (10000, 12) and y float32 (10000,), raw, in the file's order.

    Raises DataError where the file is missing, damaged, or not this table.
    """
    path = folder / OPENML_FILE
    target, ignored = TARGET, set[str]()
    if (folder / LISTING).is_file():
        try:
            listing = read_json(folder / LISTING, max_bytes=1 << 24)
            transfer.check(path, openml(listing)[0])
            listing = listing["data_set_description"]
            target = str(listing.get("default_target_attribute", TARGET))
            ignored = set(_listed(listing.get("ignore_attribute")))
            ignored |= set(_listed(listing.get("row_id_attribute")))
        except (ValueError, AttributeError, OSError) as error:
            raise DataError(f"{folder / LISTING}: {error}; {_REMEDY}.") from error
    names, table = arff(path)
    if target not in names:
        raise DataError(f"{path}: has no column {target}; {_REMEDY}.")
    features = [k for k, name in enumerate(names) if name != target and name not in ignored]
    if table.shape[0] != N_ROWS or len(features) != N_FEATURES:
        raise DataError(
            f"{path}: {table.shape[0]} rows and {len(features)} features, must be {N_ROWS} and "
            f"{N_FEATURES}; {_REMEDY}."
        )
    X = np.ascontiguousarray(table[:, features], np.float32)
    return X, table[:, names.index(target)].astype(np.float32)


def arff(path: Path) -> tuple[list[str], Any]:
    """Column names, and a float64 table (rows, columns), of a dense ARFF file of numbers.

    Raises DataError with file and line for anything else: categories, gaps, sparse rows.
    """

    def wrong(rule: str) -> DataError:
        return DataError(f"{path}, line {row}: {rule}; {_REMEDY}.")

    names: list[str] = []
    rows: list[list[float]] = []
    within, row = False, 0
    for line in _lines(path):
        row += 1
        text = line.strip()
        if not text or text.startswith("%"):
            continue
        if within:
            values = next(csv.reader([text], skipinitialspace=True))
            if len(values) != len(names):
                raise wrong(f"{len(values)} values for {len(names)} columns")
            try:
                rows.append([_number(value) for value in values])
            except ValueError:
                raise wrong(f"{text[:60]!r} must be numbers") from None
        elif text.lower().startswith("@attribute"):
            if (column := _ATTRIBUTE.fullmatch(text)) is None:
                raise wrong(f"{text[:60]!r} is no column")
            if column[2].split()[0].lower() not in _NUMERIC:
                raise wrong(f"column {column[1]} is {column[2][:40]}, must be a number")
            names.append(column[1].strip("'\""))
        elif text.lower().startswith("@data"):
            within = True
        elif not text.lower().startswith("@relation"):
            raise wrong(f"{text[:60]!r} is not ARFF")
    if not rows:
        raise wrong("the file ends before its data")
    table = np.array(rows)
    if not np.isfinite(table).all():
        raise DataError(f"{path}: holds a number that is not finite; {_REMEDY}.")
    return names, table


def _lines(path: Path) -> list[str]:
    """A file's lines. Raises DataError where it is too large or no text."""
    try:
        return read_text(path, max_bytes=_MOST_BYTES).splitlines()
    except (OSError, UnsafeFileError) as error:
        raise DataError(f"{path}: cannot be read ({error}); {_REMEDY}.") from error


def _number(cell: str) -> float:
    """Python alone would read 1_0 as 10, and digits of other scripts."""
    if "_" in cell or not cell.isascii():
        raise ValueError(cell)
    return float(cell)


def _listed(names: Any) -> list[str]:
    """OpenML gives one name, several with commas, a list, or nothing."""
    if isinstance(names, str):
        names = names.split(",")
    return [str(name).strip() for name in names or []]
