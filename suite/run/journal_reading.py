"""Reading a journal that may come from a stranger, a crash or a bad disk: bounded, and line by line.

Only a regular file is opened, no link is followed, nothing blocks. What is damaged is named by its line.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from suite.core import types as t
from suite.core.errors import JournalError
from suite.core.printable import printable
from suite.files import UnsafeFileError, check_depth, open_regular, parse_json, refuse_constant
from suite.run.journal_lines import check_line, decode, parse

FORMAT = 1
NAME = "journal.jsonl"
MAX_BYTES = 2**30
"""Of a journal. A search of 3,000 trials writes 2 MB, and an epoch some 200 bytes: this is five million."""
MAX_LINE = 2**26
"""Bytes of a line. The longest holds all epochs of one job, some 100 bytes each."""
MAX_HEADER = 2**22
"""Bytes of the first line; real ones have less than 10 kB."""
# Twice as fast as `parse_json`. What that refuses besides, numbers beyond
# their range, `check_line` refuses.
_DECODER = json.JSONDecoder(parse_constant=refuse_constant)


@dataclass(frozen=True, slots=True)
class ReadJournal:
    """A journal's whole lines, which are checked. n_bytes, sha256: of them. n_left: bytes after them, which
    are no line.
    """

    header: dict[str, Any]
    lines: list[dict[str, Any]]
    n_bytes: int
    sha256: str
    n_left: int = 0


def shown(path: Path) -> str:
    """The run folder's name and the file's, as an error says them."""
    return printable("/".join(path.parts[-2:]))


def read_header(path: Path) -> dict[str, Any]:
    """The first line alone. Raises JournalError where it is no journal's; never blocks, reads no more."""
    with _opened(path) as file:
        raw = file.readline(MAX_HEADER + 1)
    why = f"has no header of format {FORMAT}"
    if len(raw) > MAX_HEADER:
        raise JournalError(f"{shown(path)}: {why}: line 1 has more than {MAX_HEADER} bytes.")
    try:
        header = parse_json(raw.decode())
    except ValueError as error:
        raise JournalError(f"{shown(path)}: {why}: line 1: {printable(error, most=200)}.") from None
    if not _is_header(header):
        raise JournalError(f"{shown(path)}: {why}.")
    return dict(header)


def read(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], int]:
    """Header, lines, and the number of bytes that are whole; see `read_journal`."""
    journal = read_journal(path)
    return journal.header, journal.lines, journal.n_bytes


def read_journal(path: Path) -> ReadJournal:
    """The whole journal, every line checked. A torn last line and empty lines at the end are left out.

    Raises JournalError for a file that cannot be opened, is no regular file or too large, for a damaged
    line before the last, with its number and reason, or a format this version cannot read.
    """
    digest = hashlib.sha256()
    lines: list[dict[str, Any]] = []
    n_bytes = n_left = 0
    torn: ValueError | None = None
    with _opened(path) as file:
        for number, raw in enumerate(_raw_lines(file, path), start=1):
            try:
                line = _parsed(raw, number == 1)
            except ValueError as error:
                if (n_blank := _blank_to_the_end(file)) is None:
                    raise _damaged(path, number, error) from None
                # The process died while writing this line: nothing in it was acted on.
                n_left, torn = len(raw) + n_blank, error
                break
            lines.append(line)
            digest.update(raw)
            n_bytes += len(raw)
    if not lines or not _is_header(lines[0]):
        written = printable(lines[0].get("journal"), most=60) if lines else "none"
        why = f" (line 1: {printable(torn, most=200)})" if torn and not lines else ""
        raise JournalError(
            f"{shown(path)}: format={written}{why}: must be {FORMAT}; the file is not a journal of this "
            "version."
        )
    for number, line in enumerate(lines[1:], start=2):
        try:
            check_line(line)
        except ValueError as error:
            raise JournalError(
                f"{shown(path)}: line {number}: {error}. No version writes that: {_remedy(number)}"
            ) from None
    return ReadJournal(lines[0], lines[1:], n_bytes, digest.hexdigest(), n_left)


