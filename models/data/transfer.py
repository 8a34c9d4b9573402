"""One file from an address or a folder to its place: resumed, bounded, checked, then renamed.

A file that is not yet checked is called NAME.part. Standard library only: login nodes have little
else.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import queue
import re
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from models.data.sources import File
from suite.core.errors import DataError
from suite.core.printable import printable
from suite.files import UnsafeFileError, open_append, open_regular

# Bytes read at once.
BLOCK = 1 << 20
# Longest silence on a connection.
TIMEOUT_S = 60.0
# Least bytes a second, over TIMEOUT_S. Slower, and a retry may meet a better server.
LEAST_RATE = 1000
# Longest wait for the headers of an answer, redirections included.
ANSWER_S = 180.0
# Most bytes of a publisher's listing.
MAX_ANSWER = 1 << 24
# Retries after connection errors and server errors.
RETRIES = 2
# Pause before the first retry; twice as long before the second.
PAUSE_S = 2.0
# Interval of the progress lines if there is no terminal for a bar.
REPORT_S = 10.0
# HTTP status codes to retry, with all from 500 on.
_FLEETING = (408, 425, 429)


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
    """Returns what was checked, in words. called: the name in messages, instead of `path`.

    Raises DataError naming the file, what was expected and what was found.
    """
    name = called or path
    try:
        with open_regular(path) as opened:
            size = os.fstat(opened.fileno()).st_size
        if file.n_bytes is not None and size != file.n_bytes:
            raise DataError(f"{name}: {size} bytes, published are {file.n_bytes}; stage it again.")
        if file.checksum is None:
            return f"{size} bytes; no checksum is published, sha256:{digest(path, 'sha256')}"
        kind, _, expected = file.checksum.partition(":")
        if (got := digest(path, kind)) != expected.lower():
            raise DataError(
                f"{name}: {kind} is {got}, published is {expected}: damaged or another version; "
                "stage it again."
            )
    except (OSError, UnsafeFileError) as error:
        raise DataError(f"{name}: cannot be read ({error}); stage it again.") from error
    return f"{size} bytes, {file.checksum}"


def size_of(path: Path) -> int:
    """Bytes of a regular file; 0 where there is none. Raises UnsafeFileError for a link or a pipe."""
    try:
        with open_regular(path) as file:
            return os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return 0


def _writer(part: Path, have: int) -> IO[bytes]:
    """The .part file, cut to `have` bytes and open at its end. Raises UnsafeFileError for a link."""
    writer = os.fdopen(open_append(part), "r+b")
    try:
        writer.truncate(have)
        writer.seek(have)
    except BaseException:
        writer.close()
        raise
    return writer


def digest(path: Path, kind: str) -> str:
    """Hexadecimal md5 or sha256 of a file. Raises DataError for another kind, OSError."""
    if kind not in ("md5", "sha256"):
        raise DataError(f"{path}: checksum of kind {kind}; known are md5 and sha256.")
    with open_regular(path) as file:
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
        with open_regular(source) as reader, _writer(part, 0) as writer:
            progress.begin(file.name, 0, os.fstat(reader.fileno()).st_size)
            while block := reader.read(BLOCK):
                writer.write(block)
                progress.add(len(block))
            writer.flush()
            os.fsync(writer.fileno())
            progress.end()
    except (OSError, UnsafeFileError) as error:
        part.unlink(missing_ok=True)
        raise DataError(f"{source}: cannot be copied to {folder} ({error}).") from error
    _settle(part, file, folder)


def text(address: str, most_bytes: int = MAX_ANSWER) -> bytes:
    """A small answer, as received. Raises DataError."""
    why = ""
    for attempt in range(RETRIES + 1):
        _pause(attempt)
        try:
            with _open(address) as response:
                answer = b"".join(_blocks(response, most_bytes + 1))
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
    kept = size_of(part)
    remedy = (
        f"run the same command to continue at byte {kept}"
        if file.checksum and kept
        else "try again"
    )
    raise DataError(f"{address}: {why}, {RETRIES + 1} times; {remedy}, or use --from.")


def _attempt(address: str, part: Path, file: File, most_bytes: int, progress: Progress) -> None:
    """One connection. Without a checksum nothing would tell whether two halves fit: no resuming."""
    have = size_of(part) if file.checksum else 0
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
        total = have + int(length) if re.fullmatch("[0-9]{1,18}", length) else None
        most = most_bytes if file.n_bytes is None else file.n_bytes
        if total is not None and file.n_bytes not in (None, total):
            raise _Refused(f"{address}: offers {total} bytes, published are {file.n_bytes}")
        if total is not None and total > most:
            raise _Refused(f"{address}: offers {total} bytes, at most {most} are expected")
        progress.begin(file.name, have, total)
        with _writer(part, have) as writer:
            for block in _blocks(response):
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


def _blocks(response: Any, most: int | None = None) -> Iterator[bytes]:
    """What arrives, as it arrives, at most `most` bytes in all.

    Raises _Cut where less than LEAST_RATE bytes a second came within a span of TIMEOUT_S: the time-out of a
    connection alone counts from byte to byte, and a server that sends one now and then never ends.
    """
    since, came, left = time.monotonic(), 0, most
    while left != 0 and (block := response.read1(BLOCK if left is None else min(left, BLOCK))):
        came += len(block)
        if left is not None:
            left -= len(block)
        yield block
        if (span := time.monotonic() - since) >= TIMEOUT_S:
            if came < LEAST_RATE * span:
                raise _Cut(f"{came} bytes came in {span:.0f} s, fewer than {LEAST_RATE} a second")
            since, came = time.monotonic(), 0


class _SameOrSafer(urllib.request.HTTPRedirectHandler):
    """Redirections to http and https only, and none that leaves https."""

    def redirect_request(
        self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str
    ) -> Any:
        kind = newurl.partition("://")[0].lower()
        if kind not in ("http", "https") or (req.type == "https" and kind != "https"):
            shown = printable(newurl, most=200)
            raise _Refused(f"{req.full_url}: is redirected to {shown}, which is refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """What opens http and https, and nothing else: no ftp, no local files."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPErrorProcessor, _SameOrSafer,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener


