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
from suite.core.printable import printable
from suite.run import journal as journals
from suite.run.agreement import Agreement, Difference, changes
from suite.run.budget import EPOCHS, PAUSE, milliseconds
from suite.run.conductor import Conductor
from suite.run.job_end import JobEnd
from suite.run.journal import Journal
from suite.run.progress import ProgressMeter
from suite.run.secrets import redact
from suite.run.trials import NOTHING

Observer = Callable[[t.Event, Conductor], None]


class Decider(Protocol):
    """What a backend that trains asks of the part that decides: a search's Driver, or that of other work
    (suite.retrain). now: set by the backend, its clock. time_s: of the last event.
    """

    now: Callable[[], float] | None
    time_s: float
    agreement: Agreement

    @property
    def min_workers(self) -> int: ...

    @property
    def shutdown(self) -> t.Shutdown | None: ...

    @property
    def ending(self) -> bool:
        """Whether a budget is used up: jobs that train end with their epoch, by JobStopped."""

    def budget_used(self, now_s: float) -> t.BudgetUsed | None:
        """The event to hand over now, where a budget is used up and the run does not end anyway."""

    def ends_instead(self) -> bool:
        """Where a pause is due: whether the run ends by itself, and is not paused."""

    def handle(self, events: Sequence[t.Event]) -> list[t.Command]: ...

    def tick(self) -> None: ...


class Driver:
    """`handle(events) -> commands`: folds each event, journals it, calls observers, and only then
    returns the commands.
    """

    def __init__(
        self,
        conductor: Conductor,
        journal: Journal | None,
        observers: Iterable[Observer] = (),
        agreement: Agreement | None = None,
        job_end: JobEnd | None = None,
    ) -> None:
        self.conductor = conductor
        self.journal = journal
        self.observers = list(observers)
        self.agreement = agreement or Agreement({})
        """What the processes of the run have in common: a backend asks it before a worker joins."""
        self.changes: Sequence[Difference] = ()
        """Code and versions of a process that resumed the run, where the run was begun by others."""
        self.now: Callable[[], float] | None = None
        """The backend's clock, for the closing line: what was waited for counts too."""
        self.time_s = 0.0
        """Time of the last event, s: a resumed run's clock continues from here."""
        self.progress = ProgressMeter()
        """Pauses without an epoch, and what an epoch takes, over all processes of the run."""
        self._waiting: list[t.Command] = []
        self.job_end = job_end
        """With budget.end=job: of the job in which this process trains."""
        # A key of suite.run.budget.ASKED.
        self._asked = ""

    @property
    def min_workers(self) -> int:
        return self.conductor.min_workers

    @property
    def shutdown(self) -> t.Shutdown | None:
        """What ended the run; None while it goes on."""
        return self.conductor.shutdown

    @property
    def ending(self) -> bool:
        return bool(self.conductor.ending.spent)

    def budget_used(self, now_s: float) -> t.BudgetUsed | None:
        conductor = self.conductor
        if not conductor.spending.has_limit or conductor.is_ending:
            return None
        limit = conductor.spending.used_up(milliseconds(now_s)) or self._asked
        return t.BudgetUsed(limit, round(now_s, 6)) if limit else None

    def ask_for_end(self, who: str) -> bool:
        """End as if the budget were used up now. who: a key of suite.run.budget.ASKED. False: there is no
        budget of time, nothing was trained yet, or the run ends anyway.
        """
        conductor = self.conductor
        if self.now is None or not conductor.spending.has_end or not conductor.n_epochs:
            return False
        if conductor.is_ending or self._asked:
            return False
        self._asked = who
        return True

    def ends_instead(self) -> bool:
        """A pause is due. True: the run ends by itself (budget.end=job), now where it has not begun to."""
        if not self.conductor.spending.ends_with_job:
            return False
        return self.ask_for_end(PAUSE) or bool(self._asked) or self.conductor.is_ending

    def budget_end_s(self) -> float | None:
        """When a budget will be used up, if no worker comes or goes; None: never, or the run ends anyway."""
        conductor = self.conductor
        if not conductor.spending.has_end or conductor.is_ending:
            return None
        if self._asked:
            return self.time_s
        end_ms = conductor.spending.end_ms()
        return None if end_ms is None else end_ms / 1000

    def epochs_left(self) -> int | None:
        """Of a budget of epochs, by what was reported; None: there is none, or the run ends anyway."""
        conductor = self.conductor
        if EPOCHS not in conductor.spending.limits or conductor.is_ending:
            return None
        return conductor.spending.left(EPOCHS, 0)

    def handle(self, events: Sequence[t.Event]) -> list[t.Command]:
        """Fold the events in order. Reports of one job that came together share a journal line."""
        out, self._waiting = self._waiting, []
        for batch in _lines([*self._allocations(events), *events]):
            commands: list[t.Command] = []
            for event in batch:
                step = self.conductor.handle(event)
                commands += step.commands
            self.time_s = max(self.time_s, batch[-1].time_s)
            if self.journal is not None:
                self.journal.append(batch, commands, step.notes)
            for observer in self.observers:
                observer(batch[-1], self.conductor)
            out += commands
        return out

    def _allocations(self, events: Sequence[t.Event]) -> list[t.Event]:
        """With budget.end=job: the end, before the first events of this process, and where it moves."""
        end = self.job_end
        if end is None or self.now is None or self.conductor.is_ending:
            return []
        said = end.allocation(min([self.now(), *(event.time_s for event in events[:1])]))
        for event in events:
            end.saw(event)
        return [] if said is None else [said]

    def tick(self) -> None:
        """Call now and then while no event comes: what was written is synced to the disk."""
        if self.journal is not None:
            self.journal.tick()

    def replay(self, lines: Iterable[dict[str, Any]]) -> None:
        """Re-fold a journal's lines as `journals.read` gives them, which checks them, comparing the commands
        each caused with those it causes now.

        Raises JournalError at the first difference: code or configuration changed since it was
        written.
        """
        for number, line in enumerate(lines, start=2):
            self.replay_line(number, line)

    def replay_line(self, number: int, line: Mapping[str, Any]) -> list[t.Command]:
        """Re-fold one line, the number-th of its file; returns the commands that it causes.

        Raises JournalError where it causes something else than the journal says.
        """
        events = journals.decode(line)
        if line["event"] == "closed":
            self.progress.closed(line, self.conductor)
        commands: list[t.Command] = []
        step = NOTHING
        for event in events:
            step = self.conductor.handle(event)
            commands += step.commands
            self._note(event)
            if event.time_s > self.time_s:
                self.time_s = event.time_s
        # Reports of epochs, which are most lines, cause nothing and say nothing.
        if step is NOTHING and line.keys().isdisjoint(journals.CAUSED):
            return commands
        caused = journals.caused(commands, step.notes)
        if caused == {name: line[name] for name in journals.CAUSED if name in line}:
            return commands
        now, then = _without_wording(caused), _without_wording(line)
        for name in journals.CAUSED:
            if now.get(name) != then.get(name):
                old, new = map(_shown, _first_difference(then.get(name), now.get(name)))
                raise JournalError(
                    f"line {number}: the journal says {old}, now it would be {new}: code or configuration "
                    "changed. Continue with the version that wrote the journal."
                )
        return commands

    def _note(self, event: t.Event) -> None:
        """What an event of the journal says of the processes that wrote it."""
        if self.job_end is not None:
            self.job_end.saw(event)
        if isinstance(event, t.EpochReport):
            self.progress.epoch(event)
        elif isinstance(event, t.WorkerJoined):
            self.agreement.joined(event.facts)
        elif isinstance(event, t.Resumed):
            self.progress.begin(self.conductor)

    def resume(
        self, settings: Mapping[str, int] | None = None, process: Mapping[str, Any] | None = None
    ) -> None:
        """Fold in that every worker is a new one. process: what this process is, for the journal.

        Its commands go out with the next `handle`.
        """
        conductor = self.conductor
        settings = dict(settings or {})
        # What an earlier resume has raised stays.
        settings |= conductor.spending.larger(settings)
        done = conductor.shutdown is not None and conductor.shutdown.status == "completed"
        if done and not self.may_go_on(settings):
            raise ConfigError("resume: this run is completed; nothing is left to do.")
        self.progress.begin(self.conductor)
        event = t.Resumed(self.time_s, settings, process)
        self._waiting = self.handle([event])

    def may_go_on(self, settings: Mapping[str, int]) -> bool:
        """Whether a completed run, resumed with these settings of the conductor, searches on."""
        conductor = self.conductor
        is_larger = conductor.spending.is_larger(settings)
        return conductor.ending.may_go_on(is_larger, milliseconds(self.time_s))

    def close(self, status: str, reason: str = "", energy: Mapping[str, Any] | None = None) -> None:
        if self.journal is not None:
            now_s = round(self.now(), 6) if self.now is not None else 0.0
            self.journal.close(status, reason, max(self.time_s, now_s), energy)


