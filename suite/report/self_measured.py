"""What searcher and scheduler measured of themselves, in one sentence an algorithm."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from suite.report.runs import Group

_COUNTED = ("counts", "fell_back")
"""Objects of counts: what a run does not name happened never."""


def sentences(group: Group) -> list[str]:
    """One sentence an algorithm: medians over its runs, and how many of them fell back."""
    lines = []
    for name in group.algorithms:
        views = [run.view.measured for run in group.of(name)]
        parts = []
        for part in ("searcher", "scheduler"):
            mine = [view[part] for view in views if isinstance(view.get(part), Mapping)]
            if mine:
                parts.append(_part(part, mine))
        if parts:
            lines.append(f"{name} measured of itself (medians): {'; '.join(parts)}.")
    return lines


def _part(name: str, mine: Sequence[Mapping[str, Any]]) -> str:
    fell = sum(map(_fell_back, mine))
    return f"{name}, fell back at least once in {fell} of {len(mine)} runs: {_medians(mine)}"


def _fell_back(node: Mapping[str, Any], within: bool = False) -> bool:
    """Whether any leaf about a fallback is neither 0 nor empty."""
    for key, value in node.items():
        about = within or key == "fell_back" or "fallback" in key
        if isinstance(value, Mapping):
            if _fell_back(value, about):
                return True
        elif about and value:
            return True
    return False


def _medians(nodes: Sequence[Mapping[str, Any]], counted: bool = False) -> str:
    """`fits 3, gate (judged 260, p 0.02)`; n where some runs lack a number."""
    medians = []
    for key in dict.fromkeys(key for node in nodes for key in node):
        label = str(key).replace("_", " ").replace(", ", " / ")
        values = [node[key] for node in nodes if key in node]
        if within := [value for value in values if isinstance(value, Mapping)]:
            inner = _medians(within, counted=key in _COUNTED)
            medians += [f"{label} ({inner})"] if inner else []
            continue
        numbers = [v for v in values if isinstance(v, int | float) and math.isfinite(v)]
        if not numbers:
            continue
        numbers += [0.0] * (len(nodes) - len(values)) if counted else []
        n = "" if len(numbers) == len(nodes) else f" n={len(numbers)}"
        medians.append(f"{label} {statistics.median(numbers):.3g}{n}")
    return ", ".join(medians)
