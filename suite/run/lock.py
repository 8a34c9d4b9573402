"""One run in a folder: a lock, and a pulse where locks do not reach other nodes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from suite.core.errors import ConfigError

NAME = "run.lock"
PULSE_EVERY_S = 5.0
DEAD_AFTER_S = 30.0


class FolderLock:
    """Holds a run folder. The kernel's lock ends with its process, so a dead job's folder is free
    at once on its own node, and wherever the file system carries locks between nodes.

    Not all do (Lustre with localflock, some NFS). So the holder also touches the file every 5 s and
    writes who it is, as a digest of host and boot. Another host waits until the pulse has been
    still for 30 s, and is refused if it beats meanwhile.
    Raises ConfigError where another run is in the folder.
    """

    def __init__(self, folder: Path, wait: Callable[[float], None] = time.sleep) -> None:
        self._fd = os.open(folder / NAME, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            self._take(folder.name, wait)
        except BaseException:
            os.close(self._fd)
            raise
        self._beat = time.monotonic()

    def _take(self, name: str, wait: Callable[[float], None]) -> None:
        taken = ConfigError(f"run folder {name}: another run is in it; name another folder.")
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise taken from None
        except OSError:
            pass  # no locks here at all: the pulse is all there is
        mine = _here()
        holder = os.pread(self._fd, 64, 0).decode(errors="replace").strip()
        if holder not in ("", mine):  # its lock may not have reached us: is it alive?
            last = os.fstat(self._fd).st_mtime
            while (still := time.time() - last) < DEAD_AFTER_S:
                wait(min(DEAD_AFTER_S - still, 1.0))
                if os.fstat(self._fd).st_mtime != last:
                    raise taken
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, mine.encode(), 0)

    def pulse(self) -> None:
        """To be called often; touches the file now and then."""
        if time.monotonic() - self._beat >= PULSE_EVERY_S:
            self._beat = time.monotonic()
            with contextlib.suppress(OSError):
                os.utime(self._fd)

    def release(self, clean: bool) -> None:
        """clean: the run ended here; else as if the process had been killed."""
        if clean:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
        os.close(self._fd)


def _here() -> str:
    """This host since its boot, as a digest: names of hosts stay out of run folders."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        boot = ""
    return hashlib.sha256(f"{socket.gethostname()} {boot}".encode()).hexdigest()[:16]
