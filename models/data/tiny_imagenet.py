"""Tiny ImageNet-200: from its archive or folders to two arrays, decoded once for all workers.

hardware: a 2-core x86-64 virtual machine with a load of 5 to 7; versions: Python 3.11, Pillow 13.0;
n = 5 times 11,000 procedural pictures of 1.6 kB in a zip; number: 2,600 pictures/s (2,400..2,700),
8,000 per second of CPU time, so 14 CPU seconds for the whole set, once; 0.6 ms a later load;
lineage: torchvision's ImageFolder, whose numbering of classes it keeps.
The pictures are read from the zip where it lies: 120,000 small files would burden a cluster's file
system; unpacked folders are read too. What is decoded is kept as .npy files and mapped into memory,
so a second worker starts at once and a node holds one copy; it lies in the data set's folder, or,
where that cannot be written, in the cache folder (SUITE_CACHE, or swiftbench in XDG_CACHE_HOME).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from models.data import transfer, unpack
from models.data.sources import SOURCES
from suite.core.errors import DataError
from suite.files import UnsafeFileError, open_lock_file, read_bytes, read_json

FOLDER = "tiny-imagenet-200"
ARCHIVE = f"{FOLDER}.zip"
SIDE = 64
# Version of the arrays that are kept.
FORMAT = 1
CACHE = "tiny_imagenet_uint8"
# Pictures that a thread decodes at a time.
BLOCK = 500
# Most bytes of a picture; they have about 2 kB.
_MOST_BYTES = 1 << 20
_REMEDY = "stage it again: swiftbench fetch tiny_imagenet --to DIR"


class Shape(NamedTuple):
    """n_classes, training pictures a class, validation pictures."""

    n_classes: int
    per_class: int
    n_valid: int


SHAPE = Shape(200, 500, 10_000)


def present(folder: Path) -> bool:
    """Whether the archive or its unpacked folders are there. Reads nothing."""
    return (folder / ARCHIVE).is_file() or all(
        (folder / FOLDER / name).exists()
        for name in ("wnids.txt", "train", "val/images", "val/val_annotations.txt")
    )


def prepare(folder: Path) -> Path:
    """Decode, unless that has been done; the folder with the arrays. One process at a time.

    Raises DataError where files are missing or damaged.
    """
    stamp = _stamp(folder)
    if _is_of(folder / CACHE, stamp):  # needs no right to write
        return folder / CACHE
    place = _place(folder)
    place.mkdir(parents=True, exist_ok=True)
    kept, work = place / CACHE, place / f"{CACHE}.part"
    with os.fdopen(open_lock_file(place / f".{CACHE}.lock"), "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # falls with the process
        if _is_of(kept, stamp):
            return kept
        try:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            with _opened(folder) as pictures:
                _decode(pictures, work)
            (work / "facts.json").write_text(json.dumps({"stamp": stamp}))
            shutil.rmtree(kept, ignore_errors=True)
            work.replace(kept)
        except OSError as error:
            raise DataError(
                f"{place}: decoded pictures cannot be kept there ({error}); make room (1.4 GB) or "
                "set SUITE_CACHE to another folder."
            ) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return kept


def load(folder: Path) -> tuple[Any, Any, Any, Any]:
    """x_train uint8 (100000, 3, 64, 64), y_train int64 (100000,), x_val (10000, ...), y_val.

    The pixels are mapped, not read. Classes are numbered by their wnid in alphabetical order;
    training pictures are sorted by class and number, validation pictures (val_annotations.txt says
    their class) by number.
    Raises DataError where files are missing or damaged, or a picture cannot be decoded.
    """
    kept = prepare(folder)
    n_train, n_valid = SHAPE.n_classes * SHAPE.per_class, SHAPE.n_valid
    try:
        x_train, y_train, x_val, y_val = (
            np.load(kept / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in ("x_train", "y_train", "x_val", "y_val")
        )
    except (OSError, ValueError) as error:
        raise DataError(
            f"{kept}: cannot be read ({error}); remove it, it is made again."
        ) from error
    pixels = (3, SIDE, SIDE)
    shapes = [array.shape for array in (x_train, y_train, x_val, y_val)]
    if shapes != [(n_train, *pixels), (n_train,), (n_valid, *pixels), (n_valid,)]:
        raise DataError(f"{kept}: arrays of {shapes}; remove it, it is made again.")
    return x_train, np.array(y_train), x_val, np.array(y_val)


# --- files ----------------------------------------------------------------------------------------


class _Folders:
    """The unpacked files."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / FOLDER

    def read(self, name: str) -> bytes:
        try:
            return read_bytes(self.root / name, max_bytes=_MOST_BYTES, below=self.root)
        except (OSError, UnsafeFileError) as error:
            raise DataError(f"{self.called(name)}: cannot be read ({error}); {_REMEDY}.") from error

    def called(self, name: str) -> str:
        return str(self.root / name)

    def names(self, inside: str) -> list[str]:
        """What lies in a folder."""
        try:
            return os.listdir(self.root / inside)
        except OSError as error:
            raise DataError(
                f"{self.called(inside)}: cannot be read ({error}); {_REMEDY}."
            ) from error


