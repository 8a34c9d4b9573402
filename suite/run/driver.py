"""The driver: conductor and journal as one.

Backends hand it events and carry out the commands it returns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from suite.core import types as t
from suite.core.errors import ConfigError, JournalError
from suite.run import journal as journals
from suite.run.conductor import Conductor
from suite.run.journal import Journal
from suite.run.secrets import redact

Observer = Callable[[t.Event, Conductor], None]


class Backend(Protocol):
    """Carries events up and commands down until it meets a Shutdown; then returns."""

    def run(self, driver: Driver) -> None: ...


class Driver:
    """`handle(events) -> commands`: folds each event, journals it, tells observers, and only then
    lets commands go.
    """

    def __init__(
        self, conductor: Conductor, journal: Journal | None, observers: Iterable[Observer] = ()
    ) -> None:
        self.conductor = conductor
        self.journal = journal
        self.observers = list(observers)
        self.now: Callable[[], float] | None = None
        """The backend's clock, for the closing line: what was waited for counts too."""
        self.time_s = 0.0
        """Time of the last event: a resumed run's clock goes on from here."""
        self._waiting: list[t.Command] = []

    def handle(self, events: Sequence[t.Event]) -> list[t.Command]:
        """Fold the events in order. Reports of one job that came together share a journal line."""
        out, self._waiting = self._waiting, []
        for batch in _lines(events):
            commands: list[t.Command] = []
            for event in batch:
                commands += self.conductor.handle(event)
            self.time_s = max(self.time_s, batch[-1].time_s)
            if self.journal is not None:
                self.journal.append(batch, commands, self.conductor.notes)
            for observer in self.observers:
                observer(batch[-1], self.conductor)
            out += commands
        return out

    def tick(self) -> None:
        """To be called now and then while nothing comes: what was written reaches the disk."""
        if self.journal is not None:
            self.journal.tick()

    def replay(self, lines: Iterable[dict[str, Any]]) -> None:
        """Re-fold a journal's lines, comparing the commands each caused with those it causes now.

        Raises JournalError at the first difference: code or configuration changed since it was
        written.
        """
        for number, line in enumerate(lines, start=2):
            events = journals.decode_numbered(number, line)
            commands: list[t.Command] = []
            for event in events:
                commands += self.conductor.handle(event)
                self.time_s = max(self.time_s, event.time_s)
            if commands or "do" in line:
                now = journals.caused(commands, self.conductor.notes)
                for name in journals.CAUSED:
                    if now.get(name) != line.get(name):
                        old, new = _first_difference(line.get(name), now.get(name))
                        raise JournalError(
                            f"line {number}: the journal says {old}, now it would be {new}: "
                            "code or configuration changed. Go on with the version that wrote it."
                        )

    def resume(self, settings: Mapping[str, int] | None = None) -> None:
        """The event that tells the fold that every worker is a new one.

        Its commands go out with the next `handle`.
        """
        if self.conductor.shutdown is not None and self.conductor.shutdown.status == "completed":
            raise ConfigError("resume: this run is completed; nothing is left to do.")
        self._waiting = self.handle([t.Resumed(self.time_s, dict(settings or {}))])

    def close(self, status: str, reason: str = "", energy: Mapping[str, Any] | None = None) -> None:
        if self.journal is not None:
            now_s = round(self.now(), 6) if self.now is not None else 0.0
            self.journal.close(status, reason, max(self.time_s, now_s), energy)


_WORDED = frozenset((t.JobFailed, t.WorkerLost, t.ForecastFailed))


def _clean(event: t.Event) -> t.Event:
    """Messages are worded by other people's code: no secret may reach the fold, or the journal."""
    if type(event) in _WORDED:
        assert isinstance(event, t.JobFailed | t.WorkerLost | t.ForecastFailed)
        return dataclasses.replace(event, message=redact(event.message))
    return event


def _lines(events: Sequence[t.Event]) -> list[list[t.Event]]:
    """Epoch reports of one job that follow each other share a line; other events stand alone."""
    lines: list[list[t.Event]] = []
    last: tuple[int, int] | None = None
    for event in events:
        job = (event.worker, event.job_id) if type(event) is t.EpochReport else None
        if job is not None and job == last:
            lines[-1].append(event)
        else:
            lines.append([_clean(event)])
        last = job
    return lines


def _first_difference(was: Any, now: Any) -> tuple[Any, Any]:
    """The first place where two lists or dicts of a journal line differ, for the message."""
    if isinstance(was, dict) and isinstance(now, dict):
        name = next(key for key in (*was, *now) if was.get(key) != now.get(key))
        old, new = _first_difference(was.get(name), now.get(name))
        return f"{name}: {old}", f"{name}: {new}"
    if isinstance(was, list) and isinstance(now, list):
        longest = max(len(was), len(now))
        pairs = [(x[i] if i < len(x) else "nothing" for x in (was, now)) for i in range(longest)]
        return next((old, new) for old, new in map(tuple, pairs) if old != new)
    return was, now


def reopen(
    folder: Path,
    conductor: Conductor,
    observers: Iterable[Observer] = (),
    facts: Mapping[str, int] | None = None,
) -> Driver:
    """A driver that has re-folded the folder's journal and goes on; repairs a torn last line.

    The conductor's `settings` may differ from those the journal was written with: they count from
    here on; `facts` are only noted. Where only the closing line is missing, the conductor's
    `shutdown` stands: close it.
    """
    journal = Journal(folder, None)
    driver = Driver(conductor, None)
    wanted = conductor.settings
    try:
        conductor.adjust(journals.settings(journal.header))
        driver.replay(journal.lines)
        driver.journal, driver.observers = journal, list(observers)
        done = conductor.shutdown
        if done is None or done.status != "completed" or journal.lines[-1]["event"] == "closed":
            driver.resume({**wanted, **(facts or {})})
    except BaseException:
        journal.release()
        raise
    return driver
