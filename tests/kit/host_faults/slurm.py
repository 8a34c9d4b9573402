"""Slurm over the hosts: what it does to jobs, and jobs that meet. slurm/run.sbatch, sweep.sbatch."""

from __future__ import annotations

import time

from kit import host_slurm
from kit.host_faults.case import SEARCH, SLEEP_S, Case, Row, undisturbed
from kit.host_faults.jobs import FOUR, begin, end, submit, words
from kit.host_runs import KEEPALIVE, decided, orphans, wait
from kit.host_slurm import HostJob
from suite.results.find import find_files

absent = host_slurm.absent
THREE = ("--nodes=3", "--ntasks-per-node=2", "--time=10")
TWO = ("--nodes=2", "--ntasks-per-node=2", "--time=10")


def slurm_mpirun(case: Case) -> Row:
    """sbatch, mpirun within it: the run of 4 nodes is that of one."""
    slurm = begin(case)
    end(case, submit(case, slurm))
    return case.row(f"{len(case.launch.events('joined'))} workers joined")


def slurm_srun(case: Case) -> Row:
    """sbatch, srun --mpi=pmix within it, no mpirun: the run of 4 nodes is that of one."""
    slurm = begin(case)
    end(case, submit(case, slurm, SUITE_MPI="pmix"))
    return case.row(f"{len(case.launch.events('joined'))} workers joined")


def slurm_preempted(case: Case) -> Row:
    """An urgent job takes all nodes, with a grace of 10 s: the run pauses, is requeued, and goes on after."""
    slurm = begin(case)
    job = submit(case, slurm)
    urgent = case.folder / "shared" / "urgent.sh"
    urgent.write_text("#!/bin/sh\nsleep 5\n")
    taken = ("--partition=urgent", "--nodes=4", "--exclusive", "--output=/dev/null", str(urgent))
    case.strike(lambda: slurm.submit(*taken))
    case.notice(lambda: job.events("closed"))
    end(case, job)
    case.n_launches += 1
    _restarted(job)
    return case.row(
        "paused by Slurm's signal, requeued, resumed" if "paused" in job.out else job.out[-300:]
    )


def slurm_rank0_cut(case: Case) -> Row:
    """Rank 0's node is cut off, and the job requeued while the old rank 0 still runs: refused; submitted
    again after its end, it goes on."""
    slurm = begin(case)
    cut, *others = case.cluster.hosts
    # mpirun of the old job outlives the second start, which comes after some 50 s.
    variables = KEEPALIVE | {"SUITE_STAMP": "one", "PRTE_MCA_oob_tcp_keepalive_time": "150"}
    job = submit(case, slurm, options=THREE, **variables)
    case.strike(cut.down)
    case.n_launches += 1

    def lives() -> bool:
        here = cut.processes()
        return any(rank == "0" and pid in here for pid, rank in job.processes().items())

    case.notice(lambda: "another run is in it" in job.out, 300)
    assert lives(), "the old rank 0 has ended too early"
    job.until()
    _restarted(job)
    assert job.code == 1, job.state
    wait(lambda: not lives(), 300)
    ended = time.monotonic() - case.struck
    third = submit(case, slurm, options=THREE, **variables)
    third.until()
    assert third.code == 0, f"{third.state}\n{third.out[-3000:]}"
    left, seconds = orphans(others, 60)
    # What Slurm itself has left on the node goes when slurmctld can tell it to.
    cut.up()
    case.left = (left + orphans([cut], 120)[0], seconds)
    return case.row(
        f"the second start was refused; the old rank 0 ended {ended:.0f} s after the cut (mpirun's "
        "keepalive: 150 + 5 × 1 s); the third went on"
    )


def slurm_drained(case: Case) -> Row:
    """A node is drained while the job runs: untouched. Requeued, it goes on when the node is back."""
    slurm = begin(case)
    job = submit(case, slurm, options=FOUR)
    case.strike(lambda: slurm.scontrol("update", "NodeName=n3", "State=DRAIN", "Reason=test"))
    n = job.n_epochs()
    job.until(lambda: job.n_epochs() > n + 3)
    assert not job.events("lost"), "draining touched the run"
    slurm.scontrol("requeue", job.number)
    # It asked for so many nodes: Slurm waits for the one that is drained.
    wait(lambda: job.state["JobState"] == "PENDING", 60)
    time.sleep(20)
    assert job.state["JobState"] == "PENDING", job.state
    slurm.scontrol("update", "NodeName=n3", "State=RESUME")
    end(case, job)
    case.n_launches += 1
    _restarted(job)
    return case.row("untouched; requeued, it waited for the node, and went on when that was back")


def slurm_array(case: Case) -> Row:
    """An array of four: each task's run is that of the same entry alone."""
    slurm = begin(case)
    entries = ("algorithm=hyperband,swift_svr", "seed=0,1", *SEARCH[:3], f"model.sleep_s={SLEEP_S}")
    job = case.launch = HostJob(
        slurm, *entries, script="sweep.sbatch", SUITE_WORKERS_PER_NODE="2",
        options=("--array=0-3", "--ntasks-per-node=3", "--time=10"),
    )  # fmt: skip
    case.n_launches += 1
    wait(lambda: slurm.idle() and len(find_files(job.runs, "record.json")) >= 4, 300)
    case.left = orphans(case.cluster.hosts, 30)
    equal = []
    for path in find_files(job.runs, "record.json"):
        algorithm, seed = (
            path.parent.name.split("-")[1],
            int(path.parent.name.rpartition("seed")[2]),
        )
        equal.append(decided(path.parent) == undisturbed(seed, algorithm, case.folder.parent))
    row = case.row(f"{sum(equal)} of {len(equal)} tasks equal")
    row.equal &= len(equal) == 4 and all(equal)
    return row


def slurm_steps(case: Case) -> Row:
    """srun with components (rank 0 : workers) within sbatch, no mpirun: one world."""
    slurm = begin(case)
    script = case.folder / "shared" / "steps.sh"
    line = " ".join(words(case))
    script.write_text(
        "#!/bin/sh\nexport PMIX_MCA_psec=native PMIX_MCA_gds=hash SUITE_WORLD_SIZE=4\n"
        f"srun --mpi=pmix -n1 -N1 python -m suite {line} : -n3 -N3 python -m suite {line}\n"
    )
    job = submit(case, slurm, script=str(script), plain=True)
    end(case, job)
    return case.row(f"{len(job.events('joined'))} workers joined")


def slurm_twice(case: Case) -> Row:
    """The same job is submitted twice at once: one runs, one is refused."""
    slurm = begin(case)
    job = submit(case, slurm, options=TWO, SUITE_STAMP="one")
    second = submit(case, slurm, options=TWO, SUITE_STAMP="one")
    for one in (job, second):
        one.until()
    ran, refused = sorted((job, second), key=lambda one: one.code)
    assert (ran.code, refused.code != 0) == (0, True) and "another run is in it" in refused.out, (
        job.out + second.out
    )
    case.launch = ran
    end(case, ran)
    return case.row(f"the second was refused ({refused.code}): another run is in it")


def _restarted(job: HostJob) -> None:
    assert job.state["Restarts"] == "1", f"{job.state}\n{job.out[-3000:]}"
