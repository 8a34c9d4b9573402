"""Verdicts of rules, and what a rule needs to know."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from suite.check.stated import Stated
from suite.core.printable import printable
from suite.core.run_settings import Leaf
from suite.results.run_view import RunView
from suite.run.journal_reading import ReadJournal
from suite.verify.replay import Replayed

Status = Literal["pass", "fail", "skip", "unprovable"]
"""fail: the rule is broken. skip: it could not be looked at here, and could elsewhere; the text says what is
needed. unprovable: no check of a journal can show it; the text says what would.
"""

OF_PACKAGE = {
    "package": "every file is the one that submission.json names by its SHA-256, and there is no other",
    "signature": "who signed submission.json, by the checker's own list of signers",
    "system": "the machine's description follows its schema, and the runs fit on it",
    "distinct": "no run stands twice, under whatever name, in any of the submissions",
    "accounting": "nodes, seconds and joules of the runs fit into what the batch system counted",
    "level": "the runs of a stated level are all there: every algorithm with every seed",
}
OF_RUN = {
    "journal": "every line is whole and holds what its kind of event holds",
    "order": "jobs, epochs, workers and trials follow each other; the run has ended",
    "header": "what stands twice in the header is equal, and is what the configuration's parts say",
    "replay": "scheduler, searcher and conductor take every decision again, and choose this winner",
    "record": "record.json is valid, of this journal, and what the journal gives",
    "configuration": "the configuration is what its command gives with this version's files; names fit parts",
    "seeds": "every trial's seed is derived from the run's",
    "forecasts": "every forecast is what the predictor answers to its question",
    "values": "every value of a table or a synthetic target is the one that the target gives",
    "budget": "no curve is longer than max_epochs, no limit of the budget was passed or raised",
    "data": "one data set, one split, known by this name; nothing was selected on test data",
    "versions": "the version and the code that wrote the journal are those that check it",
    "image": "the image is named by its digest, and by one",
    "clock": "times do not go back, jobs hold their epochs, no epoch is faster than the stated bound",
    "workers": "workers say what they are, are no more than were asked for, and share no device",
    "energy": "the meter is a known one, its readings do not go back, and its power is possible",
    "simulation": "a simulated run is simulated again, event by event",
    "training": "drawn trials were trained again; else: what no journal can show",
}
"""Rule -> what it says. The order is that of the report."""


@dataclass(frozen=True)
class Finding:
    """One rule's verdict. line: of the journal, where one line shows it."""

    rule: str
    status: Status
    text: str
    line: int | None = None


def passed(rule: str, text: str) -> Finding:
    return Finding(rule, "pass", printable(text, most=400))


def failed(rule: str, text: object, line: int | None = None) -> Finding:
    said = printable(text, most=600)
    if line is None and (named := re.search(r"\bline (\d{1,9})\b", said)):
        line = int(named[1])
    return Finding(rule, "fail", said, line)


def skipped(rule: str, text: object) -> Finding:
    return Finding(rule, "skip", printable(text, most=600))


def unprovable(rule: str, text: str) -> Finding:
    return Finding(rule, "unprovable", printable(text, most=600))


@dataclass(frozen=True)
class Asked:
    """What the checker wants.

    retrain: trials of each run to train again. share: of their epochs. draw: the checker's seed. tolerance:
    relative, None: as docs/rules.md says. image: the digest that runs must have, None: any.
    """

    retrain: int = 0
    share: float = 1.0
    draw: int = 0
    tolerance: float | None = None
    image: str | None = None


@dataclass(frozen=True)
class Read:
    """A run that was read and replayed. own: the model's leaf, of the checker's installation, None: it has no
    such target. division, level, system: as the submission states them.
    """

    folder: Path
    journal: ReadJournal
    view: RunView
    replayed: Replayed
    own: Leaf | None
    asks: Mapping[str, tuple[int, Any]]
    asked: Asked
    division: str = "open"
    level: str | None = None
    system: Mapping[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def stated(self) -> Stated:
        """The header, key by key."""
        return Stated.of(self.journal.header)

    @property
    def simulated(self) -> bool:
        return self.view.header.simulated

    @property
    def real(self) -> bool:
        """Whether epochs are trainings whose values cannot be looked up."""
        return self.view.header.target.data in ("real", "stand-in")

    def numbered(self) -> list[tuple[int, dict[str, Any]]]:
        """The journal's lines after the header, numbered as in the file."""
        return list(enumerate(self.journal.lines, start=2))
