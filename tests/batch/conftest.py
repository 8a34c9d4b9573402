"""Batch systems for tests: the stand-in of PBS, and a real Grid Engine where one can be made."""

import pytest

from kit import gridengine
from kit.batch_systems import GridEngine, Pbs
from kit.pbs import StandIn


@pytest.fixture(scope="session")
def cell(tmp_path_factory):
    if why := gridengine.why_not():
        pytest.skip(f"no Grid Engine: {why}")
    try:
        with gridengine.Cell(tmp_path_factory.mktemp("gridengine") / "cell") as made:
            yield made
            assert made.processes(), "its daemons ended before the tests did"
    except gridengine.PackagesAbsent as absent:
        pytest.skip(f"no Grid Engine: {absent}")
    assert not made.processes()


@pytest.fixture
def standing_in(tmp_path):
    with StandIn(tmp_path / "pbs") as made:
        yield made


@pytest.fixture(params=["pbs", "gridengine"])
def system(request, tmp_path):
    """Each in turn: the stand-in of PBS, and Grid Engine."""
    if request.param == "pbs":
        return Pbs(tmp_path / "jobs", request.getfixturevalue("standing_in"))
    return GridEngine(tmp_path / "jobs", request.getfixturevalue("cell"))
