"""Questions to other programs: bounded in time, without this rank's launcher variables."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from suite.backends import launcher


def ask(command: Sequence[str], timeout_s: float, stdin: str = "") -> tuple[int | None, str, str]:
    """Exit code (None: it could not be started, or took longer), stdout, stderr.

    A child that imports mpi4py must not take this rank's place in the world.
    """
    try:
        done = subprocess.run(
            list(command),
            env=launcher.child_environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        return None, "", f"no answer within {timeout_s:g} s"
    except OSError as error:
        return None, "", str(error.strerror or error)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def python(
    code: str, *arguments: str, timeout_s: float, stdin: str = ""
) -> tuple[int | None, str, str]:
    """The same for a piece of Python in this environment."""
    return ask([sys.executable, "-c", code, *arguments], timeout_s, stdin)


def last_line(text: str) -> str:
    """What an error ends with; a traceback's last line says what happened."""
    return text.splitlines()[-1][:300] if text else "no message"
