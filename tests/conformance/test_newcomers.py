"""A newcomer's scheduler is one file and one YAML: found, tested and run with no other edit."""

import os
import shutil
import subprocess
import sys

import pytest
from driving import ROOT

SCHEDULER = '''
"""Throw-away."""

from suite.core.brackets import Plan, PlannedBracket, Rung
from suite.core.errors import ConfigError
from suite.core.scheduler import Rounds, best
from suite.core.types import Train


class ThrowAway(Rounds):
    """Six trials; the better half goes on to max_epochs."""

    def __init__(self, max_epochs: int):
        if max_epochs < 1:
            raise ConfigError(f"max_epochs={max_epochs}: must be an integer >= 1.")
        self._max_epochs = max_epochs
        super().__init__([self._bracket()], overlap=True)

    @property
    def max_epochs(self):
        return self._max_epochs

    def plan(self):
        return Plan((PlannedBracket(0, (Rung(6, 1, 3), Rung(3, self._max_epochs, 1))),))

    def _bracket(self):
        curves = yield [Train(t, 1) for t in range(6)]
        yield [Train(t, self._max_epochs + EXTRA) for t in best(curves, 3)]
'''
YAML = "# Throw-away\n_target_: suite.schedulers.throw_away.ThrowAway\nmax_epochs: ${max_epochs}\n"


@pytest.fixture
def copy(tmp_path):
    """A checkout of its own with the newcomer in it."""
    folder = tmp_path / "checkout"
    skip = shutil.ignore_patterns("__pycache__", ".*", "mpi")
    for name in ("suite", "models", "conf", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "conf" / "scheduler" / "throw_away.yaml").write_text(YAML)

    def python(extra, *arguments):
        (folder / "suite" / "schedulers" / "throw_away.py").write_text(
            SCHEDULER.replace("EXTRA", extra)
        )
        env = os.environ | {
            "PYTHONPATH": str(folder),
            "PYTHONSAFEPATH": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return python


PYTEST = (
    "-m",
    "pytest",
    "-q",
    "-p",
    "no:cacheprovider",
    "tests/conformance/test_schedulers.py",
    "-k",
    "throw_away",
)


def test_the_conformance_tests_pick_it_up(copy):
    done = copy("0", *PYTEST)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout and int(done.stdout.split(" passed")[0].split()[-1]) >= 10


def test_and_they_find_what_is_wrong_with_it(copy):
    done = copy("1", *PYTEST)
    assert (
        done.returncode == 1
        and "test_it_ends_within_its_plan_and_never_exceeds_max_epochs" in done.stdout
    )


def test_it_runs_from_the_command_line(copy):
    run = (
        "scheduler=throw_away",
        "model=table_target",
        "max_epochs=3",
        "backend=inline",
        "tracking=later",
        "report=false",
    )
    done = copy("0", "-m", "suite", *run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "completed" in done.stdout
