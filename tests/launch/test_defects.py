"""Defects of revision 0e27403, each shown by the command line alone, so that this file can be run on that
revision too (copy it into its tests/launch/): there each of these tests fails.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
QUIET = ("report=false", "tracking=later")
SMALL = ("model=table_target", "max_epochs=9", "eta=3", *QUIET)


def suite(folder, *arguments, module="suite", **variables):
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMIX_", "SLURM_"))
    }
    environment |= {"SUITE_RUNS": str(folder / "runs"), "PYTHONSAFEPATH": "1"} | variables
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(folder)])
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )


def record(folder):
    (path,) = (folder / "runs").rglob("record.json")
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    ("choices", "name"),
    [
        (["scheduler=asha"], "asha"),
        (["algorithm=swift_svr", "predictor=constant"], "swift_constant"),
        (["searcher=evolution"], "hyperband+evolution"),
    ],
)
def test_d1_a_run_is_named_by_what_ran(tmp_path, choices, name):
    result = suite(tmp_path, *choices, *SMALL)
    assert result.returncode == 0, result.stderr
    assert record(tmp_path)["algorithm"] == name


def test_d1_a_model_is_named_by_its_yaml(tmp_path):
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "__init__.py").write_text("")
    text = (ROOT / "models").glob("*.py")
    source = next(path for path in text if "class TableTarget" in path.read_text())
    (tmp_path / "mypackage" / "target.py").write_text(source.read_text())
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine.yaml").write_text(
        "_target_: mypackage.target.TableTarget\n"
    )
    result = suite(
        tmp_path, "--config-dir", "conf", "model=mine", *SMALL[1:], SUITE_PLUGINS="mypackage"
    )
    assert result.returncode == 0, result.stderr
    assert record(tmp_path)["model"] == "mine"


def test_d2_a_direction_that_is_neither_min_nor_max_trains_nothing(tmp_path):
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "__init__.py").write_text("")
    (tmp_path / "mypackage" / "target.py").write_text(
        "from models.digits_cnn import DigitsCNN\n\n\n"
        "class Wrong(DigitsCNN):\n    metric, mode = 'val_loss', 'maximize'\n"
    )
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "wrong.yaml").write_text("_target_: mypackage.target.Wrong\n")
    result = suite(
        tmp_path, "--config-dir", "conf", "model=wrong", "scheduler=random_search",
        "budget.n_trials=1", "max_epochs=1", *QUIET, SUITE_PLUGINS="mypackage",
    )  # fmt: skip
    assert result.returncode == 1 and "maximize" in result.stdout + result.stderr
    assert not (tmp_path / "runs").exists()


def test_d3_an_address_is_no_folder(tmp_path):
    address = "http://127.0.0.1:9"
    result = suite(
        tmp_path, *SMALL[:3], "report=false", "tracking=after", f"tracking.store={address}"
    )
    assert result.returncode == 1 and f"tracking.store={address}" in result.stdout + result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "word",
    [
        "score_test=no", "report=no", "tracking.when=allways", "keep_checkpoints=wimner",
        "backend.device=gpu", "max_epochs=null", "backend.threads=null", "backend.checkpoint_every_s=null",
    ],
)  # fmt: skip
def test_d4_a_wrong_word_is_refused_by_name_before_a_folder_is_made(tmp_path, word):
    result = suite(tmp_path, *SMALL, word)
    assert result.returncode == 1 and f"{word}: must be" in result.stdout + result.stderr
    assert not (tmp_path / "runs").exists()


def test_d5a_plan_counts_ranges_and_n_seeds(tmp_path):
    sweep = suite(tmp_path, "plan", *SMALL, "-m", "seed=range(20)", "algorithm=hyperband,swift_svr")
    assert sweep.returncode == 0 and re.search(r"\b40 runs", sweep.stdout), (
        sweep.stdout + sweep.stderr
    )
    few = suite(
        tmp_path, "plan", *SMALL, "-m", "seed=range(20)", "algorithm=hyperband,swift_svr",
        "n_seeds={swift_svr: 5}",
    )  # fmt: skip
    assert few.returncode == 0 and re.search(r"\b25 runs", few.stdout), few.stdout + few.stderr


def test_d8_one_package_knows_hydra():
    pattern = re.compile(r"^\s*(from|import) (hydra|omegaconf)\b", re.M)
    files = {p for p in (ROOT / "suite").rglob("*.py") if pattern.search(p.read_text())}
    assert {file.parent for file in files} == {ROOT / "suite" / "launch" / "compose"}