class _Zipped:
    """The same, in the archive."""

    def __init__(self, path: Path, bundle: zipfile.ZipFile) -> None:
        self.path, self.bundle = path, bundle
        archive = SOURCES["tiny_imagenet"].archive
        assert archive is not None
        self.sizes = {info.filename: info.file_size for info in unpack.members(path, archive)}
        self.folders: dict[str, list[str]] = {}
        for name in self.sizes:
            inside, _, last = name.rpartition("/")
            self.folders.setdefault(inside, []).append(last)

    def read(self, name: str) -> bytes:
        size = self.sizes.get(f"{FOLDER}/{name}")
        if size is None:
            raise DataError(f"{self.called(name)}: is missing; {_REMEDY}.")
        if size > _MOST_BYTES:
            raise DataError(f"{self.called(name)}: more than {_MOST_BYTES} bytes; {_REMEDY}.")
        try:
            return self.bundle.read(f"{FOLDER}/{name}")
        except Exception as error:  # zlib's, zipfile's and the file system's
            raise DataError(f"{self.called(name)}: cannot be read ({error}); {_REMEDY}.") from error

    def called(self, name: str) -> str:
        return f"{self.path}:{FOLDER}/{name}"

    def names(self, inside: str) -> list[str]:
        if f"{FOLDER}/{inside}" not in self.folders:
            raise DataError(f"{self.called(inside)}: is missing; {_REMEDY}.")
        return self.folders[f"{FOLDER}/{inside}"]


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[_Folders | _Zipped]:
    """The unpacked folders where they are, else the archive, if it is the published one."""
    if (folder / FOLDER).is_dir():
        yield _Folders(folder)
        return
    path = folder / ARCHIVE
    transfer.check(path, SOURCES["tiny_imagenet"].files[0])
    with zipfile.ZipFile(path) as bundle:
        yield _Zipped(path, bundle)


