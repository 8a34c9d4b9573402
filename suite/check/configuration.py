"""Whether a run's configuration is what its command gives, and whether it is called by what it is."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from suite.check.findings import Finding, Read, failed, passed, skipped, unprovable
from suite.check.levels import Level, levels
from suite.check.stated import Stated, mapping
from suite.core import moved
from suite.core.errors import SuiteError
from suite.core.printable import printable
from suite.core.run_settings import NOT_KEPT
from suite.launch.compose import compose
from suite.launch.runs import Runs
from suite.verify.same import first_difference
from suite.worker import facts

RULE = "configuration"
_NAME = r"[+~]{0,2}(?!hydra)[A-Za-z_][\w./@-]*"
_WORD = re.compile(
    rf"{_NAME}=[\w.,+\-\[\]{{}}: ]*|~[A-Za-z_][\w./]*|-m|--multirun|hydra\.mode=(?:RUN|MULTIRUN)"
)
_RANGE = re.compile(rf"{_NAME}=range\((\d{{1,9}})(?:, ?(\d{{1,9}})(?:, ?([1-9]\d{{0,8}}))?)?\)")
_MOST_RUNS = 5000
_MOST_WORDS = 100
_PLACED = ("backend",)
"""Where and how a real run is placed: free in the closed division."""
_COSMETIC = ("name", "keep_checkpoints", "margin_nregret")


def configuration(read: Read) -> Finding:
    """The rule `configuration`. Raises nothing for what is wrong."""
    level = levels().get(read.level) if read.level is not None else None
    if read.level is not None and level is None:
        known = ", ".join(levels())
        return failed(RULE, f"level={read.level}: unknown here; known are {known}")
    if level is not None and read.division == "closed":
        # A simulated backend makes the times, and is part of the work.
        free = (*_COSMETIC, *(() if read.simulated else _PLACED))
        found = _composed(level.command)
        if isinstance(found, str):
            return skipped(RULE, found)
        return _compared(read, found, free, f"level {level.name}")
    if level is not None and (wrong := _open(read, level)) is not None:
        return wrong
    words = read.stated.command
    found = _composed(words) if words is not None else "no command is stated"
    if not isinstance(found, str):
        return _compared(read, found, (), "its command")
    if wrong_name := _wrong_names(read.stated):
        return failed(RULE, wrong_name, 1)
    if words is not None:
        return unprovable(RULE, f"{found}; names fit the parts that ran")
    return passed(RULE, f"{found}; names fit the parts that ran")


def _open(read: Read, level: Level) -> Finding | None:
    """In the open division a level fixes the target and its epochs alone; and the cluster, where it is a
    simulated one: its seconds are the level's.
    """
    found = _composed(level.command)
    if isinstance(found, str):
        return skipped(RULE, found)
    simulated = "simulate" in {choices["backend"] for _, choices in found}
    if read.simulated != simulated:
        text = "simulated" if simulated else "not simulated"
        return failed(RULE, f"choices.backend: runs of level {level.name} are {text}", 1)
    for key in ("model", "max_epochs", *(("backend",) if simulated else ())):
        theirs, ours = read.stated.plain.get(key), found[0][0][key]
        if (difference := first_difference({key: theirs}, {key: ours})) is not None:
            at, was, now = difference
            return failed(RULE, f"config.{at}={was}: must be {now}, by level {level.name}", 1)
    return None


def _compared(
    read: Read, found: Sequence[tuple[dict[str, Any], dict[str, Any]]], free: Sequence[str], by: str
) -> Finding:
    """Settings and names against those of the runs that may be meant: one of them must be alike."""
    theirs = moved.upgraded(read.stated.plain)
    theirs |= {"choices": moved.choices(read.journal.header)}
    if theirs.get("forecast") is None and not _forecasts_beside(theirs):
        # Of an earlier version; it decides nothing.
        free = (*free, "forecast")
    differences = []
    for plain, choices in found:
        ours = {**plain, "choices": choices}
        difference = first_difference(_without(theirs, free), _without(ours, free))
        if difference is None:
            return passed(RULE, f"is what {by} gives with the files of this version")
        alike = sum(theirs["choices"].get(key) == choices[key] for key in ("algorithm", "model"))
        differences.append((-alike - (plain["seed"] == theirs.get("seed")), difference))
    _, (at, was, now) = min(differences, key=lambda one: one[0])
    text = f"config.{at}={was}: is {now}, by {by}"
    if not _same_code(read):
        return skipped(
            RULE, f"{text}; other code wrote it, whose files may differ: check with that revision"
        )
    return failed(RULE, text, 1)


def _forecasts_beside(theirs: Mapping[str, Any]) -> bool:
    """Whether there is a predictor of which the scheduler does not know."""
    return bool(mapping(theirs.get("predictor")).get("_target_")) and (
        "features" not in mapping(theirs.get("scheduler"))
    )


def _without(plain: Mapping[str, Any], free: Sequence[str]) -> dict[str, Any]:
    left = {key: value for key, value in plain.items() if key not in free}
    return left | {"choices": {k: v for k, v in mapping(plain["choices"]).items() if k not in free}}


def _same_code(read: Read) -> bool:
    parts = read.replayed.parts
    return parts is None or read.stated.code in (None, facts.code(parts.target))


@functools.lru_cache(maxsize=32)
def _composed(words: tuple[str, ...]) -> list[tuple[dict[str, Any], dict[str, Any]]] | str:
    """(configuration, choices) of each run that the words name; or why they are not composed here."""
    if len(words) > _MOST_WORDS:
        return f"its command has {len(words)} words, and a checker composes {_MOST_WORDS} at most"
    for word in words:
        if not (_WORD.fullmatch(word) or _RANGE.fullmatch(word)):
            return (
                f"its command holds {printable(word, most=80)}, which a checker does not compose (a path, an "
                "option, quotes or an interpolation); a run without that word is compared setting by setting"
            )
    if (n := math.prod(map(_n_values, words))) > _MOST_RUNS:
        return f"its command names up to {n} runs, and a checker composes {_MOST_RUNS} at most"
    found = []
    try:
        for run in Runs(words):
            plain = {key: value for key, value in run.config.items() if key not in NOT_KEPT}
            choices = dict(plain.pop("choices"))
            found.append((plain, choices))
    except SuiteError as error:
        return f"its command cannot be composed here: {printable(error, most=200)}"
    return found or "its command names no run"


def _n_values(word: str) -> int:
    """How many values a word of a sweep has at most."""
    if (numbers := _RANGE.fullmatch(word)) is not None:
        return len(range(*(int(number) for number in numbers.groups() if number is not None)))
    return word.count(",") + 1


def _wrong_names(stated: Stated) -> str:
    """What is called by another name than it has; empty: nothing."""
    choices = stated.choices
    if not choices:
        return ""
    for part in ("scheduler", "predictor", "searcher"):
        name, leaf = choices.get(part), mapping(stated.plain.get(part))
        if not isinstance(name, str) or not re.fullmatch(r"\w{1,80}", name):
            continue
        try:
            own = _part(part, name)
        except SuiteError:
            continue
        theirs = moved.current(str(leaf["_target_"])) if leaf.get("_target_") else None
        if own != theirs:
            return f"choices.{part}={name}: is {own}, but config.{part} is {printable(theirs, most=80)}"
    label = choices.get("algorithm")
    if isinstance(label, str) and re.fullmatch(r"\w{1,80}", label):
        try:
            named = _algorithm(label)
        except SuiteError:
            return ""
        for part, name in named.items():
            if name != choices.get(part):
                theirs = printable(choices.get(part), most=60)
                return f"algorithm={label}: has {part}={name}, but this run has {part}={theirs}"
    return ""


@functools.lru_cache(maxsize=256)
def _part(part: str, name: str) -> str | None:
    target = compose((f"{part}={name}",))[part].get("_target_")
    return None if target is None else str(target)


@functools.lru_cache(maxsize=256)
def _algorithm(name: str) -> dict[str, Any]:
    choices = compose((f"algorithm={name}",))["choices"]
    return {part: choices[part] for part in ("scheduler", "predictor", "searcher")}
