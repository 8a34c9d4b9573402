"""What a line of the journal may hold, key by key, and the events of a line.

Every line is checked where it is read (`check_line`), so that no reader meets a key of another type, a
number beyond the range of a float or a command that does not exist. The rules follow the annotations of
suite.core.types: a field that is added there is checked here.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, get_args

from suite.core import types as t
from suite.core.printable import printable

CAUSED = ("do", "trials", "stopped", "given_up", "benched", "counted", "measured")
FIELDS = {cls: tuple(f.name for f in dataclasses.fields(cls)) for cls in t.EVENTS.values()}
# Left out where None.
OPTIONAL = ("stds", "sampler_info", "energy_j", "process")
BATCHED = tuple(name for name in FIELDS[t.EpochReport] if name not in ("worker", "job_id"))
STATUSES = ("completed", "failed", "interrupted")
_LARGEST = 2**63
_MAX = sys.float_info.max
MOST_S = 1e12
"""Seconds beyond it (30,000 years) are no time: they would leave the range of dates and of integers."""


class Rule(NamedTuple):
    """holds: of a JSON value. words: what must hold, as an error says it."""

    holds: Callable[[Any], bool]
    words: str


def is_integer(value: Any) -> bool:
    """An integer of at most 64 bits, and no boolean."""
    return type(value) is int and -_LARGEST <= value < 2 * _LARGEST


def is_number(value: Any) -> bool:
    """A number within the range of a float, and no boolean."""
    return type(value) in (int, float) and -_MAX <= value <= _MAX


def is_seconds(value: Any) -> bool:
    return type(value) in (int, float) and -MOST_S <= value <= MOST_S


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_mapping(value: Any) -> bool:
    """A mapping of what a journal may hold, at any depth: numbers in their range, text, null."""
    return isinstance(value, dict) and is_plain(value)


def is_plain(value: Any) -> bool:
    """Text, a boolean, null, a number in its range, or a list or mapping of such values."""
    if isinstance(value, dict):
        return all(map(is_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    if type(value) is int:
        return is_integer(value)
    return is_number(value) if type(value) is float else value is None or type(value) in (str, bool)


def one_of(words: Iterable[str]) -> Rule:
    known = tuple(words)
    return Rule(lambda value: isinstance(value, str) and value in known, " or ".join(known))


def or_null(rule: Rule) -> Rule:
    return Rule(lambda value: value is None or rule.holds(value), f"{rule.words} or null")


def mapping_of(rule: Rule) -> Rule:
    return Rule(
        lambda value: isinstance(value, dict) and all(map(rule.holds, value.values())),
        f"a mapping whose values are each {rule.words}",
    )


def list_of(rule: Rule) -> Rule:
    return Rule(
        lambda value: isinstance(value, list | tuple) and all(map(rule.holds, value)),
        f"a list whose items are each {rule.words}",
    )


INTEGER = Rule(is_integer, "an integer of at most 64 bits")
NUMBER = Rule(is_number, "a finite number")
SECONDS = Rule(is_seconds, f"seconds, at most {MOST_S:g}")
TEXT = Rule(is_text, "text")
MAPPING = Rule(is_mapping, "a mapping of plain values")

_BY_ANNOTATION = {
    "int": INTEGER,
    "float": NUMBER,
    "float | None": or_null(NUMBER),
    "str": TEXT,
    "str | None": or_null(TEXT),
    "FailureReason": one_of(get_args(t.FailureReason)),
    "Mapping[str, int]": mapping_of(INTEGER),
    "Mapping[str, float]": mapping_of(NUMBER),
    "Mapping[str, Any]": MAPPING,
    "Mapping[str, Any] | None": or_null(MAPPING),
    "dict[str, Any] | None": or_null(MAPPING),
    "tuple[float | None, ...]": list_of(or_null(NUMBER)),
    "tuple[float | None, ...] | None": or_null(list_of(or_null(NUMBER))),
}
_ANYTHING = Rule(is_plain, "a plain value")


def _rule(field: dataclasses.Field[Any]) -> Rule:
    if field.type == "float" and field.name.endswith("_s"):
        return SECONDS
    return _BY_ANNOTATION.get(str(field.type), _ANYTHING)


_EVENTS = {
    kind: {field.name: _rule(field) for field in dataclasses.fields(cls)}
    for kind, cls in t.EVENTS.items()
}
_CLOSED = {
    "status": one_of(STATUSES), "reason": TEXT, "time_s": SECONDS, "energy": MAPPING,
}  # fmt: skip
_COMMANDS: dict[str, tuple[Rule, ...]] = {
    "start": (INTEGER,) * 5,
    "score": (INTEGER,) * 4,
    "ask": (TEXT, INTEGER, INTEGER),
    "shutdown": (one_of(get_args(t.EndStatus)), TEXT),
}
_TRIAL = {"config": MAPPING, "seed": INTEGER}
_NOTES: dict[str, Rule] = {
    "stopped": INTEGER, "given_up": TEXT, "benched": TEXT, "counted": INTEGER,
}  # fmt: skip


def check_line(line: Mapping[str, Any]) -> None:
    """Raise ValueError, naming the key, its value and the rule, for what no version writes in a line."""
    kind = line.get("event")
    if not isinstance(kind, str) or (kind not in _EVENTS and kind != "closed"):
        raise ValueError(f"event={_shown(kind)}: must be one of {', '.join([*_EVENTS, 'closed'])}")
    batched = kind == t.EpochReport.kind and isinstance(line.get("epoch"), list)
    for name, rule in _rules(kind, batched, tuple(line)):
        value = line[name]
        if rule is None:
            _check_caused(name, value)
        elif not rule.holds(value):
            _check(name, value, rule)
    if batched and len({len(line[name]) for name in BATCHED}) > 1:
        raise ValueError(f"{', '.join(BATCHED)}: must be lists of one length")


# A journal has millions of lines and some twenty sets of keys.
@functools.lru_cache(maxsize=256)
def _rules(kind: str, batched: bool, names: tuple[str, ...]) -> list[tuple[str, Rule | None]]:
    """The rule of every key of a line but its kind; None for what `_check_caused` checks.

    Raises ValueError where one is missing, or is no key of such a line.
    """
    rules = _CLOSED if kind == "closed" else _EVENTS[kind]
    for name in rules:
        if name not in names and name not in OPTIONAL and name != "energy":
            raise ValueError(f"{name}: missing in an event of kind {kind}")
    known: list[tuple[str, Rule | None]] = []
    for name in names:
        if name in rules:
            rule = rules[name]
            known.append((name, list_of(rule) if batched and name in BATCHED else rule))
        elif name in CAUSED:
            known.append((name, None))
        elif name != "event":
            close = difflib.get_close_matches(name, [*rules, *CAUSED], n=1)
            hint = f"; did it say {close[0]}?" if close else ""
            raise ValueError(f"{_shown(name)}: no key of an event of kind {kind}{hint}")
    return known


def _check(name: str, value: Any, rule: Rule) -> None:
    if not rule.holds(value):
        raise ValueError(f"{name}={_shown(value)}: must be {rule.words}")


def _shown(value: Any) -> str:
    return printable(value, most=60)


def _check_caused(name: str, value: Any) -> None:
    """One of the keys `CAUSED`."""
    if name == "do":
        if not isinstance(value, list):
            raise ValueError(f"do={_shown(value)}: must be a list of commands")
        for command in value:
            _check_command(command)
        return
    _check(name, value, MAPPING)
    for key, note in value.items():
        if name == "measured":
            _check(f"measured.{_shown(key)}", note, MAPPING)
            continue
        if not (key.isascii() and key.isdigit() and len(key) <= 18):
            raise ValueError(f"{name}.{_shown(key)}: must be the number of a trial or worker")
        if name == "trials":
            _check_trial(f"trials.{key}", note)
        else:
            _check(f"{name}.{key}", note, _NOTES[name])


def _check_trial(where: str, note: Any) -> None:
    _check(where, note, MAPPING)
    for key, rule in _TRIAL.items():
        if key not in note:
            raise ValueError(f"{where}.{key}: missing")
        _check(f"{where}.{key}", note[key], rule)
    _check(f"{where}.bracket", note.get("bracket"), or_null(INTEGER))
    if unknown := sorted(note.keys() - {*_TRIAL, "bracket"}):
        raise ValueError(f"{where}.{_shown(unknown[0])}: must be config, seed or bracket")


def _check_command(command: Any) -> None:
    if not isinstance(command, list) or not command or not isinstance(command[0], str):
        raise ValueError(f"do: {_shown(command)}: must be a list that begins with a word")
    word, *values = command
    rules = _COMMANDS.get(word)
    if rules is None:
        raise ValueError(f"do: command {_shown(word)}: must be one of {', '.join(_COMMANDS)}")
    if len(values) != len(rules):
        raise ValueError(f"do: {_shown(command)}: {word} must have {len(rules)} values")
    for value, rule in zip(values, rules, strict=True):
        if not rule.holds(value):
            raise ValueError(f"do: {_shown(command)}: {_shown(value)} must be {rule.words}")


def decode(line: Mapping[str, Any]) -> list[t.Event]:
    """The events of a checked line; none for the closing line."""
    kind = line["event"]
    if kind == "closed":
        return []
    cls = t.EVENTS[kind]
    if cls is t.EpochReport and isinstance(line["epoch"], list):
        worker, job_id = line["worker"], line["job_id"]
        return [
            t.EpochReport(worker, job_id, **dict(zip(BATCHED, values, strict=True)))
            for values in zip(*(line[name] for name in BATCHED), strict=True)
        ]
    fields = {name: line[name] for name in FIELDS[cls] if name in line or name not in OPTIONAL}
    if cls is t.Forecast:
        for name in ("values", "stds"):
            if fields.get(name) is not None:
                fields[name] = tuple(fields[name])
    event: t.Event = cls(**fields)
    return [event]
