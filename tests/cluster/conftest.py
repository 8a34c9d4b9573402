"""Tests over test hosts (kit.hosts): root on Linux. Where they cannot be made the tests say why."""

import os
import shutil
from pathlib import Path

import pytest

from kit.hosts import why_not
from kit.mpi_runs import BIN

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    here = [item for item in items if HERE in item.path.parents]
    if not here:
        return
    why = why_not()
    if not why and shutil.which("mpirun", path=f"{BIN}:{os.environ['PATH']}") is None:
        why = "no mpirun on the PATH and none in the environment (./bench setup installs one)"
    for item in here:
        item.add_marker(pytest.mark.timeout(3600))
        if why:
            item.add_marker(pytest.mark.skip(reason=f"test hosts: {why}"))
