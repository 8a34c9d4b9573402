"""The command line of runs: run, sweep, plan, resume. Only rank 0 comes here."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from suite import __version__
from suite.backends import launcher
from suite.core.command import INTERRUPTED, command_name, run_command
from suite.core.printable import printable
from suite.core.run_settings import RunSettings
from suite.launch import plan_command
from suite.launch.assemble import made_backend, work_of
from suite.launch.begin import Begin
from suite.launch.compose import hydra_page
from suite.launch.ending import AGAIN, Outcome, finish, leave_command, resume_command, short
from suite.launch.job_end import check_job_end
from suite.launch.options import Options, parsed_options
from suite.launch.plan import planned
from suite.launch.progress import Sweep
from suite.launch.resumed import resumed_settings, settings_of
from suite.launch.runs import Runs
from suite.launch.side_by_side import Kind, completed, ended_runs, kinds_of
from suite.launch.sweep_folder import Remaining, SweepFolder
from suite.results.header import parse_header
from suite.run import journal as journals
from suite.track.contract import make_tracker


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
    words = [word for word in arguments if not plan_command.is_own(word)]
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
    check_job_end([plan.settings for plan in plans], runs.n_runs)
    sweep = Sweep(runs.n_runs, sum(plan.n_runs * work_of(plan.parts) for plan in plans))
    where = runs.folder
    _say_where(runs.n_runs, where)
    leave_command(where, arguments)
    last: list[RunSettings] = []

    def begun() -> Iterator[Begin]:
        for run in runs:
            settings = RunSettings.of(run.config)
            make_tracker(settings.tracking)
            last[:] = [settings]
            yield Begin(
                settings,
                run.folder,
                "auto" if settings.resume == "auto" else "new",
                tuple(arguments),
            )

    simulated = all(plan.parts.backend.simulated for plan in plans)
    counted = [(plan.settings, plan.n_runs) for plan in plans]
    kinds = kinds_of(counted, completed(where) if simulated else {}, simulated=simulated)
    outcomes = _outcomes(begun(), runs.n_runs, kinds, sweep, (where, arguments))
    ended()
    code = finish(outcomes, last[0]) if last else 0
    # Whole runs, but not all of the sweep.
    by_hand = len(outcomes) < runs.n_runs and any(outcome.by_hand for outcome in outcomes)
    return INTERRUPTED if by_hand and not code else code


def _outcomes(
    runs: Iterable[Begin],
    n_runs: int,
    kinds: Sequence[Kind],
    sweep: Sweep,
    again: tuple[Path, Sequence[str]],
) -> list[Outcome]:
    """What the runs of this command came to, each said as it ends, and what continues an interrupted one.

    again: the folder and the command's words, for that.
    """
    outcomes: list[Outcome] = []
    for outcome in ended_runs(runs, n_runs, kinds, sweep):
        outcomes.append(outcome)
        is_first = sum(each.status == "interrupted" for each in outcomes) == 1
        if outcome.status == "interrupted" and is_first and not os.environ.get(AGAIN):
            # At once: mpirun leaves its ranks a quarter of a second.
            print(
                f"continue with: {printable(resume_command(*again))}", file=sys.stderr, flush=True
            )
    return outcomes


def _say_where(n_runs: int, folder: Path) -> None:
    which = f"{n_runs} runs go to" if n_runs > 1 else "this run goes to"
    print(f"{which} {printable(shlex.quote(short(folder)))}", file=sys.stderr, flush=True)


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
    outcomes = _outcomes([Begin(settings, folder, "continue")], 1, (), Sweep(), (folder, words))
    ended()
    return finish(outcomes, settings)


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
    command = tuple(found.command)
    begun = [
        Begin(all_settings[each.folder], each.folder, "new" if each.header else "continue", command)
        for each in left
    ]
    simulated = all(made_backend(settings).simulated for settings in all_settings.values())
    counted = [(begin.settings, 1) for begin in begun]
    kinds = kinds_of(counted, completed(folder) if simulated else {}, simulated=simulated)
    sweep = Sweep(len(left), float(len(left)))
    outcomes = _outcomes(begun, len(left), kinds, sweep, (folder, words))
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
