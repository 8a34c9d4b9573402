"""A record against the one that its journal gives, made on another machine perhaps.

Records hold no names of people and places: `<path>`, `<host>`, `<user>`, `<secret>` stand where those of the
machine that wrote them stood. So two texts are alike if one is the other but for such places.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from suite.core.printable import printable

_PLACE = re.compile(r"<(?:path|host|user|secret)>")
_NOTHING = object()


def first_difference(
    record: Mapping[str, Any], made: Mapping[str, Any]
) -> tuple[str, str, str] | None:
    """(place, value in the record, value in what was made) of the first leaf that differs; None: alike."""
    # As the record's file holds it: tuples are lists there.
    return _difference(record, json.loads(json.dumps(made)), "")


def _difference(was: Any, now: Any, at: str) -> tuple[str, str, str] | None:
    if isinstance(was, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*was, *now)):
            inner = f"{at}.{key}" if at else str(key)
            found = _difference(was.get(key, _NOTHING), now.get(key, _NOTHING), inner)
            if found is not None:
                return found
        return None
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for i, (one, other) in enumerate(zip(was, now, strict=True)):
            if (found := _difference(one, other, f"{at}[{i}]")) is not None:
                return found
        return None
    if isinstance(was, str) and isinstance(now, str):
        alike = was == now or _matches(was, now) or _matches(now, was)
    else:
        # 1, 1.0 and True are three things in a record.
        alike = type(was) is type(now) and was == now
    return None if alike else (printable(at), _shown(was), _shown(now))


def _shown(value: Any) -> str:
    return "nothing" if value is _NOTHING else printable(value, most=80)


def _matches(pattern: str, text: str) -> bool:
    """Whether `text` is `pattern` with anything in each of its places. Linear in the text's length."""
    first, *rest = _PLACE.split(pattern)
    if not rest:
        return pattern == text
    *middle, last = rest
    if not text.startswith(first):
        return False
    at = len(first)
    for part in middle:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return text.endswith(last) and len(text) - len(last) >= at