def _stamp(folder: Path) -> str:
    """What the decoded pictures were made from, by names, sizes and times only."""
    unpacked = folder / FOLDER
    names = ("wnids.txt", "val/val_annotations.txt", "train") if unpacked.is_dir() else (".",)
    root = unpacked if unpacked.is_dir() else folder / ARCHIVE
    try:
        stats = [(root / name).stat() if name != "." else root.stat() for name in names]
    except OSError as error:
        raise DataError(f"{root}: is not complete ({error}); {_REMEDY}.") from error
    facts = [FORMAT, SHAPE, root.name, [(s.st_size, s.st_mtime_ns) for s in stats]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _is_of(kept: Path, stamp: str) -> bool:
    """Whether a folder of arrays is whole and made from what the stamp says."""
    try:
        facts = read_json(kept / "facts.json", max_bytes=1 << 16, below=kept.parent)
        return isinstance(facts, dict) and facts.get("stamp") == stamp
    except (OSError, ValueError, UnsafeFileError):
        return False


def _place(folder: Path) -> Path:
    if os.access(folder, os.W_OK):
        return folder
    base = os.environ.get("SUITE_CACHE")
    if base is None:
        home = os.environ.get("XDG_CACHE_HOME")
        base = str((Path(home) if home else Path.home() / ".cache") / "swiftbench")
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return Path(base) / f"tiny_imagenet-{name}"


# --- pictures -------------------------------------------------------------------------------------


def _decode(pictures: _Folders | _Zipped, to: Path) -> None:
    """Four .npy files in `to`."""
    wnids = sorted(pictures.read("wnids.txt").decode("ascii", "replace").split())
    if len(set(wnids)) != SHAPE.n_classes or not all(w.isalnum() for w in wnids):
        raise DataError(
            f"{pictures.called('wnids.txt')}: names {len(set(wnids))} classes, must be "
            f"{SHAPE.n_classes}; {_REMEDY}."
        )
    train = [
        (f"train/{wnid}/images/{wnid}_{k}.JPEG", label)
        for label, wnid in enumerate(wnids)
        for k in _numbers(pictures, f"train/{wnid}/images", f"{wnid}_", SHAPE.per_class)
    ]
    classes = _annotations(pictures, {wnid: label for label, wnid in enumerate(wnids)})
    valid = []
    for k in _numbers(pictures, "val/images", "val_", SHAPE.n_valid):
        if f"val_{k}.JPEG" not in classes:
            raise DataError(
                f"{pictures.called('val/val_annotations.txt')}: says nothing of val_{k}.JPEG; "
                f"{_REMEDY}."
            )
        valid.append((f"val/images/val_{k}.JPEG", classes[f"val_{k}.JPEG"]))
    # Decoding holds the interpreter: threads are there for file systems that answer slowly.
    n_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    with ThreadPoolExecutor(min(8, n_threads)) as pool:
        for part, rows in (("train", train), ("val", valid)):
            path = to / f"x_{part}.npy"
            x = np.lib.format.open_memmap(
                path, mode="w+", dtype=np.uint8, shape=(len(rows), 3, SIDE, SIDE)
            )
            with path.open("r+b") as file:  # a full disk is an error here, and a signal later
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)

            def fill(first: int, rows: Sequence[tuple[str, int]] = rows, x: Any = x) -> None:
                for k, (name, _) in enumerate(rows[first : first + BLOCK], first):
                    x[k] = picture(pictures.read(name), pictures.called(name))

            for _ in pool.map(fill, range(0, len(rows), BLOCK)):
                pass
            x.flush()
            np.save(to / f"y_{part}.npy", np.array([label for _, label in rows], np.int64))


def picture(content: bytes, name: str) -> Any:
    """uint8 (3, 64, 64) of a JPEG file's bytes; one of grey levels has three equal planes.

    Raises DataError, with `name`, for one that cannot be decoded or is of another size.
    """
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(content), formats=("JPEG",))  # only its header is read
        if image.size != (SIDE, SIDE):
            raise DataError(f"{name}: {image.size} pixels, must be {SIDE} x {SIDE}; {_REMEDY}.")
        pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    except DataError:
        raise
    except Exception as error:  # Pillow raises many kinds for damaged files
        raise DataError(f"{name}: does not decode ({error}); {_REMEDY}.") from error
    return pixels.transpose(2, 0, 1)


def _numbers(pictures: _Folders | _Zipped, inside: str, prefix: str, n: int) -> list[int]:
    """The numbers in <prefix><number>.JPEG, ascending."""
    numbers = sorted(
        int(name[len(prefix) : -5])
        for name in pictures.names(inside)
        if name.startswith(prefix) and name.endswith(".JPEG") and name[len(prefix) : -5].isdecimal()
    )
    if len(numbers) != n:
        raise DataError(
            f"{pictures.called(inside)}: {len(numbers)} pictures, must be {n}; {_REMEDY}."
        )
    return numbers


def _annotations(pictures: _Folders | _Zipped, labels: dict[str, int]) -> dict[str, int]:
    """The class of each validation picture: lines of file, wnid and a box, with tabs."""
    name = "val/val_annotations.txt"
    class_of = {}
    for row, line in enumerate(pictures.read(name).decode("ascii", "replace").splitlines(), 1):
        file, wnid, *_ = [*line.split("\t"), ""]
        if wnid not in labels:
            raise DataError(
                f"{pictures.called(name)}, line {row}: {wnid[:20]!r} is not in wnids.txt; "
                f"{_REMEDY}."
            )
        class_of[file] = labels[wnid]
    return class_of
