"""Words of the command line before Hydra parses them: bounded; text that looks like a number stays text."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from suite.core import plugins
from suite.core.errors import ConfigError
from suite.core.run_settings import RunSettings
from suite.launch.hydra_rules import check_override

MAX_CHARACTERS = 100_000
MAX_DEPTH = 32
MAX_DIGITS = 300
MAX_RUNS = 100_000
"""Of a sweep."""
_OVERRIDE = re.compile(r"(\+{0,2})([A-Za-z_]\w*(?:\.\w+)*)=(.+)", re.DOTALL)
# What YAML or Hydra's grammar would take for a number, a boolean or null. Nothing of it needs an escape.
_OTHER_TYPE = re.compile(r"[+-]?[\d.][\w.+-]*|true|false|null|[+-]?(?:nan|inf)", re.I)
_BRACKETS = re.compile(r"([\[({])|([\])}])")


def check_words(words: Sequence[str]) -> None:
    """Raise ConfigError for a word that no parser should see: too long, too deep, or no UTF-8."""
    for word in words:
        check_override(word)
        name = word.partition("=")[0][:60]
        if len(word) > MAX_CHARACTERS:
            raise ConfigError(
                f"{name}=...: {len(word)} characters, must be at most {MAX_CHARACTERS}; write a YAML file."
            )
        if "\0" in word or (not word.isascii() and not _is_utf8(word)):
            raise ConfigError(f"{name!r}: is not UTF-8 text; write it in UTF-8.")
        if re.search(rf"\d{{{MAX_DIGITS}}}", word):
            raise ConfigError(f"{name}=...: a number of more than {MAX_DIGITS} digits; shorten it.")
        depth = 0
        for match in _BRACKETS.finditer(word):
            depth += 1 if match[1] else -1
            if depth > MAX_DEPTH:
                raise ConfigError(f"{name}=...: nests deeper than {MAX_DEPTH} levels; flatten it.")


def check_choices(words: Sequence[str], is_group: Callable[[str], bool]) -> None:
    """Raise ConfigError for a group (model, scheduler) that is given something else than one file's name.

    is_group: whether there is a folder of that name.
    """
    for word in words:
        given, equals, value = word.lstrip("+~").partition("=")
        key = given.partition("@")[0]
        if not key.strip():
            raise ConfigError(f"{word[:60]}: names no setting; write name=value.")
        is_name = (
            value.strip() and not _OTHER_TYPE.fullmatch(value) and value.strip()[0] not in "[{"
        )
        if equals and not is_name and ("/" in key or is_group(key)):
            raise ConfigError(
                f"{given}={value[:60]}: must be the name of a file in conf/{key}/ (without .yaml)."
            )


def _is_utf8(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_typed(words: Sequence[str], leaf: Callable[[str], Mapping[str, Any] | None]) -> list[str]:
    """The words with values in quotes where a setting is text and the value reads as something else.

    name=12_34 is a run's name, and not the number 1234. leaf: the composed leaf of a group ("backend"),
    None where there is none.
    """
    return [_as_typed(word, leaf) for word in words]


def _as_typed(word: str, leaf: Callable[[str], Mapping[str, Any] | None]) -> str:
    match = _OVERRIDE.fullmatch(word)
    if not match:
        return word
    sign, key, value = match.groups()
    # A list of a sweep: each of its values. What is quoted or nested says its type itself.
    parts = value.split(",")
    if re.search(r"[\[\](){}'\"$\\]", value) or not any(map(_OTHER_TYPE.fullmatch, parts)):
        return word
    annotation = _annotation(key, leaf)
    if not _is_text(annotation):
        return word
    # Elsewhere null means that there is none; a run always has a name.
    kept = () if key == "name" else ("null",)
    quoted = [
        f"'{part}'" if _OTHER_TYPE.fullmatch(part) and part.lower() not in kept else part
        for part in parts
    ]
    return f"{sign}{key}={','.join(quoted)}"


@lru_cache(1)
def _own() -> dict[str, Any]:
    return typing.get_type_hints(RunSettings, include_extras=True)


def _annotation(key: str, leaf: Callable[[str], Mapping[str, Any] | None]) -> Any:
    """The type that a setting is declared with; None where it cannot be known."""
    group, _, name = key.partition(".")
    if not name:
        return _own().get(key)
    node = leaf(group)
    target = node.get("_target_") if node is not None else None
    if not isinstance(target, str) or "." in name:
        return None
    try:
        return plugins.argument_types(plugins.find(target, group)).get(name)
    except ConfigError:
        # Whoever makes the leaf says what is wrong with its class.
        return None


def _is_text(annotation: Any) -> bool:
    """Whether a setting takes text and no number or boolean."""
    members = [m for m in _members(annotation) if m is not type(None)]
    return str in members and not any(m in (bool, int, float) for m in members)


def _members(annotation: Any) -> list[Any]:
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return [m for part in typing.get_args(annotation) for m in _members(part)]
    if origin is typing.Annotated:
        return _members(typing.get_args(annotation)[0])
    if origin is Literal:
        return [type(word) for word in typing.get_args(annotation)]
    return [annotation]


def n_values(start: Any, stop: Any, step: Any) -> int:
    """How many values `range(start, stop, step)` of a sweep has.

    Raises ConfigError for a step of 0 and for numbers that are not finite: Hydra would never end.
    """
    text = f"range({start},{stop},{step})"
    try:
        if step == 0:
            raise ConfigError(f"{text}: the step must not be 0; name another.")
        return max(-int((start - stop) // step), 0)
    except (OverflowError, ValueError, TypeError):
        raise ConfigError(f"{text}: start, stop and step must be finite numbers.") from None


def check_sweep(key: str, n_runs: int) -> None:
    """Raise ConfigError for a sweep of more runs than can be laid out."""
    if n_runs > MAX_RUNS:
        raise ConfigError(
            f"{key}: {n_runs:,} runs in this sweep, must be at most {MAX_RUNS:,}; divide it among several."
        )
