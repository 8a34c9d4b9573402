"""Download, check and unpack a data set, on a machine with a network; or check one that is there.

    swiftbench fetch cifar10 --to $HOME/data                       download, check, unpack
    swiftbench fetch cifar10 --to $HOME/data --verify              no network: check what is there
    swiftbench fetch cifar10 --to $HOME/data --from /media/copy    from a folder or a mirror
    swiftbench fetch curves --family taskset --to $HOME/data       a family of curve tables, converted to CSV

An interrupted download continues where it ended. Files that are present and correct are kept. `fetch curves`
without a family brings the tables that are published as CSV; `swiftbench curves list` shows all.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import importlib.util
import os
import shutil
import sys
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from models.data import curve_tables, fetch_tables, transfer
from models.data.sources import LISTING, SOURCES, File, Source
from models.data.staging import alone, is_address
from models.data.transfer import Progress
from models.data.unpack import missing, unpack
from suite.core.command import argument_parser, run_command
from suite.core.errors import DataError, unknown_name
from suite.files import parse_json, read_bytes, write_whole


def stage(
    name: str,
    root: Path,
    origin: str | None = None,
    unpacked: bool | None = None,
    only: str = "*",
    progress: Progress | None = None,
) -> Path:
    """The data set's folder, `root/name`, with every file there and checked.

    origin: a mirror's address or a folder that holds the files, instead of the published addresses.
    unpacked: None, as suits the data set. only: names of files, with * and ?.

    Raises DataError where something is missing, damaged or not what was published, another fetch is
    at work there, or the disk is too full; ConfigError for an unknown name.
    """
    source, progress = _source(name), progress or Progress()
    folder = root / name
    unpacked = source.unpacked if unpacked is None else unpacked
    with alone(folder):
        files = _chosen(_files(source, folder, origin), only, source)
        absent = []
        for file in files:
            try:
                progress.say(f"{file.name}: there, {transfer.check(folder / file.name, file)}")
            except DataError as error:
                absent.append(file)
                if (folder / file.name).exists():
                    progress.say(str(error))
        _room(folder, source, absent, unpacked)
        for file in absent:
            _bring(source, file, folder, origin, progress)
            progress.say(f"{file.name}: {transfer.check(folder / file.name, file)}")
        if unpacked and source.archive and not _unpacked(source, folder):
            progress.say(f"{source.archive.file}: unpacking")
            unpack(folder / source.archive.file, source.archive)
    _prepare(name, folder, progress)
    return folder


def verify(name: str, root: Path, only: str = "*", progress: Progress | None = None) -> None:
    """Check what is staged, without a network.

    Raises DataError naming every file that is missing or wrong.
    """
    source, progress = _source(name), progress or Progress()
    folder = root / name
    archive = source.archive
    problems = []
    for file in _chosen(_files(source, folder, None, offline=True), only, source):
        if archive and not (folder / file.name).exists() and (folder / archive.folder).is_dir():
            progress.say(f"{file.name}: not there, unpacked")
            continue
        try:
            progress.say(f"{file.name}: {transfer.check(folder / file.name, file)}")
        except DataError as error:
            problems.append(str(error))
    if archive and (folder / archive.folder).is_dir():
        for member, checksum in source.members.items():
            try:
                transfer.check(folder / member, File(member, (), None, checksum))
            except DataError as error:
                problems.append(str(error))
        if not source.members and (folder / archive.file).exists() and not problems:
            gone = missing(folder / archive.file, archive)
            problems += [f"{folder / gone}: missing or of another size."] if gone else []
    if problems:
        remedy = f"swiftbench fetch {name} --to {root}"
        raise DataError("\n".join([*problems, f"Stage it again: {remedy}"]))
    progress.say(f"{name}: verified")


# --- parts ----------------------------------------------------------------------------------------


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise unknown_name("data set", name, SOURCES)
    return SOURCES[name]


def _files(
    source: Source, folder: Path, origin: str | None, offline: bool = False
) -> tuple[File, ...]:
    """What the data set consists of; a publisher's listing is asked for once and kept."""
    if source.listing is None or source.read_listing is None or source.pattern is None:
        return source.files
    kept = folder / LISTING
    place = Path(origin) if origin and not is_address(origin) else folder
    if kept.exists():
        answer = read_bytes(kept, max_bytes=transfer.MAX_ANSWER)
    elif (place / LISTING).exists():
        answer = read_bytes(place / LISTING, max_bytes=transfer.MAX_ANSWER)
    elif offline or place != folder:
        names = sorted(p.name for p in place.glob("*") if source.pattern.fullmatch(p.name))
        return tuple(File(name, ()) for name in names)
    elif origin:
        answer = transfer.text(f"{origin.rstrip('/')}/{LISTING}")
    else:
        answer = transfer.text(source.listing)
    try:
        files = source.read_listing(parse_json(answer.decode()))
    except ValueError as error:
        raise DataError(f"{kept}: is not JSON ({error}); remove it and stage again.") from error
    if not offline and not kept.exists():
        write_whole(kept, answer, below=folder)
    return files


