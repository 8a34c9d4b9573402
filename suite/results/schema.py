"""Floor 4: strict reading of records: the schema, finite numbers, no key twice, a limited size."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import math
from pathlib import Path
from typing import Any

from suite.core.errors import JournalError
from suite.core.printable import printable
from suite.files import UnsafeFileError, parse_json, read_text, unique_keys
from suite.results.leaves import leaves
from suite.run.paths import SCHEMAS

VERSION = "1.3.0"
_EARLIER = ("1.0.0", "1.1.0", "1.2.0")
NAME = "record.json"
MAX_BYTES = 16 * 2**20
"""Of a record; real ones have some 10 kB."""
MOST_ERRORS = 50
SCHEMA = SCHEMAS / "run.schema.json"


def load(path: Path) -> dict[str, Any]:
    """Read a record from anywhere: a regular file, strict JSON of limited size and depth, valid.

    One of an earlier minor version is given as one of this version. Raises JournalError.
    """
    name = printable(path.name)
    try:
        text = read_text(path, max_bytes=MAX_BYTES)
    except OSError as error:
        why = error.strerror
        raise JournalError(
            f"{printable(path)}: cannot be read ({why}); name a record.json."
        ) from None
    except UnsafeFileError as error:
        raise JournalError(f"{printable(error)} Name a record.json.") from None
    try:
        record = parse_json(text, pairs=unique_keys)
    except ValueError as error:
        why = printable(error, most=200)
        raise JournalError(f"{name}: not strict JSON: {why}; write it again.") from None
    record = _of_this_version(record)
    validate(record)
    return dict(record)


def _of_this_version(record: Any) -> Any:
    """An older record with what this version has besides: no run ended with a batch job, and no worker was
    released; the journal behind one of 1.0.0 did not say what warming up took.
    """
    if not isinstance(record, dict) or record.get("schema_version") not in _EARLIER:
        return record
    newer = {**record, "schema_version": VERSION, "allocations": []}
    warm_up = {"warm_up": None} if record["schema_version"] == "1.0.0" else {}
    with contextlib.suppress(LookupError, TypeError):
        newer["time"] = {**record["time"], **warm_up}
        lives = [{**life, **warm_up, "released": False} for life in record["workers"]["lives"]]
        none = {"value": 0, "unit": "workers"}
        newer["workers"] = {**record["workers"], "released": none, "lives": lives}
        nothing = {"value": 0.0, "unit": "h"}
        known = record["cost"]["node_hours"] is not None
        newer["cost"] = {
            **record["cost"],
            "handed_back": {
                "share": {"value": 0.0, "unit": "1"},
                "worker_hours": nothing,
                "node_hours": nothing if known else None,
            },
        }
    return newer


def validate(record: object) -> None:
    """Raise JournalError, naming the place, where it is not finite or not by the schema."""
    for at, value in leaves(record, "record", lists=True):
        if isinstance(value, float) and not math.isfinite(value):
            raise JournalError(
                f"{printable(at)}={value}: must be finite, or null; JSON has no such number."
            )
    from jsonschema.exceptions import best_match

    # Of a file full of errors some are enough: each one takes its time.
    errors = itertools.islice(_validator().iter_errors(record), MOST_ERRORS)
    error = best_match(errors)
    if error is not None:
        at = "record" + error.json_path[1:]
        raise JournalError(
            f"{printable(at, most=200)}: {printable(error.message, most=300)}; must follow {SCHEMA.name} "
            f"{VERSION}. A record of another version: read it with that version's schema."
        )


@functools.cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
