""".ci/run and .ci/machine: no program may be absent, and one that is, is named first."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path):
    """A clone's folder with .ci, and ./bench, benchmark/environment and .ci/noting that note their arguments;
    beside it are no installers.
    """
    folder = tmp_path / "clone"
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    (folder / "benchmark").mkdir()
    for name in ("bench", "benchmark/environment", ".ci/noting"):
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $* CI=$CI" >>calls\n')
        (folder / name).chmod(0o755)
    return folder


def ci(clone, name, *arguments, **variables):
    """Run it with a PATH that has neither Apptainer nor Slurm."""
    path = clone.parent / "bin"
    path.mkdir(exist_ok=True)
    for program in ("sh", "dirname", "id", "date", "awk", "mktemp", "rm"):
        link = path / program
        link.exists() or link.symlink_to(shutil.which(program))
    done = subprocess.run(
        [clone / ".ci" / name, *arguments],
        env={"PATH": str(path), "HOME": os.environ.get("HOME", "/")} | variables,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
    )  # fmt: skip
    calls = clone / "calls"
    return done.returncode, done.stdout, calls.read_text().splitlines() if calls.exists() else []


def test_without_apptainer_ci_fails_by_name_before_the_first_test(clone):
    code, out, calls = ci(clone, "run")
    assert code == 1 and "apptainer=absent" in out and calls == []


def test_ci_runs_the_tests_and_then_images_and_slurm(clone):
    (clone / ".ci" / "noting").replace(clone / ".ci" / "machine")
    code, out, calls = ci(clone, "run")
    assert code == 0 and "all passed in 0.0 minutes" in out
    # Whose argument is a folder for the time.
    harnesses = calls.pop(2)
    assert harnesses.startswith("benchmark/environment /") and harnesses.endswith(" CI=true")
    assert not Path(harnesses.split()[1]).exists()
    assert calls == [
        ".ci/noting --check CI=true",
        "bench test CI=true",
        "bench test tests/harnesses CI=true",
        ".ci/noting  CI=true",
    ]


def test_ci_with_arguments_runs_just_those_tests(clone):
    code, _, calls = ci(clone, "run", "tests/core")
    assert (code, calls) == (0, ["bench test tests/core CI=true"])


def test_ci_that_takes_40_minutes_fails_by_name(clone):
    (clone / ".ci" / "noting").replace(clone / ".ci" / "machine")
    clock = clone.parent / "bin" / "date"
    clock.parent.mkdir()
    clock.write_text("#!/bin/sh\nread -r s <clock; echo $((s + 1000)) >clock; echo $s\n")
    clock.chmod(0o755)
    (clone / "clock").write_text("1000\n")
    code, out, calls = ci(clone, "run")
    assert len(calls) == 5, "all of it ran"
    assert code == 1 and "must be under 40" in out
