"""From a named folder down to one name, without following a symbolic link."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from suite.core.errors import SuiteError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# What the kernel says of a link that is not to be followed: ELOOP, and ENOTDIR where a folder was asked for.
LINK = (errno.ELOOP, errno.ENOTDIR)


class UnsafeFileError(SuiteError):
    """What lies under this name is not opened: a link, a pipe, a device, a folder, or too large.

    Look at it, and put a regular file in its place.
    """


def shown(path: Path) -> str:
    """The last two parts: enough to find it, and no one's home folder in a log."""
    return "/".join(path.parts[-2:])


@contextlib.contextmanager
def parent_folder(
    path: Path, below: Path | None, *, make: bool = False
) -> Iterator[tuple[int, str]]:
    """(descriptor of the folder that holds `path`, last name).

    below: the folder that the user named, by default the parent of `path`. It may itself be a link; no part
    of `path` under it may. make: make the folders that are missing.

    Raises UnsafeFileError for a link on the way, FileNotFoundError, and other OSErrors of the file system.
    """
    below = path.parent if below is None else below
    parts = path.relative_to(below).parts
    if not parts or ".." in parts:
        raise ValueError(f"path={path}: must lie below {below}.")
    if make:
        below.mkdir(parents=True, exist_ok=True)
    folder = os.open(below, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = enter(folder, part, path, make=make)
            os.close(folder)
            folder = inner
        yield folder, parts[-1]
    finally:
        os.close(folder)


def enter(folder: int, part: str, path: Path, *, make: bool = False) -> int:
    """Descriptor of the folder `part` in `folder`. Raises UnsafeFileError where it is no folder."""
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(part, dir_fd=folder)
    try:
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        if error.errno not in LINK:
            raise
        raise UnsafeFileError(
            f"{shown(path)}: {part} is a link or no folder, and links in a run, data or store folder are not "
            "followed; put the folder itself there."
        ) from None
