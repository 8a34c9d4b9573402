"""Clocks that are off, names that are not unique, PIDs that mean something else."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np

from kit.host_faults.case import Case, Row
from kit.mpi_runs import environment
from suite.files import write_whole

WRONG_CLOCK = Path(__file__).parents[1] / "wrong_clock"


def clock_ahead(case: Case) -> Row:
    """n3's wall clock is 1 h ahead: nothing follows from it."""
    return _clock(case, "n3", "3600")


def clock_back(case: Case) -> Row:
    """n3's wall clock jumps back by 1 h while it trains: nothing follows from it."""
    return _clock(case, "n3", "0", then="-3600")


def clock_ahead_rank0(case: Case) -> Row:
    """Rank 0's wall clock is 1 h ahead of its workers': nothing follows from it (no job end is stated)."""
    return _clock(case, "n1", "3600")


def clock_back_rank0(case: Case) -> Row:
    """Rank 0's wall clock jumps back by 1 h: nothing follows from it, times in the journal go on."""
    return _clock(case, "n1", "0", then="-3600")


def _clock(case: Case, host: str, offset_s: str, then: str = "") -> Row:
    case.hosts()
    offset = case.cluster.folder / "offset"
    write_whole(offset, offset_s)
    path = f"{WRONG_CLOCK}:{environment(case.cluster.folder)['PYTHONPATH']}"
    launch = case.start(SUITE_CLOCK=f"{host}:{offset}", PYTHONPATH=path)
    if then:
        case.strike(lambda: write_whole(offset, then))
    case.end()
    ends = [np.max(line["time_s"]) for line in launch.events() if "time_s" in line]
    assert ends == sorted(ends) and ends[0] >= 0 and ends[-1] < 600, "times in the journal jump"
    return case.row(f"{len(case.lost())} workers lost; times in the journal go on")


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
