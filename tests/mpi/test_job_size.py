"""A Slurm job whose released nodes go: what scontrol is asked, and what becomes of a refusal."""

import os
import subprocess
from types import SimpleNamespace

import pytest

from suite.backends.launcher import why_nodes_stay
from suite.backends.mpi import job_size
from suite.backends.mpi.job_size import JobSize

HOSTS = {0: "a", 1: "a", 2: "b", 3: "b", 4: "c"}


def sized(job="12", why_not="", error=None, code=0, stderr=""):
    asked = []

    def run(words, cwd, **_):
        # scontrol leaves scripts where it runs.
        assert not os.listdir(cwd) and cwd != os.getcwd()
        asked.append(words)
        if error is not None:
            raise error
        return SimpleNamespace(
            returncode=code if isinstance(code, int) else next(code), stderr=stderr
        )

    return JobSize(job, HOSTS, why_not, run, leave_s=0.0), asked


def released(size, *ranks):
    if leaving := size.released(ranks):
        size.ask().join()
    return leaving


def test_a_node_goes_with_its_last_worker_and_rank_0s_never_does():
    size, asked = sized()
    assert released(size, 2) == []
    assert not asked
    # Both leave MPI, also the one that was released before.
    assert released(size, 3) == [2, 3]
    assert asked == [["scontrol", "update", "JobId=12", "NodeList=a,c"]]
    assert released(size, 1, 4) == [4]
    assert asked[1:] == [["scontrol", "update", "JobId=12", "NodeList=a"]]
    assert released(size, 4, 77) == []
    assert len(asked) == 2


def test_outside_of_a_job_nothing_is_asked():
    size, asked = sized(job="")
    assert released(size, 2, 3, 4) == []
    assert not asked


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"PRTE_LAUNCHED": "1", "PMIX_RANK": "0"}, "mpirun ends a run that loses a node"),
        ({"PMI_RANK": "0"}, "only Open MPI under srun"),
        ({"PMIX_RANK": "0"}, "a rank cannot end before the others; export OMPI_MCA_"),
    ],
)
def test_under_a_launcher_that_ends_with_a_node_the_job_keeps_them(environment, says, capsys):
    size, asked = sized(why_not=why_nodes_stay(environment))
    assert released(size, 2, 3) == released(size, 4) == []
    assert not asked
    said = capsys.readouterr().err
    assert said.count(f"the job keeps its nodes: {says}") == 1


def test_srun_s_ranks_that_do_not_wait_for_each_other_may_leave():
    assert not why_nodes_stay({"PMIX_RANK": "0", "OMPI_MCA_async_mpi_finalize": "1"})


@pytest.mark.parametrize(
    "how",
    [
        {"code": 1, "stderr": "Access/permission denied\n"},
        {"error": FileNotFoundError(2, "No such file", "scontrol")},
        {"error": subprocess.TimeoutExpired("scontrol", 30)},
    ],
)
def test_a_refusal_is_said_once_and_nothing_more_is_asked(how, capsys):
    size, asked = sized(**how)
    released(size, 2, 3)
    released(size, 4)
    assert len(asked) == 1
    said = capsys.readouterr().err
    assert said.count("the job keeps its nodes: scontrol update: ") == 1


def test_what_slurm_cannot_do_just_now_is_asked_again(monkeypatch, capsys):
    monkeypatch.setattr(job_size, "_AGAIN_S", 0.0)
    answers = iter([1, 1, 0])
    size, asked = sized(code=answers, stderr="the DB index is being set, try again in a bit")
    released(size, 2, 3)
    assert len(asked) == 3 and not capsys.readouterr().err
