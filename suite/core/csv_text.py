"""CSV as bytes to rows of cells, or an error by file, row and column. Pure: bytes in, cells out."""

from __future__ import annotations

import csv
import re

from suite.core.errors import DataError
from suite.core.printable import printable

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_BARE = re.compile(r"[^,\r\n]*")


def decode(name: str, data: bytes) -> str:
    """The text of a CSV file; a byte order mark of UTF-8 is left out.

    name: of the file, for errors. Raises DataError where it is not UTF-8, with the line.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{printable(name)}: is UTF-16; must be UTF-8. Save it as UTF-8.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{printable(name)}, line {line}: not UTF-8 at byte {error.start}. Save it as UTF-8."
        ) from None


def read_rows(name: str, text: str) -> list[list[str]]:
    """The cells of every row. Lines end with LF, CR LF or CR; a byte order mark is left out; an empty line is
    a row without cells.

    Quotes must be closed and stand around whole cells (RFC 4180). Raises DataError by row and column.
    """
    if (at := text.find("\0")) >= 0:
        line = text.count("\n", 0, at) + 1
        raise DataError(
            f"{printable(name)}, line {line}: a NUL character; must be text (UTF-16 is not read). Save it as "
            "UTF-8, or stage it again."
        )
    lines = _LINE.findall(text.removeprefix("\ufeff"))
    reader = csv.reader(lines, strict=True)
    rows: list[list[str]] = []
    begin = 0
    try:
        for row in reader:
            rows.append(row)
            begin = reader.line_num
    except csv.Error:
        column, fault = _fault("".join(lines[begin : reader.line_num]))
        raise DataError(
            f"{printable(name)}, row {len(rows) + 1}, column {column}: {fault}. Mend the file."
        ) from None
    return rows


def _fault(record: str) -> tuple[int, str]:
    """(column, from 1; what is wrong) of a row that the reader refused."""
    most = csv.field_size_limit()
    begin = 0
    for column in range(1, len(record) + 1):
        match = _QUOTED.match(record, begin) if record[begin : begin + 1] == '"' else None
        if match is None and record[begin : begin + 1] == '"':
            return column, "a quotation mark without its second"
        match = match or _BARE.match(record, begin)
        end = match.end() if match else begin
        if end - begin > most:
            return column, f"a cell of more than {most} characters"
        if record[end : end + 1] != ",":
            if record[end : end + 1] not in ("", "\r", "\n"):
                return column, "characters after the second quotation mark"
            break
        begin = end + 1
    return column, "no CSV that can be read"
