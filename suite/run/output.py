"""What a command prints: without secrets and control characters of others, and never an error of its own."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from suite.core.printable import printable
from suite.run.secrets import redact

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\r(?!\n)")
# A progress line goes back to its beginning and clears the line.
_REWRITE = re.compile("\r(?:\x1b\\[K)?")


class Output:
    """A stream that a command prints to: each text redacted and readable.

    A reader that has gone (`| head`), a full disk under a log or a character that the terminal's encoding
    lacks must not end a run: what cannot be written is dropped, or escaped.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        start = _REWRITE.match(text)
        head = start[0] if start else ""
        rest = redact(text[len(head) :])
        # A backstop: `printable` is called where foreign text is put into a line.
        shown = head + _CONTROL.sub(lambda match: printable(match[0]), rest)
        try:
            self._stream.write(shown)
        except UnicodeEncodeError:
            encoding = self._stream.encoding or "ascii"
            self._tried(
                lambda: self._stream.write(
                    shown.encode(encoding, "backslashreplace").decode(encoding)
                )
            )
        except (OSError, ValueError):
            self._silence()
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._tried(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _tried(self, action: Callable[[], object]) -> None:
        try:
            action()
        except (OSError, ValueError):
            self._silence()

    def _silence(self) -> None:
        """Let what is still buffered go nowhere: Python would complain of it at its end."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """stdout and stderr as `Output`; a stream that was closed from the beginning stays so."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_guarded(stream) for stream in before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, Output):
                stream.flush()
        sys.stdout, sys.stderr = before


def _guarded(stream: TextIO) -> Any:
    return stream if stream is None or isinstance(stream, Output) else Output(stream)
