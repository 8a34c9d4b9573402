"""One file from an address or a folder to its place: resumed, bounded, checked, then renamed.

A file that is not yet checked is called NAME.part. Standard library only: login nodes have little
else.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any

from models.data.sources import File
from suite.core.errors import DataError

BLOCK = 1 << 20  # bytes read at once
TIMEOUT_S = 60.0  # of silence on a connection
RETRIES = 2  # after connection errors and answers that tell the server is at fault
PAUSE_S = 2.0  # before the first retry, twice as long before the second
REPORT_S = 10.0  # between progress lines where no terminal shows a bar
_FLEETING = (408, 425, 429)  # with all from 500 on


class _Cut(Exception):
    """This attempt failed; the next may go on."""


class _Past(Exception):
    """The .part file holds at least as much as the address offers."""


class _Refused(Exception):
    """This address will not do; another may."""


class Progress:
    """A bar on stderr; without a terminal plain lines, one every ten seconds."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.stream = stream or sys.stderr
        self.bar = self.stream.isatty()

    def begin(self, name: str, done: int, total: int | None) -> None:
        self.name, self.done, self.total, self.first = name, done, total, done
        self.begun = self.shown = time.monotonic()

    def add(self, n_bytes: int) -> None:
        self.done += n_bytes
        now = time.monotonic()
        if now - self.shown >= (0.1 if self.bar else REPORT_S):
            self.shown = now
            self._show(now)

    def end(self) -> None:
        self._show(time.monotonic())
        if self.bar:
            self.stream.write("\n")

    def say(self, text: str) -> None:
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def _show(self, now: float) -> None:
        rate = (self.done - self.first) / max(now - self.begun, 1e-6)
        text = f"{self.name}: {self.done / 1e6:.1f} MB"
        if self.total:
            share = min(self.done / self.total, 1.0)
            left = (self.total - self.done) / rate if rate else float("inf")
            marks = f" [{'#' * round(24 * share):24}]" if self.bar else ""
            text = f"{text} of {self.total / 1e6:.1f}{marks} {share:4.0%}"
            text += f", {left:.0f} s left" if 0 < left < 1e6 else ""
        text += f", {rate / 1e6:.1f} MB/s"
        self.stream.write(f"\r{text:<100}" if self.bar else f"{text}\n")
        self.stream.flush()


# --- checking -------------------------------------------------------------------------------------


def check(path: Path, file: File, called: Path | None = None) -> str:
    """What was checked, in words. `called` stands in messages instead of `path`.

    Raises DataError naming the file, what was expected and what was found.
    """
    name = called or path
    try:
        found = path.stat().st_size
        if file.n_bytes is not None and found != file.n_bytes:
            raise DataError(f"{name}: {found} bytes, published are {file.n_bytes}; stage it again.")
        if file.checksum is None:
            return f"{found} bytes; no checksum is published, sha256:{digest(path, 'sha256')}"
        kind, _, expected = file.checksum.partition(":")
        if (got := digest(path, kind)) != expected.lower():
            raise DataError(
                f"{name}: {kind} is {got}, published is {expected}: damaged or another version; "
                "stage it again."
            )
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error}); stage it again.") from error
    return f"{found} bytes, {file.checksum}"


def digest(path: Path, kind: str) -> str:
    """Hexadecimal md5 or sha256 of a file. Raises DataError for another kind, OSError."""
    if kind not in ("md5", "sha256"):
        raise DataError(f"{path}: checksum of kind {kind}; known are md5 and sha256.")
    with path.open("rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.new(kind, usedforsecurity=False)
        ).hexdigest()


# --- getting --------------------------------------------------------------------------------------


def get(file: File, folder: Path, most_bytes: int, progress: Progress) -> None:
    """`file` from its first address that has it, to `folder`.

    Raises DataError where none has it, or what it has is not what was published.
    """
    part = folder / f"{file.name}.part"
    problems: list[str] = []
    for address in file.addresses:
        try:
            _download(address, part, file, most_bytes, progress)
            break
        except _Refused as error:
            problems.append(str(error))
    else:
        raise DataError(
            f"{folder / file.name}: {'; '.join(problems)}; fetch it by hand, or name a mirror or a "
            "folder with --from."
        )
    _settle(part, file, folder)


