"""How MPI is begun where ranks share cores: seen by a stand-in of mpi4py while it is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from suite.backends import launcher
from suite.backends.mpi import farewell, library

STAND_IN = """
import os
from pathlib import Path
said = os.environ.get("OMPI_MCA_mpi_yield_when_idle", "-")
print(Path("/proc/self/timerslack_ns").read_text().strip(), said)
"""
ASKED = """
from pathlib import Path
from suite.backends.mpi import library
slack = Path("/proc/self/timerslack_ns")
print(slack.read_text().strip())
library.load()
library.load()
print(slack.read_text().strip())
"""


def begun(folder, **variables):
    (folder / "mpi4py").mkdir()
    (folder / "mpi4py" / "__init__.py").touch()
    (folder / "mpi4py" / "MPI.py").write_text(STAND_IN)
    env = {k: v for k, v in os.environ.items() if not k.startswith(launcher.PREFIXES)}
    env["PYTHONPATH"] = f"{folder}:{env.get('PYTHONPATH', '')}"
    words = [sys.executable, "-c", ASKED]
    done = subprocess.run(words, env=env | variables, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.skipif(not Path("/proc/self/timerslack_ns").exists(), reason="Linux alone has it")
def test_ranks_that_wait_for_others_wake_rarely_and_only_while_mpi_begins(tmp_path):
    many = str(2 * os.cpu_count())
    before, within, after = begun(tmp_path, OMPI_COMM_WORLD_LOCAL_SIZE=many)
    assert within == f"{library.START_SLACK_NS} 1"
    assert before == after != str(library.START_SLACK_NS)


def test_what_the_user_says_of_waiting_stays_and_without_others_nothing_is_said(tmp_path):
    for name, variables, said in (
        ("own", {"OMPI_COMM_WORLD_LOCAL_SIZE": "4096", "OMPI_MCA_mpi_yield_when_idle": "0"}, "0"),
        ("alone", {"OMPI_COMM_WORLD_LOCAL_SIZE": "1"}, "-"),
        ("unknown", {}, "-"),
    ):
        (tmp_path / name).mkdir()
        assert begun(tmp_path / name, **variables)[1].split()[-1] == said


@pytest.mark.parametrize("name", ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"])
def test_ranks_for_each_core(monkeypatch, name):
    for other in ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert launcher.ranks_per_core() == 1
    for text, ratio in (("2", 1), ("4", 1), ("6", 1.5), ("64", 16), ("many", 1), ("-8", 1)):
        monkeypatch.setenv(name, text)
        assert launcher.ranks_per_core() == ratio


def test_who_takes_rank_0s_place_has_what_hydra_is_met_by(monkeypatch):
    given = {}
    monkeypatch.setattr(subprocess, "run", lambda *_, **options: given.update(options))
    for text, kept in (("7", (7,)), ("", ()), ("seven", ()), ("-3", ())):
        monkeypatch.setenv("PMI_FD", text)
        farewell.send(2)
        assert given["pass_fds"] == kept
