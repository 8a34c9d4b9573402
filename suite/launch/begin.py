"""One run of a command to its end: begun, or continued where its folder holds it already."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from suite.core.errors import SuiteError
from suite.core.run_settings import RunSettings
from suite.core.settings import shown
from suite.launch import execute
from suite.launch.ending import Outcome, short
from suite.launch.progress import Sweep
from suite.launch.resumed import FROM_COMMAND_LINE, begun_settings
from suite.results.header import parse_header
from suite.run import journal as journals
from suite.run.budget import JOB, LIMITS, ended, ended_by_hand, in_force, limits_of
from suite.run.limit import Limit

_NOT_COMPARED = (*FROM_COMMAND_LINE, "name", "choices", "n_seeds")
"""Settings in which a run and the command line that continues it may differ."""


@dataclass(frozen=True)
class Begin:
    """A run to be run. command: the words that asked for it.

    how: "new": in a new folder; "auto": begin, or continue what the folder holds (resume=auto); "continue":
    what the folder holds, by settings that are its own already.
    """

    settings: RunSettings
    folder: Path
    how: Literal["new", "auto", "continue"]
    command: tuple[str, ...] = ()

    def run(self, sweep: Sweep | None = None) -> Outcome:
        """To its end. Raises nothing for what goes wrong in the run (see Outcome)."""
        if self.how == "new":
            return execute.run(self.settings, self.folder, command=self.command, sweep=sweep)
        if self.how == "auto":
            return begin_or_continue(self.settings, self.folder, command=self.command, sweep=sweep)
        return _continued(self.settings, self.folder, sweep)


def begin_or_continue(
    settings: RunSettings,
    folder: Path,
    *,
    command: Sequence[str] = (),
    sweep: Sweep | None = None,
) -> Outcome:
    """resume=auto: begin, or continue what the folder holds; of a completed run only what its end left out.

    Nothing in the folder is changed here: the run itself looks again once it holds the folder's lock.
    """
    path = folder / journals.NAME
    if why := Limit(0.0).due():
        return Outcome("paused", why, folder, settings.label)
    if not os.path.lexists(path) or journals.is_cut_short(path):
        return execute.run(settings, folder, command=command, sweep=sweep)
    try:
        header, lines, _ = journals.read(path)
        parse_header(header, folder.name)
        begun = begun_settings(header, settings)
    except SuiteError as error:
        return Outcome("failed", str(error), folder, settings.label)
    is_completed = journals.is_completed(lines)
    if difference := _difference(settings, begun):
        name, now, before = difference
        done, rule = (
            ("completed", "it is not continued") if is_completed
            else ("begun", "resume=auto continues with equal settings")
        )  # fmt: skip
        reason = (
            f"{name}={_shown(now)}: the run in {short(folder)} was {done} with {_shown(before)}; "
            f"{rule}: restore it, or name another folder (SUITE_STAMP)."
        )
        if name in LIMITS.values() and before is not None:
            reason += f" To go on with a larger one: resume=FOLDER {name}=..., once."
        return Outcome("failed", reason, folder, settings.label)
    if is_completed and not _goes_on(begun, header, lines):
        return _tidied(begun, folder, sweep)
    return execute.run(begun, folder, resume=True, sweep=sweep)


def _continued(settings: RunSettings, folder: Path, sweep: Sweep | None) -> Outcome:
    try:
        header, lines, _ = journals.read(folder / journals.NAME)
        is_over = journals.is_completed(lines) and not _goes_on(settings, header, lines)
    except SuiteError as error:
        return Outcome("failed", str(error), folder, settings.label)
    if is_over:
        return _tidied(settings, folder, sweep)
    return execute.run(settings, folder, resume=True, sweep=sweep)


def _goes_on(
    settings: RunSettings, header: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]
) -> bool:
    """Whether a budget ended the run, and the settings have a larger one, or another job; or a hand did."""
    if not ended(lines):
        return False
    had, now = (
        in_force(journals.settings(header), lines),
        limits_of(dataclasses.asdict(settings.budget)),
    )
    is_larger = any(now.get(key, 0) > limit for key, limit in had.items())
    return is_larger or JOB in now or ended_by_hand(lines)


def _tidied(settings: RunSettings, folder: Path, sweep: Sweep | None) -> Outcome:
    if sweep is not None:
        sweep.next()
    return execute.tidy_completed(settings, folder)


def _difference(now: RunSettings, begun: RunSettings) -> tuple[str, Any, Any] | None:
    """The first setting by which another run would be trained: name, now, when the run was begun."""
    compared = [f.name for f in dataclasses.fields(now) if f.name not in _NOT_COMPARED]
    return _first_difference(compared, now, begun)


def _first_difference(names: Iterable[str], now: Any, begun: Any) -> tuple[str, Any, Any] | None:
    """Of these fields; of one that is a group of settings, the first of the group, as `group.name`."""
    for name in names:
        one, other = getattr(now, name), getattr(begun, name)
        if one == other:
            continue
        if dataclasses.is_dataclass(one) and type(one) is type(other):
            inner = _first_difference([f.name for f in dataclasses.fields(one)], one, other)
            assert inner is not None
            return f"{name}.{inner[0]}", *inner[1:]
        return name, one, other
    return None


def _shown(value: Any) -> str:
    """A setting as YAML writes it; a group of settings as a mapping."""
    return shown(dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value)  # type: ignore[arg-type]
