"""Removing: only names that the suite makes, and never through a link."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection
from pathlib import Path

from suite.files.walk import enter, parent_folder

__all__ = ["remove_files", "remove_folder"]


def remove_files(
    path: Path, names: re.Pattern[str], *, below: Path, but: Collection[str] = ()
) -> list[str]:
    """Remove from the folder `path` the files whose whole name matches `names` and is not in `but`.

    Returns the names that stay, sorted. A link under such a name is removed itself, what it shows is not
    touched; folders stay. A folder that is missing holds nothing.
    Raises UnsafeFileError where a part of `path` under `below` is a link.
    """
    try:
        with parent_folder(path, below) as (outer, last):
            folder = enter(outer, last, path)
    except FileNotFoundError:
        return []
    try:
        for name in os.listdir(folder):
            if names.fullmatch(name) and name not in but:
                # A folder under such a name, or one that another process removed.
                with contextlib.suppress(IsADirectoryError, FileNotFoundError, PermissionError):
                    os.unlink(name, dir_fd=folder)
        return sorted(os.listdir(folder))
    finally:
        os.close(folder)


def remove_folder(path: Path, *, below: Path) -> bool:
    """Remove `path` if it is an empty folder and no link; whether it is gone."""
    try:
        with parent_folder(path, below) as (outer, last):
            os.rmdir(last, dir_fd=outer)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
