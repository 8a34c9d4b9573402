"""Archives unpacked without trust: what they may hold and how much is known beforehand.

Refused: paths that lead out of the archive's own folder, links, devices, encrypted members, more
members or bytes than the data set has (bombs). The folder appears at once, when it is whole.
"""

from __future__ import annotations

import gzip
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from models.data.sources import Archive
from suite.core.errors import DataError
from suite.files import UnsafeFileError, open_regular

BLOCK = 1 << 20


class _Bounded:
    """Reads a stream and refuses to read more than `most` bytes of it: a gzip bomb shows its size
    only when it is unpacked, and its headers count too.
    """

    def __init__(self, file: IO[bytes], most: int, path: Path) -> None:
        self.file, self.left, self.path = file, most, path

    def read(self, n: int = -1) -> bytes:
        block = self.file.read(min(n, self.left + 1) if n >= 0 else self.left + 1)
        self.left -= len(block)
        if self.left < 0:
            raise DataError(f"{self.path}: unpacks to more than the data set holds; not trusted.")
        return block


def unpack(path: Path, archive: Archive) -> None:
    """`<archive.folder>` beside `path`, an older one replaced.

    Raises DataError where the archive is damaged or holds what it should not; nothing is left then.
    """
    to = path.parent / archive.folder
    work = path.parent / f"{archive.folder}.unpacking"
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir()
        (_zip if path.suffix == ".zip" else _tar)(path, archive, work)
        if not (work / archive.folder).is_dir():
            raise DataError(f"{path}: holds no {archive.folder}/; stage it again.")
        if to.exists():
            shutil.rmtree(to)
        (work / archive.folder).replace(to)
    except (
        tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, OSError, NotImplementedError, ValueError,
        OverflowError, UnsafeFileError,
    ) as error:  # fmt: skip
        # ValueError: sparse maps, names that are not UTF-8, numbers that are none.
        raise DataError(f"{path}: cannot be unpacked ({error}); stage it again.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def missing(path: Path, archive: Archive) -> str | None:
    """The first member of the zip at `path` that is not unpacked in its size; None: all are."""
    for info in members(path, archive):
        unpacked = path.parent / info.filename
        if not unpacked.is_file() or unpacked.stat().st_size != info.file_size:
            return info.filename
    return None


def members(path: Path, archive: Archive) -> list[zipfile.ZipInfo]:
    """The files that a zip holds, by its directory. Raises DataError where one is not trusted."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as bundle:
            infos = bundle.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError, UnsafeFileError) as error:
        raise DataError(f"{path}: is damaged ({error}); stage it again.") from error
    _count(path, archive, len(infos), sum(info.file_size for info in infos))
    for info in infos:
        _inside(path, info.filename, archive)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or info.flag_bits & 1:
            raise DataError(f"{path}: {info.filename} is a link, a device or encrypted; refused.")
    return [info for info in infos if not info.is_dir()]


def _zip(path: Path, archive: Archive, work: Path) -> None:
    infos = members(path, archive)
    with open_regular(path) as file, zipfile.ZipFile(file) as bundle:
        for info in infos:
            target = work / info.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            # At most info.file_size bytes come, and their CRC is compared; "x": no name twice.
            with bundle.open(info) as reader, target.open("xb") as writer:
                shutil.copyfileobj(reader, writer, BLOCK)


def _tar(path: Path, archive: Archive, work: Path) -> None:
    n = size = 0
    framing = 10_240 + 2_048 * archive.n_members  # headers and padding
    with open_regular(path) as file, gzip.open(file) as raw:
        stream = _Bounded(raw, archive.n_bytes + framing, path)  # type: ignore[arg-type]
        with tarfile.open(fileobj=stream, mode="r|") as bundle:  # type: ignore[call-overload]
            for member in bundle:
                n, size = n + 1, size + member.size
                _count(path, archive, n, size)
                _inside(path, member.name, archive)
                if not (member.isreg() or member.isdir()) or member.issparse():
                    raise DataError(f"{path}: {member.name} is no plain file; not trusted.")
                target = work / member.name
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                # By hand: filter="data" came with Python 3.11.4, and modes and owners stay out.
                target.parent.mkdir(parents=True, exist_ok=True)
                reader = bundle.extractfile(member)
                assert reader is not None
                with reader, target.open("xb") as writer:
                    shutil.copyfileobj(reader, writer, BLOCK)


def _count(path: Path, archive: Archive, n: int, size: int) -> None:
    if n > archive.n_members:
        raise DataError(f"{path}: more than {archive.n_members} members; not trusted.")
    if size > archive.n_bytes:
        raise DataError(f"{path}: unpacks to more than {archive.n_bytes} bytes; not trusted.")


def _inside(path: Path, name: str, archive: Archive) -> None:
    parts = PurePosixPath(name).parts
    if ".." in parts or "\\" in name or "\0" in name or parts[:1] != (archive.folder,):
        raise DataError(f"{path}: {name!r} lies outside of {archive.folder}/; not trusted.")
