"""A newcomer's tracker: one file of a package of one's own and one YAML; no file of the suite is edited."""

import json
import subprocess

import pytest

from kit import newcomers
from suite.results.fold import load_run

SOURCE = '''"""Runs as lines of JSON."""

import json
from dataclasses import dataclass
from pathlib import Path

from suite.core.errors import ConfigError
from suite.results.fold import load_run
from suite.track.contract import Tracker
from suite.track.rows import run_name, run_rows


@dataclass(frozen=True, kw_only=True)
class JsonLines(Tracker):
    file: str

    def check(self):
        if not self.file.endswith(".jsonl"):
            raise ConfigError(f"tracking.file={self.file}: must end with .jsonl; rename it.")

    def after(self, folders):
        with open(self.file, "a") as lines:
            for folder in folders:
                view = load_run(folder)
                rows = [row._asdict() for row in run_rows(view, float("-inf"))]
                lines.write(json.dumps({"run": run_name(view), "rows": rows}) + "\\n")
        return 0
'''
LEAF = "_target_: newcomer.tracker.JsonLines\nfile: tracked.jsonl\n"
RUN = "tracking=json_lines model=table_target backend=inline max_epochs=3 report=false"


@pytest.fixture
def package(tmp_path):
    (tmp_path / "newcomer").mkdir()
    (tmp_path / "newcomer" / "__init__.py").touch()
    (tmp_path / "newcomer" / "tracker.py").write_text(SOURCE)
    (tmp_path / "conf" / "tracking").mkdir(parents=True)
    (tmp_path / "conf" / "tracking" / "json_lines.yaml").write_text(LEAF)
    return tmp_path


def suite(folder, *words: str, **environ: str) -> subprocess.CompletedProcess:
    more = ("--config-dir", "conf", *RUN.split(), *words)
    return newcomers.python(folder, "-m", "suite", *more, **environ)


def test_it_is_told_of_a_sweeps_runs_once_after_the_last(package):
    done = suite(package, "-m", "seed=0,1")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in (package / "tracked.jsonl").read_text().splitlines()]
    views = [load_run(path.parent) for path in (package / "runs").rglob("journal.jsonl")]
    assert len(lines) == len(views) == 2
    assert {line["run"].partition(" seed ")[2] for line in lines} == {
        "0 [SYNTHETIC]", "1 [SYNTHETIC]",
    }  # fmt: skip
    for line in lines:
        last = {row["metric"]: row["value"] for row in line["rows"]}
        assert last["cost/epochs"] in {view.n_epochs for view in views}
    assert not (package / "store").exists()


def test_its_own_check_is_asked_before_a_folder_is_made(package):
    done = suite(package, "tracking.file=tracked.csv")
    assert done.returncode == 1
    assert "tracking.file=tracked.csv: must end with .jsonl; rename it." in done.stderr
    assert not (package / "runs").exists()


def test_a_class_that_is_no_tracker_is_refused(package):
    (package / "newcomer" / "tracker.py").write_text(
        "class JsonLines:\n    def __init__(self, file): ...\n"
    )
    done = suite(package)
    assert done.returncode == 1
    assert "tracking._target_=newcomer.tracker.JsonLines: must be a Tracker" in done.stderr
    assert not (package / "runs").exists()


def test_mlflow_is_not_needed(package):
    (package / "mlflow.py").write_text("raise ImportError('not here')\n")
    assert suite(package).returncode == 0
