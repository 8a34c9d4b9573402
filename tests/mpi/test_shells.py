"""Shells and namespaces around the ranks: what a launcher's variables say need not be so."""

import shutil
import subprocess

import pytest

from kit.mpi_runs import environment

MPIRUN = ["mpirun", "--with-ft", "ulfm", "--oversubscribe"]
# Only against a hang: a machine with other work takes a fraction of it.
MOST_S = 900


def started(folder, *command):
    return subprocess.run(
        command, env=environment(folder / "runs"), cwd=folder, timeout=MOST_S, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def test_in_a_shell_that_is_one_task_of_a_launch_what_needs_no_mpi_does_not_begin_it(
    launch, tmp_path
):
    """As after `srun -n 3 --pty bash`: the other tasks are no ranks of the suite and never come."""
    words = ("model=table_target", "max_epochs=3", "report=false", "tracking=later")
    (tmp_path / "task.sh").write_text(
        'if [ "$OMPI_COMM_WORLD_RANK" != 0 ]; then while [ ! -e over ]; do sleep 0.1; done; exit; fi\n'
        "python -m suite plan max_epochs=4; echo plan: $?\n"
        f"python -m suite backend=simulate {' '.join(words)}; echo simulate: $?\n"
        "touch over\n"
    )
    done = started(tmp_path, *MPIRUN, "-n", "3", "bash", "task.sh")
    assert "plan: 0\n" in done.stdout and "simulate: 0\n" in done.stdout, done.stdout
    assert "hyperband seed 0 on table_target: completed" in done.stdout


def test_ranks_that_rank_0_never_needed_end_with_it(launch, tmp_path):
    """A page, and a mistake before MPI is begun: with ULFM mpirun would wait for every rank."""
    for words, code in ((("plan",), 0), (("model=typo",), 1)):
        (tmp_path / "verdict").unlink(missing_ok=True)
        done = started(tmp_path, *MPIRUN, "-n", "3", "python", "-m", "suite", *words)
        assert (tmp_path / "verdict").read_text() == f"{code}\n", done.stdout


@pytest.mark.slow
def test_ranks_with_pids_of_their_own_are_not_taken_for_dead(launch, tmp_path):
    """As in containers: each has a PID namespace, and rank 0's has other PIDs."""
    own = ["unshare", "--pid", "--fork", "--mount-proc"]
    if (
        not shutil.which("unshare")
        or subprocess.run([*own, "true"], capture_output=True).returncode
    ):
        pytest.skip("unshare --pid is not allowed here (root, or user namespaces)")
    suite = "python -m suite model=table_target model.sleep_s=0.1 max_epochs=9 report=false tracking=later"
    shift = "[ $OMPI_COMM_WORLD_RANK = 0 ] || for i in 1 2 3 4 5; do /bin/true; done"
    # Shared memory needs one table of PIDs.
    tcp = ["--mca", "btl", "self,tcp", "--mca", "pml", "ob1"]
    done = started(
        tmp_path, *MPIRUN, *tcp, "-n", "3", *own, "bash", "-c", f"{shift}; {suite}; exit $?"
    )
    assert "hyperband seed 0 on table_target: completed" in done.stdout, done.stdout
    (journal,) = (tmp_path / "runs").rglob("journal.jsonl")
    assert b'"lost"' not in journal.read_bytes()
