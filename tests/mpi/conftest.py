"""The one fixture of the MPI tests."""

import os
import shutil

import pytest
from mpi_runs import BIN, Launcher


@pytest.fixture
def launch(tmp_path):
    if shutil.which("mpirun", path=f"{BIN}:{os.environ['PATH']}") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no mpirun: ./bench installs one where the machine has none")
        pytest.skip("no mpirun on the PATH and none in the environment (./bench setup installs one)")
    return Launcher(tmp_path)
