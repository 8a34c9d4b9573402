"""The same seeds and scheduler simulated and over MPI, the recorded table as the target."""

import os
from pathlib import Path

import pytest

from kit.mpi_runs import curves
from suite.run import journal as journals


def decisions(folder) -> dict:
    found: dict[int, list] = {}
    for line in journals.read(folder / journals.NAME)[1]:
        for command in line.get("do", []):
            if command[0] == "start":
                found.setdefault(command[3], []).append(command[4:])
    return found


@pytest.mark.parametrize(
    ("algorithm", "overlap"),
    [
        ("hyperband", "true"),
        pytest.param("hyperband", "false", marks=pytest.mark.slow),
        pytest.param("swift_svr", "false", marks=pytest.mark.exhaustive),
    ],
)
def test_mpi_and_simulation_agree(launch, algorithm, overlap):
    if not (Path(os.environ.get("SUITE_DATA", "")) / "curves" / "mlpf_delphes.csv").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("SUITE_DATA holds no curves/mlpf_delphes.csv")
        pytest.skip("SUITE_DATA holds no curves/mlpf_delphes.csv: set it to the folder with tables")
    search = (f"algorithm={algorithm}", f"overlap={overlap}", "model=mlpf_table", "max_epochs=100")
    simulated = launch(0, *search, "backend=simulate")
    real = launch(4, *search, "backend=mpi")
    assert simulated.code == real.code == 0, simulated.out + real.out
    assert curves(simulated.folder) == curves(real.folder)
    assert decisions(simulated.folder) == decisions(real.folder)
