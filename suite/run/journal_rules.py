"""The rules of the values that a line of the journal may hold, key by key.

They follow the annotations of suite.core.types: a field that is added there is checked here.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable, Iterable
from types import GenericAlias
from typing import Annotated, Any, Literal, NamedTuple, get_args

from suite.core import types as t

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
    """holds: of a JSON value. words: what must hold, as an error says it. range: where it is a number's.

    type: makes a type for msgspec (suite.run.journal_types), which no value has that breaks the rule; a value
    that keeps the rule may not have it. None: there is none.
    """

    holds: Callable[[Any], bool]
    words: str
    range: Range | None = None
    type: Callable[[], Any] | None = None


def number(words: str, *types: type, low: float, high: float) -> Rule:
    numbers = Range(types, low, high)
    return Rule(numbers.holds, words, numbers, functools.partial(_number_type, numbers))


def _number_type(numbers: Range) -> Any:
    # Imported here: whoever reads a run without the extra `run` has no msgspec.
    from msgspec import Meta

    # Its bounds of integers have 63 bits and a sign.
    low, high = max(int(numbers.low), -(2**63)), min(int(numbers.high), 2**63 - 1)
    integer: Any = Annotated[int, Meta(ge=low, le=high)]
    if float not in numbers.types:
        return integer
    return integer | Annotated[float, Meta(ge=numbers.low, le=numbers.high)]


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
    return Rule(
        lambda value: isinstance(value, str) and value in known,
        " or ".join(known),
        type=lambda: Literal[known],
    )


def or_null(rule: Rule) -> Rule:
    return Rule(
        lambda value: value is None or rule.holds(value),
        f"{rule.words} or null",
        type=lambda: type_of(rule) | None,
    )


def mapping_of(rule: Rule) -> Rule:
    return Rule(
        lambda value: isinstance(value, dict) and all(map(rule.holds, value.values())),
        f"a mapping whose values are each {rule.words}",
        type=lambda: GenericAlias(dict, (str, type_of(rule))),
    )


def list_of(rule: Rule) -> Rule:
    return Rule(
        lambda value: isinstance(value, list | tuple) and all(map(rule.holds, value)),
        f"a list whose items are each {rule.words}",
        type=lambda: GenericAlias(list, type_of(rule)),
    )


def type_of(rule: Rule) -> Any:
    """Its type for msgspec. Raises TypeError where it has none."""
    if rule.type is None:
        raise TypeError(f"rule {rule.words}: has no type")
    return rule.type()


def _plain_type() -> Any:
    # Two levels, which is what nearly all have: deeper values are left to the rule.
    word = str | bool | None | type_of(NUMBER)
    return word | GenericAlias(list, word) | GenericAlias(dict, (str, word))


TEXT = Rule(is_text, "text", type=lambda: str)
MAPPING = Rule(
    is_mapping,
    "a mapping of plain values",
    type=lambda: GenericAlias(dict, (str, _plain_type())),
)

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
DICT = Rule(lambda value: isinstance(value, dict), "a mapping", type=lambda: dict)
_ANYTHING = Rule(is_plain, "a plain value", type=_plain_type)


def _rule(field: dataclasses.Field[Any]) -> Rule:
    if field.type == "float" and field.name.endswith("_s"):
        return SECONDS
    return _BY_ANNOTATION.get(str(field.type), _ANYTHING)


EVENTS = {
    kind: {field.name: _rule(field) for field in dataclasses.fields(cls)}
    for kind, cls in t.EVENTS.items()
}
CLOSED = {
    "status": one_of(STATUSES), "reason": TEXT, "time_s": SECONDS, "energy": MAPPING,
}  # fmt: skip
COMMANDS: dict[str, tuple[Rule, ...]] = {
    "start": (INTEGER,) * 5,
    "score": (INTEGER,) * 4,
    "ask": (TEXT, INTEGER, INTEGER),
    "release": (INTEGER,),
    "shutdown": (one_of(get_args(t.EndStatus)), TEXT),
}
TRIAL = {"config": MAPPING, "seed": INTEGER, "bracket": or_null(INTEGER)}
NOTES: dict[str, Rule] = {
    "stopped": INTEGER, "given_up": TEXT, "benched": TEXT, "counted": INTEGER,
}  # fmt: skip
