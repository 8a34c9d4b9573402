"""mpirun may outlive its ranks: where it cannot reach a host it waits for that host's daemon, once for 936 s
after rank 0 had ended (Open MPI 5.0.11; TCP's patience). A process of its own ends it then.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

from suite.run.identity import PROC, ProcessIdentity, children, parent_identity

AFTER_S, KILL_S = 60.0, 10.0
"""As in slurm/common.sh: seconds until SIGTERM, and from there until SIGKILL."""
_LAUNCHERS = ("mpirun", "prterun", "prted")


def arm(after_s: float = AFTER_S, kill_s: float = KILL_S) -> None:
    """Where this process's parent is mpirun or its daemon, and still runs in `after_s`: end it then.

    Call as one of the last things that rank 0 does. Returns at once.
    """
    parent = parent_identity()
    if name(parent.pid) not in _LAUNCHERS:
        return
    words = [sys.executable, "-m", "suite.backends.mpi.last_resort"]
    words += map(str, (after_s, kill_s))
    # Asked now: once mpirun has ended nobody knows them.
    others = (child for child in children(parent.pid) if child.pid != os.getpid())
    words += (f"{who.pid}:{who.start_ticks}" for who in (parent, *others))
    quiet = subprocess.DEVNULL
    # In a session of its own: mpirun ends the process groups of its ranks.
    subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)


def name(pid: int) -> str:
    """The program of a process, at most 15 characters; empty where there is none."""
    try:
        return (PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def wait(who: ProcessIdentity, seconds: float) -> None:
    """Until the process has ended, for so long at most."""
    until = time.monotonic() + seconds
    while who.runs() and time.monotonic() < until:
        time.sleep(0.2)


def end(who: ProcessIdentity, kill_s: float = KILL_S) -> None:
    """End the process by SIGTERM, and by SIGKILL where it still runs after `kill_s`; then what it had
    started: an ssh to a host that does not answer would stay for hours.
    """
    if not who.runs():
        return
    started = children(who.pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(who.pid, signal.SIGTERM)
    wait(who, kill_s)
    who.kill()
    for child in started:
        child.kill()


def main(after_s: float, kill_s: float, launcher: str, *started: str) -> None:
    """launcher, started: PID:START_TICKS. An mpirun that ends in time may leave such an ssh, too."""
    wait(_process(launcher), after_s)
    end(_process(launcher), kill_s)
    until = time.monotonic() + kill_s
    for child in map(_process, started):
        wait(child, until - time.monotonic())
        child.kill()


def _process(text: str) -> ProcessIdentity:
    pid, start_ticks = map(int, text.split(":"))
    return ProcessIdentity("", "", "", pid, start_ticks)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:])
