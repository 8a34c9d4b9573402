"""The fixtures of the MPI tests: `launch`, and the same for a whole module."""

import os
import shutil

import pytest
from mpi_runs import BIN, Launcher


def _launcher(folder):
    if shutil.which("mpirun", path=f"{BIN}:{os.environ['PATH']}") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no mpirun: ./bench installs one where the machine has none")
        pytest.skip(
            "no mpirun on the PATH and none in the environment (./bench setup installs one)"
        )
    return Launcher(folder)


@pytest.fixture
def launch(tmp_path):
    return _launcher(tmp_path)


@pytest.fixture(scope="module")
def launch_module(tmp_path_factory):
    return _launcher(tmp_path_factory.mktemp("runs"))
