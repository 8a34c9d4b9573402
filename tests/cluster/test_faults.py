"""A sample of tests/cluster/faults.py, whose full set is one command; the others are exhaustive."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import faults

IN_CI = ("link_late", "rank0_cut")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in IN_CI else pytest.mark.exhaustive)
        for name in faults.FAULTS
    ],
)
def test_the_run_ends_as_undisturbed_and_nothing_is_left(name, tmp_path):
    if why := faults.absent(name):
        pytest.skip(why)
    row = faults.run(name, tmp_path)
    print(f"\n{row}")
    assert row.equal and row.code == 0
    assert row.orphans == 0
