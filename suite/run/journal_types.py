"""Journal lines parsed and checked by msgspec, which takes a third of the time that the rules take.

The types are made of the rules. What has its type keeps the rules, and is as they would leave it: nothing is
converted. What has not may keep them all the same (an integer of 64 bits, a deep mapping): the caller asks
them.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from types import GenericAlias
from typing import Annotated, Any, Literal

import msgspec

from suite.run.journal_rules import (
    BATCHED,
    CAUSED,
    CLOSED,
    COMMANDS,
    EVENTS,
    MAPPING,
    NOTES,
    OPTIONAL,
    TRIAL,
    list_of,
    type_of,
)

_PARSE = msgspec.json.Decoder().decode


def parse(text: str) -> Any:
    """The value of a JSON text. Raises ValueError where it is none, or a number beyond the floats'."""
    try:
        return _PARSE(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from None


def has_type(line: Mapping[str, Any], kind: str, batched: bool) -> bool:
    """Whether all of a line is of the type that its kind has. batched: an epoch line with lists."""
    try:
        msgspec.convert(line, _line_type(kind, batched))
    except (msgspec.ValidationError, UnicodeEncodeError):  # the second: half a surrogate pair
        return False
    return True


@functools.cache
def _line_type(kind: str, batched: bool) -> Any:
    fields: list[Any] = [("event", Literal[kind])]
    for name, rule in (CLOSED if kind == "closed" else EVENTS[kind]).items():
        value = type_of(list_of(rule) if batched and name in BATCHED else rule)
        fields.append(_optional(name, value) if name in (*OPTIONAL, "energy") else (name, value))
    fields += [_optional(name, value) for name, value in _caused_types().items()]
    # kw_only: what may be missing stands before what may not.
    return msgspec.defstruct("Line", fields, kw_only=True, forbid_unknown_fields=True, gc=False)


def _optional(name: str, value: Any) -> tuple[str, Any, Any]:
    return name, value | msgspec.UnsetType, msgspec.UNSET


@functools.cache
def _caused_types() -> dict[str, Any]:
    commands: list[Any] = [
        msgspec.defstruct(
            word,
            [(f"value_{place}", type_of(rule)) for place, rule in enumerate(rules)],
            tag=word, array_like=True, forbid_unknown_fields=True, gc=False,
        )
        for word, rules in COMMANDS.items()
    ]  # fmt: skip
    trial = msgspec.defstruct(
        "Trial",
        [(name, type_of(rule), *([None] if name == "bracket" else [])) for name, rule in TRIAL.items()],
        forbid_unknown_fields=True, gc=False,
    )  # fmt: skip
    number = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{1,18}\Z")]
    types = {name: GenericAlias(dict, (number, type_of(rule))) for name, rule in NOTES.items()}
    types["do"] = GenericAlias(list, functools.reduce(operator.or_, commands))
    types["trials"] = GenericAlias(dict, (number, trial))
    types["measured"] = GenericAlias(dict, (str, type_of(MAPPING)))
    return {name: types[name] for name in CAUSED}
