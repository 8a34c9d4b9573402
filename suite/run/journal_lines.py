"""What a line of the journal may hold, key by key, and the events of a line.

Every line is checked where it is read (`check_line`), so that no reader meets a key of another type, a
number beyond the range of a float or a command that does not exist.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from suite.core import types as t
from suite.core.printable import printable
from suite.run.journal_rules import (
    BATCHED,
    CAUSED,
    CLOSED,
    COMMANDS,
    DICT,
    EVENTS,
    FIELDS,
    MAPPING,
    NOTES,
    OPTIONAL,
    TRIAL,
    Rule,
    list_of,
)

try:
    from suite.run.journal_types import has_type
    from suite.run.journal_types import parse as parse
except ModuleNotFoundError as error:
    # Runs are read without the extra `run` too: by the rules alone.
    if error.name != "msgspec":
        raise

    def has_type(line: Mapping[str, Any], kind: str, batched: bool) -> bool:
        return False

    def parse(text: str) -> Any:
        raise ValueError("no msgspec")


def check_line(line: Mapping[str, Any]) -> None:
    """Raise ValueError, naming the key, its value and the rule, for what no version writes in a line."""
    kind = line.get("event")
    if not isinstance(kind, str) or (kind not in EVENTS and kind != "closed"):
        raise ValueError(f"event={_shown(kind)}: must be one of {', '.join([*EVENTS, 'closed'])}")
    batched = kind == t.EpochReport.kind and isinstance(line.get("epoch"), list)
    # What has its type keeps the rules. They find the words for the rest, or that nothing is wrong.
    if not has_type(line, kind, batched):
        check_by_rules(line, kind, batched)
    if batched and len({len(line[name]) for name in BATCHED}) > 1:
        raise ValueError(f"{', '.join(BATCHED)}: must be lists of one length")


def check_by_rules(line: Mapping[str, Any], kind: str, batched: bool) -> None:
    """`check_line`, but for what must be of one length. batched: the line holds reports of several epochs."""
    rules = _rules(kind, batched, tuple(line))
    # Most values are numbers: two comparisons cost less than a call.
    for name, types, low, high in rules.ranges:
        value = line[name]
        if type(value) not in types or not low <= value <= high:
            _check(name, value, EVENTS.get(kind, CLOSED)[name])
    for name, rule in rules.others:
        _check(name, line[name], rule)
    for name in rules.caused:
        _check_caused(name, line[name])


class _Rules(NamedTuple):
    """The keys of a line but its kind: numbers with their ranges, others, and what `_check_caused` checks."""

    ranges: list[tuple[str, tuple[type, ...], float, float]]
    others: list[tuple[str, Rule]]
    caused: list[str]


# A journal may have millions of lines, of some twenty sets of keys.
@functools.lru_cache(maxsize=256)
def _rules(kind: str, batched: bool, names: tuple[str, ...]) -> _Rules:
    """Raises ValueError where a key is missing, or is no key of such a line."""
    known = CLOSED if kind == "closed" else EVENTS[kind]
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
    _check(name, value, DICT)
    for key, note in value.items():
        if name == "measured":
            _check(f"measured.{_shown(key)}", note, MAPPING)
            continue
        if not (key.isascii() and key.isdigit() and len(key) <= 18):
            raise ValueError(f"{name}.{_shown(key)}: must be the number of a trial or worker")
        if name == "trials":
            _check_trial(key, note)
        elif not (rule := NOTES[name]).holds(note):
            _check(f"{name}.{key}", note, rule)


def _check_trial(key: str, note: Any) -> None:
    where = f"trials.{key}"
    _check(where, note, DICT)
    for name, rule in TRIAL.items():
        if name not in note and name != "bracket":
            raise ValueError(f"{where}.{name}: missing")
        if not rule.holds(value := note.get(name)):
            _check(f"{where}.{name}", value, rule)
    if unknown := sorted(note.keys() - TRIAL.keys()):
        raise ValueError(f"{where}.{_shown(unknown[0])}: must be config, seed or bracket")


def _check_command(command: Any) -> None:
    if not isinstance(command, list) or not command or not isinstance(command[0], str):
        raise ValueError(f"do: {_shown(command)}: must be a list that begins with a word")
    word, *values = command
    rules = COMMANDS.get(word)
    if rules is None:
        raise ValueError(f"do: command {_shown(word)}: must be one of {', '.join(COMMANDS)}")
    if len(values) != len(rules):
        raise ValueError(f"do: {_shown(command)}: {word} must have {len(rules)} values")
    for value, rule in zip(values, rules, strict=True):
        if not rule.holds(value):
            raise ValueError(f"do: {_shown(command)}: {_shown(value)} must be {rule.words}")


# Of each event: what reads the fields that are always there, and the names of the others, which come last.
_GETTERS: dict[type, tuple[Callable[[Mapping[str, Any]], tuple[Any, ...]], tuple[str, ...]]] = {
    cls: (
        operator.itemgetter(*(name for name in names if name not in OPTIONAL)),
        tuple(name for name in names if name in OPTIONAL),
    )
    for cls, names in FIELDS.items()
}


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
    fields_of, others = _GETTERS[cls]
    event: t.Event = cls(*fields_of(line), *[line.get(name) for name in others])
    if isinstance(event, t.Forecast):
        values, stds = tuple(event.values), None if event.stds is None else tuple(event.stds)
        event = dataclasses.replace(event, values=values, stds=stds)
    return [event]
