"""What does not fit in a run that can be read: said beside its numbers by report, compare, curves and track.

A journal whose lines are out of order is refused, as a resume refuses it. What stands here leaves every line
in its place, but no run of the suite wrote it so: a number was changed, or the record beside the journal is
that of another one. `suite.verify` looks further, and replays every decision.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from suite.core.printable import printable
from suite.files import UnsafeFileError, open_regular, read_json
from suite.results import schema
from suite.results.typed import INTEGER, TEXT, Keys
from suite.run.journal_reading import MAX_BYTES, NAME, ReadJournal

MOST = 3
"""Doubts of one kind that are said; the others are counted."""


class Doubts:
    """Doubts by kind, with the lines that give rise to them."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}

    def add(self, kind: str, text: str) -> None:
        self._texts.setdefault(kind, []).append(printable(text, most=300))

    def lines(self) -> list[str]:
        out: list[str] = []
        for texts in self._texts.values():
            out += texts[:MOST]
            if more := len(texts) - MOST:
                out += [f"and {more} more like it"] if more > 0 else []
        return out


def of_record(folder: Path, journal: ReadJournal) -> str | None:
    """What is wrong with the record beside the journal; None where it is this journal's, or there is none.

    A record of the journal's first lines alone is no fault: the run went on after it.
    """
    path = folder / schema.NAME
    try:
        record = read_json(path, max_bytes=schema.MAX_BYTES)
        theirs, size = _of_journal(record)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{schema.NAME} beside the journal cannot be read ({error.strerror})"
    except (UnsafeFileError, ValueError) as error:
        return f"{schema.NAME} beside the journal: {printable(error, most=300)}"
    if theirs == journal.sha256:
        return None
    if size < journal.n_bytes and _digest(folder / NAME, size) == theirs:
        return None
    ours, written = journal.sha256[:12], printable(theirs[:12])
    return (
        f"{schema.NAME} beside the journal is not of this journal: journal.sha256 is {written}... in it and "
        f"{ours}... by the file; one of them was changed. swiftbench verify says more."
    )


def _of_journal(record: object) -> tuple[str, int]:
    """(sha256, bytes) of the journal that a record was made from. Raises ValueError: it names none."""
    inner = Keys(record, "").keys("journal") if isinstance(record, dict) else None
    size = inner.keys("size") if inner else None
    digest = inner.get("sha256", TEXT) if inner else None
    value = size.get("value", INTEGER) if size else None
    if digest is None or value is None:
        raise ValueError("journal.sha256 or journal.size: missing; no version writes that")
    return digest, value


def _digest(path: Path, size: int) -> str | None:
    try:
        with open_regular(path, max_bytes=MAX_BYTES) as file:
            return hashlib.sha256(file.read(max(size, 0))).hexdigest()
    except (OSError, UnsafeFileError):
        return None
