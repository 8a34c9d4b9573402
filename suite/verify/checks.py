"""The checks of one run folder, from the bytes of its journal to the numbers of its record.

    journal   every line is whole, of a regular file, and holds what its kind of event holds
    order     jobs, epochs, workers and trials follow each other as a conductor lets them; numbers of one line
              agree with each other; a closing line ends the run
    header    what stands twice in the header is equal, and is what the configuration's parts say
    replay    scheduler, searcher and conductor, made from the header's configuration, take every decision of
              the journal again
    record    record.json is valid, of this journal, and what the journal gives

Nothing is trained, no data are staged, nothing is written. What a replay cannot know (seconds, metrics that
decide nothing, names of devices) is covered by the record's digest of the journal, as far as the record
comes from somewhere else than the journal: a copy, MLflow, a paper's archive.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from suite import __version__
from suite.core.errors import JournalError, SuiteError
from suite.core.printable import printable
from suite.core.run_settings import Leaf
from suite.results import record as records
from suite.results.fold import load_run
from suite.results.run_view import RunView
from suite.run import journal as journals
from suite.run.journal_reading import ReadJournal
from suite.verify.header import header_differences
from suite.verify.replay import Replayed, Watch, replay
from suite.verify.same import first_difference

Status = Literal["pass", "fail", "skip"]
NAMES = ("journal", "order", "header", "replay", "record")
MOST = 5
"""Doubts of one check that are said."""


@dataclass(frozen=True)
class Check:
    """One check's answer. text: what was seen, or what is wrong and where."""

    name: str
    status: Status
    text: str


@dataclass(frozen=True)
class Verdict:
    """All checks of a run. place: its folder, as it is named to people."""

    place: str
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing failed and every decision was replayed."""
        status = {check.name: check.status for check in self.checks}
        return "fail" not in status.values() and status.get("replay") == "pass"


@dataclass
class Examined:
    """A run folder with its checks, and what they looked at; None: they did not come so far."""

    checks: list[Check]
    journal: ReadJournal | None = None
    view: RunView | None = None
    replayed: Replayed | None = None


def verify(folder: Path, place: str) -> Verdict:
    """Check one run folder. Raises nothing for what is wrong in it."""
    return Verdict(place, tuple(examine(folder).checks))


def examine(folder: Path, *, model: Leaf | None = None, watch: Watch | None = None) -> Examined:
    """The checks of one run folder. model, watch: as in `suite.verify.replay.replay`."""
    examined = Examined([])
    examined.checks += _checks(folder, examined, model, watch)
    return examined


def _checks(
    folder: Path, examined: Examined, model: Leaf | None, watch: Watch | None
) -> Iterator[Check]:
    path = folder / journals.NAME
    try:
        journal = examined.journal = journals.read_journal(path)
    except JournalError as error:
        yield _fail("journal", error)
        yield from _skipped("journal", "the journal cannot be read")
        return
    n, size = len(journal.lines) + 1, journal.n_bytes
    if journal.n_left:
        left = f"{journal.n_left} bytes after line {n} are no whole line; a killed run leaves such"
        yield Check("journal", "fail", f"{left}: resume it, or cut them off in a copy")
    else:
        yield Check("journal", "pass", f"{n} lines, {size:,} bytes, sha256 {journal.sha256}")
    try:
        view = examined.view = load_run(folder)
    except JournalError as error:
        yield _fail("order", error)
        yield from _skipped("order", "the lines do not follow each other")
        return
    yield _order(view, journal)
    replayed = examined.replayed = replay(journal, model=model, watch=watch)
    yield _header(journal, replayed)
    yield _replay(replayed, view, n)
    yield _record(folder, view)


def _fail(name: str, error: object) -> Check:
    return Check(name, "fail", printable(error, most=600))


def _skipped(after: str, why: str) -> Iterator[Check]:
    for name in NAMES[NAMES.index(after) + 1 :]:
        yield Check(name, "skip", why)


def _order(view: RunView, journal: ReadJournal) -> Check:
    wrong = [doubt for doubt in view.doubts if not doubt.startswith(records.NAME)]
    if not journal.lines or journal.lines[-1]["event"] != "closed":
        wrong.append(
            "no closing line: the run has not ended, or was killed; verify it when it has ended"
        )
    if wrong:
        more = f" (and {len(wrong) - MOST} more)" if len(wrong) > MOST else ""
        return _fail("order", "; ".join(wrong[:MOST]) + more)
    numbers = f"{len(view.trials)} trials, {len(view.jobs)} jobs, {view.n_epochs} epochs"
    return Check("order", "pass", f"{numbers}, {view.status}")


def _header(journal: ReadJournal, replayed: Replayed) -> Check:
    if replayed.parts is None:
        return Check("header", "skip", "its configuration cannot be made here: see replay")
    if wrong := header_differences(journal.header, replayed.parts):
        return _fail("header", "; ".join(wrong[:MOST]))
    return Check("header", "pass", "agrees with its configuration")


def _replay(replayed: Replayed, view: RunView, n_lines: int) -> Check:
    if replayed.parts is None:
        return Check("replay", "skip", printable(f"not replayed: {replayed.why}", most=600))
    written = f"suite {view.header.suite_version}"
    if view.header.revision:
        written += f" ({view.header.revision[:12]}{', changed' if view.header.changed else ''})"
    if replayed.why:
        versions = f"it was written by {written}, this is {__version__}"
        return _fail("replay", f"{replayed.why} The journal was changed, or the code: {versions}.")
    winner = replayed.parts.conductor.winner
    if view.winner != winner and view.status == "completed":
        return _fail("replay", f"winner: {view.winner} in the journal, {winner} by the replay")
    return Check(
        "replay", "pass", printable(f"{n_lines} lines decided alike; written by {written}")
    )


def _record(folder: Path, view: RunView) -> Check:
    path = folder / records.NAME
    if not path.exists() and not path.is_symlink():
        return Check("record", "skip", f"no {records.NAME} beside the journal; resume= writes it")
    try:
        record = records.load(path)
    except SuiteError as error:
        return _fail("record", error)
    theirs = record["journal"]
    if theirs["sha256"] != view.journal.sha256:
        return _fail(
            "record",
            f"journal.sha256={theirs['sha256']}, but the journal's is {view.journal.sha256}: "
            "the record is of another journal, or one of them was changed",
        )
    try:
        made = records.of(view)
    except (JournalError, ValueError, OverflowError) as error:
        return _fail("record", error)
    if (difference := first_difference(record, made)) is not None:
        at, was, now = difference
        return _fail(
            "record", f"record.{at}={was}, but {now} by the journal: the record was changed"
        )
    return Check("record", "pass", "is what the journal gives")


def document(verdicts: list[Verdict]) -> dict[str, object]:
    """All verdicts for programs, by results_schema/verify.schema.json."""
    return {
        "schema_version": "1.0.0",
        "suite_version": __version__,
        "date_utc": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "verdict": "pass" if all(verdict.holds for verdict in verdicts) else "fail",
        "runs": [
            {
                "folder": verdict.place,
                "verdict": "pass" if verdict.holds else "fail",
                "checks": [
                    {"check": check.name, "status": check.status, "value": check.text}
                    for check in verdict.checks
                ],
            }
            for verdict in verdicts
        ],
    }
