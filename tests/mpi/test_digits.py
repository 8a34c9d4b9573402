"""The real network over MPI: equal curves inline, on 2 and 4 workers, overlap on and off, after a
kill, after cuts.
"""

import random
import shutil

import pytest

from kit.mpi_runs import curves
from suite.run import journal as journals

SEARCH = ("model=digits_cnn", "max_epochs=8")


@pytest.fixture(scope="module")
def reference(launch_module):
    done = launch_module(0, *SEARCH, "backend=inline")
    assert done.code == 0, done.out
    return curves(done.folder)


@pytest.fixture(scope="module")
def whole(launch_module):
    """On 4 workers, overlapping, with every checkpoint kept."""
    done = launch_module(5, *SEARCH, "overlap=true", "keep_checkpoints=all")
    assert done.code == 0, done.out
    return done


@pytest.mark.slow
def test_equal_on_mpi(whole, reference):
    assert curves(whole.folder) == reference


@pytest.mark.exhaustive
@pytest.mark.parametrize(("ranks", "overlap"), [(3, "false"), (3, "true"), (5, "false")])
def test_equal_on_any_number_of_workers(launch, reference, ranks, overlap):
    done = launch(ranks, *SEARCH, f"overlap={overlap}")
    assert done.code == 0, done.out
    assert curves(done.folder) == reference


@pytest.mark.slow
def test_equal_after_a_worker_is_killed_in_a_job(launch, reference, tmp_path):
    marker = tmp_path / "struck"
    done = launch(
        3,
        *SEARCH,
        "model=fault_digits",
        "+model.fault=kill",
        "+model.fault_rank=1",
        "+model.fault_epoch=3",
        f"+model.marker={marker}",
    )
    assert marker.exists(), "the fault was never planted"
    assert done.code == 0, done.out
    assert any(line["event"] == "lost" for line in done.lines)
    assert curves(done.folder) == reference


@pytest.mark.slow
@pytest.mark.parametrize("n_cuts", [1, pytest.param(12, marks=pytest.mark.exhaustive)])
def test_equal_after_a_cut_and_resume(launch, whole, reference, n_cuts, tmp_path):
    """The journal cut behind lines drawn by seed, as a killed rank 0 leaves it; resumed over
    MPI.
    """
    rows = (whole.folder / journals.NAME).read_bytes().splitlines(keepends=True)
    cuts = sorted(random.Random(0).sample(range(1, len(rows) - 2), n_cuts))
    for cut in cuts:
        folder = tmp_path / f"cut-{cut}"
        shutil.copytree(whole.folder, folder)
        torn = rows[cut][: len(rows[cut]) // 2]  # and half a line more, as a crash may leave it
        (folder / journals.NAME).write_bytes(b"".join(rows[:cut]) + torn)
        done = launch(3, f"resume={folder}")
        assert done.code == 0, f"cut behind line {cut}: {done.out}"
        assert curves(folder) == reference, f"cut behind line {cut}"
    print(f"\ncut behind lines {cuts} of {len(rows)}: {n_cuts} of {n_cuts} resumed runs identical")
