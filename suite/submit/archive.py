"""A submission as one file: a tar archive whose bytes depend on its files alone; a stranger's, unpacked.

Written: USTAR without compression (a compressor's version would change the bytes), names sorted, times 0,
owners 0, modes 644. Read: that, or the same through gzip; every name is checked before anything is written,
and files and bytes are counted as they come out, so that a small archive cannot fill a disk.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from pathlib import Path
from typing import Any

from suite.core.errors import DataError
from suite.core.printable import printable
from suite.files import UnsafeFileError, open_regular, write_whole
from suite.submit.package import MAX_BYTES, MAX_FILES, check_path, files_of

SUFFIX = ".tar"
READABLE = (SUFFIX, ".tar.gz", ".tgz")
"""Ends of an archive's name."""
_BLOCK = 2**20
_MOST_PADDING = 2**24
"""Bytes of zeros after an archive's end: tar fills its last record."""
_MOST_PACKED = MAX_BYTES + MAX_FILES * 1024


def write_archive(folder: Path, to: Path) -> Path:
    """Pack the files of a folder into `to`, under the folder's name.

    Raises DataError: what is no file of a submission, a name that is too long for the format; OSError.
    """
    paths = files_of(folder)

    def write(path: Path) -> None:
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
            for place, size in paths.items():
                member = tarfile.TarInfo(f"{folder.name}/{place}")
                member.size, member.mode, member.mtime = size, 0o644, 0
                try:
                    with open_regular(folder / place, below=folder) as file:
                        archive.addfile(member, file)
                except ValueError as error:
                    raise DataError(
                        f"{printable(member.name)}: {error} for an archive; shorten the name of the run's or "
                        "the submission's folder to 80 characters or fewer."
                    ) from None

    return write_whole(to, write)


def unpack(path: Path, to: Path) -> Path:
    """Unpack a stranger's archive below the empty folder `to`; returns the submission's folder.

    Nothing but regular files and folders is taken, no name leads out, and no file is written twice.
    Raises DataError: what is wrong with it, by name.
    """
    name = printable(path.name)
    try:
        with open_regular(path, max_bytes=_MOST_PACKED) as file:
            packed = file.peek(2)[:2] == b"\x1f\x8b"
            tops = _unpacked(gzip.GzipFile(fileobj=file) if packed else file, to)
    except UnsafeFileError as error:
        raise DataError(printable(error)) from None
    except (tarfile.TarError, EOFError, zlib.error, ValueError, gzip.BadGzipFile) as error:
        raise DataError(
            f"{name}: is no whole tar archive ({printable(error, most=200)}); fetch it again."
        ) from None
    except OSError as error:
        why = printable(error.strerror or error, most=200)
        raise DataError(f"{name}: cannot be unpacked ({why}); mend it.") from None
    if len(tops) != 1:
        raise DataError(
            f"{name}: holds {len(tops)} entries at its top; must hold one folder, the submission."
        )
    return to / tops.pop()


def _unpacked(stream: Any, to: Path) -> set[str]:
    """The names at the archive's top. Header by header: nothing of a member is read before its name, kind
    and size are known to be right, and extended headers, which may have any size, are refused.
    """
    tops: set[str] = set()
    n = total = 0
    while header := stream.read(tarfile.BLOCKSIZE):
        if not header.strip(b"\0"):
            _nothing_more(stream)
            return tops
        member = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        place = check_path(member.name.removesuffix("/"))
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE):
            raise DataError(
                f"{printable(place)}: is a link, a device or an extended header; an archive of `swiftbench "
                "submit` holds files alone: pack the files themselves."
            )
        n, total = n + 1, total + member.size
        if n > MAX_FILES or not 0 <= member.size <= MAX_BYTES or total > MAX_BYTES:
            raise DataError(
                f"{printable(place)}: more than {MAX_FILES} files or {MAX_BYTES} bytes; no more is read."
            )
        tops.add(place.partition("/")[0])
        if member.type == tarfile.DIRTYPE:
            (to / place).mkdir(parents=True, exist_ok=True)
        else:
            _write(stream, member.size, to / place)
            stream.read(-member.size % tarfile.BLOCKSIZE)
    raise EOFError("it has no end")


def _nothing_more(stream: Any) -> None:
    """Raise DataError for what follows an archive's end: another program may take it for a second archive."""
    left = _MOST_PADDING
    while part := stream.read(_BLOCK):
        left -= len(part)
        if part.strip(b"\0") or left < 0:
            raise DataError("more follows the archive's end; pack the submission anew.")


def _write(stream: Any, left: int, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise DataError(f"{printable(path.name)}: stands twice in the archive.") from None
    with os.fdopen(descriptor, "wb") as out:
        while left > 0:
            if not (part := stream.read(min(left, _BLOCK))):
                raise EOFError(f"it is cut off in {printable(path.name)}")
            out.write(part)
            left -= len(part)
