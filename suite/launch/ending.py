"""After the last run: report, import into a tracker, exit code. None of them stops another."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from suite.backends import launcher
from suite.core.command import INTERRUPTED, command_name
from suite.core.errors import SuiteError
from suite.core.printable import printable
from suite.core.run_settings import RunSettings
from suite.launch.options import parsed_options
from suite.run import journal as journals
from suite.run.limit import PAUSED
from suite.track.contract import make_tracker

AGAIN = "SUITE_AGAIN"
"""Variable with the name of the file into which `leave_command` writes."""
BEFORE = "already completed"
"""How the reason of a run begins that had ended before this command."""
_AGAIN = (
    "tracking",
    "report=",
    "min_workers=",
    "n_jobs=",
    "backend.device=",
    "backend.checkpoints=",
)
RESUME = "resume=<run folder>"
"""In reasons, which stand in the journal, where no folder is named: the terminal names it (`said`)."""
Status = Literal["completed", "failed", "interrupted", "paused"]


@dataclass(frozen=True)
class Outcome:
    """How a run ended. folder: its run folder. untidied: what its end left out (record, checkpoints), with
    the reason and the remedy; empty where nothing is missing. outlook: what more would be expected to bring,
    where the scheduler knows. by_hand: Ctrl-C ended it as its budget would.
    """

    status: Status
    reason: str
    folder: Path
    label: str
    untidied: str = ""
    outlook: str = ""
    by_hand: bool = False


def said(outcome: Outcome) -> str:
    """An outcome in one line, with the run's folder where its reason speaks of it."""
    reason = outcome.reason.replace(RESUME, f"resume={shlex.quote(short(outcome.folder))}")
    if outcome.status == "completed" and outcome.reason.startswith(BEFORE):
        return f"{outcome.label}: {reason}"
    return f"{outcome.label}: {outcome.status}{f': {reason}' if reason else ''}"


def say(outcome: Outcome) -> None:
    """Print it: a result to stdout, what went wrong to stderr."""
    out = sys.stdout if outcome.status == "completed" else sys.stderr
    print(printable(said(outcome)), file=out, flush=True)
    if outcome.outlook:
        print(printable(f"{outcome.label}: {outcome.outlook}"), file=out, flush=True)
    if outcome.untidied:
        print(printable(f"{outcome.label}: {outcome.untidied}"), file=sys.stderr, flush=True)


def resume_command(folder: Path, words: Sequence[str]) -> str:
    """The command that continues a run or a sweep, as it is typed in the user's folder.

    words: of the command that was cut; those that a resume takes from the command line are said again, and
    the folder of --config-dir: a sweep's folder does not choose by itself which YAML files are read.
    """
    called = os.environ.get("SUITE_CALLED", "")
    # ./bench changes into its own folder: then only an absolute path is right in the user's.
    path = shlex.quote(str(folder) if called.startswith("/") else short(folder))
    kept = [shlex.quote(word) for word in words if word.startswith(_AGAIN)]
    if own := parsed_options(words).config_dir:
        kept += ["--config-dir", shlex.quote(own)]
    line = " ".join([f"resume={path}", *kept])
    if called.endswith(" run"):
        return f"{called} {line}"
    door = command_name("suite")
    if launcher.launched():
        door = f"mpirun -n {launcher.world_size()} {door}"
    return f"{called} {door} {line}".strip()


def leave_command(folder: Path, words: Sequence[str]) -> None:
    """For ./bench: the command that continues, in a file. mpirun shows nothing after Ctrl-C."""
    if path := os.environ.get(AGAIN):
        with contextlib.suppress(OSError):
            Path(path).write_text(f"{printable(resume_command(folder, words))}\n")


def finish(outcomes: Sequence[Outcome], settings: RunSettings) -> int:
    """The report, the import into a tracker, and the exit code of these runs."""
    # A run that its configuration stopped has left nothing to report.
    folders = [outcome.folder for outcome in outcomes if (outcome.folder / journals.NAME).exists()]
    paused = any(outcome.status == "paused" for outcome in outcomes)
    interrupted = paused or any(outcome.status == "interrupted" for outcome in outcomes)
    code = 0
    if folders and not interrupted:
        named = " ".join(short(folder) for folder in folders) if len(folders) < 4 else "RUN_FOLDERS"
        if settings.report:
            again = f"python -m suite.report {named} writes it again"
            code = max(code, _guarded("report", lambda: _report(folders), again))
        again = f"python -m suite.track {named} imports again"
        tracker = make_tracker(settings.tracking)
        code = max(code, _guarded("tracking", lambda: tracker.after(folders), again))
    failed = [outcome for outcome in outcomes if outcome.status != "completed"]
    # A single run's end was just printed.
    if failed and len(outcomes) > 1:
        _say_failed(failed, len(outcomes))
    if interrupted:
        return PAUSED if paused else INTERRUPTED
    untidied = any(outcome.untidied for outcome in outcomes)
    return 1 if failed or untidied or code else 0


def _guarded(name: str, step: Callable[[], int], again: str) -> int:
    """The step's exit code; 1 where it raises, with the reason in one line. The runs are whole already."""
    try:
        return step()
    except (SuiteError, OSError) as error:
        reason = reason_of(error)
    except Exception as error:
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
    print(printable(f"{name}: {reason}; {again}."), file=sys.stderr, flush=True)
    return 1


def reason_of(error: Exception) -> str:
    """What went wrong, with the file where the error names one."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{short(Path(str(error.filename)))}: " if error.filename is not None else ""
        return f"{where}{error.strerror}"
    return str(error).rstrip(".") or type(error).__name__


def _say_failed(failed: Sequence[Outcome], n_runs: int) -> None:
    """The runs that did not complete; those that ended alike in one line."""
    print(f"{len(failed)} of {n_runs} runs did not complete:", file=sys.stderr)
    alike: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in failed:
        alike.setdefault((outcome.status, outcome.reason), []).append(outcome)
    for outcome, *more in alike.values():
        others = f" and {len(more)} more" if more else ""
        named = dataclasses.replace(outcome, label=f"{outcome.label}{others}")
        print(printable(f"  {said(named)} ({short(outcome.folder)})"), file=sys.stderr)


def _report(folders: list[Path]) -> int:
    from suite import report

    out = report.write(folders, None)
    print(report.summary(folders))
    print(f"report: {printable(short(out / 'report.html'))}")
    return 0


def short(path: Path) -> str:
    """The path relative to the working directory if it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
