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
MOST_S = 1e12
"""Seconds beyond it (30,000 years) are no time: they would leave the range of dates and of integers."""


class Range(NamedTuple):
    """The numbers of these types from low to high; a boolean is none, NaN is in no range."""

    types: tuple[type, ...]
    low: float
    high: float

    def holds(self, value: Any) -> bool:
        return type(value) in self.types and self.low <= value <= self.high


class Rule(NamedTuple):
    """holds: of a JSON value. words: what must hold, as an error says it. range: where it is a number's."""

    holds: Callable[[Any], bool]
    words: str
    range: Range | None = None


def number(words: str, *types: type, low: float, high: float) -> Rule:
    numbers = Range(types, low, high)
    return Rule(numbers.holds, words, numbers)


INTEGER = number("an integer of at most 64 bits", int, low=-(2**63), high=2**64 - 1)
NUMBER = number("a finite number", int, float, low=-sys.float_info.max, high=sys.float_info.max)
SECONDS = number(f"seconds, at most {MOST_S:g}", int, float, low=-MOST_S, high=MOST_S)


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
    if value is None or type(value) in (str, bool):
        return True
    return (INTEGER if type(value) is int else NUMBER).holds(value)


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
# Its values are checked one by one.
_DICT = Rule(lambda value: isinstance(value, dict), "a mapping")
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
_TRIAL = {"config": MAPPING, "seed": INTEGER, "bracket": or_null(INTEGER)}
_NOTES: dict[str, Rule] = {
    "stopped": INTEGER, "given_up": TEXT, "benched": TEXT, "counted": INTEGER,
}  # fmt: skip


def check_line(line: Mapping[str, Any]) -> None:
    """Raise ValueError, naming the key, its value and the rule, for what no version writes in a line."""
    kind = line.get("event")
    if not isinstance(kind, str) or (kind not in _EVENTS and kind != "closed"):
        raise ValueError(f"event={_shown(kind)}: must be one of {', '.join([*_EVENTS, 'closed'])}")
    batched = kind == t.EpochReport.kind and isinstance(line.get("epoch"), list)
    rules = _rules(kind, batched, tuple(line))
    # Most values are numbers: two comparisons cost less than a call.
    for name, types, low, high in rules.ranges:
        value = line[name]
        if type(value) not in types or not low <= value <= high:
            _check(name, value, _EVENTS.get(kind, _CLOSED)[name])
    for name, rule in rules.others:
        _check(name, line[name], rule)
    for name in rules.caused:
        _check_caused(name, line[name])
    if batched and len({len(line[name]) for name in BATCHED}) > 1:
        raise ValueError(f"{', '.join(BATCHED)}: must be lists of one length")


class _Rules(NamedTuple):
    """The keys of a line but its kind: numbers with their ranges, others, and what `_check_caused` checks."""

    ranges: list[tuple[str, tuple[type, ...], float, float]]
    others: list[tuple[str, Rule]]
    caused: list[str]


# A journal may have millions of lines, of some twenty sets of keys.
@functools.lru_cache(maxsize=256)
def _rules(kind: str, batched: bool, names: tuple[str, ...]) -> _Rules:
    """Raises ValueError where a key is missing, or is no key of such a line."""
    known = _CLOSED if kind == "closed" else _EVENTS[kind]
    for name in known:
        if name not in names and name not in OPTIONAL and name != "energy":
            raise ValueError(f"{name}: missing in an event of kind {kind}")
    rules = _Rules([], [], [])
    for name in names:
        if (rule := known.get(name)) is not None:
            if batched and name in BATCHED:
                rules.others.append((name, list_of(rule)))
            elif rule.range is not None:
                rules.ranges.append((name, *rule.range))
            else:
                rules.others.append((name, rule))
        elif name in CAUSED:
            rules.caused.append(name)
        elif name != "event":
            close = difflib.get_close_matches(name, [*known, *CAUSED], n=1)
            hint = f"; did it say {close[0]}?" if close else ""
            raise ValueError(f"{_shown(name)}: no key of an event of kind {kind}{hint}")
    return rules


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
    _check(name, value, _DICT)
    for key, note in value.items():
        if name == "measured":
            _check(f"measured.{_shown(key)}", note, MAPPING)
            continue
        if not (key.isascii() and key.isdigit() and len(key) <= 18):
            raise ValueError(f"{name}.{_shown(key)}: must be the number of a trial or worker")
        if name == "trials":
            _check_trial(key, note)
        elif not (rule := _NOTES[name]).holds(note):
            _check(f"{name}.{key}", note, rule)


def _check_trial(key: str, note: Any) -> None:
    where = f"trials.{key}"
    _check(where, note, _DICT)
    for name, rule in _TRIAL.items():
        if name not in note and name != "bracket":
            raise ValueError(f"{where}.{name}: missing")
        if not rule.holds(value := note.get(name)):
            _check(f"{where}.{name}", value, rule)
    if unknown := sorted(note.keys() - _TRIAL.keys()):
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
