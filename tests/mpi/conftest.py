"""The fixtures of the MPI tests: `launch`, and the same for a whole module."""

import os
import shutil
from pathlib import Path

import pytest

from kit.mpi_runs import BIN, Launcher

HERE = Path(__file__).parent
# Launches are ended where they make no progress (kit.mpi_runs.STILL_S), so that a machine with other work
# does not fail a test. This is for what hangs without a launch.
MOST_S = 3600


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(MOST_S))


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
