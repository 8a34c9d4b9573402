"""Checkpoints: written beside, synced, renamed; the file's name says whose they are and how to check them.

One file a checkpoint: epoch-00009-job-000012-5c1f0e...-8234-0f3a9b....ckpt holds epoch 9 of a trial, written
by job 12. The next field is the origin: a digest of the run's id, the trial's configuration and seed, the
code and the data set, so weights of another run or of another training are never restored. Size and digest
make damage visible. The job number keeps a zombie and its successor from sharing a file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from suite.core import types as t
from suite.core.errors import ConfigError
from suite.core.target import Target
from suite.files import (
    UnsafeFileError,
    list_folder,
    open_regular,
    remove_files,
    remove_folder,
    write_whole,
)
from suite.worker import facts

# Files of revision 0e27403 have no origin: they are tidied, and never restored.
_NAME = re.compile(
    r"epoch-(\d{5,9})-job-(\d{6,12})-(?:([0-9a-f]{16})-)?(\d{1,20})-([0-9a-f]{16})\.ckpt"
)
_OURS = re.compile(rf"{_NAME.pattern}|\.job-\d{{6,12}}(\.[0-9a-f]{{8}})?\.part")
_TRIAL = re.compile(r"trial-\d{6,12}")
_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")


class CheckpointError(Exception):
    """No valid checkpoint of this epoch: an older one, or training afresh, will do."""


@dataclass(frozen=True)
class CheckpointPlace:
    """Where a run's checkpoints are.

    named: the folder that the user named, the run folder or backend.checkpoints; it may be a link, nothing
    below it may. folder: below it, of this run alone. run_id: of the journal's header.
    """

    named: Path
    folder: Path
    run_id: str

    @property
    def beside(self) -> Path:
        """Where workers leave what is no checkpoint: the run folder, or the run's among shared ones."""
        return self.folder if self.folder.name == self.run_id else self.named

    @classmethod
    def of(cls, run_folder: Path, shared: str | None, run_id: str) -> CheckpointPlace:
        """In the run folder, or in a folder of the run's id where runs share one (`backend.checkpoints`).

        Raises ConfigError for a run_id that cannot be a folder's name.
        """
        if not _RUN_ID.fullmatch(run_id):
            raise ConfigError(
                f"run_id={run_id[:80]!r}: must be letters, digits, - and _, at most 64; the journal's header "
                "is not one that the suite wrote."
            )
        if shared:
            return cls(Path(shared), Path(shared) / run_id, run_id)
        return cls(run_folder, run_folder / "checkpoints", run_id)

    def has_room(self, n_bytes: int) -> bool:
        """Whether this process can write so many bytes there now; tried by a file without a name."""
        folder = self.folder if self.folder.is_dir() else self.named
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                os.posix_fallocate(file.fileno(), 0, max(n_bytes, 1))
                os.fsync(file.fileno())
        except OSError:
            return False
        return True


def open_checkpoints(
    when: Literal["job", "none"], place: CheckpointPlace, target: Target
) -> Checkpoints | None:
    """The run's checkpoints, by conf/backend's `checkpoint`. target: whose weights they hold."""
    if when == "none":
        return None
    return Checkpoints(place, lambda: {**facts.agreed(target), "data_set": dict(target.provenance)})


