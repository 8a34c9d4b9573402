"""The virtual cluster over MPI: the same outcome inline, on any number of workers, after a kill."""

import pytest

from kit.mpi_runs import curves

SEARCH = (
    "model=table_target",
    "max_epochs=32",
    "overlap=logical",
    "virtual_cluster.nominal_workers=4",
    "+common.n_curves=4",
)
pytestmark = pytest.mark.slow  # 18 launches

# Gates speculate, so that a journal holds epochs that do not count.
ALGORITHMS = {
    "swift": (),
    "swift_save": ("virtual_cluster.speculate=true",),
    "swift_svr": (),
    "calibrated_gate": ("virtual_cluster.speculate=true",),
}


def sampled(*chosen):
    """All algorithms; those that are not `chosen` run with -m exhaustive."""
    return [
        name if name in chosen else pytest.param(name, marks=pytest.mark.exhaustive)
        for name in ALGORITHMS
    ]


@pytest.mark.parametrize("algorithm", sampled("swift_save"))
def test_workers_change_nothing(launch, algorithm):
    search = (*SEARCH, f"algorithm={algorithm}", *ALGORITHMS[algorithm])
    found = []
    for ranks in (0, 2, 3, 5):
        done = launch(ranks, *search, *(("backend=inline",) if ranks == 0 else ()))
        assert done.code == 0, done.out
        found.append(curves(done.folder))
    assert found == [found[0]] * 4


@pytest.mark.parametrize("algorithm", sampled("swift_save"))
def test_a_killed_worker_changes_nothing(launch, algorithm, tmp_path):
    search = (*SEARCH, f"algorithm={algorithm}", *ALGORITHMS[algorithm])
    whole = launch(0, *search, "backend=inline")
    marker = tmp_path / "struck"
    done = launch(
        4, *search, "model=fault_table", "+model.fault=kill",
        "+model.fault_rank=2", f"+model.marker={marker}",
    )  # fmt: skip
    assert marker.exists(), "the fault was never planted"
    assert done.code == 0, done.out
    assert [line["worker"] for line in done.lines if line["event"] == "lost"] == [2]
    assert curves(done.folder) == curves(whole.folder)
