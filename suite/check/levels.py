"""Levels of the benchmark: fixed work with a fixed target value, by conf/levels.yaml."""

from __future__ import annotations

import functools
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from suite.launch.runs import Runs
from suite.run.paths import CONF


@dataclass(frozen=True)
class Level:
    """command: what is run. target: value of the metric to be reached; None: none is fixed, so that nothing
    is scored. repeats: runs of each algorithm. title: as people call it.

    reference: algorithm -> seconds to the target on the reference machine, median of the repeats; empty: not
    measured. machine: what the reference was measured on, and how.
    """

    name: str
    about: str
    command: tuple[str, ...]
    target: float | None
    repeats: int
    reference: Mapping[str, float]
    title: str = ""
    machine: str = ""


@functools.cache
def levels() -> Mapping[str, Level]:
    """Name -> level."""
    document = yaml.safe_load((CONF / "levels.yaml").read_text(encoding="utf-8"))
    return {name: _level(name, spec) for name, spec in document.items()}


def _level(name: str, spec: Mapping[str, Any]) -> Level:
    reference = {key: float(value) for key, value in (spec["reference"] or {}).items()}
    target = None if spec["target"] is None else float(spec["target"])
    return Level(
        name, spec["about"], tuple(spec["command"]), target, int(spec["repeats"]), reference,
        spec["title"], spec["machine"],
    )  # fmt: skip


def runs_of(level: Level) -> Counter[tuple[str, int | None]]:
    """(algorithm, seed) of each run of a level. Raises ConfigError where it cannot be composed here."""
    composed = (run.config for run in Runs(level.command))
    return Counter((plain["choices"]["algorithm"], plain["seed"]) for plain in composed)


def score(level: Level, seconds: Mapping[str, Sequence[float | None]]) -> float | None:
    """Geometric mean over the level's algorithms of reference / median of the repeats: 2 is twice as fast.

    seconds: algorithm -> seconds to the target of each run; inf: not reached. None where the reference is not
    measured, an algorithm has fewer runs than the level's repeats, or a median is not finite.

    >>> level = Level("a", "", (), 0.1, 2, {"x": 8.0, "y": 2.0})
    >>> score(level, {"x": [4.0, 4.0, 4.0], "y": [4.0, 4.0]})
    1.0
    """
    enough = {
        name: values
        for name in level.reference
        if len(values := [one for one in seconds.get(name, ()) if one is not None]) >= level.repeats
    }
    found = ratios(level, {name: statistics.median(values) for name, values in enough.items()})
    if not found or len(found) < len(level.reference):
        return None
    return statistics.geometric_mean(found.values())


def ratios(level: Level, medians: Mapping[str, float | None]) -> dict[str, float]:
    """Algorithm -> the reference's seconds divided by these medians: 2 is twice as fast. Left out is what has
    no reference, is not known, or was not reached.
    """
    return {
        name: reference / median
        for name, reference in level.reference.items()
        if (median := medians.get(name)) is not None and math.isfinite(median) and median > 0
    }
