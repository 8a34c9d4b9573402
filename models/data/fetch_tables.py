"""Published curve tables by family: downloaded, checked, converted, and the CSV checked.

What is published lies in `curves/.published` while a family is made, and is removed then. Several files of
one table come in the archive of their commit, whose bytes nobody promises: their own digests are checked.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

from models.data import curve_tables, transfer
from models.data.converters import FAULTS, converter
from models.data.sources import File
from models.data.staging import alone, is_address
from models.data.transfer import Progress
from suite.core.catalogue import Entry, chosen
from suite.core.errors import DataError
from suite.files import UnsafeFileError, published_tables, read_bytes, write_whole

ALL = "all"
MAX_ARCHIVE = 2 << 30
_RAW = ".published"


def stage(
    family: str, root: Path, origin: str | None, only: str, progress: Progress | None = None
) -> None:
    """The family's tables in `root/curves`, each with the catalogue's SHA-256. family: `all`: every one.

    origin: a mirror's address, or a folder that holds the published files or a clone of their repository.
    only: names of tables' files, with * and ?.
    Raises ConfigError for an unknown family, DataError where something is missing, damaged or of another
    version, or where a converted table has another digest.
    """
    progress = progress or Progress()
    folder = root / curve_tables.DATA_SET
    with alone(folder):
        absent = []
        for entry in _chosen(family, only):
            try:
                progress.say(
                    f"{entry.file}: there, {transfer.check(folder / entry.file, _csv(entry))}"
                )
            except DataError:
                absent.append(entry)
        for entry in absent:
            if entry.licence == "none-stated":
                progress.say(
                    f"{entry.file}: its publisher states no licence; do not pass it on ({entry.source})"
                )
            _make(entry, folder, origin, progress)
            progress.say(f"{entry.file}: {transfer.check(folder / entry.file, _csv(entry))}")
        _clear(folder / _RAW)


def verify(family: str, root: Path, only: str, progress: Progress | None = None) -> None:
    """Check the family's tables, without a network. Raises DataError naming every one that is wrong."""
    progress, problems = progress or Progress(), []
    for entry in _chosen(family, only):
        try:
            path = root / curve_tables.DATA_SET / entry.file
            progress.say(f"{entry.file}: {transfer.check(path, _csv(entry))}")
        except DataError as error:
            problems.append(str(error))
    if problems:
        remedy = f"swiftbench fetch {curve_tables.DATA_SET} --family {family} --to {root}"
        raise DataError("\n".join([*problems, f"Stage it again: {remedy}"]))


def _chosen(family: str, only: str) -> list[Entry]:
    entries = chosen(published_tables(), None if family == ALL else family)
    found = [entry for entry in entries if fnmatch.fnmatchcase(entry.file, only)]
    if not found:
        known = ", ".join(entry.file for entry in entries[:3])
        raise DataError(f"--family {family}: no table's file is called {only}; files: {known} ...")
    return found


def _csv(entry: Entry) -> File:
    return File(entry.file, (), None, f"sha256:{entry.sha256}")


def _make(entry: Entry, folder: Path, origin: str | None, progress: Progress) -> None:
    """The table's file, from what is published."""
    if not entry.is_converted:
        published = File(
            entry.file, (), entry.published.n_bytes, f"sha256:{entry.published.sha256}"
        )
        _bring(entry, published, folder, origin, progress)
        return
    raw = folder / _RAW
    raw.mkdir(exist_ok=True)
    progress.say(f"{entry.file}: converting")
    members = _Members(entry, raw, origin, progress)
    try:
        text = converter(entry.family)(entry.name, members)
    except FAULTS as error:
        raise DataError(
            f"{entry.file}: {entry.published.path} is not in the published format "
            f"({type(error).__name__}: {str(error)[:200]}); fetch it anew."
        ) from error
    members.check()
    if (digest := hashlib.sha256(text.encode()).hexdigest()) != entry.sha256:
        raise DataError(
            f"{entry.file}: the published files are those of the catalogue, and what is made of them has "
            f"sha256={digest[:16]}..., not {entry.sha256[:16]}...; a library may round otherwise here. "
            "Report it with your versions, and take the table from a machine where it is equal."
        )
    write_whole(folder / entry.file, text, below=folder)


def _bring(entry: Entry, file: File, folder: Path, origin: str | None, progress: Progress) -> None:
    """`file` into the folder: from its address, a mirror, or a folder that has it flat or as a clone."""
    if origin is None or is_address(origin):
        name = _name(entry)
        address = entry.address if origin is None else f"{origin.rstrip('/')}/{name}"
        here = File(file.name, (address,), file.n_bytes, file.checksum)
        transfer.get(here, folder, MAX_ARCHIVE, progress)
        return
    clone = Path(origin) / entry.published.path
    source = clone if clone.is_file() else Path(origin) / _name(entry)
    transfer.copy(source, file, folder, progress)


