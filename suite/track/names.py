"""Names and texts as every MLflow store takes them.

MLflow takes letters, digits, `_ - . : /` and spaces, at most 250 signs, and treats a name as a path that must
be in its shortest form. Hyperparameters and metrics of a target may be called anything else.
"""

from __future__ import annotations

import functools
import hashlib
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from suite.track.contract import TrackingError

LONGEST_NAME, LONGEST_PARAM, LONGEST_TAG = 250, 6000, 5000
_OTHER_SIGNS = re.compile(r"[^\w\-. /:]")
_ADMITTED = re.compile(r"[\w\-. /:]+")
_CHANGED = re.compile(r"-[0-9a-f]{8}")


@functools.lru_cache(4096)
def mlflow_name(name: str) -> str:
    """`name` where MLflow takes it unchanged; else its closest normal form and 8 digits of its SHA-256.

    It depends on nothing but `name`, so a hyperparameter is called alike in every run, and two names stay
    two: a name that looks as if it had been changed is changed too.

    >>> mlflow_name("optimizer/learning rate")
    'optimizer/learning rate'
    >>> mlflow_name("weight@decay")
    'weight_decay-e3f97dc4'
    >>> mlflow_name("./lr")
    'lr-30d4c69a'
    """
    return name if _normal(name) else _changed(name)


def _normal(name: str) -> bool:
    return (
        len(name) <= LONGEST_NAME
        and _ADMITTED.fullmatch(name) is not None
        and name == name.strip()
        and not name.startswith(("/", ".."))
        and name != "."
        and posixpath.normpath(name) == name
        and not _CHANGED.fullmatch(name[-9:])
    )


def _changed(name: str) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    parts = [part.strip() for part in _OTHER_SIGNS.sub("_", name).split("/")]
    stem = "/".join(part for part in parts if part.strip(".")).lstrip(".")
    return f"{stem[: LONGEST_NAME - 9] or '_'}-{digest}"


def text(value: object, longest: int) -> str:
    """A value as text that every data base takes: UTF-8 without NUL, at most `longest` signs."""
    plain = str(value).encode("utf-8", "backslashreplace").decode()
    return plain.replace("\0", "\\x00")[:longest]


def texts(values: Mapping[str, Any], longest: int) -> dict[str, str]:
    """Values by their names, both as MLflow takes them; None values are left out.

    Raises TrackingError where two names become one, which only names made for it do.
    """
    named: dict[str, str] = {}
    owners: dict[str, str] = {}
    for name, value in values.items():
        if value is None:
            continue
        key = mlflow_name(name)
        if key in owners:
            raise TrackingError(
                f"names {owners[key]!r} and {name!r}: are both {key!r} in MLflow; rename one."
            )
        owners[key], named[key] = name, text(value, longest)
    return named
