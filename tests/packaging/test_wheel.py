"""The wheel in a virtual environment of its own, used from a folder outside the checkout."""

import json
import os
import shutil
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from kit.driving import ROOT

FOLDERS = (
    "suite",
    "models",
    "swiftbench",
    "conf",
    "results_schema",
    "containers",
    "benchmark",
    "slurm",
    "batch",
    "docs",
    "tests",
)
RUN = "backend=simulate model=table_target max_epochs=9 name=wheel tracking=later"


def call(*words, cwd, **environ):
    """A command without the checkout on its path; (exit code, stdout, stderr)."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if k not in ("PYTHONPATH", "SUITE_STORE", "SUITE_PLUGINS")
    }
    kept |= {"MLFLOW_DISABLE_TELEMETRY": "true", "SUITE_RUNS": str(Path(cwd) / "runs"), **environ}
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, env=kept, capture_output=True, text=True, timeout=550
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(wheel, source distribution), built without a network from a copy of the checkout."""
    clone = tmp_path_factory.mktemp("clone")
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info", "images", ".*")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, clone / name, ignore=skip)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy(path, clone)
    script = (
        "from setuptools import build_meta; "
        "build_meta.build_wheel('dist'); build_meta.build_sdist('dist')"
    )
    code, _, err = call(sys.executable, "-c", script, cwd=clone)
    assert code == 0, err
    (wheel,), (source,) = (clone / "dist").glob("*.whl"), (clone / "dist").glob("*.tar.gz")
    return wheel, source


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The bin/ of a virtual environment with the wheel; its dependencies are this environment's."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index")
    code, _, err = call(*pip, built[0], cwd=folder)
    assert code == 0, err
    (packages,) = folder.glob("lib/python*/site-packages")
    # Folders only: what is installed editably here (by a .pth of its own) stays behind.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder / "bin"


def test_the_wheel_holds_configurations_and_schemas_and_no_tests(built):
    names = zipfile.ZipFile(built[0]).namelist()
    for top, inside in (("conf", "suite/conf"), ("results_schema", "suite/results_schema")):
        files = [path.relative_to(ROOT / top) for path in (ROOT / top).rglob("*") if path.is_file()]
        assert len(files) > 2 and {f"{inside}/{path}" for path in files} <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {
        "suite", "models", "swiftbench",
    }  # fmt: skip
    assert all(f"{name}/py.typed" in names for name in ("suite", "models", "swiftbench"))


def test_the_source_distribution_is_the_checkout(built):
    with tarfile.open(built[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for top in FOLDERS:
        absent = [
            path
            for path in (ROOT / top).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and "images" not in path.parts
            if str(path.relative_to(ROOT)) not in names and not path.name.startswith(".")
        ]
        assert not absent
    assert {"bench", "setup.py", "CITATION.cff", "CHANGELOG.md", "requirements.lock"} <= names


@pytest.mark.slow
def test_it_works_from_any_folder(installed, tmp_path):
    """--help, --version, plan, a simulated run with its report, a report of it anew, the shipped checks."""
    swiftbench = installed / "swiftbench"
    where = "import suite, swiftbench; print(suite.__file__); print(swiftbench.__version__)"
    code, out, err = call(installed / "python", "-c", where, cwd=tmp_path)
    assert code == 0 and out.startswith(str(installed.parent)), out + err
    assert call(swiftbench, "--help", cwd=tmp_path)[0] == 0
    code, out, err = call(swiftbench, "plan", *RUN.split(), cwd=tmp_path)
    assert code == 0 and "bracket" in out, err
    code, out, err = call(swiftbench, "run", *RUN.split(), cwd=tmp_path)
    assert code == 0 and "completed" in out, out + err
    (record,) = (tmp_path / "runs").rglob("record.json")
    assert json.loads(record.read_text())["status"] == "completed"
    code, out, err = call(swiftbench, "report", "runs", "--out", "page", cwd=tmp_path)
    assert code == 0 and (tmp_path / "page" / "report.html").exists(), err
    code, out, err = call(swiftbench, "check-scheduler", "scheduler=hyperband", cwd=tmp_path)
    assert code == 0 and "FAIL" not in out, out + err


def test_plan_sbatch_says_that_it_needs_the_checkout(installed, tmp_path):
    code, _, err = call(installed / "swiftbench", "plan", "--sbatch", "nodes=2", cwd=tmp_path)
    assert code == 1 and "slurm" in err and "Traceback" not in err


@pytest.mark.slow
def test_its_runs_are_tracked(installed, tmp_path):
    swiftbench = installed / "swiftbench"
    assert call(swiftbench, "run", *RUN.split(), "report=false", cwd=tmp_path)[0] == 0
    code, out, err = call(swiftbench, "track", "--store", "store", "runs", cwd=tmp_path)
    assert code == 0 and (tmp_path / "store" / "mlflow.db").exists(), out + err


QSVR = """
import numpy as np
from sklearn.utils.estimator_checks import check_estimator
from suite.predictors import QSVR
X = np.random.default_rng(0).uniform(size=(20, 3))
model = QSVR(random_state=0).fit(X, X.mean(axis=1))
print(np.abs(model.predict(X) - X.mean(axis=1)).mean())
results = check_estimator(QSVR(), on_fail="raise")
print(len(results), "checks")
"""


@pytest.mark.network
@pytest.mark.timeout(600)
def test_the_extra_qsvr_brings_what_qsvr_needs_and_no_more(built, tmp_path):
    """Fetched by pip: numpy, scipy, scikit-learn, dimod, dwave-samplers and what these need."""
    venv.create(tmp_path / "venv", with_pip=True, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    code, _, err = call(python, "-m", "pip", "install", f"{built[0]}[qsvr]", cwd=tmp_path)
    assert code == 0, err
    code, out, err = call(python, "-c", QSVR, cwd=tmp_path)
    assert code == 0 and float(out.split()[0]) < 0.1 and out.endswith("checks\n"), out + err
    listed = call(python, "-m", "pip", "list", "--format", "freeze", cwd=tmp_path)[1]
    names = {line.split("==")[0].lower() for line in listed.splitlines()}
    assert names - {"pip", "setuptools"} <= {
        "swiftbench", "numpy", "scipy", "scikit-learn", "dimod", "dwave-samplers", "networkx", "joblib",
        "threadpoolctl", "narwhals", "cloudpickle",
    }  # fmt: skip
    code, _, err = call(tmp_path / "venv/bin/swiftbench", "plan", cwd=tmp_path)
    assert code == 1 and "pip install 'swiftbench[run]'" in err and "Traceback" not in err
