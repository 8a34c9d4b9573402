"""CIFAR-10's python batches: read where they lie, unpacked or not, and nothing in them is executed.

hardware: 1 thread of a 2-core x86-64 virtual machine with a load of 5; versions: Python 3.11, numpy
2.4; n = 5, random pixels in the real format; number: 1.5 s (0.9..3.3) from unpacked batches, md5
included; lineage: the publisher's description of its python version (Krizhevsky 2009).
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from models.data import array_pickle
from models.data.sources import CIFAR10_FOLDER, CIFAR10_MD5
from suite.core.errors import DataError
from suite.files import UnsafeFileError, open_regular, read_bytes

ARCHIVE = "cifar-10-python.tar.gz"
TRAIN = tuple(f"data_batch_{k}" for k in range(1, 6))
TEST = ("test_batch",)
# Images in a batch.
ROWS = 10_000
# The red, green and blue plane, each row by row.
PIXELS = 3 * 32 * 32
CLASSES = 10
# A batch has 31 MB.
_MOST_BYTES = 1 << 26
_REMEDY = "stage it again: swiftbench fetch cifar10 --to DIR"


def present(folder: Path) -> bool:
    """Whether the batches, or the archive with them, are there. Reads nothing."""
    unpacked = folder / CIFAR10_FOLDER
    return all((unpacked / name).is_file() for name in TRAIN + TEST) or (folder / ARCHIVE).is_file()


def load(folder: Path) -> tuple[Any, Any, Any, Any]:
    """x_train uint8 (50000, 3, 32, 32), y_train int64 (50000,), x_test (10000, ...), y_test.

    The rows are in the published order.
    Raises DataError where a batch is missing, or is not the published one by its md5.
    """
    names = TRAIN + TEST
    x = np.empty((len(names) * ROWS, PIXELS), np.uint8)
    y = np.empty(len(names) * ROWS, np.int64)
    missing = set(names)
    # One at a time: a worker has little memory to spare.
    for name, content in _batches(folder):
        k = names.index(name) * ROWS
        x[k : k + ROWS], y[k : k + ROWS] = batch(content, f"{folder}: {name}")
        missing.discard(name)
    if missing:
        raise DataError(f"{folder}: {min(missing)} is missing; {_REMEDY}.")
    images, n = x.reshape(-1, 3, 32, 32), len(TRAIN) * ROWS
    return images[:n], y[:n], images[n:], y[n:]


def batch(content: bytes, name: str) -> tuple[Any, Any]:
    """Pixels uint8 (10000, 3072) and labels int64 (10000,) of one batch's bytes.

    Raises DataError, with `name`, for anything else.
    """
    try:
        fields = array_pickle.load(content, encoding="bytes")
        x = _pixels(fields[b"data"])
        y = np.array(fields[b"labels"])
    except DataError as error:
        raise DataError(f"{name}: is no CIFAR-10 batch: {error} {_REMEDY}.") from error
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to ask for
        raise DataError(f"{name}: is no CIFAR-10 batch ({error!r}); {_REMEDY}.") from error
    if x.shape != (ROWS, PIXELS) or y.shape != (ROWS,) or y.dtype.kind != "i":
        raise DataError(
            f"{name}: pixels {x.shape} and labels {y.shape} of {y.dtype}, must be {(ROWS, PIXELS)} "
            f"and {(ROWS,)} integers; {_REMEDY}."
        )
    if y.min() < 0 or y.max() >= CLASSES:
        raise DataError(f"{name}: a label is not within 0 and {CLASSES - 1}; {_REMEDY}.")
    return x, y


def _pixels(array: Any) -> Any:
    pixels = array.numpy()
    if pixels.dtype != np.uint8 or array.order != "C":
        raise DataError(f"holds an array of {pixels.dtype}, must be bytes row by row.")
    return pixels


# --- files ----------------------------------------------------------------------------------------


def _batches(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents, each of its published md5."""
    unpacked, archive = folder / CIFAR10_FOLDER, folder / ARCHIVE
    if not unpacked.is_dir() and archive.is_file():
        yield from _from_archive(archive)
        return
    for name in TRAIN + TEST:
        try:
            content = read_bytes(unpacked / name, max_bytes=_MOST_BYTES, below=folder)
        except (OSError, UnsafeFileError) as error:
            raise DataError(f"{unpacked / name}: cannot be read ({error}); {_REMEDY}.") from error
        yield name, _checked(content, name, unpacked / name)


def _from_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    wanted = {f"{CIFAR10_FOLDER}/{name}": name for name in TRAIN + TEST}
    try:
        with open_regular(path) as file, tarfile.open(fileobj=file, mode="r|gz") as archive:
            for member in archive:
                name = wanted.get(member.name.removeprefix("./"))
                if name is None:
                    continue
                if not member.isreg() or member.size > _MOST_BYTES:
                    raise DataError(f"{path}: {member.name} is no plain batch; {_REMEDY}.")
                content = archive.extractfile(member)
                assert content is not None, "a regular member has content"
                yield name, _checked(content.read(), name, f"{path}:{member.name}")
    except (
        tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, OSError, ValueError, UnsafeFileError
    ) as error:  # fmt: skip
        raise DataError(f"{path}: is damaged ({error}); {_REMEDY}.") from error


def _checked(content: bytes, name: str, called: object) -> bytes:
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 != CIFAR10_MD5[name]:
        raise DataError(f"{called}: md5 is {md5}, published is {CIFAR10_MD5[name]}; {_REMEDY}.")
    return content
