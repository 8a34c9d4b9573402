"""A Slurm over a case's hosts, and the case's run as a job of it."""

from __future__ import annotations

from kit.host_faults.case import SEARCH, SLEEP_S, Case, undisturbed
from kit.host_runs import orphans
from kit.host_slurm import HostJob, Slurm

FOUR = ("--nodes=4", "--ntasks-per-node=2", "--time=10")


def begin(case: Case) -> Slurm:
    """Hosts with a Slurm of their own."""
    case.hosts()
    return Slurm(case.cluster)


def words(case: Case) -> list[str]:
    return [
        f"algorithm={case.algorithm}",
        *SEARCH[:3],
        f"model.sleep_s={SLEEP_S}",
        f"seed={case.seed}",
    ]


def submit(
    case: Case, slurm: Slurm, *, options: tuple[str, ...] = FOUR, plain: bool = False, **more: str
) -> HostJob:
    undisturbed(case.seed, case.algorithm, case.folder.parent)
    case.n_launches += 1
    job = HostJob(
        slurm, *([] if plain else [*words(case), "report=false"]), options=options, **more
    )
    case.launch = job
    return job


def end(case: Case, job: HostJob) -> None:
    job.until()
    case.left = orphans(case.cluster.hosts, 60)
    assert job.code == 0, f"{job.state}\n{job.out[-3000:]}"
