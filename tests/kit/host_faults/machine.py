"""Clocks that are off, names that are not unique, PIDs that mean something else."""

from __future__ import annotations

import signal

from kit.host_faults.case import Case, Row

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def _faked(host: str, clock: str) -> list[str]:
    """Words before the suite's: on that host its wall clock is off (libfaketime)."""
    script = (
        f'if [ "$(hostname)" = {host} ]; then export LD_PRELOAD={FAKETIME} {clock} NO_FAKE_STAT=1 '
        'FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1; fi; exec "$@"'
    )
    return ["sh", "-c", script, "sh"]


def clock_ahead(case: Case) -> Row:
    """n3's wall clock is 1 h ahead: nothing follows from it."""
    return _clock(case, "n3", "FAKETIME=+3600")


def clock_back(case: Case) -> Row:
    """n3's wall clock jumps back by 1 h while it trains: nothing follows from it."""
    return _clock(case, "n3", "", jump=True)


def clock_ahead_rank0(case: Case) -> Row:
    """Rank 0's wall clock is 1 h ahead of its workers': nothing follows from it (no job end is stated)."""
    return _clock(case, "n1", "FAKETIME=+3600")


def clock_back_rank0(case: Case) -> Row:
    """Rank 0's wall clock jumps back by 1 h: nothing follows from it, times in the journal go on."""
    return _clock(case, "n1", "", jump=True)


def _clock(case: Case, host: str, fake: str, jump: bool = False) -> Row:
    case.hosts()
    offset = case.folder / "shared" / "offset"
    offset.write_text("+0\n")
    words = fake or f"FAKETIME_TIMESTAMP_FILE={offset} FAKETIME_CACHE_DURATION=1"
    launch = case.start(prefix=_faked(host, words))
    if jump:
        case.strike(lambda: offset.write_text("-3600\n"))
    case.end()
    times = [t for line in launch.events("epoch") for t in line["time_s"]]
    began = [line for line in launch.events() if "time_s" in line]
    lines = [
        line["time_s"][-1] if isinstance(line["time_s"], list) else line["time_s"] for line in began
    ]
    assert lines == sorted(lines) and min(times) >= 0 and max(times) < 600, (
        "times in the journal jump"
    )
    return case.row(f"nothing; {len(case.lost())} workers lost")


def same_name(case: Case) -> Row:
    """n2 and n3 have one host name: each is a machine of its own all the same."""
    case.hosts(hostnames=["n1", "node", "node", "n4"])
    launch = case.start()
    case.end()
    nodes = [line["facts"]["node"] for line in launch.events("joined")]
    assert len(set(nodes)) == 3, nodes
    return case.row("the run went on; three workers on three nodes in the journal")


def own_pids(case: Case) -> Row:
    """A worker on rank 0's host has PIDs of its own and stops answering: it is given up, rank 0 lives."""
    case.hosts()
    script = (
        'if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then exec unshare --pid --fork --mount-proc "$@"; fi; '
        'exec "$@"'
    )
    # Open MPI's own shared memory does not work between PID namespaces.
    launch = case.start(
        "backend.report_timeout_s=6", prefix=["sh", "-c", script, "sh"],
        slots={"n1": 2, "n2": 1, "n3": 1}, OMPI_MCA_btl="tcp,self",
    )  # fmt: skip
    case.strike(lambda: launch.kill(1, signal.SIGSTOP))
    case.notice(case.lost)
    case.end()
    return case.row(f"{case.lost()[0]['message']}; rank 0 and the others lived")
