"""What the cells of a table's columns mean: numbers, texts, booleans; no two different cells mean one value.

A column whose type is not described is one of numbers only if every cell is a plain decimal (ASCII digits, no
_, no leading zeros) and no number is written in two ways; else it is text, cell by cell: identifiers such as
0123, 32_64 or 1e2 beside 100 stay apart. Where that would make categories of what are numbers (an empty cell,
nan, a typing error among many) the description must say the type.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from suite.core.errors import DataError
from suite.core.printable import printable

MAX_LEVELS = 20
"""Different numbers that a column of text may hold without its type being described."""
MAX_SECONDS = 1e10

_DECIMAL = re.compile(
    r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII
)
_WITH_ZEROS = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]+(?:\.0*)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.ASCII | re.IGNORECASE)
# How statistics programs write a number that is not there. `none` and `null` are names of categories, too.
_MISSING = frozenset({"", "nan", "na", "n/a", "#n/a", "<na>"})
_NOTHING = frozenset({"none", "null"})
_BOOLEANS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_SPACES = " \t"


class Column:
    """A column's cells under their file, name and rows; what all errors name.

    file, name: as they are shown. rows: the number of each cell's row, the header is row 1. escape: a sign
    at the begin of text that is no part of it.
    """

    def __init__(
        self, file: str, name: str, rows: Sequence[int], cells: Sequence[str], escape: str | None
    ) -> None:
        self.file, self.name = printable(file, most=200), printable(name, most=200)
        self._rows, self._cells, self._escape = rows, cells, escape

    def values(self, kind: str | None) -> list[Any]:
        """The cells' values. kind: the described type; None: what the cells say.

        Raises DataError for a cell that is not of that type, or two cells that mean one value.
        """
        if kind is None:
            numbers = self._inferred()
            values = self._texts() if numbers is None else numbers
        elif kind in ("text", "category"):
            values = self._texts()
        else:
            values = [self._described(i, kind) for i in range(len(self._cells))]
        self._check_identity(values)
        return values

    def curve_value(self, i: int) -> float:
        """A value of a curve: a decimal, or NaN where the cell is empty or says nan or inf."""
        cell = self._cells[i].strip(_SPACES)
        if _WITH_ZEROS.fullmatch(cell):
            number = as_number(cell)
            if number is None:
                raise self.error(i, "is beyond the range of a float; must be a finite number")
            return float(number)
        if cell and not _NOT_FINITE.fullmatch(cell):
            raise self.error(i, "must be a number (decimal, ASCII digits, no _), or empty")
        return math.nan

    def seconds(self, i: int) -> float:
        """A duration in seconds."""
        seconds = self.curve_value(i)
        if not 0 <= seconds <= MAX_SECONDS:
            raise self.error(i, f"must be a duration >= 0 in seconds, at most {MAX_SECONDS:g}")
        return seconds

    def error(self, i: int, rule: str, remedy: str = "Mend the file.") -> DataError:
        cell = printable(repr(self._cells[i]), most=60)
        return DataError(
            f"{self.file}, row {self._rows[i]}, column {self.name}: {cell}: {rule}. {remedy}"
        )

    def _texts(self) -> list[str]:
        if not self._escape:
            return list(self._cells)
        return [cell.removeprefix(self._escape) for cell in self._cells]

    def _inferred(self) -> list[Any] | None:
        """The numbers, or None where the column is text. Raises DataError where it must be described."""
        distinct = {cell: _plain_number(cell) for cell in dict.fromkeys(self._cells)}
        numbers = {cell: number for cell, number in distinct.items() if number is not None}
        others = [cell for cell in distinct if cell not in numbers]
        if not numbers:
            return None
        if not others and len(set(numbers.values())) == len(numbers):
            return [numbers[cell] for cell in self._cells]
        self._check_text(list(numbers), others)
        return None

    def _check_text(self, decimals: Sequence[str], others: Sequence[str]) -> None:
        """Refuse to make categories of what looks like numbers."""
        if not others:
            if len(decimals) > MAX_LEVELS:
                self._check_identity([as_number(cell.strip(_SPACES)) for cell in self._cells])
            return
        missing = all(_is_missing(cell) for cell in others)
        nothing = all(_is_missing(cell) or cell.lower() in _NOTHING for cell in others)
        real = sum(bool(re.search("[.eE]", cell)) for cell in decimals)
        if missing or (nothing and len(decimals) > MAX_LEVELS) or real > MAX_LEVELS:
            raise self.error(
                self._cells.index(others[0]),
                f"is no finite decimal number, and other rows hold {len(decimals)} different ones",
                "Write a number (a conditional hyperparameter: one value for all rows where it is inactive, "
                f"e.g. 0), or describe the column: types: {{{self.name}: text}} makes each value a category.",
            )

    def _described(self, i: int, kind: str) -> Any:
        cell = self._cells[i].strip(_SPACES)
        remedy = f"Mend the file, or types: {{{self.name}: {kind}}}."
        if kind == "boolean":
            if cell not in _BOOLEANS:
                raise self.error(i, "must be true or false", remedy)
            return _BOOLEANS[cell]
        form, rule = (
            (_INTEGER, "must be an integer of ASCII digits")
            if kind == "integer"
            else (_WITH_ZEROS, "must be a decimal number of ASCII digits, without _")
        )
        number = as_number(cell) if form.fullmatch(cell) else None
        if number is None or (kind == "integer" and not isinstance(number, int)):
            raise self.error(i, f"{rule}, finite and of at most 64 bits", remedy)
        return number

    def _check_identity(self, values: Sequence[Any]) -> None:
        """Raise DataError where two different cells mean one value: they would be one configuration."""
        first: dict[Any, int] = {}
        for i, value in enumerate(values):
            known = first.setdefault(value, i)
            if self._cells[known] != self._cells[i]:
                other = printable(repr(self._cells[known]), most=60)
                raise self.error(
                    i,
                    f"means the same as {other} in row {self._rows[known]}",
                    "Write equal values alike, or different ones apart; as text they stay apart: "
                    f"types: {{{self.name}: text}}.",
                )


def as_number(cell: str) -> int | float | None:
    """The number of a decimal; an int where it is whole. None where it is beyond floats."""
    number = float(cell)
    if number.is_integer() and abs(number) < 2**53:
        lost = number == 0 and re.search("[1-9]", cell.lower().partition("e")[0])
        return None if lost else int(number)
    if not math.isfinite(number):
        return None
    # At most 19 digits: an int of 64 bits, and one that Python agrees to read.
    digits = cell.lstrip("+-0")
    if _WHOLE.fullmatch(cell) and len(digits) <= 19 and int(digits) < 2**63:
        return -int(digits) if number < 0 else int(digits)
    return number


def _plain_number(cell: str) -> int | float | None:
    cell = cell.strip(_SPACES)
    return as_number(cell) if _DECIMAL.fullmatch(cell) else None


def _is_missing(cell: str) -> bool:
    """Whether a cell says that a number is missing or not finite."""
    cell = cell.strip(_SPACES)
    beyond = _DECIMAL.fullmatch(cell) and as_number(cell) is None
    return cell.lower() in _MISSING or bool(_NOT_FINITE.fullmatch(cell)) or bool(beyond)
