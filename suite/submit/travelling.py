"""A run's files as they leave the machine: without paths, users, hosts and secrets, and consistent.

A journal stays with its run and may name folders; what is made from it is cleaned (suite.results.privacy).
The journal of a submission travels, so it is cleaned as well, line by line, and the record is made from the
cleaned one. Lines without such names stay byte for byte as they are. Decisions rest on none of these names.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError
from suite.core.printable import printable
from suite.files import read_bytes, write_whole
from suite.results import record as records
from suite.results.privacy import cleaner
from suite.run import journal as journals
from suite.run.journal_reading import MAX_BYTES
from suite.run.secrets import check_secrets

_DUMPS = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True)
class Travelling:
    """A run that was packed. n_cleaned: lines in which a name was replaced."""

    run_id: str
    sha256: str
    original_sha256: str
    n_cleaned: int
    record: dict[str, Any]


def pack_run(run: Path, to: Path) -> Travelling:
    """Write journal and record of a run folder to the folder `to`.

    Raises ConfigError for a run that has not ended, or whose header holds a secret; JournalError.
    """
    original = journals.read_journal(run / journals.NAME)
    name = printable(run.name)
    if original.n_left or not original.lines or original.lines[-1]["event"] != "closed":
        raise ConfigError(
            f"{name}: its journal has no closing line: the run has not ended. Continue it "
            f"(swiftbench run resume={printable(run)}) and submit it then, or name other runs alone."
        )
    check_secrets(original.header)
    raw = read_bytes(run / journals.NAME, max_bytes=MAX_BYTES)[: original.n_bytes]
    clean = cleaner()
    rows, n_cleaned = [], 0
    for row, line in zip(raw.split(b"\n"), [original.header, *original.lines], strict=False):
        cleaned = clean(line)
        if cleaned != line:
            n_cleaned += 1
            row = _DUMPS(cleaned).encode()
        rows.append(row + b"\n")
    packed = b"".join(rows)
    write_whole(to / journals.NAME, packed)
    record = records.build(to)
    records.validate(record)
    write_whole(to / records.NAME, records.dumps(record))
    return Travelling(
        journals.run_id(original.header), hashlib.sha256(packed).hexdigest(), original.sha256,
        n_cleaned, record,
    )  # fmt: skip
