"""The journal: one header line, then one JSON line an event with the commands it caused.
Append-only, never rewritten.

A line: {"event": kind, ...fields, "do": [commands], "trials": {...}, "stopped": {...}, "given_up":
{...}, ...}, what follows the fields only where it holds something. Epoch reports of one job that
came together share a line: each field is a list. The last line of a closed journal is
{"event": "closed", "status": ..., "reason": ...}; a resumed run appends after it. Lines are written
before any command leaves; fsync follows within a second, at a forecast, and at close.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import operator
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.core import types as t
from suite.core.errors import ConfigError, JournalError, StoppedError
from suite.core.moved import BACKENDS, upgraded
from suite.core.printable import printable
from suite.files import UnsafeFileError, open_append, read_bytes
from suite.run.budget import limits_of
from suite.run.journal_lines import decode
from suite.run.journal_reading import (
    FORMAT,
    NAME,
    entries,
    read,
    read_header,
    read_journal,
)
from suite.run.journal_rules import BATCHED, CAUSED, FIELDS, OPTIONAL
from suite.run.lock import FolderLock
from suite.run.secrets import check_secrets, redact
from suite.run.trials import Notes

__all__ = [
    "CAUSED", "FORMAT", "NAME", "Journal", "caused", "decode", "describe", "encode",
    "entries", "read", "read_header", "read_journal", "settings", "simulated",
]  # fmt: skip

SYNC_EVERY_S = 1.0
_MAX_CUT = 1_000_000
"""Bytes of a first line; real ones have less than 10 kB."""
_BEGIN = f'{{"journal":{FORMAT},'.encode()
_NOTES = operator.attrgetter(*CAUSED[1:])
_DUMPS = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def encode(
    events: Sequence[t.Event], commands: Sequence[t.Command], notes: Notes
) -> dict[str, Any]:
    """One journal line as a dict: one event, or several epoch reports of one job (which cause no
    commands).
    """
    first = events[0]
    line: dict[str, Any] = {"event": first.kind}
    if isinstance(first, t.EpochBatch):
        at = first.origin_s
        times = [round(at + end, 6) for end in first.ends_s]
        line |= {
            "worker": first.worker,
            "job_id": first.job_id,
            "epoch": list(range(first.epoch, first.epoch + len(first.objectives))),
            "objective": list(first.objectives),
            "metrics": [{first.metric: value} for value in first.values],
            "train_s": [round(b - a, 6) for a, b in itertools.pairwise(times)],
            "eval_s": [0.0] * (len(times) - 1),
            "time_s": times[1:],
        }
    elif len(events) == 1:
        for name in FIELDS[type(first)]:
            line[name] = getattr(first, name)
        for name in OPTIONAL:
            if name in line and line[name] is None:
                del line[name]
    else:
        assert isinstance(first, t.EpochReport)
        line |= {"worker": first.worker, "job_id": first.job_id}
        line |= {name: [getattr(event, name) for event in events] for name in BATCHED}
    return line | caused(commands, notes)


def caused(commands: Sequence[t.Command], notes: Notes) -> dict[str, Any]:
    """The fields of a line that a step caused; replay compares them."""
    line: dict[str, Any] = {"do": [describe(command) for command in commands]} if commands else {}
    for name, note in zip(CAUSED[1:], _NOTES(notes), strict=True):
        if note:
            line[name] = {str(key): value for key, value in note.items()}
    if notes.given_up:
        line["given_up"] = {str(key): str(why) for key, why in notes.given_up.items()}
    return line


def describe(command: t.Command) -> list[Any]:
    """A command in a few words: what replay compares, and what readers of the journal learn jobs
    from.
    """
    match command:
        case t.Start(worker, job):
            return ["start", worker, job.job_id, job.trial_id, job.from_epoch, job.to_epoch]
        case t.Score(worker, job):
            return ["score", worker, job.job_id, job.trial_id, job.to_epoch]
        case t.Ask(request):
            return ["ask", request.key, len(request.y), len(request.X_new)]
        case t.Release(worker):
            return ["release", worker]
        case t.Shutdown(status, reason):
            return ["shutdown", status, reason]


def run_id(header: Mapping[str, Any]) -> str:
    """The run's id. Raises JournalError where the header has none."""
    name = header.get("run_id")
    if not isinstance(name, str):
        theirs = printable(name, most=60)
        raise JournalError(f"header: run_id={theirs}: must be text; the journal is not continued.")
    return name


def data_label(header: Mapping[str, Any]) -> str | None:
    """The data that the run was begun on, "real" or "stand-in"; None where the header does not say."""
    target = header.get("target")
    label = target.get("data") if isinstance(target, Mapping) else None
    return label if isinstance(label, str) else None


def settings(header: Mapping[str, Any]) -> dict[str, int]:
    """The conductor's `settings` that a journal was written with, where its header holds them.

    Raises JournalError where one is no integer.
    """
    config = _mapping(header.get("config"))
    named = {**_mapping(config.get("backend")), **config}
    known: dict[str, int] = {
        name: named[name] for name in ("min_workers", "resident_trials") if name in named
    }
    for name, value in known.items():
        if type(value) is not int or value < 1:
            raise JournalError(
                f"journal's header: {name}={printable(value, most=60)}: must be an integer >= 1; restore "
                "the journal from a copy."
            )
    return known | limits_of(config.get("budget"))


