"""Reading: regular files only, never blocking, bounded in bytes; JSON bounded in depth."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from suite.files.walk import LINK, UnsafeFileError, enter, parent_folder, shown

MAX_JSON_DEPTH = 64
# No file of the suite holds an integer beyond 64 bits; a float made of a longer one would overflow.
_LARGEST = 2**63
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])', re.DOTALL)

__all__ = ["UnsafeFileError"]


def check_regular(descriptor: int, path: Path, max_bytes: int | None = None) -> os.stat_result:
    """The facts of an open file. Raises UnsafeFileError where it is not a regular file or too large."""
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        raise UnsafeFileError(
            f"{shown(path)}: is a folder, a pipe or a device; must be a regular file; put one in its place."
        )
    if max_bytes is not None and facts.st_size > max_bytes:
        raise UnsafeFileError(
            f"{shown(path)}: size={facts.st_size} bytes: must be at most {max_bytes}; it is not read."
        )
    return facts


def open_descriptor(path: Path, below: Path | None, flags: int, mode: int = 0o644) -> int:
    """A descriptor of the regular file `path`, opened with `flags`; the caller closes it."""
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    with parent_folder(path, below, make=bool(flags & os.O_CREAT)) as (folder, name):
        try:
            descriptor = os.open(name, flags, mode, dir_fd=folder)
        except IsADirectoryError:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except OSError as error:
            # ENXIO: a pipe without a reader, or a socket.
            if error.errno not in (*LINK, errno.ENXIO):
                raise
            raise UnsafeFileError(
                f"{shown(path)}: is a link or a pipe, which is not opened in a run, data or store folder; "
                "put a regular file in its place."
            ) from None
    try:
        check_regular(descriptor, path)
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_regular(
    path: Path, *, below: Path | None = None, max_bytes: int | None = None
) -> io.BufferedReader:
    """`path` opened for reading, as bytes.

    below: the folder that the user named (by default the parent of `path`); from there on no link is
    followed. max_bytes: the largest size that is accepted.

    Raises UnsafeFileError for anything but a regular file of at most `max_bytes`, and OSError as `open` does.
    """
    descriptor = open_descriptor(path, below, os.O_RDONLY)
    try:
        check_regular(descriptor, path, max_bytes)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path, *, max_bytes: int, below: Path | None = None) -> bytes:
    """The whole file. Raises as `open_regular` does."""
    with open_regular(path, below=below, max_bytes=max_bytes) as file:
        # A file that grows while it is read stays bounded.
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise UnsafeFileError(f"{shown(path)}: must be at most {max_bytes} bytes; it is not read.")
    return data


def read_text(path: Path, *, max_bytes: int, below: Path | None = None) -> str:
    """The whole file as UTF-8; a leading byte order mark is left out.

    Raises as `open_regular` does, and UnsafeFileError where the bytes are not UTF-8, with the place.
    """
    try:
        return read_bytes(path, max_bytes=max_bytes, below=below).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnsafeFileError(
            f"{shown(path)}: byte {error.start} is not UTF-8 text; save the file as UTF-8."
        ) from None


def read_json(path: Path, *, max_bytes: int, below: Path | None = None) -> Any:
    """The file's JSON value by `parse_json`. Raises as `read_text` does; ValueError names the file."""
    text = read_text(path, max_bytes=max_bytes, below=below)
    try:
        return parse_json(text)
    except ValueError as error:
        raise ValueError(f"{shown(path)}: is not JSON as the suite writes it: {error}") from None


def parse_json(text: str, *, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """JSON as the suite writes it: no NaN or Infinity, integers of at most 64 bits, finite floats, and at
    most MAX_JSON_DEPTH levels. pairs: `json.loads`'s object_pairs_hook.

    Raises ValueError for everything else; never RecursionError or OverflowError.
    """
    check_depth(text)
    return (_DECODER if pairs is None else _decoder(pairs)).decode(text)


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `parse_json`: a mapping. Raises ValueError for a key twice; JSON keeps the last one."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key!r} stands twice")
        found[key] = value
    return found


def check_depth(text: str) -> None:
    """Raises ValueError where brackets nest deeper than MAX_JSON_DEPTH."""
    # The usual line has few brackets in all; only others are looked at closely.
    if text.count("[") + text.count("{") <= MAX_JSON_DEPTH:
        return
    depth = 0
    for match in _BRACKETS.finditer(text):
        depth += (match[1] is not None) - (match[2] is not None)
        if depth > MAX_JSON_DEPTH:
            raise ValueError(f"nests deeper than {MAX_JSON_DEPTH} levels")


def refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def bounded_integer(digits: str) -> int:
    if len(digits) > 20 or not -_LARGEST <= int(digits) < 2 * _LARGEST:
        raise ValueError(f"the integer {digits[:20]}... is beyond 64 bits")
    return int(digits)


def finite_float(digits: str) -> float:
    value = float(digits)
    if value - value != 0:
        raise ValueError(f"the number {digits[:30]} is beyond the range of a float")
    return value


def list_folder(path: Path, *, below: Path | None = None) -> list[str]:
    """The names in a folder, sorted. Raises UnsafeFileError where it is a link or no folder."""
    if below is None or path == below:
        return sorted(os.listdir(path))
    with parent_folder(path, below) as (folder, name):
        descriptor = enter(folder, name, path)
        try:
            return sorted(os.listdir(descriptor))
        finally:
            os.close(descriptor)


def _decoder(pairs: Callable[[list[tuple[str, Any]]], Any] | None) -> json.JSONDecoder:
    return json.JSONDecoder(
        parse_constant=refuse_constant,
        parse_int=bounded_integer,
        parse_float=finite_float,
        object_pairs_hook=pairs,
    )


_DECODER = _decoder(None)
