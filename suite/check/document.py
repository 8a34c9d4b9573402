"""Verdicts for people and for programs (results_schema/check.schema.json)."""

from __future__ import annotations

import datetime
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from suite import __version__
from suite.check.findings import Asked, Finding
from suite.check.run import CheckedRun, worst
from suite.check.submission import Checked
from suite.core.printable import printable

VERSION = "1.0.0"
_WORDS = {"pass": "pass", "fail": "FAIL", "skip": "skip", "unprovable": "open"}


def lines(checked: Checked, *, everything: bool) -> Iterator[str]:
    """A submission's verdicts. everything: what passed is listed too."""
    yield checked.name
    yield from _findings(checked.findings, everything)
    for run in checked.runs:
        seed = "" if run.seed is None else f", seed {run.seed}"
        ended = f", {run.cut_short}" if run.cut_short else ""
        yield printable(
            f"{run.place}: {run.algorithm or 'unknown'}{seed}{ended}: {worst(run.findings)}"
        )
        yield from _findings(run.findings, everything)
        yield from _merits(run)
    n = dict.fromkeys(_WORDS, 0)
    for finding in (*checked.findings, *(one for run in checked.runs for one in run.findings)):
        n[finding.status] += 1
    yield (
        f"{checked.name}: {checked.verdict}: {n['pass']} {'rule holds' if n['pass'] == 1 else 'rules hold'}, "
        f"{n['fail']} {'is' if n['fail'] == 1 else 'are'} broken, "
        f"{n['skip']} could not be looked at here, {n['unprovable']} no journal can show"
    )


def _findings(findings: Sequence[Finding], everything: bool) -> Iterator[str]:
    listed = [one for one in findings if everything or one.status in ("fail", "skip")]
    for _, alike in itertools.groupby(listed, lambda one: (one.status, one.line, one.text)):
        one, *others = alike
        at = (
            f" (line {one.line})"
            if one.line is not None and f"line {one.line}" not in one.text
            else ""
        )
        # Of a journal that cannot be read all rules say the same.
        at += f"; so for {', '.join(other.rule for other in others)}" if others else ""
        yield f"  {_WORDS[one.status]:4}  {one.rule:13}  {one.text}{at}"


def _merits(run: CheckedRun) -> Iterator[str]:
    known = {
        name: (value, unit) for name, (value, unit) in run.figures.items() if value is not None
    }
    if known:
        # A number without a unit has 1 for it, and epochs are counted in epochs.
        texts = (
            f"{name} {value:.6g}" + (f" {unit}" if unit not in ("1", name) else "")
            for name, (value, unit) in known.items()
        )
        yield printable(f"  merit {', '.join(texts)}")


def document(checked: Sequence[Checked], asked: Asked) -> dict[str, object]:
    """All verdicts, by results_schema/check.schema.json."""
    return {
        "schema_version": VERSION,
        "suite_version": __version__,
        "date_utc": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "asked": {"retrain": asked.retrain, "share": asked.share, "draw": asked.draw},
        "verdict": _verdict(checked),
        "submissions": [
            {
                "name": one.name,
                "verdict": one.verdict,
                "division": one.first.get("division"),
                "level": one.first.get("level"),
                "score": one.score,
                "rules": list(map(_rule, one.findings)),
                "runs": list(map(_run, one.runs)),
            }
            for one in checked
        ],
    }


def _verdict(checked: Sequence[Checked]) -> str:
    verdicts = {one.verdict for one in checked}
    return "fail" if "fail" in verdicts else "open" if "open" in verdicts else "pass"


def _rule(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule, "status": finding.status, "line": finding.line, "value": finding.text or "-",
    }  # fmt: skip


def _run(run: CheckedRun) -> dict[str, Any]:
    return {
        "folder": run.place,
        "run_id": run.run_id,
        "algorithm": printable(run.algorithm),
        "seed": run.seed,
        "verdict": {"skip": "open"}.get(worst(run.findings), worst(run.findings)),
        "rules": list(map(_rule, run.findings)),
        "figures": _figures(run.figures),
    }


def _figures(figures: Mapping[str, tuple[float | None, str]]) -> dict[str, Any]:
    """A figure that was not reached (inf) has a null and says so; one that is not known is left out."""
    return {
        name: {
            "value": None if math.isinf(value) else value,
            "unit": unit,
            "reached": math.isfinite(value),
        }
        for name, (value, unit) in figures.items()
        if value is not None
    }
