"""The shell of a command: its errors become one line and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from suite.core import plugins
from suite.core.errors import SuiteError, close_name
from suite.core.extras import naming_extras
from suite.core.printable import forgiving_streams, printable

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended, as a shell gives it."""
_guarded: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext


def guard_output(guarded: Callable[[], AbstractContextManager[None]]) -> None:
    """Let commands print inside of `guarded()`: this floor does not know which words are secret."""
    global _guarded
    _guarded = guarded


def command_name(module: str) -> str:
    """How the command was called, for its usage: `swiftbench report`, or `python -m suite.report`."""
    called = sys.argv[0]
    return called if called.startswith("swiftbench ") else f"python -m {module}"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the remedy, and no page of usage above it. Exit code: 2."""

    def error(self, message: str) -> NoReturn:
        kind, _, word = message.partition(": ")
        if kind == "unrecognized arguments":
            word = word.split()[0]
            name = word.partition("=")[0]
            known = sorted(option for option in self._option_string_actions if option[:2] == "--")
            message = f"{word}: unknown; known are {', '.join(known)}.{close_name(name, known)}"
        self.exit(2, f"{self.prog}: {printable(message)} ({self.prog} --help)\n")


def argument_parser(module: str, about: str | None, **further: Any) -> argparse.ArgumentParser:
    """The arguments of a command. about: its page, printed as it stands: what it does, then examples, one
    a line, indented, that begin with `swiftbench`; mostly the module's docstring.
    """
    return _Parser(
        prog=command_name(module), description=about, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter, **further,
    )  # fmt: skip


def run_command(name: str, body: Callable[[], int]) -> int:
    """The exit code of `body`; 1 where it raises a SuiteError, whose message is printed to stderr; 130 after
    Ctrl-C.

    An optional dependency that is not installed is such an error: its message names the extra. Any other
    error is a defect of the suite or of a plug-in; its traceback is printed, with secrets hidden as in all
    output. What the streams cannot encode is written as an escape, and no message holds a terminal's
    control sequences. The packages that SUITE_PLUGINS admits are read once, before anything else.

    name: of the command, which begins the line.
    """
    _open_streams()
    forgiving_streams()
    with _guarded(), plugins.admitted_once():
        try:
            with naming_extras():
                return body()
        except SuiteError as error:
            print(f"{name}: {printable(error, lines=True)}", file=sys.stderr)
        except KeyboardInterrupt:
            print(f"{name}: interrupted", file=sys.stderr)
            return INTERRUPTED
        except Exception:
            traceback.print_exc()
        return 1


def _open_streams() -> None:
    """A stream that was closed before the process began (`>&-`) leads nowhere: its number would be given to
    the next file that is opened, a journal say, and what a library prints would go there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # It takes the lowest free number: this one, as those below are taken by now.
            setattr(sys, name, open("/dev/null", "w" if number else "r", encoding="utf-8"))  # noqa: SIM115
