"""A newcomer's thing is one file and one YAML: run and tested with no other edit, in the suite's own folders
or from a package elsewhere; and the conformance suites find what is wrong with it.
"""

import json
import re
import shutil

import pytest

from kit import newcomers
from kit.driving import ROOT

CHECKS = {
    "scheduler": ("check-scheduler", "scheduler=throw_away"),
    "target": ("check-target", "model=linear"),
    "predictor": ("check-predictor", "predictor=last"),
    "searcher": ("check-searcher", "searcher=drawn"),
}
# Each of a kind that is easily made: (module, text, what stands in its place, the check that finds it).
FAULTS = [
    ("scheduler", "Train(t, rung.to_epoch) for", "Train(t, rung.to_epoch + 1) for",
     "it_ends_within_its_plan_and_never_exceeds_max_epochs"),
    ("scheduler", "if max_epochs < 1", "if max_epochs < 0", "bad_values_name_themselves"),
    ("target", "return stream(self.seed, \"order\", epoch).permutation(128)",
     "self.n = getattr(self, 'n', 0) + 1; return stream(self.seed, 'order', self.n).permutation(128)",
     "three_epochs_straight_equal_one_and_save_and_load_and_two"),
    ("target", 'self._loss(self.target.valid)', 'self._loss(self.target.test_rows)',
     "the_search_never_sees_the_test_split"),
    ("target", 'self.config["learning_rate"] * X', "0.01 * X",
     "every_hyperparameter_that_is_searched_changes_the_training"),
    ("target", 'Metric("val_loss", "min")', '"val_loss"', "it_says_what_it_is"),
    ("target", '"val_loss", "min"', '"val_loss", "minimum"', "it_says_what_it_is"),
    ("predictor", "not np.isfinite(X).all()", "False", "bad_shapes_and_numbers"),
    ("predictor", "return X[:, -1] + self._step", "return X[:, -1] + self._step + X.mean()",
     "rows_are_predicted_one_by_one"),
    ("searcher", "(self.seed, \"drawn\", trial_id)", "(0, \"drawn\", trial_id)",
     "every_proposal_is_in_the_space_and_depends_on_the_seed"),
]  # fmt: skip


def check(folder, kind):
    command, choice = CHECKS[kind]
    return newcomers.python(folder, "-m", "swiftbench", command, "--config-dir", "conf", choice)


@pytest.mark.parametrize("kind", CHECKS)
def test_the_shipped_checks_pass_on_a_package_of_ones_own(tmp_path, kind):
    newcomers.write(tmp_path)
    done = check(tmp_path, kind)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) > 4 and all(line.startswith("PASS  ") for line in lines[1:-1])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault[0]}-{fault[3]}")
def test_the_shipped_checks_find_a_planted_fault_and_say_why(tmp_path, fault):
    newcomers.write(tmp_path, fault[:3])
    done = check(tmp_path, fault[0])
    lines = done.stdout.splitlines()
    (at,) = [i for i, line in enumerate(lines) if line.startswith(f"FAIL  {fault[3]} ")]
    assert done.returncode == 1 and lines[at + 1].startswith("      ") and lines[at + 1].strip()


def test_without_a_name_all_of_the_folder_are_checked(tmp_path):
    newcomers.write(tmp_path)
    (tmp_path / "conf/searcher/other.yaml").write_text("_target_: suite.searchers.random.Random\n")
    words = ("-m", "swiftbench", "check-searcher", "--config-dir", "conf")
    done = newcomers.python(tmp_path, *words)
    assert done.returncode == 0 and done.stdout.count("5 of 5 checks passed") == 2, done.stderr
    assert "newcomer.searcher.Drawn" in done.stdout and "random.Random" in done.stdout


def test_a_name_that_is_not_there_is_refused_with_the_known_ones(tmp_path):
    newcomers.write(tmp_path)
    words = ("-m", "swiftbench", "check-target", "model=liner", "--config-dir", "conf")
    done = newcomers.python(tmp_path, *words)
    assert done.returncode == 1 and "linear" in done.stderr and "Traceback" not in done.stderr


TESTS = """
from suite.testing import SearcherConformance, conformance

TestModel = conformance("model=linear", config_dir="conf")
TestScheduler = conformance("scheduler=throw_away", config_dir="conf")


class TestDrawn(SearcherConformance):
    leaf = {"_target_": "newcomer.searcher.Drawn"}
    test_fixed_names_stay_fixed = None
"""


def test_pytest_collects_the_shipped_checks_in_ones_own_repository(tmp_path):
    newcomers.write(tmp_path, FAULTS[0][:3])
    (tmp_path / "test_mine.py").write_text(TESTS)
    done = newcomers.python(
        tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"
    )
    assert re.search(r"^1 failed, 2\d passed", done.stdout, re.MULTILINE), done.stdout
    assert "TestScheduler::test_it_ends_within_its_plan_and_never_exceeds_max_epochs" in done.stdout


def test_a_model_of_ones_own_package_is_searched(tmp_path):
    newcomers.write(tmp_path)
    parts = ("--config-dir", "conf", "model=linear", "scheduler=throw_away", "searcher=drawn")
    more = ("max_epochs=3", "backend=inline", "tracking=later", "report=false")
    done = newcomers.python(tmp_path, "-m", "swiftbench", "run", *parts, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (tmp_path / "runs").rglob("record.json")
    assert "completed" in done.stdout and json.loads(path.read_text())["status"] == "completed"


# --- in the suite's own folders -------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path):
    """A checkout of its own with the newcomer's scheduler in it: one file and one YAML."""
    folder = tmp_path / "checkout"
    skip = shutil.ignore_patterns("__pycache__", ".*")
    for name in ("suite", "models", "swiftbench", "conf", "results_schema", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", folder)
    leaf = newcomers.LEAVES["scheduler/throw_away.yaml"]
    leaf = leaf.replace("newcomer.scheduler", "suite.schedulers.throw_away")
    (folder / "conf" / "scheduler" / "throw_away.yaml").write_text(leaf)
    (folder / "suite" / "schedulers" / "throw_away.py").write_text(newcomers.SCHEDULER)
    return folder


@pytest.mark.slow
def test_all_of_the_conformance_tests_pick_a_scheduler_up_and_want_no_third_file(checkout):
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", "-k", "throw_away")
    places = ("tests/conformance", "tests/golden")
    path = str(checkout / "tests")
    done = newcomers.python(checkout, *words, *places, root=path, CI="")
    assert done.returncode == 0, done.stdout
    assert int(done.stdout.split(" passed")[0].split()[-1]) >= 10


def test_it_runs_from_the_command_line(checkout):
    words = "scheduler=throw_away model=table_target max_epochs=3 backend=inline tracking=later report=false"
    done = newcomers.python(checkout, "-m", "suite", *words.split(), root=checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "completed" in done.stdout
