"""Grid Engine over the hosts: batch/gridengine.sh, whose mpirun reaches them by qrsh."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kit import gridengine
from kit.host_faults.case import Case, Row, undisturbed
from kit.host_faults.jobs import words
from kit.host_gridengine import GridJob, HostCell
from kit.host_runs import orphans

absent = gridengine.why_not


def gridengine_mpirun(case: Case) -> Row:
    """qsub to four hosts, mpirun over them by qrsh: the run is that of one process."""
    with _begin(case) as cell:
        _end(case, _submit(case, cell, "01:00:00"))
        nodes = [line["facts"]["node"] for line in case.launch.events("joined")]
        assert len(set(nodes)) == 4, nodes
        return case.row(f"{len(nodes)} workers joined, on four nodes")


def gridengine_walltime(case: Case) -> Row:
    """The same in jobs that are too short: it pauses before h_rt, is queued again, and goes on."""
    with _begin(case) as cell:
        job = _submit(case, cell, "00:02:00", "model.sleep_s=1", "backend.pause_before_s=20")
        _end(case, job)
        case.n_launches = job.out.count(", start ")
        assert case.n_launches > 1, job.out[-3000:]
        return case.row("paused before its time was over, started again by Grid Engine")


@contextlib.contextmanager
def _begin(case: Case) -> Iterator[HostCell]:
    """Hosts with a Grid Engine of their own."""
    case.hosts()
    with HostCell(case.cluster) as cell:
        yield cell


def _submit(case: Case, cell: HostCell, h_rt: str, *more: str) -> GridJob:
    undisturbed(case.seed, case.algorithm, case.folder.parent)
    case.n_launches += 1
    options = ("-pe", "mpi", "8", "-l", f"h_rt={h_rt}")
    case.launch = GridJob(cell, *words(case), "report=false", *more, options=options)
    return case.launch


def _end(case: Case, job: GridJob) -> None:
    job.until()
    case.left = orphans(case.cluster.hosts, 60)
    assert job.code == 0, job.out[-3000:]
