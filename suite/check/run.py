"""One run of a submission: every rule of suite.check.findings.OF_RUN, in order, and its figures of merit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suite.check import data, forecasts, simulation, times, training
from suite.check.configuration import configuration
from suite.check.energy import energy
from suite.check.findings import (
    OF_RUN,
    Asked,
    Finding,
    Read,
    Status,
    failed,
    passed,
    skipped,
)
from suite.check.levels import levels
from suite.check.own_target import own_leaf
from suite.check.stated import Stated
from suite.compare.figures_of_merit import UNITS, Measured, figures
from suite.core import types as t
from suite.core.errors import JournalError, SuiteError
from suite.core.printable import printable
from suite.files import read_bytes, unique_keys
from suite.results import record as records
from suite.results.run_view import RunView
from suite.run import journal as journals
from suite.run.journal_reading import MAX_BYTES
from suite.verify.checks import Check, Examined, examine

FURTHER: Mapping[str, Callable[[Read], Finding]] = {
    "configuration": configuration,
    "seeds": times.seeds,
    "forecasts": forecasts.forecasts,
    "values": simulation.values,
    "budget": times.budget,
    "data": data.data,
    "versions": data.versions,
    "image": data.image,
    "clock": times.clock,
    "workers": times.workers,
    "energy": energy,
    "simulation": simulation.simulation,
    "training": training.training,
}
"""The rules beyond those of `suite.verify`, which come first."""


@dataclass(frozen=True)
class CheckedRun:
    """A run with its findings. figures: name -> (value, unit); inf: not reached, None: not known."""

    place: str
    findings: tuple[Finding, ...]
    algorithm: str = ""
    seed: int | None = None
    run_id: str = ""
    figures: Mapping[str, tuple[float | None, str]] = field(default_factory=dict)
    view: RunView | None = None

    @property
    def cut_short(self) -> str:
        """How it ended where that is not `completed`: interrupted, failed, ...; else nothing."""
        status = "completed" if self.view is None else self.view.status
        return "" if status == "completed" else status


def check_run(
    folder: Path, place: str, asked: Asked, *, division: str = "open", level: str | None = None,
    system: Mapping[str, Any] | None = None,
) -> CheckedRun:  # fmt: skip
    """Check one run folder. Raises nothing for what is wrong in it, and writes nothing."""
    try:
        own, why = own_leaf(Stated.of(journals.read_header(folder / journals.NAME)))
    except JournalError:
        own, why = None, ""
    asks: dict[str, tuple[int, t.Predict]] = {}

    def watch(number: int, line: Mapping[str, Any], commands: Sequence[t.Command]) -> None:
        for command in commands:
            if isinstance(command, t.Ask):
                asks.setdefault(command.request.key, (number, command.request))

    # Without a leaf of one's own no target is made: an empty one is refused by name.
    examined = examine(folder, model=own if own is not None else {}, watch=watch)
    findings = [_of_verify(check, why) for check in examined.checks]
    if findings[0].status == "pass" and (twice := _key_twice(folder / journals.NAME)) is not None:
        findings[0] = twice
    view = examined.view
    if view is None or examined.journal is None or examined.replayed is None:
        findings += [skipped(rule, "the journal cannot be read") for rule in FURTHER]
        return CheckedRun(place, tuple(findings), view=view)
    read = Read(
        folder, examined.journal, view, examined.replayed, own, asks, asked, division, level, system or {}
    )  # fmt: skip
    findings += list(_further(read, examined))
    known = levels().get(level) if level is not None else None
    target = known.target if known is not None else None
    return CheckedRun(
        place, tuple(findings), view.header.algorithm, view.header.seed, view.header.run_id,
        figures_of(view, target), view,
    )  # fmt: skip


def _key_twice(path: Path) -> Finding | None:
    """Programs differ in which of two equal keys they read, so a line with such says two things."""
    text = read_bytes(path, max_bytes=MAX_BYTES).decode()
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            json.loads(line, object_pairs_hook=unique_keys)
        except ValueError as error:
            return failed("journal", f"line {number}: {error}", number)
    return None


def _of_verify(check: Check, why: str) -> Finding:
    """A check of `suite.verify` as a rule's finding."""
    match check.status:
        case "pass":
            return passed(check.name, check.text)
        case "fail":
            return failed(check.name, check.text)
    if check.name == "record" and check.text.startswith(f"no {records.NAME}"):
        return failed("record", f"no {records.NAME}: `swiftbench submit` packs one with each run")
    return skipped(check.name, why or check.text)


def _further(read: Read, examined: Examined) -> Iterator[Finding]:
    # A configuration that no searcher drew is not trained: it may have any size.
    after_replay = {"forecasts", "simulation", *(("training",) if read.asked.retrain else ())}
    replayed = all(check.status == "pass" for check in examined.checks if check.name == "replay")
    for rule, looked in FURTHER.items():
        if rule in after_replay and not replayed:
            yield skipped(
                rule, "what comes after a decision that differs cannot be looked at: see replay"
            )
            continue
        try:
            yield looked(read)
        except (
            SuiteError,
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            # Of a stranger's numbers: what a rule cannot compute with is not what a run holds.
            said = printable(f"{type(error).__name__}: {error}", most=300)
            yield failed(rule, f"cannot be looked at ({said}); no version writes that")


def figures_of(view: RunView, target: float | None) -> dict[str, tuple[float | None, str]]:
    """The figures of merit of docs/rules.md, by the checker's own computation: name -> (value, unit).

    inf: not reached, None: not known. target: in the metric's own direction; None: none is set.
    """
    try:
        measured = figures(Measured(records.of(view), view), target)
    except (SuiteError, ArithmeticError, ValueError):
        return {}
    return {
        name: (value, UNITS[name] or view.header.metric.unit) for name, value in measured.items()
    }


def worst(findings: Sequence[Finding]) -> Status:
    """fail, or else skip, or else pass: what a committee goes by; unprovable is no reason against a run."""
    statuses = {finding.status for finding in findings}
    return "fail" if "fail" in statuses else "skip" if "skip" in statuses else "pass"


assert set(OF_RUN) == {"journal", "order", "header", "replay", "record", *FURTHER}
