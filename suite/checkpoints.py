"""Checkpoints: written beside, synced, renamed; the file's name carries its size and digest.

One file a checkpoint: epoch-00009-job-000012-8234-0f3a9b....ckpt holds epoch 9 of a trial, written
by job 12. The job number in the name keeps a zombie and its successor from sharing a file; size and
digest make damage visible.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from suite.core.errors import unknown_name

_NAME = re.compile(r"epoch-(\d+)-job-(\d+)-(\d+)-([0-9a-f]{16})\.ckpt$")


class CheckpointError(Exception):
    """No valid checkpoint of this epoch: an older one, or training afresh, will do."""


def open_checkpoints(settings: Mapping[str, Any], folder: Path) -> Checkpoints | None:
    """The run's checkpoints by conf/backend's `checkpoint`: job, or none.

    Raises ConfigError for another word.
    """
    if settings["checkpoint"] not in ("job", "none"):
        raise unknown_name("backend.checkpoint", settings["checkpoint"], ("job", "none"))
    return Checkpoints(folder) if settings["checkpoint"] == "job" else None


class Checkpoints:
    """The checkpoints of one run, one folder a trial.

    Safe for several workers: none writes another's file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _of(self, trial_id: int) -> Path:
        return self.folder / f"trial-{trial_id:06d}"

    def save(self, trial_id: int, job_id: int, epoch: int, write: Callable[[Path], None]) -> Path:
        """`write` gets a path beside the final one.

        Raises OSError (a full disk) and leaves nothing half-written.
        """
        folder = self._of(trial_id)
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / f".job-{job_id:06d}.part"
        try:
            write(beside)
            digest, size = _digest(beside)
            final = folder / f"epoch-{epoch:05d}-job-{job_id:06d}-{size}-{digest}.ckpt"
            _sync(beside)
            beside.rename(final)
            _sync(folder)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise
        return final

    def load(self, trial_id: int, epoch: int, read: Callable[[Path], None]) -> None:
        """Hand the newest valid file of this epoch to `read`.

        Raises CheckpointError where there is none.
        """
        for path, found_epoch, _ in reversed(self._list(trial_id)):
            if found_epoch == epoch:
                match = _NAME.search(path.name)
                assert match is not None
                with contextlib.suppress(OSError):
                    if _digest(path) == (match[4], int(match[3])):
                        read(path)
                        return
        raise CheckpointError(f"trial {trial_id}: no valid checkpoint of epoch {epoch}")

    def prune(self, trial_id: int, *, before_job: int, needed: int | None = None) -> None:
        """When job `before_job` starts: keep two files of earlier jobs, and epoch `needed`.

        Not sooner: until then the journal may not know of the newest.
        """
        rows = [row for row in self._list(trial_id) if row[2] < before_job]
        self._remove([path for path, epoch, _ in rows[:-2] if epoch != needed])

    def trim(self, trial_id: int, *, job_id: int) -> None:
        """Keep the last two files of this job, which writes one every so often."""
        rows = [row for row in self._list(trial_id) if row[2] == job_id]
        self._remove([path for path, _, _ in rows[:-2]])

    def _remove(self, paths: list[Path]) -> None:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def drop_all_but(self, trial_id: int | None) -> None:
        """At a run's end: only the winner's last checkpoint stays."""
        for folder in sorted(self.folder.glob("trial-*")):
            mine = trial_id is not None and folder == self._of(trial_id)
            last = self._list(trial_id)[-1:] if mine and trial_id is not None else []
            for path in folder.iterdir():
                if path not in [p for p, _, _ in last]:
                    path.unlink()
            if not last:
                folder.rmdir()

    def _list(self, trial_id: int) -> list[tuple[Path, int, int]]:
        """(path, epoch, job_id), by job and epoch."""
        try:
            names = os.listdir(self._of(trial_id))
        except FileNotFoundError:
            return []
        found = [(m, n) for n in names if (m := _NAME.match(n))]
        rows = [(self._of(trial_id) / name, int(match[1]), int(match[2])) for match, name in found]
        return sorted(rows, key=lambda row: (row[2], row[1]))


def _digest(path: Path) -> tuple[str, int]:
    data = path.read_bytes()
    return hashlib.sha256(data).hexdigest()[:16], len(data)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
