"""Damaged copies of a run's journal and record, drawn by a seed, and what each reader does with them.

Every reader must refuse a copy by name, or give what the undamaged run gives, or say a doubt: never a
traceback, never a hang, and never another result without a word.
"""

from __future__ import annotations

import copy
import io
import json
import random
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from suite.core.errors import SuiteError
from suite.results import record as records
from suite.results.fold import load_run

DEEP = "[" * 5000 + "]" * 5000
RAW = {
    "deep": DEEP, "deep mapping": '{"a":' * 3000 + "1" + "}" * 3000, "huge integer": "1" + "0" * 400,
    "beyond 64 bits": str(2**70), "overflowing float": "1e999", "largest float": "1.7e308", "NaN": "NaN",
}  # fmt: skip
OTHER = (
    None, True, 7, -1, 0, 1.5, "abc", "", [], {}, [1], {"a": 1}, "\x1b[2J\u202e", 2**53, -1e300,
    [None], {"": None},
)  # fmt: skip


class Mutation(NamedTuple):
    """kind: for counts. what: for a failure's message. data: of the file."""

    kind: str
    what: str
    data: bytes


def lines_of(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def deleted_lines(data: bytes) -> Iterator[Mutation]:
    rows = lines_of(data)
    for i in range(1, len(rows)):
        yield Mutation("line deleted", f"line {i + 1}", b"".join(rows[:i] + rows[i + 1 :]))


def doubled_lines(data: bytes) -> Iterator[Mutation]:
    rows = lines_of(data)
    for i in range(1, len(rows)):
        yield Mutation("line doubled", f"line {i + 1}", b"".join([*rows[: i + 1], *rows[i:]]))


def swapped_lines(data: bytes) -> Iterator[Mutation]:
    rows = lines_of(data)
    for i in range(1, len(rows) - 1):
        swapped = [*rows[:i], rows[i + 1], rows[i], *rows[i + 2 :]]
        yield Mutation("lines swapped", f"lines {i + 1}, {i + 2}", b"".join(swapped))


def flipped_bytes(data: bytes, n: int, seed: int) -> Iterator[Mutation]:
    """One bit of one byte."""
    draw = random.Random(seed)
    for _ in range(n):
        at, bit = draw.randrange(len(data)), draw.randrange(8)
        flipped = bytearray(data)
        flipped[at] ^= 1 << bit
        yield Mutation("byte flipped", f"byte {at}, bit {bit}", bytes(flipped))


def places(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value, inner nodes too."""
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, value in items:
        yield (*at, key)
        yield from places(value, (*at, key))


def changes(document: Any, kind: str) -> Iterator[tuple[str, str]]:
    """(what, JSON text) for each value: taken away, and of every other type and size."""
    for path in places(document):
        name = ".".join(map(str, path))
        yield f"{name} removed", json.dumps(_with(document, path, remove=True))
        for other in OTHER:
            yield f"{name}={other!r}", json.dumps(_with(document, path, other))
        marked = json.dumps(_with(document, path, "@@"))
        for word, raw in RAW.items():
            yield f"{name}={word}", marked.replace('"@@"', raw)


def _with(document: Any, path: tuple[Any, ...], value: Any = None, *, remove: bool = False) -> Any:
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    if remove:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return changed


def header_changes(data: bytes) -> Iterator[Mutation]:
    first, *rest = lines_of(data)
    for what, text in changes(json.loads(first), "header"):
        yield Mutation("header", what, text.encode() + b"\n" + b"".join(rest))


def line_changes(data: bytes) -> Iterator[Mutation]:
    """Each value of each line after the header."""
    rows = lines_of(data)
    for i in range(1, len(rows)):
        for what, text in changes(json.loads(rows[i]), "line"):
            changed = [*rows[:i], text.encode() + b"\n", *rows[i + 1 :]]
            yield Mutation("line", f"line {i + 1}: {what}", b"".join(changed))


def record_changes(data: bytes) -> Iterator[Mutation]:
    for what, text in changes(json.loads(data), "record"):
        yield Mutation("record", what, text.encode())


def sample(mutations: Iterator[Mutation], n: int, seed: int) -> list[Mutation]:
    """n of them; all where there are no more."""
    everything = list(mutations)
    return everything if len(everything) <= n else random.Random(seed).sample(everything, n)


# --- what a reader does ---------------------------------------------------------------------------


class HangError(BaseException):
    """A reader that does not come back."""


@contextmanager
def bounded(seconds: int) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise HangError(f"no answer after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def result(folder: Path) -> str:
    """The record that a journal gives, but what it says of the journal's bytes; with the doubts."""
    view = load_run(folder)
    record = records.of(view)
    records.validate(record)
    del record["journal"]
    return json.dumps(record, sort_keys=True)


def said(command: Callable[[], Any]) -> tuple[int, str]:
    """Exit code and terminal output of a command."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        code = command()
    return code, out.getvalue()


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def outcome(reader: Callable[[Path], str], folder: Path, expected: str, seconds: int = 60) -> str:
    """refused, same, other, traceback or hang. A reader's text must hold no terminal control."""
    try:
        with bounded(seconds):
            text = reader(folder)
    except SuiteError as error:
        return "traceback" if "Traceback" in str(error) else "refused"
    except HangError:
        return "hang"
    except BaseException:
        return "traceback"
    if "Traceback (most recent call last)" in text:
        return "traceback"
    return "same" if text == expected else "other"


def has_control(text: str) -> bool:
    """Whether a terminal would obey a part of it."""
    return _CONTROL.search(text) is not None
