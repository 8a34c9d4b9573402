"""What stands in a header beside the configuration, against what the configuration's parts say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from suite.core.printable import printable
from suite.run.journal import simulated
from suite.verify.replay import Parts


def header_differences(header: Mapping[str, Any], parts: Parts) -> list[str]:
    """A sentence on each key that is not what its configuration gives."""
    found = []
    for key, expected in _expected(header, parts):
        value: Any = header
        for name in key.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if value != expected:
            theirs, ours = printable(value, most=60), printable(expected, most=60)
            found.append(f"{key}={theirs}: must be {ours}, by the configuration")
    return found


def _expected(header: Mapping[str, Any], parts: Parts) -> Iterator[tuple[str, Any]]:
    settings, goal = parts.settings, parts.target.goal
    max_epochs = parts.scheduler.max_epochs
    yield "seed", settings.seed
    yield "max_epochs", max_epochs
    yield "experiment", settings.name
    yield "overlap", settings.overlap
    yield "target.metric", goal.name
    yield "target.mode", goal.mode
    if "unit" in (header.get("target") or {}):
        yield "target.unit", goal.unit
    if "framework" in (header.get("target") or {}):
        yield "target.framework", parts.target.framework
    if "target" in header:
        conditional = sorted(parts.target.space.conditions) or None
        yield "target.conditional", conditional
    # Headers of revision 0e27403 have no choices: their labels stand for themselves.
    if header.get("choices"):
        yield "algorithm", settings.choices.algorithm
        yield "model", settings.model_name
    if header.get("choices") and "reproducible" in header:
        yield "reproducible", _reproducible(parts, simulated(header))
    if "reference" in header:
        known = parts.target.reference(max_epochs)
        yield "reference", dict(known) if known else None


def _reproducible(parts: Parts, is_simulated: bool) -> str:
    """What the suite says when it begins such a run (suite.launch.execute)."""
    scheduler, conductor = parts.scheduler, parts.conductor
    repeats = scheduler.deterministic and (
        parts.settings.overlap == "logical" or not conductor.searcher.adaptive
    )
    repeats &= is_simulated or not conductor.spending.has_limit
    return "whole run" if repeats else "prefix only"
