"""The journal: one header line, then one JSON line an event with the commands it caused.
Append-only, never rewritten.

A line: {"event": kind, ...fields, "do": [commands], "trials": {...}, "stopped": {...}, "given_up":
{...}, ...}, what follows the fields only where it holds something. Epoch reports of one job that
came together share a line: each field is a list. The last line of a closed journal is
{"event": "closed", "status": ..., "reason": ...}; a resumed one goes on after it. Lines are written
before any command leaves; fsync follows within a second, at a forecast, and at close.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.core import types as t
from suite.core.errors import ConfigError, JournalError, StoppedError
from suite.run.lock import FolderLock
from suite.run.secrets import check_secrets, redact
from suite.run.trials import Notes

FORMAT = 1
NAME = "journal.jsonl"
CAUSED = ("do", "trials", "stopped", "given_up", "benched", "counted", "measured")
SYNC_EVERY_S = 1.0
_DUMPS = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_FIELDS = {cls: tuple(f.name for f in dataclasses.fields(cls)) for cls in t.EVENTS.values()}
_OPTIONAL = ("stds", "sampler_info", "energy_j")  # left out where None
_BATCHED = tuple(name for name in _FIELDS[t.EpochReport] if name not in ("worker", "job_id"))


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
        for name in _FIELDS[type(first)]:
            line[name] = getattr(first, name)
        for name in _OPTIONAL:
            if name in line and line[name] is None:
                del line[name]
    else:
        assert isinstance(first, t.EpochReport)
        line |= {"worker": first.worker, "job_id": first.job_id}
        line |= {name: [getattr(event, name) for event in events] for name in _BATCHED}
    return line | caused(commands, notes)


def caused(commands: Sequence[t.Command], notes: Notes) -> dict[str, Any]:
    """What a line says of the step's outcome: what replay compares."""
    found: dict[str, Any] = {"do": [describe(command) for command in commands]} if commands else {}
    for name in CAUSED[1:]:
        if note := getattr(notes, name):
            found[name] = {str(key): value for key, value in note.items()}
    return found


def decode(line: Mapping[str, Any]) -> list[t.Event]:
    """The events of one line; none for the closing line."""
    kind = line["event"]
    if kind == "closed":
        return []
    cls = t.EVENTS[kind]
    if cls is t.EpochReport and isinstance(line["epoch"], list):
        worker, job_id = line["worker"], line["job_id"]
        return [
            t.EpochReport(worker, job_id, **dict(zip(_BATCHED, values, strict=True)))
            for values in zip(*(line[name] for name in _BATCHED), strict=True)
        ]
    fields = {name: line[name] for name in _FIELDS[cls] if name in line or name not in _OPTIONAL}
    if cls is t.Forecast:
        for name in ("values", "stds"):
            if name in fields:
                fields[name] = tuple(fields[name])
    event: t.Event = cls(**fields)
    return [event]


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
        case t.Shutdown(status, reason):
            return ["shutdown", status, reason]


def read_header(path: Path) -> dict[str, Any]:
    """The first line alone. Raises JournalError where it is no journal's."""
    try:
        with open(path, encoding="utf-8") as file:
            header = json.loads(file.readline())
    except (OSError, ValueError):
        header = None
    if not isinstance(header, dict) or header.get("journal") != FORMAT:
        raise JournalError(f"{path.parent.name}/{path.name}: has no header of format {FORMAT}.")
    return header


def settings(header: Mapping[str, Any]) -> dict[str, int]:
    """The conductor's `settings` that a journal was written with, where its header holds them."""
    config = header.get("config", {})
    named = {**config.get("backend", {}), **config}
    return {name: named[name] for name in ("min_workers", "resident_trials") if name in named}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON; no version writes it")


