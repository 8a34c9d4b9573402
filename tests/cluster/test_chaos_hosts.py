"""Five runs of tests/cluster/chaos_hosts.py, whose hundred are one command."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from chaos_hosts import Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of all: each undisturbed run is made once."""
    return tmp_path_factory.mktemp("chaos")


# Ranks that are killed, links that flap or are lost, a host that is off, a folder read-only for a while.
@pytest.mark.parametrize("number", [3, 5, 6, 8, 9])
def test_whatever_fails_the_run_ends_as_undisturbed(number, folder):
    run = Run(1, number, folder / f"{number}")
    row = run()
    print(f"\n{row}")
    assert row.equal and row.orphans == 0 and row.code == 0
    assert not run.todo, "it was over before all its faults had struck"
