"""A configuration's values as cells of a CSV file, so that they are read back as they were.

A text that a spreadsheet would take for a formula gets a quote (') before it; the table's description then
says `escape`, and readers leave the sign out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from suite.core.errors import ConfigError
from suite.core.printable import printable

ESCAPE = "'"
# What begins a formula, or a command, in spreadsheets (OWASP, CSV Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def column_type(name: str, values: Sequence[Any]) -> str:
    """The type of a column that holds these values: boolean, integer, number, or else text.

    Raises ConfigError where two different values would be one cell.
    """
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return "boolean"
    if kinds <= {int, float}:
        return "integer" if kinds == {int} else "number"
    texts: dict[str, Any] = {}
    for value in values:
        other = texts.setdefault(as_text(value), value)
        if type(other) is not type(value) or other != value:
            raise ConfigError(
                f"hyperparameter {printable(name, most=80)}: the values {printable(repr(other), most=40)} "
                f"and {printable(repr(value), most=40)} would be one cell; rename one in the model."
            )
    return "text"


def cells(name: str, values: Sequence[Any]) -> list[str]:
    """Each value's cell. Raises ConfigError as `column_type`, or for text that no file can hold."""
    if column_type(name, values) != "number":
        return [check_text(name, as_text(value)) for value in values]
    # 1 and 1.0 are one value, and so one cell.
    first: dict[float, str] = {}
    return [first.setdefault(value, as_text(value)) for value in values]


def as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, int | float) else str(value)


def check_text(name: str, text: str) -> str:
    """`text`, where UTF-8 can hold it and a reader would not stop at it."""
    if "\0" in text or (
        not text.isprintable() and any("\ud800" <= sign <= "\udfff" for sign in text)
    ):
        raise ConfigError(
            f"hyperparameter {printable(name, most=80)}: {printable(repr(text), most=80)} cannot stand in a "
            "text file (a NUL, or half a character); rename it in the model."
        )
    return text


def needs_escape(
    names: Sequence[str], types: Mapping[str, str], columns: Mapping[str, Sequence[str]]
) -> bool:
    """Whether any column's name or cell of text would be taken for a formula."""
    texts = [cell for name, kind in types.items() if kind == "text" for cell in columns[name]]
    return any(text.startswith(_FORMULA) for text in (*names, *texts))


def guarded(text: str) -> str:
    """`text` with the sign before it where it begins a formula, or with that sign itself."""
    return ESCAPE + text if text.startswith((*_FORMULA, ESCAPE)) else text


def quoted(cell: str) -> str:
    """A cell as a CSV file holds it."""
    if any(sign in cell for sign in ',"\r\n') or cell != cell.strip():
        return '"' + cell.replace('"', '""') + '"'
    return cell
