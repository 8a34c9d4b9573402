"""A job that gives nodes back while its run goes on: `scontrol update`, on the four-node cluster."""

import subprocess

import pytest

from suite.results.fold import load_run
from suite.run import journal as journals
from suite.verify.checks import verify

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(600)]

FOUR = ("--nodes=4", "--ntasks-per-node=2", "--gres=gpu:1", "--time=5")
# One trial: one worker trains it, one stays in case that one is lost, two are released at once.
SEARCH = (
    "model=table_target", "model.sleep_s=1", "max_epochs=27", "algorithm=price", "budget.hours=1",
    "budget.n_trials=1", "backend.shrink_job=true", "report=false",
)  # fmt: skip


def n_nodes(job):
    shown = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True).stdout
    (n,) = [w.partition("=")[2] for w in shown.split() if w.startswith("NumNodes=")]
    return int(n.partition("-")[0])


def released(job):
    """The workers; the k-th is on node k, the first shares it with rank 0."""
    assert job.code == 0, job.out
    (folder,) = job.folders
    view = load_run(folder)
    assert view.status == "completed" and view.test_value is not None, view.reason
    assert len(view.trials[0].curve) == 27 and view.counts.n_retrained == 0
    assert verify(folder, "run").holds
    lines = journals.read(folder / journals.NAME)[1]
    assert not [line for line in lines if line["event"] == "lost"]
    commands = [command for line in lines for command in line.get("do", ())]
    return {command[1] for command in commands if command[0] == "release"}


def test_nodes_without_a_needed_worker_leave_the_job_and_the_run_goes_on(cluster):
    job, out = cluster.start("run.sbatch", FOUR, SEARCH, SUITE_MPI="pmix")
    done = cluster.wait(job, out)
    gone = released(done)
    assert len(gone) == 2 and "the job keeps its nodes" not in done.out
    assert n_nodes(job) == 4 - len(gone - {1}), done.out


def test_under_mpirun_which_would_end_with_a_node_the_job_keeps_them(cluster):
    search = [word.replace("sleep_s=1", "sleep_s=0.1") for word in SEARCH]
    job, out = cluster.start("run.sbatch", FOUR, search)
    done = cluster.wait(job, out)
    assert len(released(done)) == 2
    assert done.out.count("the job keeps its nodes: mpirun ends a run that loses a node") == 1
    assert n_nodes(job) == 4
