"""Which process and which machine this is, told apart from every other of a job.

A host name is no identity (all nodes of a cluster may share one), nor is a PID (each PID namespace, as
containers have them, begins at 1; a PID is used again when its process has ended). A machine is its boot id.
A process is host, boot id, namespaces, PID and the time at which it began.
Source: proc(5), pid_namespaces(7), time_namespaces(7).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

PROC = Path("/proc")
# The PIDs of /proc/PID, and the clock of its start times, are those of a namespace.
_NAMESPACES = ("pid", "time")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process, for other processes of the same job. It holds the host's name: write only its digest.

    boot_id: of the machine, empty where it is unknown. namespaces: of PIDs and time, empty where /proc does
    not show this process's own. start_ticks: the machine's clock when the process began.
    """

    host: str
    boot_id: str
    namespaces: str
    pid: int
    start_ticks: int

    @property
    def node(self) -> str:
        """The machine: its boot id; its host name where the boot id is unknown."""
        return self.boot_id or f"host {self.host}"

    def shares_pids(self, other: ProcessIdentity) -> bool:
        """Whether a PID of one means the same process to the other. False where that is not sure."""
        return bool(self.boot_id and self.namespaces) and (
            (self.host, self.boot_id, self.namespaces)
            == (other.host, other.boot_id, other.namespaces)
        )

    def runs(self) -> bool:
        """Whether the process still runs; a zombie does not, nor does another with its PID.

        Only for a process that shares its PIDs with this one.
        """
        state, start_ticks = _status(PROC / str(self.pid))
        return state not in ("", "Z", "X") and start_ticks == self.start_ticks

    def kill(self) -> bool:
        """End the process by SIGKILL; False where that is not possible: it is gone, or not for us to end.

        Only for a process that shares its PIDs with this one. Never ends the caller.
        """
        if self.pid == os.getpid() or not self.runs():
            return False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, signal.SIGKILL)
            return True
        return False

    def digest(self) -> str:
        """16 hexadecimal digits that name the process and tell nothing of its host."""
        return _digest(
            f"{self.host} {self.boot_id} {self.namespaces} {self.pid} {self.start_ticks}"
        )


def process_identity() -> ProcessIdentity:
    """This process."""
    _, start_ticks = _status(PROC / "self")
    return ProcessIdentity(
        socket.gethostname(), _boot_id(), _namespaces(), os.getpid(), start_ticks
    )


def parent_identity() -> ProcessIdentity:
    """The process that started this one."""
    pid = os.getppid()
    _, start_ticks = _status(PROC / str(pid))
    return replace(process_identity(), pid=pid, start_ticks=start_ticks)


def ancestors(most: int = 8) -> Iterator[ProcessIdentity]:
    """The processes above this one, nearest first: a shell or a container may stand between it and its
    launcher.
    """
    me, pid = process_identity(), os.getppid()
    for _ in range(most):
        if not me.namespaces or pid < 1:
            return
        yield replace(me, pid=pid, start_ticks=_status(PROC / str(pid))[1])
        pid = _parent(PROC / str(pid))


def children(pid: int) -> list[ProcessIdentity]:
    """The processes that this one has started and that still run; none where /proc is another namespace's."""
    me = process_identity()
    if not me.namespaces:
        return []
    found = [int(folder.name) for folder in PROC.glob("[0-9]*") if _parent(folder) == pid]
    mine = (replace(me, pid=n, start_ticks=_status(PROC / str(n))[1]) for n in found)
    return [who for who in mine if who.runs()]


def node_identity() -> str:
    """This machine since its boot, as `ProcessIdentity.node`: hosts with one name differ by it."""
    return process_identity().node


def node_digest() -> str:
    """16 hexadecimal digits that name this machine since its boot; for files of run folders."""
    return _digest(node_identity())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _boot_id() -> str:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _namespaces() -> str:
    """The namespaces of PIDs and time; empty where /proc is another namespace's or absent.

    Without `unshare --mount-proc` a process sees the outer /proc, whose PIDs are not its own.
    """
    try:
        if (PROC / "self").readlink().name != str(os.getpid()):
            return ""
        names = [PROC / "self/ns" / name for name in _NAMESPACES]
        # Kernels before 5.6 have no namespaces of time.
        return " ".join(str(path.readlink()) for path in names if path.is_symlink())
    except OSError:
        return ""


def _parent(folder: Path) -> int:
    """The parent's PID, by a process's folder in /proc; 0 where there is none."""
    try:
        return int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _status(folder: Path) -> tuple[str, int]:
    """State and start time of a process by its folder in /proc; ("", 0) where there is none."""
    try:
        # The second field is the program's name in brackets and may hold both.
        words = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return words[0], int(words[19])
    except (OSError, IndexError, ValueError):
        return "", 0
