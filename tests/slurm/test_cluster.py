"""Real jobs on the four-node cluster: sbatch, mpirun, pause, requeue, lost rank 0."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from kit.mpi_runs import Launcher, curves  # noqa: E402
from suite.run import journal as journals  # noqa: E402

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(600)]

FOUR = ("--nodes=4", "--ntasks-per-node=2", "--gres=gpu:1", "--time=5")
TABLE = ("model=table_target", "max_epochs=9", "overlap=false", "report=false")


def lines(folder):
    return journals.read(folder / journals.NAME)[1]


@pytest.mark.parametrize("image", [False, True], ids=["environment", "image"])
@pytest.mark.parametrize("algorithm", ["hyperband", "swift_svr"])
def test_a_run_over_four_nodes_finishes_and_its_curves_equal_the_inline_runs(
    cluster, tmp_path, algorithm, image
):
    given = {}
    if image:
        given = {"SUITE_IMAGE": os.environ.get("SUITE_TEST_IMAGE", "")}
        if not given["SUITE_IMAGE"]:
            said = "SUITE_TEST_IMAGE=: names no image; containers/build torch makes one"
            pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
    search = (
        "model=digits_cnn",
        "max_epochs=9",
        "+common.n_curves=5",
        "overlap=false",
        "report=false",
    )
    search = (*search, f"algorithm={algorithm}")
    job = cluster.submit("run.sbatch", FOUR, search, **given)
    assert job.code == 0, job.out
    (folder,) = job.folders
    header = journals.read(folder / journals.NAME)[0]
    assert header["n_workers"] == 4 and ("image" in header) == image
    inline = Launcher(tmp_path / "inline")
    (tmp_path / "inline").mkdir()
    assert curves(folder) == curves(inline(0, *search, "backend=inline").folder)


def test_workers_are_on_all_nodes_and_rank_0_shares_the_first(cluster):
    job = cluster.submit("run.sbatch", FOUR, TABLE)
    assert job.code == 0, job.out
    (hosts,) = (cluster.folder / "experiments" / ".slurm").glob("*/hosts")
    assert hosts.read_text().split() == ["n1", "n1", "n2", "n3", "n4"]
    joined = [line for line in lines(job.folders[0]) if line["event"] == "joined"]
    assert len(joined) == 4
    # A node is its boot id: the four of this cluster are daemons of one machine, and counted as one.
    assert {line["facts"]["node"] for line in joined} == {"node0"}


def test_srun_with_pmix_serves_as_well(cluster):
    job = cluster.submit("run.sbatch", FOUR, TABLE, SUITE_MPI="pmix")
    assert job.code == 0, job.out


def test_an_mpi_that_does_not_go_with_this_one_is_refused_in_time(cluster):
    job = cluster.submit("run.sbatch", FOUR, TABLE, SUITE_MPI="pmi2")
    assert job.code == 1
    assert "SUITE_WORLD_SIZE=5: the launcher made a world of 1 rank(s)" in job.out
    assert job.seconds < 20, job.seconds


def test_a_typo_in_a_site_file_ends_the_job_with_the_name(cluster, tmp_path):
    for name in ("slurm", "batch"):
        shutil.copytree(ROOT / name, tmp_path / name)
    text = (ROOT / "slurm" / "sites" / "local.sh").read_text()
    (tmp_path / "slurm" / "sites" / "typo.sh").write_text(text + "SITE_PARTITON=main\n")
    job = cluster.submit("run.sbatch", FOUR, TABLE, SUITE_ROOT=str(tmp_path), SUITE_SITE="typo")
    assert job.code == 2 and "SITE_PARTITON=main: unknown in" in job.out


def test_a_job_whose_time_ends_pauses_requeues_itself_and_decides_the_same(cluster, tmp_path):
    slow = (*TABLE, "model.sleep_s=0.2")
    job, out = cluster.start("run.sbatch", FOUR, slow)
    cluster.until_epochs(job, out, 4)
    subprocess.run(["scancel", "--batch", "--signal=USR1", job], check=True)
    done = cluster.wait(job, out)
    assert done.code == 0, done.out
    assert "SIGUSR1 came, handed on" in done.out and "start 2" in done.out
    (folder,) = done.folders
    assert [line for line in lines(folder) if line["event"] == "resumed"]
    (tmp_path / "inline").mkdir()
    inline = Launcher(tmp_path / "inline")(0, *TABLE, "backend=inline")
    assert curves(folder) == curves(inline.folder)


def rank_0(job):
    """Process id of the suite's rank 0 in this job (all nodes are on this machine)."""
    wanted = {f"SLURM_JOB_ID={job}", "OMPI_COMM_WORLD_RANK=0"}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            environment = set((path / "environ").read_bytes().decode(errors="ignore").split("\0"))
            if wanted <= environment and b"python" in (path / "cmdline").read_bytes():
                return int(path.name)
        except OSError:
            continue
    raise AssertionError("no rank 0")


@pytest.mark.parametrize("restarts", [1, 0])
def test_a_job_that_lost_rank_0_is_requeued_so_often_and_then_fails(cluster, restarts):
    slow = (*TABLE, "model.sleep_s=0.2")
    job, out = cluster.start("run.sbatch", FOUR, slow, SUITE_MAX_RESTARTS=str(restarts))
    cluster.until_epochs(job, out, 4)
    os.kill(rank_0(job), signal.SIGKILL)
    done = cluster.wait(job, out)
    if restarts:
        assert done.code == 0 and "rank 0 is lost" in done.out and "start 2" in done.out, done.out
    else:
        assert done.code != 0 and "SUITE_MAX_RESTARTS=0: not requeued again" in done.out, done.out


def test_every_task_of_an_array_runs_its_entry_in_a_folder_of_its_own(cluster):
    options = ("--array=0-3", "--ntasks-per-node=3", "--time=5")
    swept = ("algorithm=hyperband,swift_svr", "seed=0,1", "+common.n_curves=5", *TABLE)
    job, out = cluster.start("sweep.sbatch", options, swept, SUITE_WORKERS_PER_NODE="2")
    for k in range(4):
        done = cluster.wait(f"{job}_{k}", out)
        assert done.code == 0, done.out
    names = ["0-hyperband-seed0", "1-hyperband-seed1", "2-swift_svr-seed0", "3-swift_svr-seed1"]
    assert [folder.name for folder in done.folders] == names
    assert len({folder.parent for folder in done.folders}) == 1


def test_a_simulation_needs_no_mpi(cluster):
    job = cluster.submit("simulate.sbatch", ("--time=5",), (*TABLE, "backend.workers=50"))
    assert job.code == 0, job.out
    assert journals.read(job.folders[0] / journals.NAME)[0]["n_workers"] == 50