def read_new(path: Path, n_bytes: int, n_lines: int) -> tuple[list[dict[str, Any]], int]:
    """For a reader that follows a journal: the whole lines after its first n_bytes, which are n_lines lines,
    and the number of bytes that are whole now. The first line of all is the header.

    A last line without its newline is being written, and is left for the next call. Raises JournalError as
    `read_journal` does, and where the file has become shorter.
    """
    lines: list[dict[str, Any]] = []
    with _opened(path) as file:
        if file.seek(0, 2) < n_bytes:
            raise JournalError(
                f"{shown(path)}: has become shorter; it is another run's. Start again."
            )
        file.seek(n_bytes)
        for number, raw in enumerate(_raw_lines(file, path), start=n_lines + 1):
            if not raw.endswith(b"\n"):
                break
            try:
                line = _parsed(raw, number == 1)
                if number > 1:
                    check_line(line)
            except ValueError as error:
                raise _damaged(path, number, error) from None
            if number == 1 and not _is_header(line):
                raise JournalError(f"{shown(path)}: has no header of format {FORMAT}.")
            lines.append(line)
            n_bytes += len(raw)
    return lines, n_bytes


def _opened(path: Path) -> BinaryIO:
    try:
        return open_regular(path, max_bytes=MAX_BYTES)
    except UnsafeFileError as error:
        raise JournalError(printable(error)) from None
    except OSError as error:
        raise JournalError(
            f"{shown(path)}: cannot be read ({error.strerror}); name a run folder."
        ) from None


def _raw_lines(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Lines with their newlines; the last one may have none."""
    most, total, first = MAX_HEADER, 0, file.readline(MAX_HEADER + 1)
    # No line is longer than the file, whose size is bounded.
    for raw in itertools.chain([first] if first else [], file):
        total += len(raw)
        if len(raw) > most:
            what = "a line" if most == MAX_LINE else "the first line"
            raise JournalError(f"{shown(path)}: {what} has more than {most} bytes; it is not read.")
        # A file that grows while it is read stays bounded.
        if total > MAX_BYTES:
            raise JournalError(f"{shown(path)}: has more than {MAX_BYTES} bytes; it is not read.")
        yield raw
        most = MAX_LINE


def _parsed(raw: bytes, is_header: bool) -> dict[str, Any]:
    """The object of a line. Raises ValueError: what is wrong with it."""
    try:
        text = raw.decode().strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is no UTF-8 text") from None
    if not text:
        raise ValueError("it is empty")
    if is_header:
        line = parse_json(text)
    else:
        check_depth(text)
        try:
            line = parse(text)
        except ValueError:
            # What is wrong is said in the words of `json`.
            line, end = _DECODER.raw_decode(text)
            if end != len(text):
                raise ValueError(f"more follows its JSON value, at character {end + 1}") from None
    if not isinstance(line, dict):
        raise ValueError("it is no JSON object")
    if not raw.endswith(b"\n"):
        # Valid, but a part may be missing.
        raise ValueError("it has no newline")
    return line


def _blank_to_the_end(file: BinaryIO) -> int | None:
    """The number of bytes to the file's end where they hold nothing; else None."""
    n = 0
    while part := file.read(2**16):
        if part.strip():
            return None
        n += len(part)
    return n


def _damaged(path: Path, number: int, why: ValueError) -> JournalError:
    return JournalError(
        f"{shown(path)}: line {number} is damaged ({printable(why, most=200)}); the journal is not "
        f"continued. {_remedy(number).capitalize()}"
    )


def _remedy(number: int) -> str:
    good = f", or copy the folder and keep lines 1 to {number - 1}, which are whole, there"
    return f"restore the journal from a copy{good if number > 2 else ''}."


def _is_header(line: object) -> bool:
    return isinstance(line, dict) and type(line.get("journal")) is int and line["journal"] == FORMAT


def entries(path: Path) -> Iterator[tuple[dict[str, Any], list[t.Event]]]:
    """Every line with its events, for readers that project the journal. Raises as `read` does."""
    for line in read(path)[1]:
        yield line, decode(line)