def _chosen(files: Sequence[File], only: str, source: Source) -> list[File]:
    chosen = [file for file in files if fnmatch.fnmatchcase(file.name, only)]
    if not chosen:
        known = ", ".join(file.name for file in files[:3]) or "none is there"
        raise DataError(f"{source.name}: no file is called {only}; files: {known} ...")
    return chosen


def _bring(
    source: Source, file: File, folder: Path, origin: str | None, progress: Progress
) -> None:
    if origin is None:
        transfer.get(file, folder, source.most_bytes, progress)
    elif is_address(origin):
        address = f"{origin.rstrip('/')}/{urllib.parse.quote(file.name)}"
        mirrored = File(file.name, (address,), file.n_bytes, file.checksum)
        transfer.get(mirrored, folder, source.most_bytes, progress)
    else:
        transfer.copy(Path(origin) / file.name, file, folder, progress)


def _unpacked(source: Source, folder: Path) -> bool:
    """Whether the archive's folder is there and as published."""
    archive = source.archive
    if archive is None or not (folder / archive.folder).is_dir():
        return False
    if not source.members:
        return missing(folder / archive.file, archive) is None
    try:
        for member, checksum in source.members.items():
            transfer.check(folder / member, File(member, (), None, checksum))
    except DataError:
        return False
    return True


def _room(folder: Path, source: Source, absent: Sequence[File], unpacked: bool) -> None:
    """Raises DataError where the disk would run full."""
    needed = sum(file.n_bytes or 0 for file in absent)
    for file in absent:
        needed -= transfer.size_of(folder / f"{file.name}.part")
    if unpacked and source.archive and not (folder / source.archive.folder).is_dir():
        needed += source.archive.n_bytes
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{folder}: {needed} bytes are needed, {free} are free; make room or name another "
            "folder with --to."
        )


def _prepare(name: str, folder: Path, progress: Progress) -> None:
    """What a reader would do at its first use, done here, where time is cheap."""
    if importlib.util.find_spec(f"models.data.{name}") is None:
        return
    reader = importlib.import_module(f"models.data.{name}")
    if hasattr(reader, "prepare"):
        progress.say(f"{name}: decoding")
        reader.prepare(folder)


# --- command line ---------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0; 1: an error, printed to stderr; 130: interrupted."""
    known = "\n".join(
        f"  {s.name:14} {s.title}\n{'':17}{s.listing or s.files[0].addresses[0]}\n"
        f"{'':17}licence: {s.licence}"
        for s in SOURCES.values()
    )
    parser = argument_parser("models.data.fetch", __doc__, epilog=f"data sets:\n{known}")
    parser.add_argument("name", metavar="NAME", help="of the data set, one of those below")
    parser.add_argument(
        "--to", metavar="DIR", default=os.environ.get("SUITE_DATA"),
        help="data root; the set lies in DIR/NAME (default: the environment's SUITE_DATA)",
    )  # fmt: skip
    parser.add_argument(
        "--verify", action="store_true", help="only check what is there; no network is used"
    )
    parser.add_argument(
        "--from", dest="origin", metavar="PLACE", help="take it from a mirror's URL or a folder"
    )
    parser.add_argument(
        "--only",
        default="*",
        metavar="PATTERN",
        help="only files of this name, with * and ? (default: all)",
    )
    parser.add_argument(
        "--family",
        metavar="NAME",
        help=f"of curve tables, by `swiftbench curves list`; {fetch_tables.ALL}: every one",
    )
    parser.add_argument(
        "--unpack", action=argparse.BooleanOptionalAction,
        help="unpack the archive (default: as suits the data set's reader)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if options.to is None:
        parser.error("--to DIR is needed, or the environment's SUITE_DATA")
    root = Path(options.to)
    if options.family is not None and options.name != curve_tables.DATA_SET:
        parser.error(f"--family NAME is of {curve_tables.DATA_SET}")

    def body() -> int:
        if options.family is not None and options.verify:
            fetch_tables.verify(options.family, root, options.only)
        elif options.family is not None:
            fetch_tables.stage(options.family, root, options.origin, options.only)
        elif options.verify:
            verify(options.name, root, options.only)
        else:
            stage(options.name, root, options.origin, options.unpack, options.only)
        return 0

    try:
        return run_command("fetch", body)
    except KeyboardInterrupt:
        print("fetch: interrupted; run the same command to continue.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
