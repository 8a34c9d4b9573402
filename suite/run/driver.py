"""The driver: conductor and journal as one.

Backends hand it events and carry out the commands it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from suite.core import types as t
from suite.core.errors import ConfigError, JournalError
from suite.run import journal as journals
from suite.run.conductor import Conductor
from suite.run.journal import Journal

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
        self.time_s = 0.0
        """Time of the last event: a resumed run's clock goes on from here."""
        self._waiting: list[t.Command] = []

    def handle(self, events: Sequence[t.Event]) -> list[t.Command]:
        """Fold the events in order. Reports of one job that came together share a journal line."""
        out, self._waiting = self._waiting, []
        for _, group in groupby(events, key=_line_of):
            batch = list(group)
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
            events = journals.decode(line)
            commands: list[t.Command] = []
            for event in events:
                commands += self.conductor.handle(event)
                self.time_s = max(self.time_s, event.time_s)
            was = line.get("do", [])
            if commands or was:
                now = [journals.describe(command) for command in commands]
                if now != was:
                    old, new = next((o, n) for o, n in _pairs(was, now) if o != n)
                    raise JournalError(
                        f"line {number}: the journal says {old}, now it would be {new}: "
                        "code or configuration changed. Go on with the version that wrote it."
                    )

    def resume(self) -> None:
        """The event that tells the fold that every worker is a new one.

        Its commands go out with the next `handle`.
        """
        if self.conductor.shutdown is not None and self.conductor.shutdown.status == "completed":
            raise ConfigError("resume: this run is completed; nothing is left to do.")
        self._waiting = self.handle([t.Resumed(time_s=self.time_s)])

    def close(self, status: str, reason: str = "") -> None:
        if self.journal is not None:
            self.journal.close(status, reason, self.time_s)


def _line_of(event: t.Event) -> object:
    return (event.worker, event.job_id) if isinstance(event, t.EpochReport) else id(event)


def _pairs(was: list[Any], now: list[Any]) -> Iterable[tuple[Any, Any]]:
    for i in range(max(len(was), len(now))):
        yield (was[i] if i < len(was) else "nothing"), (now[i] if i < len(now) else "nothing")


def reopen(folder: Path, conductor: Conductor, observers: Iterable[Observer] = ()) -> Driver:
    """A driver that has re-folded the folder's journal and goes on with it.

    Repairs a torn last line.
    """
    journal = Journal(folder, None)
    driver = Driver(conductor, None)
    try:
        driver.replay(journal.lines)
        driver.journal, driver.observers = journal, list(observers)
        driver.resume()
    except BaseException:
        journal.release()
        raise
    return driver
