"""Every decision of a journal, taken again by the parts that its header's configuration names."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suite.core import types as t
from suite.core.errors import SuiteError
from suite.core.extras import naming_extras
from suite.core.moved import begun_with
from suite.core.printable import printable
from suite.core.run_settings import NOT_KEPT, Leaf, RunSettings
from suite.core.scheduler import Scheduler
from suite.core.target import Target
from suite.launch.assemble import conductor_of, search_of
from suite.launch.compose import compose
from suite.run import journal as journals
from suite.run.conductor import Conductor
from suite.run.driver import Driver
from suite.run.journal_reading import ReadJournal


@dataclass(frozen=True)
class Parts:
    settings: RunSettings
    scheduler: Scheduler
    target: Target
    conductor: Conductor


@dataclass(frozen=True)
class Replayed:
    """parts: None where they cannot be made here. why: the first difference, or why; empty: all alike."""

    parts: Parts | None
    why: str


Watch = Callable[[int, Mapping[str, Any], Sequence[t.Command]], object]
"""Told of each line that was replayed: its number, itself, and the commands that it caused."""


def replay(
    journal: ReadJournal, *, model: Leaf | None = None, watch: Watch | None = None
) -> Replayed:
    """Fold every line into a conductor of the header's own configuration, and compare what each causes.

    As a resume does it, but for all that a line says, and of completed runs too. No backend is made, no
    worker trains, no data are staged; a curve table is read, for its configurations are the space.
    model: the leaf of which the target is made, in place of the header's.
    """
    try:
        with naming_extras():
            parts = parts_of(journal.header, model)
    except SuiteError as error:
        return Replayed(None, str(error))
    except Exception as error:
        # A plug-in's constructor may raise anything.
        return Replayed(None, f"the configuration cannot be made: {type(error).__name__}: {error}")
    driver = Driver(parts.conductor, None)
    for number, line in enumerate(journal.lines, start=2):
        try:
            commands = driver.replay_line(number, line)
            if watch is not None:
                watch(number, line, commands)
        except SuiteError as error:
            text = str(error)
            return Replayed(parts, text if f"line {number}" in text else f"line {number}: {text}")
        except Exception as error:
            # What a scheduler or searcher raises on events that it cannot have met.
            said = printable(error, most=200)
            return Replayed(parts, f"line {number}: {type(error).__name__} in a part: {said}.")
    return Replayed(parts, _end(parts.conductor, journal))


def parts_of(header: Mapping[str, Any], model: Leaf | None = None) -> Parts:
    """What a header's configuration names, made anew. model: as in `replay`.

    Raises ConfigError, JournalError, DataError, or what a plug-in's constructor raises.
    """
    settings = RunSettings.of({**_not_kept(), **begun_with(header)})
    if model is not None:
        settings = dataclasses.replace(settings, model=model)
    search = search_of(settings)
    conductor = conductor_of(settings, search, resident_trials=1)
    conductor.adjust(journals.settings(header))
    return Parts(settings, search.scheduler, search.target, conductor)


@functools.cache
def _not_kept() -> dict[str, Any]:
    fresh = compose(())
    return {name: fresh[name] for name in NOT_KEPT}


def _end(conductor: Conductor, journal: ReadJournal) -> str:
    """What the closing line says and the replay does not."""
    last = journal.lines[-1] if journal.lines else {}
    ended = conductor.shutdown.status if conductor.shutdown is not None else None
    if last.get("event") == "closed" and last["status"] == "completed" and ended != "completed":
        return f"line {len(journal.lines) + 1}: status=completed, but the search has not ended."
    return ""