class Checkpoints:
    """The checkpoints of one run, one folder a trial.

    Safe for several workers: none writes another's file. made_by: what makes weights comparable beside the
    run's id, plain data (code and data set); asked at the first checkpoint, when the data set is loaded.
    """

    def __init__(
        self, place: CheckpointPlace, made_by: Callable[[], object] = lambda: None
    ) -> None:
        self.folder = place.folder
        self._place, self._ask = place, made_by
        self._made_by: str | None = None

    def _of(self, trial_id: int) -> Path:
        return self.folder / f"trial-{trial_id:06d}"

    def _origin(self, job: t.Job) -> str:
        if self._made_by is None:
            self._made_by = _plain(self._ask())
        parts = [
            self._place.run_id,
            self._made_by,
            _plain(dict(job.config)),
            job.trial_id,
            job.seed,
        ]
        return hashlib.sha256(_plain(parts).encode()).hexdigest()[:16]

    def save(self, job: t.Job, epoch: int, write: Callable[[Path], None]) -> Path:
        """`write` gets a path beside the final one.

        Raises OSError (a full disk) and UnsafeFileError, and leaves nothing half-written.
        """
        origin = self._origin(job)

        def name(written: Path) -> str:
            digest, size = self._digest(written)
            return f"epoch-{epoch:05d}-job-{job.job_id:06d}-{origin}-{size}-{digest}.ckpt"

        beside = self._of(job.trial_id) / f"job-{job.job_id:06d}"
        return write_whole(beside, write, below=self._place.named, name=name)

    def load(self, job: t.Job, read: Callable[[Path], None]) -> None:
        """Hand the newest valid file of the epoch that the job starts from to `read`.

        Raises CheckpointError where there is none of this run and training.
        """
        origin = self._origin(job)
        for path, epoch, _ in reversed(self._list(job.trial_id)):
            match = _NAME.fullmatch(path.name)
            if match is None or epoch != job.from_epoch or match[3] != origin:
                continue
            with contextlib.suppress(OSError, UnsafeFileError):
                if self._digest(path) == (match[5], int(match[4])):
                    read(path)
                    return
        raise CheckpointError(
            f"trial {job.trial_id}: no valid checkpoint of epoch {job.from_epoch}"
        )

    def prune(self, job: t.Job) -> None:
        """When `job` starts: keep two files of earlier jobs, and the epoch that it starts from.

        Not sooner: until then the journal may not know of the newest.
        """
        rows = [row for row in self._list(job.trial_id) if row[2] < job.job_id]
        self._remove(job, [path for path, epoch, _ in rows[:-2] if epoch != job.from_epoch])

    def trim(self, job: t.Job) -> None:
        """Keep the last two files of this job, which writes one every so often."""
        rows = [row for row in self._list(job.trial_id) if row[2] == job.job_id]
        self._remove(job, [path for path, _, _ in rows[:-2]])

    def _remove(self, job: t.Job, paths: list[Path]) -> None:
        if paths:
            names = re.compile("|".join(re.escape(path.name) for path in paths))
            remove_files(self._of(job.trial_id), names, below=self._place.named)

    def drop_all_but(self, trial_id: int | None) -> list[str]:
        """At a run's end only the winner's last checkpoint stays; None: no checkpoint at all, as for a new
        run in the folder of one that lost its journal.

        Removes files that the suite names, in folders that the suite names. Returns what else lies there and
        was left alone, as paths below the checkpoints' folder.
        """
        left = []
        try:
            trials = list_folder(self.folder, below=self._place.named)
        except FileNotFoundError:
            return []
        for name in trials:
            path = self.folder / name
            if not _TRIAL.fullmatch(name):
                left.append(name)
                continue
            kept = (
                self._list(trial_id)[-1:]
                if trial_id is not None and path == self._of(trial_id)
                else []
            )
            last = {row[0].name for row in kept}
            try:
                others = remove_files(path, _OURS, below=self._place.named, but=last)
            except UnsafeFileError:
                left.append(name)
                continue
            left += [f"{name}/{other}" for other in others if other not in last]
            if not others:
                remove_folder(path, below=self._place.named)
        if self.folder != self._place.named and not list_folder(
            self.folder, below=self._place.named
        ):
            remove_folder(self.folder, below=self._place.named)
        return left

    def _list(self, trial_id: int) -> list[tuple[Path, int, int]]:
        """(path, epoch, job_id), by job and epoch, of the files with an origin."""
        try:
            names = list_folder(self._of(trial_id), below=self._place.named)
        except FileNotFoundError:
            return []
        matches = [match for name in names if (match := _NAME.fullmatch(name)) and match[3]]
        rows = [(self._of(trial_id) / m.string, int(m[1]), int(m[2])) for m in matches]
        return sorted(rows, key=lambda row: (row[2], row[1]))

    def _digest(self, path: Path) -> tuple[str, int]:
        digest = hashlib.sha256()
        with open_regular(path, below=self._place.named) as file:
            while block := file.read(1 << 20):
                digest.update(block)
            return digest.hexdigest()[:16], os.fstat(file.fileno()).st_size


def _plain(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)
