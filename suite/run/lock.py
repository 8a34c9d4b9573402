"""One run in a folder: a lock, and a pulse where locks do not reach other nodes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path

from suite.core.errors import ConfigError, StoppedError
from suite.files import UnsafeFileError, open_lock_file
from suite.run.identity import node_digest

NAME = "run.lock"
PULSE_EVERY_S = 5.0
DEAD_AFTER_S = 30.0
_MAX_BYTES = 64


class FolderLock:
    """Holds a run folder. The kernel's lock ends with its process, so a dead job's folder is free
    at once on its own node, and wherever the file system carries locks between nodes.

    Not every file system does (Lustre with localflock, some NFS). So the holder also touches the file
    every 5 s and writes into it a digest of its node since boot, and a word of its own. Another node watches
    the file for 30 s by its own monotonic clock, says so, takes the folder if nothing changed, and is refused
    if something did. No time stamp is compared with a clock: file servers and nodes disagree about time.

    wait: sleeps, s. clock: monotonic, s. say: tells that it waits. All three are replaced in tests.
    Raises ConfigError where another run is in the folder, UnsafeFileError where run.lock is a link, a pipe
    or a folder, OSError where it cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        wait: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
    ) -> None:
        self._path, self._wait, self._clock, self._say = folder / NAME, wait, clock, say
        self._fd = open_lock_file(self._path)
        self._content = f"{node_digest()} {secrets.token_hex(8)}".encode()
        try:
            self._take()
        except BaseException:
            os.close(self._fd)
            raise
        self._beat = clock()
        self._taken_by = ""

    @property
    def is_taken(self) -> bool:
        """Whether another run was seen in the folder: nothing may be written there any more."""
        return bool(self._taken_by)

    def _take(self) -> None:
        taken = ConfigError(
            f"run folder {self._path.parent.name}: another run is in it; name another folder."
        )
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise taken from None
        except OSError:
            # No locks here at all: only the pulse is left.
            pass
        holder = os.pread(self._fd, _MAX_BYTES, 0)
        # The holder's lock may not reach this node: see whether its pulse beats.
        if holder.split(b" ")[0] not in (b"", node_digest().encode()) and self._changes():
            raise taken
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, self._content, 0)

    def _changes(self) -> bool:
        """Whether the file changes within DEAD_AFTER_S."""
        self._say(
            f"run folder {self._path.parent.name}: a run on another node was in it; waiting "
            f"{DEAD_AFTER_S:g} s to see whether it still is."
        )
        first, until = _look(self._path), self._clock() + DEAD_AFTER_S
        while (left := until - self._clock()) > 0:
            self._wait(min(left, 1.0))
            if _look(self._path) != first:
                return True
        return False

    def pulse(self) -> None:
        """Call often, and before anything is written; touches the file every PULSE_EVERY_S.

        Raises StoppedError where another run has taken the folder, as when this one was suspended: at every
        call from then on.
        """
        if not self._taken_by and self._clock() - self._beat >= PULSE_EVERY_S:
            self._beat = self._clock()
            with contextlib.suppress(OSError, UnsafeFileError):
                if (content := _look(self._path)[-1]) not in (b"", self._content):
                    self._taken_by = content[:16].decode("ascii", "replace")
                else:
                    os.utime(self._fd)
        if self._taken_by:
            raise StoppedError(
                f"run folder {self._path.parent.name}: run.lock={self._taken_by}: another run has taken the "
                "folder while this one was silent; this one ends."
            )

    def release(self, clean: bool) -> None:
        """Release the folder. clean: the run ended; else as if the process had been killed."""
        if clean:
            with contextlib.suppress(OSError):
                if os.pread(self._fd, _MAX_BYTES, 0) == self._content:
                    os.ftruncate(self._fd, 0)
        os.close(self._fd)


def _look(path: Path) -> tuple[int, int, int, bytes]:
    """What changes with a pulse. Opened anew: an open file's attributes may come out of NFS's cache."""
    descriptor = open_lock_file(path)
    try:
        facts = os.fstat(descriptor)
        return facts.st_ino, facts.st_mtime_ns, facts.st_size, os.pread(descriptor, _MAX_BYTES, 0)
    finally:
        os.close(descriptor)
