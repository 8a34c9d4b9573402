"""Street View House Numbers, cropped digits (format 2): two MATLAB files, read after their md5 is checked.

hardware: 1 thread of a 2-core x86-64 virtual machine, shared; versions: Python 3.11, scipy 1.16; n:
none was read here, the files were not at hand: the reader was tried on small files of the same form;
lineage: Netzer et al. 2011 (NIPS workshop); checksums as torchvision states them.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from suite.core.errors import DataError
from suite.files import UnsafeFileError, read_bytes

FILES = ("train_32x32.mat", "test_32x32.mat")
MD5 = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}
ROWS = {"train_32x32.mat": 73_257, "test_32x32.mat": 26_032}
CLASSES = 10
# The larger file has 182 MB.
_MOST_BYTES = 1 << 28
_REMEDY = "stage it again: swiftbench fetch svhn --to DIR"


def present(folder: Path) -> bool:
    """Whether both files are there. Reads nothing."""
    return all((folder / name).is_file() for name in FILES)


def load(folder: Path) -> tuple[Any, Any, Any, Any]:
    """x_train uint8 (73257, 3, 32, 32), y_train int64 (73257,), x_test (26032, ...), y_test; y: the digit.

    The rows are in the published order. Raises DataError where a file is missing, or is not the
    published one by its md5.
    """
    (x_train, y_train), (x_test, y_test) = (_read(folder, name) for name in FILES)
    return x_train, y_train, x_test, y_test


def _read(folder: Path, name: str) -> tuple[Any, Any]:
    from scipy.io import loadmat

    path = folder / name
    try:
        content = read_bytes(path, max_bytes=_MOST_BYTES, below=folder)
    except (OSError, UnsafeFileError) as error:
        raise DataError(f"{path}: cannot be read ({error}); {_REMEDY}.") from error
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    # Before anything is parsed: MATLAB's format is not one to read from strangers.
    if md5 != MD5[name]:
        raise DataError(f"{path}: md5 is {md5}, published is {MD5[name]}; {_REMEDY}.")
    table = loadmat(io.BytesIO(content))
    x, y = table["X"], table["y"].reshape(-1).astype(np.int64)
    if x.shape != (32, 32, 3, ROWS[name]) or x.dtype != np.uint8 or y.shape != (ROWS[name],):
        raise DataError(f"{path}: pixels {x.shape} and labels {y.shape}; {_REMEDY}.")
    # The file calls the digit 0 by 10.
    return np.ascontiguousarray(x.transpose(3, 2, 0, 1)), y % CLASSES
