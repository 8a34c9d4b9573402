"""The import contracts of pyproject.toml hold, and each of them catches a forbidden import."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kit.driving import ROOT

TARGET, RUNS, FACTS = "models/digits_cnn.py", "suite/report/runs.py", "suite/worker/facts.py"
# What is planted: the file, the import, and how the contract's name that must break begins.
PLANTED = {
    "upwards": ("suite/run/conductor.py", "from suite.results import find", "Imports only"),
    "between siblings": (RUNS, "from suite.track import rows", "Imports only"),
    "a core that knows a scheduler": (
        "suite/core/space.py",
        "import suite.schedulers.asha",
        "Imports only",
    ),
    "a target that meters": (TARGET, "from suite.worker.energy import Meter", "Targets know"),
    "a target that reads runs": (TARGET, "from suite.results import run_view", "Targets know"),
    "a target that predicts": (TARGET, "from suite.surrogates.gate import Gate", "Targets know"),
    "a suite that knows a target": (FACTS, "import models.digits_cnn", "Nothing of the suite"),
    "a clock in a scheduler": ("suite/schedulers/asha.py", "import time", "No clock"),
    "files in a searcher": ("suite/searchers/grid.py", "from pathlib import Path", "No clock"),
    "the environment in a surrogate": ("suite/surrogates/gate.py", "import os", "No clock"),
    "Hydra in the doctor": ("suite/doctor/host.py", "import hydra", "Only launch"),
    "OmegaConf in the report": (RUNS, "from omegaconf import OmegaConf", "Only launch"),
    "MLflow in the report": (RUNS, "import mlflow", "Only track"),
    "MPI in the worker": (FACTS, "from mpi4py import MPI", "Only backends.mpi"),
    "D-Wave in a predictor": ("suite/predictors/svr.py", "import dimod", "Only annealing"),
}


def lint(folder):
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_the_contracts_are_kept():
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout[-4000:]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("house")
    for name in ("suite", "models", "swiftbench"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize("planted", PLANTED)
def test_a_forbidden_import_is_caught(copy, planted):
    file, line, contract = PLANTED[planted]
    path = copy / file
    before = path.read_text()
    path.write_text(f"{before}\n{line}\n")
    try:
        result = lint(copy)
    finally:
        path.write_text(before)
    broken = [row for row in result.stdout.splitlines() if "BROKEN" in row]
    assert result.returncode == 1 and any(row.startswith(contract) for row in broken), (
        result.stdout[-4000:]
    )