_WORDED = frozenset((t.JobFailed, t.WorkerLost, t.ForecastFailed))


def _clean(event: t.Event) -> t.Event:
    """Messages come from other people's code: no secret in them may reach the fold or the journal."""
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


def _without_wording(line: Mapping[str, Any]) -> dict[str, Any]:
    """The line without the reason of a shutdown: a message may be worded otherwise in another version."""
    if not (commands := line.get("do")):
        return dict(line)
    return {**line, "do": [c[:2] if c[0] == "shutdown" else c for c in commands]}


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


def _shown(value: Any) -> str:
    return printable(value, most=200)


def reopen(
    folder: Path,
    conductor: Conductor,
    observers: Iterable[Observer] = (),
    facts: Mapping[str, int] | None = None,
    *,
    agreement: Agreement | None = None,
    process: Mapping[str, Any] | None = None,
    job_end: JobEnd | None = None,
) -> Driver:
    """A driver that has re-folded the folder's journal and continues the run; repairs a torn last line.

    The conductor's `settings` may differ from those the journal was written with: they count from
    here on. `facts` and `process`, which describe this process, are only noted; what of them is not as the
    run was begun stands in the driver's `changes`. Where only the closing line is missing of a run that does
    not go on, the conductor's `shutdown` is set: close the driver.

    Raises ConfigError where the run was begun on other data than rank 0 sees (`agreement`).
    """
    journal = Journal(folder, None)
    driver = Driver(conductor, None, agreement=agreement, job_end=job_end)
    wanted = conductor.settings
    try:
        driver.agreement.check_label(journals.data_label(journal.header))
        driver.changes = changes(process or {}, journal.header)
        conductor.adjust(journals.settings(journal.header))
        driver.replay(journal.lines)
        driver.journal, driver.observers = journal, list(observers)
        done = conductor.shutdown
        is_open = done is None or done.status != "completed"
        if is_open or journal.lines[-1]["event"] == "closed" or driver.may_go_on(wanted):
            driver.resume({**wanted, **(facts or {})}, process)
    except BaseException:
        journal.release()
        raise
    return driver
