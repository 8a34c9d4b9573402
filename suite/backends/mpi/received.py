"""What comes from a worker is checked before rank 0 acts on it: a worker may be broken, or of other code.

Whatever is not as messages.py tells raises GarbageError with the reason; rank 0 then loses that worker.
"""

from __future__ import annotations

import io
import json
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args

from suite.backends.mpi.messages import Message
from suite.core import types as t
from suite.run.identity import ProcessIdentity

MOST_BYTES = 32 << 20
"""Of one message: some 100,000 epochs."""
MOST_FACTS = 1 << 20
"""Characters of what a worker says of itself, as JSON; it stands in the journal."""
MOST_TEXT = 2000
_MOST_NUMBER = 1 << 53
_LARGEST = sys.float_info.max

EVENTS = (t.EpochReport, t.Checkpointed, t.JobFinished, t.JobFailed, t.Scored)
"""What a worker may report; all other events are rank 0's own."""
_CLASSES = {(cls.__module__, cls.__name__): cls for cls in (*EVENTS, ProcessIdentity)}


class GarbageError(Exception):
    """A message that no worker of this version sends."""


def read(data: bytes | bytearray) -> Message:
    """The message in `data`. Raises GarbageError."""
    try:
        message = _Plain(io.BytesIO(data)).load()
    except GarbageError:
        raise
    except Exception as error:
        # Unpickling raises whatever the bytes make it raise.
        raise GarbageError(
            f"{len(data)} bytes that cannot be read: {type(error).__name__}"
        ) from None
    if not (isinstance(message, tuple) and len(message) == 3):
        raise GarbageError(f"a {type(message).__name__} in place of (word, run, content)")
    word, run_id, content = message
    if not isinstance(word, str) or word not in _CONTENTS:
        raise GarbageError(f"the unknown word {str(word)[:50]!r}")
    if not (run_id is None or (isinstance(run_id, str) and len(run_id) <= 64)):
        raise GarbageError(f"{word} of a run that is a {type(run_id).__name__}")
    try:
        _CONTENTS[word](content)
    except GarbageError as error:
        raise GarbageError(f"{word}: {error}") from None
    except RecursionError:
        raise GarbageError(f"{word}: values nested without end") from None
    except AttributeError as error:
        raise GarbageError(f"{word}: {error}; is its code another version?"[:200]) from None
    return message


class _Plain(pickle.Unpickler):
    """Unpickles plain values and the suite's own messages; nothing else is imported or called."""

    def find_class(self, module: str, name: str) -> Any:
        if (cls := _CLASSES.get((module, name))) is None:
            raise GarbageError(f"a {module}.{name}, which no message holds"[:200])
        return cls


# --- contents ---------------------------------------------------------------------------------------


def _integer(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST_NUMBER


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and -_LARGEST <= value <= _LARGEST


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MOST_TEXT


def _metrics(value: Any) -> bool:
    return isinstance(value, Mapping) and all(_text(k) and _finite(v) for k, v in value.items())


_LEGAL: dict[str, Callable[[Any], bool]] = {
    "int": _integer,
    "float": _finite,
    "float | None": lambda value: value is None or _finite(value),
    "str": _text,
    "Mapping[str, float]": _metrics,
    "FailureReason": lambda value: isinstance(value, str) and value in get_args(t.FailureReason),
}
_FIELDS = {
    cls: [(field.name, _LEGAL[str(field.type)]) for field in fields(cls)]
    for cls in (*EVENTS, ProcessIdentity)
}


def _check_fields(value: Any) -> None:
    for name, legal in _FIELDS[type(value)]:
        # AttributeError: an object of another version.
        if not legal(field := getattr(value, name)):
            shown = (
                f"{field!r}"[:80] if isinstance(field, str | int | float) else type(field).__name__
            )
            raise GarbageError(f"{type(value).__name__}.{name}={shown}")


def _check_events(content: Any) -> None:
    if not isinstance(content, list):
        raise GarbageError(f"a {type(content).__name__}, must be a list")
    for event in content:
        if type(event) not in EVENTS:
            raise GarbageError(f"a {type(event).__name__}, which no worker reports")
        _check_fields(event)


def _check_place(content: Any) -> None:
    if type(content) is not ProcessIdentity:
        raise GarbageError(
            f"a {type(content).__name__}, must be a ProcessIdentity; is its code another version?"
        )
    _check_fields(content)


def _check_facts(content: Any) -> None:
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise GarbageError(f"a {type(content).__name__}, must be facts by name")
    try:
        n = len(json.dumps(content, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise GarbageError(f"facts that JSON cannot hold: {error}"[:200]) from None
    if n > MOST_FACTS:
        raise GarbageError(f"facts of {n} characters; the most is {MOST_FACTS}")


def _check_reason(content: Any) -> None:
    if not _text(content):
        raise GarbageError("a reason that is no short text")


def _check_nothing(content: Any) -> None:
    if content is not None:
        raise GarbageError(f"a {type(content).__name__}, must be nothing")


def _check_ready(content: Any) -> None:
    if not (isinstance(content, tuple) and len(content) == 2):
        raise GarbageError(f"a {type(content).__name__}, must be (port, facts)")
    port, facts = content
    if not (port is None or _integer(port) or _text(port)):
        raise GarbageError(f"a {type(port).__name__}, must be a port")
    _check_facts(facts)


_CONTENTS: dict[str, Callable[[Any], None]] = {
    "hello": _check_place,
    "joined": _check_facts,
    "refused": _check_reason,
    "leaving": _check_reason,
    "events": _check_events,
    "paused": _check_nothing,
    "ended": _check_nothing,
    "ready": _check_ready,
}


# --- the order of a job's events --------------------------------------------------------------------


@dataclass(slots=True)
class Progress:
    """A worker's job, and the last epoch that it has reported."""

    job: t.Job
    score: bool
    reached: int

    def check(self, rank: int, events: Sequence[Any]) -> None:
        """Raise GarbageError for events that this job cannot have, or not in this order."""
        for event in events:
            name = type(event).__name__
            if event.worker != rank:
                raise GarbageError(f"{name} in the name of worker {event.worker}")
            if event.job_id != self.job.job_id:
                raise GarbageError(
                    f"{name} of job {event.job_id}, which is not its own ({self.job.job_id})"
                )
            if isinstance(event, t.EpochReport):
                self._next(event.epoch)
            elif isinstance(event, t.Checkpointed) and not 0 < event.epoch <= self.reached:
                raise GarbageError(f"a checkpoint of epoch {event.epoch} after {self.reached}")
            elif isinstance(event, t.JobFinished) and self.score:
                raise GarbageError("the end of a training that it was not asked for")
            elif isinstance(event, t.JobFinished) and self.reached < self.job.to_epoch:
                raise GarbageError(
                    f"the end of job {event.job_id} at epoch {self.reached}, must reach "
                    f"{self.job.to_epoch}"
                )
            elif isinstance(event, t.Scored) and not self.score:
                raise GarbageError("a score that it was not asked for")

    def _next(self, epoch: int) -> None:
        if self.score or epoch != self.reached + 1 or epoch > self.job.to_epoch:
            raise GarbageError(f"epoch {epoch} after {self.reached}, up to {self.job.to_epoch}")
        self.reached = epoch
