"""Foreign text on a terminal, in a log or in a page: what a file, a journal or a server says is only shown.

A terminal obeys escape sequences, a newline begins a line that looks like the suite's own, and bidirectional
controls show text in another order than it stands in. Every string that came from a file, a header, another
process or the network passes here before it is printed or put into a message.
"""

from __future__ import annotations

import contextlib
import sys


def printable(text: object, *, lines: bool = False, most: int | None = None) -> str:
    """`str(text)` with every character that is not printable as its escape, as `repr` writes it.

    lines: newlines stay; for a text of several lines that the suite itself worded. most: characters that
    are shown; what is longer is cut, with "..." in its place. Never raises, whatever `text` is; the result
    can be encoded as UTF-8.

    >>> printable("a\\x1b[2Jb\\u202e\\nc")
    'a\\\\x1b[2Jb\\\\u202e\\\\nc'
    """
    try:
        # Of a subclass too: what it answers must be text itself.
        text = "".join(str(text))
    except Exception:
        text = f"<{type(text).__name__}>"
    if most is not None and len(text) > most:
        text = text[:most] + "..."
    if text.isprintable():
        return text
    if lines:
        return "\n".join(map(_escaped, text.split("\n")))
    return _escaped(text)


def _escaped(text: str) -> str:
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def hours(seconds: float) -> str:
    """A time as people read it: hours and minutes; seconds below a minute.

    >>> hours(73236), hours(59)
    ('20:21 h', '59 s')
    """
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d} h"


def forgiving_streams() -> None:
    """Let stdout and stderr write what their encoding lacks as an escape, and not raise."""
    for stream in (sys.stdout, sys.stderr):
        # A stream that was replaced (a test's, a notebook's) may have no such method.
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
