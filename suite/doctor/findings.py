"""What a check found, the page for people and the document for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

from suite import __version__
from suite.run.paths import SCHEMAS

SCHEMA = SCHEMAS / "doctor.schema.json"
STATUSES = ("fail", "warn", "skip", "pass")
MOST = 3
"""Findings of one check and status that are said."""
_ORDER = {status: i for i, status in enumerate(STATUSES)}


@dataclass(frozen=True)
class Finding:
    """One check's answer. value: what was found; remedy: what to do, empty for pass and skip.

    ranks: who found it; empty: one process looked for all.
    """

    check: str
    status: str
    value: str
    remedy: str = ""
    ranks: tuple[int, ...] = ()


def ok(check: str, value: str) -> Finding:
    return Finding(check, "pass", value)


def warn(check: str, value: str, remedy: str) -> Finding:
    return Finding(check, "warn", value, remedy)


def fail(check: str, value: str, remedy: str) -> Finding:
    return Finding(check, "fail", value, remedy)


def skip(check: str, value: str) -> Finding:
    return Finding(check, "skip", value)


def merge(by_rank: Mapping[int, Sequence[Finding]]) -> list[Finding]:
    """The findings of all ranks, in the order of the checks; equal ones are said once, and of those
    that differ in their figures alone (50 nodes' fsync) the first MOST.
    """
    first: list[str] = []
    ranks: dict[Finding, list[int]] = {}
    for rank in sorted(by_rank):
        for finding in by_rank[rank]:
            if finding.check not in first:
                first.append(finding.check)
            ranks.setdefault(finding, []).append(rank)
    flat = [replace(finding, ranks=tuple(who)) for finding, who in ranks.items()]
    flat.sort(key=lambda f: (first.index(f.check), _ORDER[f.status], f.ranks))
    merged: list[Finding] = []
    for (_, _), group in groupby(flat, key=lambda f: (f.check, f.status)):
        head, more = (alike := list(group))[:MOST], alike[MOST:]
        if more:
            everyone = {rank for finding in (head[-1], *more) for rank in finding.ranks}
            value = f"{head[-1].value}, and {len(more)} more like it"
            head[-1] = replace(head[-1], value=value, ranks=tuple(sorted(everyone)))
        merged += head
    return merged


def code(findings: Iterable[Finding]) -> int:
    """The exit code: 1 where something failed."""
    return int(any(finding.status == "fail" for finding in findings))


def page(findings: Sequence[Finding], context: str) -> str:
    """What people read: a line a finding, its remedy below, the count at the end."""
    wide = max((len(finding.check) for finding in findings), default=0)
    everyone = len({rank for finding in findings for rank in finding.ranks})
    lines = [f"suite.doctor {__version__}: {context}", ""]
    for finding in findings:
        who = f" [{_span(finding.ranks)}]" if 0 < len(finding.ranks) < everyone else ""
        lines.append(f"{finding.status}  {finding.check:{wide}}  {finding.value}{who}")
        if finding.remedy:
            lines.append(f"      {'':{wide}}  -> {finding.remedy}")
    counts = [(sum(f.status == status for f in findings), status) for status in STATUSES]
    return "\n".join([*lines, "", ", ".join(f"{n} {status}" for n, status in counts)])


def document(findings: Sequence[Finding], context: str) -> str:
    """The same as JSON, by results_schema/doctor.schema.json."""
    content: dict[str, Any] = {
        "schema_version": "1.0.0",
        "suite_version": __version__,
        "context": context,
        "verdict": "fail" if code(findings) else "pass",
        "findings": [asdict(f) | {"ranks": list(f.ranks)} for f in findings],
    }
    return json.dumps(content, indent=2, allow_nan=False)


def _span(ranks: Sequence[int]) -> str:
    """0, 1, 2, 5 as "ranks 0-2, 5"."""
    parts: list[list[int]] = []
    for rank in ranks:
        if parts and rank == parts[-1][1] + 1:
            parts[-1][1] = rank
        else:
            parts.append([rank, rank])
    listed = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
    return f"rank{'s' * (len(ranks) > 1)} {listed}"