def copy(source: Path, file: File, folder: Path, progress: Progress) -> None:
    """`file` from another folder to `folder`. Raises DataError where it is missing or damaged."""
    part = folder / f"{file.name}.part"
    try:
        with source.open("rb") as reader, part.open("wb") as writer:
            progress.begin(file.name, 0, source.stat().st_size)
            while block := reader.read(BLOCK):
                writer.write(block)
                progress.add(len(block))
            progress.end()
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DataError(f"{source}: cannot be copied to {folder} ({error}).") from error
    _settle(part, file, folder)


def text(address: str, most_bytes: int = 1 << 24) -> bytes:
    """A small answer, as received. Raises DataError."""
    why = ""
    for attempt in range(RETRIES + 1):
        _pause(attempt)
        try:
            with _open(address) as response:
                answer: bytes = response.read(most_bytes + 1)
        except _Refused as error:
            raise DataError(f"{error}; fetch by hand, or name a folder with --from.") from error
        except (_Cut, OSError, http.client.HTTPException) as error:
            why = _words(error)
            continue
        if len(answer) > most_bytes:
            raise DataError(f"{address}: answers more than {most_bytes} bytes.")
        return answer
    raise DataError(f"{address}: {why}; try again later, or name a mirror or folder with --from.")


def _settle(part: Path, file: File, folder: Path) -> None:
    try:
        check(part, file, folder / file.name)
    except DataError as error:
        part.unlink(missing_ok=True)
        raise DataError(f"{error} What was received is removed.") from error
    part.replace(folder / file.name)


def _download(address: str, part: Path, file: File, most_bytes: int, progress: Progress) -> None:
    why = ""
    for attempt in range(RETRIES + 1):
        _pause(attempt)
        try:
            return _attempt(address, part, file, most_bytes, progress)
        except (_Cut, OSError, http.client.HTTPException) as error:
            full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
            if full or (isinstance(error, OSError) and error.filename is not None):
                raise DataError(f"{part}: cannot be written ({error}).") from error
            why = _words(error)
            progress.say(f"{file.name}: {why}")
    kept = part.stat().st_size if part.exists() else 0
    goes_on = f"the same command goes on at byte {kept}" if file.checksum and kept else "try again"
    raise DataError(f"{address}: {why}, {RETRIES + 1} times; {goes_on}, or use --from.")


def _attempt(address: str, part: Path, file: File, most_bytes: int, progress: Progress) -> None:
    """One connection. Without a checksum nothing would tell whether two halves fit: no resuming."""
    have = part.stat().st_size if part.exists() and file.checksum else 0
    if file.n_bytes is not None and have >= file.n_bytes:
        if have == file.n_bytes:
            return
        have = 0
    try:
        opened = _open(address, have)
    except _Past:
        part.unlink()
        raise _Cut(f"fewer than the {have} bytes of the .part file are offered; anew") from None
    with opened as response:
        if response.status == 206:
            began = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            if have == 0 or began is None or int(began[1]) != have:
                part.unlink(missing_ok=True)
                raise _Cut("the server answered with other bytes than asked for")
        else:
            have = 0
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else None
        most = most_bytes if file.n_bytes is None else file.n_bytes
        if total is not None and file.n_bytes not in (None, total):
            raise _Refused(f"{address}: offers {total} bytes, published are {file.n_bytes}")
        if total is not None and total > most:
            raise _Refused(f"{address}: offers {total} bytes, at most {most} are expected")
        progress.begin(file.name, have, total)
        with part.open("ab" if have else "wb") as writer:
            while block := response.read(BLOCK):
                have += len(block)
                if have > most:
                    raise _Refused(f"{address}: sends more than {most} bytes")
                writer.write(block)
                progress.add(len(block))
            writer.flush()
            os.fsync(writer.fileno())
    progress.end()
    if total is not None and have < total:
        raise _Cut(f"the connection was cut at {have} of {total} bytes")


def _open(address: str, have: int = 0) -> Any:
    if not address.startswith(("http://", "https://")):
        raise _Refused(f"{address}: must begin with http:// or https://")
    headers = {"User-Agent": "swiftbench", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        return urllib.request.urlopen(
            urllib.request.Request(address, headers=headers), timeout=TIMEOUT_S
        )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:
            raise _Past from error
        if error.code >= 500 or error.code in _FLEETING:
            raise _Cut(f"HTTP {error.code} {error.reason}") from error
        raise _Refused(f"{address}: HTTP {error.code} {error.reason}") from error


def _pause(attempt: int) -> None:
    if attempt:
        time.sleep(PAUSE_S * attempt)


def _words(error: BaseException) -> str:
    return str(getattr(error, "reason", "") or error) or type(error).__name__