def _open(address: str, have: int = 0) -> Any:
    if not address.startswith(("http://", "https://")):
        raise _Refused(f"{printable(address)}: must begin with http:// or https://")
    headers = {"User-Agent": "swiftbench", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        request = urllib.request.Request(address, headers=headers)
        return _within(lambda: _opener().open(request, timeout=TIMEOUT_S))
    except urllib.error.HTTPError as error:
        error.close()
        why = f"HTTP {error.code} {printable(error.reason, most=200)}"
        if error.code == 416 and have:
            raise _Past from error
        if error.code >= 500 or error.code in _FLEETING:
            raise _Cut(why) from error
        raise _Refused(f"{address}: {why}") from error
    except ValueError as error:
        # A redirection to what is no address, a status line or a header that is none.
        raise _Refused(
            f"{address}: answers what is not HTTP ({printable(error, most=200)})"
        ) from error


def _within(ask: Callable[[], Any]) -> Any:
    """`ask()`, or _Cut after ANSWER_S: headers that come a byte at a time beat a connection's time-out."""
    answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put((ask(), None))
        except BaseException as error:
            answers.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        answer, error = answers.get(timeout=ANSWER_S)
    except queue.Empty:
        raise _Cut(f"no answer within {ANSWER_S:g} s") from None
    if error is not None:
        raise error
    return answer


def _pause(attempt: int) -> None:
    if attempt:
        time.sleep(PAUSE_S * attempt)


def _words(error: BaseException) -> str:
    words = str(getattr(error, "reason", "") or error) or type(error).__name__
    return printable(words, most=300)
