"""A submission: what lies where in its folder, and its first file, which names every other by its digest.

submission.json          what it is: site, level, division, image, runs; size and SHA-256 of every other file
submission.json.sig      a signature of it (ssh-keygen -Y sign), where it was signed
system.json              the machine, by results_schema/system.schema.json
runs/NAME/journal.jsonl  each run, with record.json, and samples.jsonl where a device was asked
report/...               the report, where there is one
slurm/accounting.txt     what the batch system counted, where it was given
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from suite import __version__
from suite.core.errors import DataError
from suite.core.printable import printable
from suite.files import UnsafeFileError, open_regular, parse_json, read_text, unique_keys
from suite.submit.schemas import check_document

NAME = "submission.json"
SIGNATURE = "submission.json.sig"
SYSTEM = "system.json"
ACCOUNTING = "slurm/accounting.txt"
SCHEMA = "submission.schema.json"
VERSION = "1.0.0"
DIVISIONS = ("closed", "open")

MAX_FILES = 20_000
MAX_BYTES = 2**30
"""Of all files together, unpacked. A run of 3,000 trials has 2 MB."""
MAX_FIRST = 2**24
"""Bytes of submission.json."""
MAX_PATH = 300
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")


def check_path(path: str) -> str:
    """The path of a file below a submission, if it is one that `swiftbench submit` writes.

    Raises DataError for an absolute path, `..`, a backslash, a control character, an empty part.
    """
    parts = path.split("/")
    if len(path) > MAX_PATH or not all(_PART.fullmatch(part) for part in parts):
        raise DataError(
            f"path={printable(path, most=120)}: leads out of the submission, or holds what no name of a "
            "submission holds (letters, digits, . _ + -, and no ./ before them); it is not opened: pack the "
            "folder by its name, as `swiftbench submit` does."
        )
    return path


def files_of(folder: Path) -> dict[str, int]:
    """Path below the folder -> size, of every file in it.

    Raises DataError for a link, a pipe or a device, a name that no submission has, and for more files or
    bytes than MAX_FILES and MAX_BYTES.
    """
    found: dict[str, int] = {}
    total = 0
    waiting = [folder]
    while waiting:
        at = waiting.pop()
        with os.scandir(at) as entries:
            for entry in entries:
                place = PurePosixPath(Path(entry.path).relative_to(folder)).as_posix()
                check_path(place)
                facts = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(facts.st_mode):
                    waiting.append(Path(entry.path))
                elif stat.S_ISREG(facts.st_mode):
                    found[place] = facts.st_size
                    total += facts.st_size
                else:
                    raise DataError(
                        f"{printable(place)}: is a link, a pipe or a device; a submission holds files alone: "
                        "put the file itself in its place."
                    )
                if len(found) + len(waiting) > MAX_FILES or total > MAX_BYTES:
                    raise DataError(
                        f"{printable(folder.name)}: more than {MAX_FILES} files or {MAX_BYTES} bytes; it is "
                        "not read."
                    )
    return dict(sorted(found.items()))


def digest_of(path: Path, below: Path) -> str:
    """SHA-256 of a regular file below a folder. Raises UnsafeFileError, OSError."""
    with open_regular(path, below=below, max_bytes=MAX_BYTES) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def dumps(document: Mapping[str, Any]) -> str:
    """Strict JSON, as it stands in a submission."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_first(folder: Path) -> dict[str, Any]:
    """submission.json of a folder, by its schema. Raises DataError, ConfigError."""
    document = read_document(folder / NAME, folder, MAX_FIRST)
    if (version := document.get("schema_version")) != VERSION:
        by = printable(document.get("suite_version"), most=60)
        raise DataError(
            f"{NAME}: schema_version={printable(version, most=60)}, here {VERSION}: packed by swiftbench "
            f"{by}, this is {__version__}; check with that version, or in an image that you trust."
        )
    check_document(document, SCHEMA, NAME)
    for one in document["files"]:
        check_path(one["path"])
    return document


def read_document(path: Path, below: Path, max_bytes: int = 2**20) -> dict[str, Any]:
    """A JSON mapping of a submission. Raises DataError: missing, no JSON, a key twice."""
    name = printable(path.relative_to(below).as_posix())
    try:
        text = read_text(path, max_bytes=max_bytes, below=below)
    except FileNotFoundError:
        raise DataError(
            f"{name}: missing; name a folder or an archive that `swiftbench submit` made."
        ) from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}).") from None
    except UnsafeFileError as error:
        raise DataError(printable(error)) from None
    try:
        document = parse_json(text, pairs=unique_keys)
    except ValueError as error:
        raise DataError(f"{name}: is no strict JSON: {printable(error, most=200)}.") from None
    if not isinstance(document, dict):
        raise DataError(f"{name}: must be a JSON object.")
    return document
