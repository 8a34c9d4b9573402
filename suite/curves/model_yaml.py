"""A model's YAML file read by itself: the commands below `launch` know no Hydra."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from suite.core.errors import ConfigError, DataError
from suite.core.printable import printable
from suite.files import UnsafeFileError, published_tables, read_text

MAX_BYTES = 4 * 2**20
MAX_DEPTH = 20
_MAX_VALUES = 100_000
# An interpolation, and the backslashes before it: in pairs each is one, an odd one takes the sense away.
_INTERPOLATION = re.compile(
    r"(?P<slashes>\\*)\$\{(?:oc\.env:(?P<name>\w+)(?:,(?P<default>[^}]*))?\})?"
)
"""The one interpolation of a table's description: an environment variable and its default."""


def read_table(named: Path) -> dict[str, Any]:
    """The settings of a curve table's target: of the catalogue's table of that name where there is no such
    file, else of a model's YAML file. Raises as `read_model` does.
    """
    entry = published_tables().get(str(named))
    if entry is None or named.exists():
        return read_model(named)
    return entry.leaf(os.environ.get("SUITE_DATA", "data"))


def read_model(path: Path) -> dict[str, Any]:
    """The settings of a model's YAML file, with environment variables filled in.

    Raises DataError where the file cannot be read, ConfigError where it is not a mapping in YAML, nests too
    deep or refers to other settings.
    """
    name = printable(path.name, most=200)
    try:
        settings = yaml.safe_load(read_text(path, max_bytes=MAX_BYTES))
    except OSError as error:
        raise DataError(f"{name}: {error.strerror}; name a model's YAML file.") from None
    except UnsafeFileError as error:
        raise DataError(str(error)) from None
    # The loader's own conversions (a date, a long integer) raise ValueError, a deep file RecursionError.
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        why = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise ConfigError(
            f"{name}{place}: no YAML that can be read: {printable(why, most=200)}. Mend the file."
        ) from None
    if not isinstance(settings, dict):
        raise ConfigError(f"{name}: holds no mapping; see docs/curve-tables.md.")
    _check_size(settings, name)
    return {str(key): _filled(value, name) for key, value in settings.items()}


def _check_size(settings: Any, name: str) -> None:
    """Refuse depth and, since an alias stands for a whole value, what unfolds to too many."""
    waiting, n = [(settings, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        n += 1
        if depth > MAX_DEPTH or n > _MAX_VALUES:
            raise ConfigError(
                f"{name}: nests deeper than {MAX_DEPTH} levels, or holds more than {_MAX_VALUES} values; "
                "write it without aliases, or shorter."
            )
        inner = (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        )
        waiting += [(one, depth + 1) for one in inner]


def as_yaml(value: Any) -> str:
    """A value of a description in a line of YAML that every reader takes alike: texts are quoted, so that
    none is a number or a boolean, what cannot be printed is escaped, and ${ is no interpolation.
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_quoted(k)}: {as_yaml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(as_yaml, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    if "${" in value:
        value = re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + "\\${", value)
    return _quoted(value)


def _quoted(text: str) -> str:
    """In double quotes; as a key, in which no reader looks for an interpolation, this is all."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(sign: str) -> str:
    if " " <= sign <= "~":
        return "\\" + sign if sign in '"\\' else sign
    return f"\\u{ord(sign):04X}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08X}"


def _filled(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, name) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, name) for inner in value]
    if not isinstance(value, str) or "${" not in value:
        return value

    def variable(match: re.Match[str]) -> str:
        slashes, odd = divmod(len(match["slashes"]), 2)
        if odd:
            return "\\" * slashes + match[0].lstrip("\\")
        if match["name"] is None:
            raise ConfigError(
                f"{name}: {printable(value, most=200)}: only ${{oc.env:NAME,default}} can be read here."
            )
        given = os.environ.get(match["name"], match["default"])
        if given is None:
            raise ConfigError(f"{name}: {match['name']} is not set; set it in the environment.")
        return "\\" * slashes + given

    filled = _INTERPOLATION.sub(variable, value)
    return None if filled == "null" and "oc.env" in value else filled
