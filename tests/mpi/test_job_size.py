"""A Slurm job whose released nodes go: what scontrol is asked, and what becomes of a refusal."""

import subprocess
from types import SimpleNamespace

import pytest

from suite.backends.mpi.job_size import JobSize

HOSTS = {0: "a", 1: "a", 2: "b", 3: "b", 4: "c"}


def sized(job="12", error=None, code=0, stderr=""):
    asked = []

    def run(words, **_):
        asked.append(words)
        if error is not None:
            raise error
        return SimpleNamespace(returncode=code, stderr=stderr)

    return JobSize(job, HOSTS, run), asked


def released(size, *ranks):
    if (thread := size.released(ranks)) is not None:
        thread.join()


def test_a_node_goes_with_its_last_worker_and_rank_0s_never_does():
    size, asked = sized()
    released(size, 2)
    assert not asked
    released(size, 3)
    assert asked == [["scontrol", "update", "JobId=12", "NodeList=a,c"]]
    released(size, 1, 4)
    assert asked[1:] == [["scontrol", "update", "JobId=12", "NodeList=a"]]
    released(size, 4, 77)
    assert len(asked) == 2


def test_outside_of_a_job_nothing_is_asked():
    size, asked = sized(job="")
    released(size, 2, 3, 4)
    assert not asked


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