def _name(entry: Entry) -> str:
    """What is downloaded, as a mirror names it."""
    if not entry.is_converted:
        return entry.file
    if entry.published.n_files is None:
        return Path(entry.published.path).name
    return f"{entry.repository.partition('/')[2]}-{entry.commit}.tar.gz"


class _Members:
    """The published files of a table, as (path, content); their digest grows while they are read."""

    def __init__(self, entry: Entry, raw: Path, origin: str | None, progress: Progress) -> None:
        self._entry, self._raw, self._origin, self._progress = entry, raw, origin, progress
        self._digests: dict[str, str] = {}
        self._n_bytes = 0

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        self._digests, self._n_bytes = {}, 0
        published = self._entry.published
        for path, content in self._single() if published.n_files is None else self._several():
            self._n_bytes += len(content)
            if self._n_bytes > published.n_bytes:
                raise DataError(
                    f"{self._entry.file}: {published.path}: more than the {published.n_bytes} bytes that are "
                    "published; it is another version."
                )
            self._digests[path] = hashlib.sha256(content).hexdigest()
            yield path, content

    def check(self) -> None:
        """Raise DataError where what was read is not what the catalogue names."""
        published = self._entry.published
        lines = "".join(f"{self._digests[path]}  {path}\n" for path in sorted(self._digests))
        digest = hashlib.sha256(lines.encode()).hexdigest()
        if published.n_files is None:
            digest = next(iter(self._digests.values()), "")
        n_files = published.n_files or 1
        if (len(self._digests), digest) != (n_files, published.sha256):
            raise DataError(
                f"{self._entry.file}: {published.path}: {len(self._digests)} files of sha256="
                f"{digest[:16]}..., published are {n_files} of {published.sha256[:16]}...; it is another "
                "version. Fetch it anew."
            )

    def _single(self) -> Iterator[tuple[str, bytes]]:
        published = self._entry.published
        name = f"{self._entry.family}-{Path(published.path).name}"
        file = File(name, (), published.n_bytes, f"sha256:{published.sha256}")
        if not _is_there(self._raw / name, file):
            _bring(self._entry, file, self._raw, self._origin, self._progress)
        yield published.path, read_bytes(self._raw / name, max_bytes=published.n_bytes)

    def _several(self) -> Iterator[tuple[str, bytes]]:
        pattern = re.compile(self._entry.published.path)
        most = self._entry.published.n_bytes
        clone = Path(self._origin) if self._origin and not is_address(self._origin) else None
        if clone is not None and not (clone / _name(self._entry)).exists():
            for path in sorted(p for p in clone.rglob("*") if p.is_file()):
                name = path.relative_to(clone).as_posix()
                if pattern.fullmatch(name):
                    yield name, read_bytes(path, max_bytes=most)
            return
        archive = self._raw / _name(self._entry)
        if not archive.exists():
            file = File(archive.name, (), None, None)
            _bring(self._entry, file, self._raw, self._origin, self._progress)
        try:
            # One after the other, as they lie: nothing is unpacked to a disk.
            with tarfile.open(archive, "r|gz") as members:
                for member in members:
                    name = member.name.partition("/")[2]
                    if member.isfile() and pattern.fullmatch(name):
                        yield name, _content(members, member, most)
        except (tarfile.TarError, EOFError, OSError) as error:
            archive.unlink(missing_ok=True)
            raise DataError(
                f"{archive.name}: is no archive that can be read ({error}); it is removed. Fetch it anew."
            ) from error


def _content(members: tarfile.TarFile, member: tarfile.TarInfo, most: int) -> bytes:
    opened = members.extractfile(member)
    if opened is None or member.size > most:
        raise DataError(f"{member.name[:200]}: {member.size} bytes; it is another version.")
    return opened.read(most)


def _is_there(path: Path, file: File) -> bool:
    try:
        transfer.check(path, file)
    except (DataError, OSError, UnsafeFileError):
        return False
    return True


def _clear(raw: Path) -> None:
    """Remove what was downloaded for converting; links are removed and not followed."""
    for path in raw.glob("*") if raw.is_dir() and not raw.is_symlink() else ():
        path.unlink(missing_ok=True)
    if raw.is_dir() and not raw.is_symlink():
        raw.rmdir()