def read(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], int]:
    """Header, lines, and the number of bytes that are whole; a torn last line is left out.

    Raises JournalError for a damaged line before the last, with its number, or a format this
    version cannot read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JournalError(
            f"{path.name}: cannot be read ({error.strerror}); name a run folder."
        ) from None
    # One decoder for all: json.loads would look for the encoding of every line.
    rows = data.decode(errors="surrogateescape").split("\n")
    parse = json.JSONDecoder(parse_constant=_refuse).decode
    whole = 0
    lines: list[dict[str, Any]] = []
    for number, row in enumerate(rows, start=1):
        if not row and number == len(rows):
            break
        try:
            line = parse(row)
            # encode() raises where bytes are not UTF-8
            n_bytes = len(row) if row.isascii() else len(row.encode())
            if not isinstance(line, dict):
                raise ValueError("not an object")
        except ValueError:
            if number >= len(rows) - (not rows[-1]):
                break  # the process died while writing it: what it says was never acted on
            raise JournalError(
                f"{path.name}: line {number} is damaged; the journal is not continued. Restore "
                "it from a copy."
            ) from None
        if number == len(rows):
            break  # valid, but without its newline: it may have lost a part
        lines.append(line)
        whole += n_bytes + 1
    if not lines or lines[0].get("journal") != FORMAT:
        found = lines[0].get("journal") if lines else None
        raise JournalError(
            f"{path.name}: format={found}: must be {FORMAT}; the file is not a journal of this "
            "version."
        )
    return lines[0], lines[1:], whole


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
            elif self.path.exists():
                raise ConfigError(
                    f"run folder {folder.name}: holds a journal already; resume=<folder> goes on "
                    "with it."
                )
            else:
                check_secrets(header)
                self.header, self._size = {"journal": FORMAT, **header}, 0
            self._fd = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        except BaseException:
            self._lock.release(clean=False)
            raise
        os.ftruncate(self._fd, self._size)  # cuts a torn last line off
        os.lseek(self._fd, self._size, os.SEEK_SET)
        self._dirty = False
        self._synced = time.monotonic()
        if header is not None:
            try:
                self.write(self.header)
                self.sync()
            except BaseException:
                self.release()
                self.path.unlink()
                raise

    def append(
        self, events: Sequence[t.Event], commands: Sequence[t.Command], notes: Notes
    ) -> None:
        self.write(encode(events, commands, notes))
        if isinstance(events[0], t.Forecast):
            self.sync()
        else:
            self.tick()

    def write(self, line: Mapping[str, Any]) -> None:
        data = _DUMPS(line).encode() + b"\n"
        try:
            done = 0
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except OSError as error:
            with contextlib.suppress(OSError):  # leave whole lines only
                os.ftruncate(self._fd, self._size)
                os.lseek(self._fd, self._size, os.SEEK_SET)
            raise self._stopped(error) from error
        self._size += len(data)
        self._dirty = True

    def _stopped(self, error: OSError) -> StoppedError:
        return StoppedError(
            f"{self.path.name}: {error.strerror}; the run stopped, the journal is whole up to its "
            "last line. Free space, then resume=<run folder>."
        )

    def tick(self) -> None:
        """fsync if the last one is a second ago and something was written since."""
        self._lock.pulse()
        if self._dirty and time.monotonic() - self._synced >= SYNC_EVERY_S:
            self.sync()

    def sync(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError as error:  # network file systems say here that a quota is met
            raise self._stopped(error) from error
        self._dirty = False
        self._synced = time.monotonic()

    def close(
        self, status: str, reason: str, time_s: float, energy: Mapping[str, Any] | None = None
    ) -> None:
        """Write the closing line and release the folder. Closing twice does nothing.

        energy: what the batch system says of the job, noted with it.
        """
        if self._fd < 0:
            return
        try:
            said = {"status": status, "reason": redact(reason), "time_s": time_s}
            self.write({"event": "closed", **said, **({"energy": dict(energy)} if energy else {})})
            self.sync()
        finally:
            self.release(clean=True)

    def release(self, clean: bool = False) -> None:
        """Close the file without a word, as a killed process would."""
        if self._fd >= 0:
            os.close(self._fd)
            self._lock.release(clean)
            self._fd = -1


def entries(path: Path) -> Iterator[tuple[dict[str, Any], list[t.Event]]]:
    """Every line with its events, for readers that project the journal.

    Raises JournalError for a line that holds no event, with its number.
    """
    for number, line in enumerate(read(path)[1], start=2):
        yield line, decode_numbered(number, line)


def decode_numbered(number: int, line: Mapping[str, Any]) -> list[t.Event]:
    """`decode`, with the line's number in the error."""
    try:
        return decode(line)
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(
            f"line {number} holds no event of this version ({type(error).__name__}: {error}); "
            "the journal is not continued."
        ) from None
