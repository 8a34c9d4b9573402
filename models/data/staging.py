"""What every kind of fetching does with its folder and its mirror."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from suite.core.errors import DataError
from suite.files import open_lock_file


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One fetch into a folder at a time; the lock falls with its process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(open_lock_file(folder / ".lock"), "r+b") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataError(
                    f"{folder}: another fetch is at work there; wait for it, then run this again."
                ) from None
            yield
    except OSError as error:
        # Of the folder alone: what happens within is said where it happens.
        if error.filename is None or Path(str(error.filename)).name not in (folder.name, ".lock"):
            raise
        raise DataError(
            f"--to {folder.parent}: {folder.name} cannot be written ({error.strerror}); name another --to."
        ) from error


def is_address(origin: str) -> bool:
    """Whether a mirror is an address, and no folder."""
    return "://" in origin
