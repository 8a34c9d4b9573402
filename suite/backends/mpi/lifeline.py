"""mpirun's daemon of a host (prted) may outlive mpirun's host, and its ranks with it. It finds that out by
TCP's keepalive, which waits while something is on its way: a line of output, the news of a rank's end. Then
only TCP's patience counts, some 15 minutes. A process of its own gives a daemon that sends in vain the time
that the keepalive has, and ends it then; its ranks end with it.
Source: tcp(7), tcp_retries2 and TCP_USER_TIMEOUT, which PRRTE 3 does not set; proc(5), /proc/net/tcp.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time

from suite.backends import launcher
from suite.backends.mpi import last_resort
from suite.run.identity import PROC, ProcessIdentity, ancestors

DAEMON = "prted"
_KEEPALIVE = {"time": 300.0, "intvl": 20.0, "probes": 9.0}
"""PRRTE's defaults of oob_tcp_keepalive_time, _intvl, _probes: s, s, number."""
_LOOK_S = 10.0
# The kernel's number for a timer that sends again (struct inet_connection_sock).
_SENDS_AGAIN = "01"


def watch() -> None:
    """On the first rank of a host that a daemon of mpirun's started: watch over that daemon. Returns at once.

    Call before MPI begins. Elsewhere, and where the keepalive is switched off, nothing is done.
    """
    if launcher.local_rank() != 0:
        return
    daemon = next((who for who in ancestors() if last_resort.name(who.pid) == DAEMON), None)
    if daemon is None or (limit_s := patience_s(daemon.pid)) <= 0:
        return
    words = [sys.executable, "-m", "suite.backends.mpi.lifeline"]
    words += map(str, (daemon.pid, daemon.start_ticks, limit_s))
    quiet = subprocess.DEVNULL
    # In a session of its own: it outlives the rank, which may be lost first.
    with contextlib.suppress(OSError):
        subprocess.Popen(
            words, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True,
            env=launcher.child_environment(),
        )  # fmt: skip


def patience_s(pid: int) -> float:
    """After how many seconds without a word that daemon takes its connection for lost; 0: never.

    By its command line, on which mpirun writes its own PRTE_MCA_ variables, else by its environment.
    """
    words = _words(pid, "cmdline")
    stated = dict(word.partition("=")[::2] for word in _words(pid, "environ"))
    found = dict(_KEEPALIVE)
    for key in found:
        option = f"oob_tcp_keepalive_{key}"
        at = words.index(option) + 1 if option in words else len(words)
        text = words[at] if at < len(words) else stated.get(f"PRTE_MCA_{option}", "")
        with contextlib.suppress(ValueError):
            found[key] = float(text)
    if found["time"] <= 0:
        return 0.0
    return found["time"] + found["intvl"] * found["probes"]


def in_vain(pid: int) -> dict[str, int]:
    """Connections on which the process sends again what nobody confirms: inode -> how often so far."""
    own = set()
    with contextlib.suppress(OSError):
        for descriptor in (PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                own.add(str(descriptor.readlink()))
    found = {}
    for table in ("tcp", "tcp6"):
        for line in _text(pid, f"net/{table}").splitlines()[1:]:
            # sl local remote state queues timer:when retransmits uid timeout inode
            fields = line.split()
            if len(fields) > 9 and f"socket:[{fields[9]}]" in own:
                times = int(fields[6], 16)
                if times and fields[5].startswith(_SENDS_AGAIN):
                    found[fields[9]] = times
    return found


def _text(pid: int, name: str) -> str:
    try:
        return (PROC / str(pid) / name).read_text(errors="replace")
    except OSError:
        return ""


def _words(pid: int, name: str) -> list[str]:
    return _text(pid, name).split("\0")


def main(pid: int, start_ticks: int, limit_s: float) -> None:
    """End the daemon once it has sent in vain for `limit_s` on one connection."""
    daemon = ProcessIdentity("", "", "", pid, start_ticks)
    since: dict[str, float] = {}
    before: dict[str, int] = {}
    while daemon.runs():
        now, found = time.monotonic(), in_vain(pid)
        # Fewer times than before: something was confirmed meanwhile.
        since = {
            inode: since[inode] if times >= before.get(inode, times + 1) else now
            for inode, times in found.items()
        }
        before = found
        if any(now - then >= limit_s for then in since.values()):
            last_resort.end(daemon)
            return
        last_resort.wait(daemon, min(_LOOK_S, limit_s / 10))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
