"""The origin that a checkpoint records, and the errors for a damaged file or another trial's file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pickle
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError, DataError

VERSION = 1
_DAMAGED = (
    pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, LookupError,
    TypeError, AttributeError, RuntimeError,
)  # fmt: skip


def identity(target: str, *settings: Any) -> dict[str, Any]:
    """A checkpoint's origin: version, target, and a digest of all settings (plain JSON or mappings)."""
    plain = [dict(part) if isinstance(part, Mapping) else part for part in settings]
    text = json.dumps(plain, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {"version": VERSION, "target": target, "config_sha256": digest}


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """A context for reading the file `path`: errors of a damaged file become a DataError."""
    try:
        yield
    except _DAMAGED as error:
        # torch's is a RuntimeError.
        if type(error).__name__ == "OutOfMemoryError":
            raise
        raise DataError(
            f"checkpoint={path}: is damaged or not a checkpoint ({type(error).__name__}); remove it, the "
            "trial then starts from an older one or anew."
        ) from error


def check_origin(path: Path, written: Any, origin: Mapping[str, Any]) -> None:
    """Raise ConfigError where the file's origin, as read, is not this trial's."""
    for key, value in origin.items():
        had = written.get(key) if isinstance(written, dict) else None
        if had != value:
            raise ConfigError(
                f"checkpoint={path}: {key} is {had}, this trial's is {value}; resume with the "
                "configuration and version that wrote it, or remove it."
            )


def refuse_other_framework(path: Path, framework: str) -> None:
    """Raise ConfigError where the file is a checkpoint of the other framework's target: those of torch's
    targets are torch's own archives, those of TensorFlow's are numpy's. A damaged file passes: who reads it
    says so.
    """
    with contextlib.suppress(OSError, zipfile.BadZipFile, *_DAMAGED), zipfile.ZipFile(path) as file:
        names = file.namelist()
        written = (
            "tensorflow" if any(name.endswith(".npy") for name in names)
            else "torch" if any(name.endswith("/data.pkl") for name in names)
            else framework
        )  # fmt: skip
        if written != framework:
            raise ConfigError(
                f"checkpoint={path}: was written by a target of {written}, this trial's is of {framework}; "
                "resume with the target that wrote it, or remove it."
            )
