"""Files written whole: beside, synced, then renamed. And files that grow."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from suite.files.reading import open_descriptor
from suite.files.walk import enter, parent_folder

__all__ = ["make_folder", "open_append", "open_lock_file", "write_whole"]


def write_whole(
    path: Path,
    content: str | bytes | Callable[[Path], object],
    *,
    below: Path | None = None,
    name: Callable[[Path], str] | None = None,
) -> Path:
    """Write `path` so that a reader meets the old file or the new one, never half of one.

    content: text, bytes, or a function that writes the file whose path it is given. below: as in
    `open_regular`: from there on no link is followed. name: gives the final name, once everything is
    written, where that depends on what was written (a digest). File and folder are synced; the folder is
    made where it is missing. The file beside has a name of its own and is made anew, so what stood there, a
    link among it, is never written through. Returns the final path.

    Raises UnsafeFileError for a link on the way, OSError (a full disk), or what `content` raises, and leaves
    nothing behind.
    """
    with parent_folder(path, below, make=True) as (folder, last):
        beside = f".{last}.{secrets.token_hex(4)}.part"
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(beside, flags, 0o666, dir_fd=folder)
        try:
            if callable(content):
                content(path.with_name(beside))
            else:
                _write_all(descriptor, content.encode() if isinstance(content, str) else content)
            final = last if name is None else name(path.with_name(beside))
            _sync(beside, folder)
            os.rename(beside, final, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside, dir_fd=folder)
            raise
        finally:
            os.close(descriptor)
    return path.with_name(final)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync(name: str, folder: int) -> None:
    # Opened anew: `content` may have replaced the file by another of its own.
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_append(path: Path, *, below: Path | None = None) -> int:
    """A descriptor of the regular file `path` for reading and writing, made where it is missing and never
    cut. The caller closes it. Raises UnsafeFileError for a link, a pipe or a folder.
    """
    return open_descriptor(path, below, os.O_CREAT | os.O_RDWR)


def open_lock_file(path: Path, *, below: Path | None = None) -> int:
    """A descriptor to be locked: as `open_append`, and what the file holds is left as it is."""
    return open_append(path, below=below)


def make_folder(path: Path, *, below: Path) -> None:
    """Make `path` and the folders between `below` and it. Raises UnsafeFileError for a link on the way."""
    with parent_folder(path, below, make=True) as (folder, name):
        os.close(enter(folder, name, path, make=True))
