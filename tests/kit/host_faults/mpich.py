"""MPICH as the second flavour of MPI: Hydra's mpiexec over the hosts, by the same door."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kit.host_faults.case import Case, Row
from kit.host_runs import HostLaunch
from kit.hosts import HERE
from kit.mpi_runs import command

PYTHON = "SUITE_TEST_MPICH"
"""Names the python of an environment that has MPICH and what the suite needs."""


def absent() -> str:
    """Why there is no MPICH; empty: there is."""
    python = os.environ.get(PYTHON, "")
    if python and (Path(python).parent / "mpiexec.hydra").exists():
        return ""
    return f"{PYTHON}={python}: must be the python of an environment with MPICH (pip install mpich)"


class MpichLaunch(HostLaunch):
    """mpiexec on host number `first`; its proxies start by the door, as by rsh."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"FI_PROVIDER": "tcp", "FI_TCP_IFACE": "eth0", **options})

    def line(self, ranks: int, *overrides: str) -> list[str]:
        python = os.environ[PYTHON]
        hosts = ",".join(f"{name}:{n}" for name, n in self._slots.items())
        door = ["-launcher", "rsh", "-launcher-exec", str(HERE / "enter"), "-iface", "eth0"]
        mpiexec = [str(Path(python).parent / "mpiexec.hydra"), *door, "-hosts", hosts]
        words = [*mpiexec, "-n", str(ranks), python, *command(0, *overrides)[1:]]
        return self._first.words(*words, folder=self.runs.parent)


def mpich(case: Case) -> Row:
    """MPICH's mpiexec instead of Open MPI's mpirun: the same decisions."""
    case.hosts()
    launch = case.start(launch=MpichLaunch)
    case.end()
    return case.row(f"{len(launch.events('joined'))} workers joined, {len(case.lost())} lost")


def mpich_again(case: Case) -> Row:
    """MPICH, a run that is complete is submitted again: all ranks end at once."""
    case.hosts()
    case.start(launch=MpichLaunch)
    case.end()
    again = case.start(launch=MpichLaunch)
    assert "already completed" in case.end(), again.out
    return case.row("already completed; all ranks ended")


def mpich_worker_killed(case: Case) -> Row:
    """MPICH, a worker is killed: mpiexec ends the launch; the same line goes on."""
    return _killed(case, 2)


def mpich_rank0_killed(case: Case) -> Row:
    """MPICH, rank 0 is killed: mpiexec ends the launch; the same line goes on."""
    return _killed(case, 0)


def _killed(case: Case, rank: int) -> Row:
    case.hosts()
    launch = case.start(launch=MpichLaunch)
    case.strike(lambda: launch.kill(rank))
    case.notice(lambda: launch.process.poll() is not None)
    assert launch.events()[-1]["event"] != "closed", f"the run went on:\n{launch.out[-2000:]}"
    case.end()
    case.start(launch=MpichLaunch)
    case.end()
    return case.row("mpiexec ended all ranks; resubmitted")
