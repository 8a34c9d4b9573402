"""The command line of runs: run, sweep, plan, resume. Only rank 0 comes here."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from suite import __version__
from suite.backends import launcher
from suite.core.command import command_name, run_command
from suite.core.errors import SuiteError
from suite.core.printable import printable
from suite.core.run_settings import RunSettings
from suite.core.settings import shown
from suite.launch import execute, plan_command
from suite.launch.assemble import work_of
from suite.launch.compose import hydra_page
from suite.launch.ending import AGAIN, Outcome, finish, leave_command, resume_command, say, short
from suite.launch.options import Options, parsed_options
from suite.launch.plan import planned
from suite.launch.progress import Sweep
from suite.launch.resumed import FROM_COMMAND_LINE, begun_settings, resumed_settings, settings_of
from suite.launch.runs import Runs
from suite.launch.sweep_folder import Remaining, SweepFolder
from suite.results.header import parse_header
from suite.run import journal as journals
from suite.run.limit import Limit
from suite.track.contract import make_tracker

_NOT_COMPARED = (*FROM_COMMAND_LINE, "name", "choices", "n_seeds")
"""Settings in which a run and the command line that continues it may differ."""


def _nothing() -> None:
    """Where no workers wait."""


def main(arguments: list[str], ended: Callable[[], None] = _nothing) -> int:
    """Run, sweep, plan or resume; returns the exit code: 0, 1 (a run failed or lacks its record, report or
    tracking failed, or bad input), 75 (paused: the job's time ends), 130 (interrupted).

    ended: called when the last run has ended, before its report and its import into a tracker.
    """
    return run_command("suite", lambda: _command(arguments, ended))


def _command(arguments: list[str], ended: Callable[[], None]) -> int:
    if "--version" in arguments:
        print(f"swiftbench {__version__}")
        return 0
    at = launcher.plan_at(arguments)
    arguments = [word for i, word in enumerate(arguments) if i != at]
    words = [word for word in arguments if word not in ("--sbatch", "--measure")]
    options = parsed_options(words)
    if options.page:
        hydra_page(words, options)
        return 0
    if options.help:
        _help(at is not None, options)
        return 0
    if at is not None:
        return plan_command.plan(arguments)
    named = [word.removeprefix("resume=") for word in words if word.startswith("resume=")]
    if named and named[-1] not in ("", "null", "auto"):
        others = [word for word in words if not word.startswith("resume=")]
        return _resume(Path(named[-1]), others, ended)
    return _run(words, ended)


def _help(is_plan: bool, options: Options) -> None:
    from suite.launch import help as pages

    called = command_name("suite")
    door = called.removesuffix(" run").removesuffix(" plan")
    head = (pages.PLAN if is_plan else pages.RUN).format(run=called, plan=f"{door} plan")
    print(pages.page(head, options.overrides, options.config_dir, sweep=options.multirun))


def _run(arguments: Sequence[str], ended: Callable[[], None]) -> int:
    """Every run of the command line. What is wrong in any of them is said before a folder is made."""
    runs = Runs(arguments)
    plans = planned(runs)
    sweep = Sweep(runs.n_runs, sum(plan.n_runs * work_of(plan.parts) for plan in plans))
    where = runs.folder
    _say_where(runs.n_runs, where)
    leave_command(where, arguments)
    outcomes: list[Outcome] = []
    settings: RunSettings | None = None
    for run in runs:
        settings = RunSettings.of(run.config)
        make_tracker(settings.tracking)
        start = begin_or_continue if settings.resume == "auto" else execute.run
        outcomes.append(start(settings, run.folder, command=arguments, sweep=sweep))
        if _is_cut(outcomes[-1], where, arguments):
            break
    ended()
    return finish(outcomes, settings) if settings is not None else 0


def _say_where(n_runs: int, folder: Path) -> None:
    which = f"{n_runs} runs go to" if n_runs > 1 else "this run goes to"
    print(f"{which} {printable(shlex.quote(short(folder)))}", file=sys.stderr, flush=True)


def _is_cut(outcome: Outcome, folder: Path, words: Sequence[str]) -> bool:
    """Whether the command ends with this run. Says what continues an interrupted one, while there is time:
    mpirun leaves its ranks a quarter of a second.
    """
    say(outcome)
    if outcome.status == "interrupted" and not os.environ.get(AGAIN):
        again = resume_command(folder, words)
        print(f"continue with: {printable(again)}", file=sys.stderr, flush=True)
    # Ctrl-C ends the sweep, not only one of its runs.
    return outcome.status in ("interrupted", "paused")


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
        return Outcome("failed", reason, folder, settings.label)
    if is_completed:
        return _tidied(begun, folder, sweep)
    return execute.run(begun, folder, resume=True, sweep=sweep)


def _tidied(settings: RunSettings, folder: Path, sweep: Sweep | None) -> Outcome:
    if sweep is not None:
        sweep.next()
    return execute.tidy_completed(settings, folder)


def _difference(now: RunSettings, begun: RunSettings) -> tuple[str, Any, Any] | None:
    """The first setting by which another run would be trained: name, now, when the run was begun."""
    for field in dataclasses.fields(RunSettings):
        values = getattr(now, field.name), getattr(begun, field.name)
        if field.name not in _NOT_COMPARED and values[0] != values[1]:
            return field.name, *values
    return None


def _resume(named: Path, words: list[str], ended: Callable[[], None]) -> int:
    """Continue a run, or the runs of a folder, by their own configurations.

    See `resumed_settings` for what may be given anew.
    """
    folder = named.parent if named.name == journals.NAME else named
    leave_command(folder, words)
    if not os.path.lexists(folder / journals.NAME):
        return _resume_sweep(folder, words, ended)
    # A --config-dir is taken and not needed: the journal of one run holds its whole configuration.
    settings = _settings(Remaining(folder), parsed_options(words).overrides)
    outcome = _continued(settings, Remaining(folder), Sweep())
    _is_cut(outcome, folder, words)
    ended()
    return finish([outcome], settings)


def _resume_sweep(folder: Path, words: list[str], ended: Callable[[], None]) -> int:
    """Continue the runs at or below a folder, and begin those of its sweep that are not begun."""
    options = parsed_options(words)
    found = SweepFolder(folder, options.config_dir)
    left = list(found)
    fresh = [each for each in left if each.header is not None]
    # What a resume refuses is said before anything is trained.
    all_settings = {each.folder: _settings(each, options.overrides) for each in left}
    print(
        f"{len(left)} runs in {printable(shlex.quote(short(folder)))}, {len(fresh)} of them not begun",
        file=sys.stderr, flush=True,
    )  # fmt: skip
    if not found.is_known:
        print(
            "its journals do not say which sweep this was: what was not begun is begun by the same command "
            "with SUITE_STAMP=TIME and resume=auto", file=sys.stderr, flush=True,
        )  # fmt: skip
    sweep, outcomes = Sweep(len(left), float(len(left))), []
    for each in left:
        outcomes.append(_continued(all_settings[each.folder], each, sweep, found.command))
        if _is_cut(outcomes[-1], folder, words):
            break
    ended()
    return finish(outcomes, all_settings[left[0].folder])


def _settings(run: Remaining, words: Sequence[str]) -> RunSettings:
    if run.header is not None:
        return settings_of(run.header, run.folder, words)
    # What every run has: another version's header is refused by the key, before anything is made of it.
    parse_header(journals.read_header(run.folder / journals.NAME), run.folder.name)
    settings = resumed_settings(run.folder, words)
    make_tracker(settings.tracking)
    return settings


def _continued(
    settings: RunSettings, run: Remaining, sweep: Sweep, command: Sequence[str] = ()
) -> Outcome:
    """A run of a folder to its end; of one that is completed, what its end left out."""
    if run.header is not None:
        return execute.run(settings, run.folder, command=command, sweep=sweep)
    try:
        is_over = journals.is_completed(journals.read(run.folder / journals.NAME)[1])
    except SuiteError as error:
        return Outcome("failed", str(error), run.folder, settings.label)
    if is_over:
        return _tidied(settings, run.folder, sweep)
    return execute.run(settings, run.folder, resume=True, sweep=sweep)


def _shown(value: Any) -> str:
    """A setting as YAML writes it; a group of settings as a mapping."""
    return shown(dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value)  # type: ignore[arg-type]
