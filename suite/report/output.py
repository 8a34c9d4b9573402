"""Where a report is written, and what of it could not be made.

A part that fails (a figure, a chapter) is named with the reason, and the rest is written. A folder or a disk
that refuses ends the report: nothing that follows could be written either.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from suite.core.errors import ConfigError, SuiteError
from suite.core.printable import printable
from suite.files import make_folder, write_whole

T = TypeVar("T")


def attempt(what: str, make: Callable[[], T], failures: list[str]) -> T | None:
    """What `make` returns; where it raises, a line in `failures`, and None.

    Raises SuiteError (a folder that refuses): it ends the report with its own words.
    """
    try:
        return make()
    except SuiteError:
        raise
    except Exception as error:
        failures.append(f"{what}: {type(error).__name__}: {printable(error, most=300)}")
        return None


def make_output(out: Path, below: Path | None) -> None:
    """Make the report's folder.

    below: the folder that the user named and `out` lies in, from where no link is followed; None: the user
    named `out` itself. Raises ConfigError where it cannot be made, UnsafeFileError for a link on the way.
    """
    try:
        if below is None:
            out.mkdir(parents=True, exist_ok=True)
        else:
            make_folder(out, below=below)
    except OSError as error:
        raise _refused(out, "made", error) from None


def write_file(path: Path, content: str | bytes) -> Path:
    """Write one file of the report whole. Raises ConfigError where the folder or the disk refuses."""
    try:
        data = content if isinstance(content, bytes) else content.encode(errors="backslashreplace")
        return write_whole(path, data)
    except OSError as error:
        raise _refused(path, "written", error) from None


def _refused(path: Path, what: str, error: OSError) -> ConfigError:
    return ConfigError(
        f"out={path.parent.name}/{path.name}: cannot be {what} ({error.strerror or error}); a report needs a "
        "folder that can be written and a free disk. Name another folder with --out."
    )