def simulated(header: Mapping[str, Any]) -> bool:
    """Whether a run's time was made up, by its header or its record.

    Headers of revision 0e27403, and records, name only the backend.
    """
    backend = _mapping(upgraded(_mapping(header.get("config"))).get("backend"))
    return bool(header.get("simulated")) or backend.get("_target_") == BACKENDS["simulate"]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def is_completed(lines: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a journal's lines end with the closing line of a completed run."""
    last = lines[-1] if lines else {}
    return last.get("event") == "closed" and last.get("status") == "completed"


def is_cut_short(path: Path) -> bool:
    """Whether the file is a journal whose process died, or still is, within the first line.

    Only an empty file, and the beginning of a first line as `Journal` writes it, are. A crash of the machine
    may leave zero bytes in place of what was written.
    """
    try:
        data = read_bytes(path, max_bytes=_MAX_CUT)
    except (OSError, UnsafeFileError):
        return False
    written = data.rstrip(b"\0")
    return b"\n" not in data and written[: len(_BEGIN)] == _BEGIN[: len(written)]


class Journal:
    """An open journal. Appends in one place; holds the folder's lock so that two runs cannot share
    it.

    Raises ConfigError where the folder is taken, StoppedError where the disk is full.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any] | None) -> None:
        """A new journal with this header; header=None: the folder's journal, read (`lines`) and
        repaired.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / NAME
        self._lock = FolderLock(folder)
        self._fd = -1
        self.lines: list[dict[str, Any]] = []
        try:
            if header is None:
                self.header, self.lines, self._size = read(self.path)
            elif os.path.lexists(self.path) and not is_cut_short(self.path):
                raise ConfigError(
                    f"run folder {folder.name}: holds a journal already; continue it with "
                    "resume=<folder>."
                )
            else:
                check_secrets(header)
                self.header, self._size = {"journal": FORMAT, **header}, 0
            self._fd = open_append(self.path)
            # Cuts a torn last line off.
            os.ftruncate(self._fd, self._size)
            os.lseek(self._fd, self._size, os.SEEK_SET)
        except BaseException:
            if self._fd >= 0:
                os.close(self._fd)
            self._lock.release(clean=False)
            raise
        self._dirty = False
        self._synced = time.monotonic()
        if header is not None:
            try:
                self.write(self.header)
                self.sync()
            except BaseException:
                # While the folder is held: the next one may have begun a journal of its own.
                with contextlib.suppress(OSError):
                    self.path.unlink()
                self.release()
                raise

    def append(
        self, events: Sequence[t.Event], commands: Sequence[t.Command], notes: Notes
    ) -> None:
        self.write(encode(events, commands, notes))
        if isinstance(events[0], t.Forecast):
            self.sync()
        else:
            self.tick()

    @property
    def is_taken(self) -> bool:
        """Whether another run has taken the folder while this one was silent."""
        return self._lock.is_taken

    def write(self, line: Mapping[str, Any]) -> None:
        """Append the line. Raises StoppedError where it cannot be, or where the folder is another run's."""
        # A process that was suspended would overwrite what its successor has written meanwhile.
        self._lock.pulse()
        data = _DUMPS(line).encode() + b"\n"
        try:
            done = 0
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except OSError as error:
            # Leave whole lines only.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
                os.lseek(self._fd, self._size, os.SEEK_SET)
            raise self._stopped(error) from error
        self._size += len(data)
        self._dirty = True

    def _stopped(self, error: OSError) -> StoppedError:
        return StoppedError(
            f"{self.path.name}: {error.strerror}; the run stopped, the journal is whole up to its "
            "last line. Free space, then continue with resume=<run folder>."
        )

    def tick(self) -> None:
        """fsync if the last one is a second ago and something was written since."""
        self._lock.pulse()
        if self._dirty and time.monotonic() - self._synced >= SYNC_EVERY_S:
            self.sync()

    def sync(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError as error:
            # Network file systems report an exceeded quota here.
            raise self._stopped(error) from error
        self._dirty = False
        self._synced = time.monotonic()

    def close(
        self, status: str, reason: str, time_s: float, energy: Mapping[str, Any] | None = None
    ) -> None:
        """Write the closing line and release the folder. Closing twice does nothing.

        energy: what the batch system reports of the job.
        """
        if self._fd < 0:
            return
        try:
            end = {"event": "closed", "status": status, "reason": redact(reason), "time_s": time_s}
            self.write(end | ({"energy": dict(energy)} if energy else {}))
            self.sync()
        finally:
            self.release(clean=True)

    def release(self, clean: bool = False) -> None:
        """Close the file without a closing line, as a killed process would."""
        if self._fd >= 0:
            os.close(self._fd)
            self._lock.release(clean)
            self._fd = -1
