"""Floor 4: strict reading of records: the schema, finite numbers, no key twice, a limited size."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from suite.core.errors import JournalError

VERSION = "1.0.0"
MAX_BYTES = 16 * 2**20
SCHEMA = Path(__file__).resolve().parent.parent / "results_schema" / "run.schema.json"


def load(path: Path) -> dict[str, Any]:
    """Read a record from anywhere: strict JSON of limited size, valid. Raises JournalError."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        why = error.strerror
        raise JournalError(f"{path.name}: cannot be read ({why}); name a record.json.") from None
    if len(data) > MAX_BYTES:
        raise JournalError(f"{path.name}: must be at most {MAX_BYTES} bytes; name a record.json.")
    try:
        record = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise JournalError(f"{path.name}: not strict JSON: {error}; write it again.") from None
    validate(record)
    return dict(record)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key!r} stands twice")
        found[key] = value
    return found


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON number")


def validate(record: object) -> None:
    """Raise JournalError, naming the place, where it is not finite or not by the schema."""
    for at, value in _leaves(record, "record"):
        if isinstance(value, float) and not math.isfinite(value):
            raise JournalError(f"{at}={value}: must be finite, or null; JSON has no such number.")
    from jsonschema.exceptions import best_match

    error = best_match(_validator().iter_errors(record))
    if error is not None:
        at = "record" + error.json_path[1:]
        raise JournalError(
            f"{at}: {error.message[:300]}; must follow {SCHEMA.name} {VERSION}. "
            "A record of another version: read it with that version's schema."
        )


def _leaves(node: object, at: str) -> Iterator[tuple[str, object]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _leaves(value, f"{at}.{key}")
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from _leaves(value, f"{at}[{i}]")
    else:
        yield at, node


@functools.cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
