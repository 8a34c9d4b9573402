"""The public forge's workflow: what it runs exists here, and it needs nothing private."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
# YAML reads the key `on` as a boolean.
EVENTS = WORKFLOW[True]
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
COMMANDS = [step["run"] for step in STEPS if "run" in step]
# Programs of the environment stand beside its python, whoever started it.
PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))


def step(name):
    """The one command of the step of this name."""
    (command,) = {given["run"] for given in STEPS if given.get("name") == name}
    return command


def test_each_push_and_pull_request_runs_it_with_the_right_to_read_alone():
    assert {"push", "pull_request"} <= set(EVENTS)
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in WORKFLOW["jobs"].values())
    assert "secrets." not in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def test_actions_are_pinned_by_their_major_version():
    actions = [given["uses"] for given in STEPS if "uses" in given]
    assert actions and all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", name) for name in actions)


def test_checks_are_the_list_of_pre_commit_and_tests_the_command_of_ci_run():
    assert "./bench exec pre-commit run --all-files --show-diff-on-failure" in COMMANDS
    assert {"ruff check --fix", "ruff format", "mypy", "lint-imports", "shellcheck"} <= {
        hook["entry"] for hook in HOOKS
    }
    assert step("Default tests").split(" | ")[0] in (ROOT / ".ci" / "run").read_text().splitlines()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("./bench")])
def test_the_environment_has_each_program_that_a_step_names(command):
    bench, subcommand, *arguments = shlex.split(command)
    assert os.access(ROOT / bench, os.X_OK)
    known = re.search(r"unknown command; one of ([\w, ]+) \(", (ROOT / "bench").read_text())
    assert known and subcommand in known[1].split(", ")
    if subcommand == "exec":
        assert shutil.which(arguments[0], path=PATH), f"{arguments[0]}: ./bench setup installs it"


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_runs_a_program_of_the_environment_and_so_needs_no_network(hook):
    assert hook["language"] == "system"
    assert shutil.which(hook["entry"].split()[0], path=PATH), "./bench setup installs it"


def summary(folder, log):
    """What the workflow's last step writes into the job's summary for this log of the tests."""
    (folder / "tests.log").write_text(log)
    page = folder / "summary.md"
    subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step("What was skipped, and why")],
        cwd=folder, env={"PATH": PATH, "GITHUB_STEP_SUMMARY": str(page)}, check=True,
    )  # fmt: skip
    return page.read_text()


def test_the_summary_names_what_was_skipped_and_why(tmp_path):
    header = "recorded curves: none (SUITE_DATA names no folder); tests that need them are skipped"
    skipped = "SKIPPED [4] tests/a.py:7: no curve table: set SUITE_DATA"
    page = summary(tmp_path, f"platform\n{header}\n....ss\n{skipped}\n4 passed, 4 skipped\n")
    assert header in page and skipped in page and "4 passed" not in page
    assert "none" in summary(tmp_path, "platform\n....\n4 passed\n")


# --- the pages for contributors -------------------------------------------------------------------

PAGES = ("CONTRIBUTING.md", "SECURITY.md")


@pytest.mark.parametrize("page", PAGES)
def test_each_path_that_a_page_names_is_there(page):
    words = re.findall(r"`([^`\s]+)`|\]\(([^)\s]+)\)", (ROOT / page).read_text())
    paths = [quoted or linked for quoted, linked in words]
    paths = [path for path in paths if re.search(r"^[.\w]+/|\.(md|toml|lock|yaml)$", path)]
    # A newcomer's own file, and data that the repository does not hold.
    theirs = re.compile(r"\bmine\b|^curves/")
    absent = [path for path in paths if not theirs.search(path) and not list(ROOT.glob(path))]
    assert len(paths) > 3 and not absent


def test_the_map_of_floors_names_every_folder_of_the_suite():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    named = {
        name for row in re.findall(r"^\| \d\w? \| (.*?) \|", page, re.M) for name in row.split("`")
    }
    folders = {path.parent.name for path in (ROOT / "suite").glob("*/__init__.py")}
    assert len(folders) > 10 and folders <= named


# --- CI=true with and without recorded curves -----------------------------------------------------

NEEDS_CURVES = "tests/schedulers/test_on_published_curves.py"
SLOW = "tests/test_probe.py"
PROBE = """
import pytest

@pytest.mark.slow
def test_slow():
    pass
"""


@pytest.fixture
def clone(tmp_path):
    """A clone in a folder of its own, with no data folder beside it."""
    folder = tmp_path / "alone" / "clone"
    skip = shutil.ignore_patterns("__pycache__")
    for name in ("suite", "models", "conf", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / SLOW).write_text(PROBE)
    return folder


def run_tests(clone, **variables):
    env = {key: value for key, value in os.environ.items() if key not in ("CI", "SUITE_DATA")}
    env |= {"PYTHONPATH": str(clone), "PYTHONSAFEPATH": "1"} | variables
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", NEEDS_CURVES, SLOW],
        cwd=clone, env=env, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_on_a_public_forge_absent_curves_and_slow_tests_are_skipped_by_name(clone):
    code, out = run_tests(clone, CI="true")
    assert code == 0, out
    assert "recorded curves: none" in out
    reasons = [line for line in out.splitlines() if line.startswith("SKIPPED")]
    assert any(NEEDS_CURVES in line and "set SUITE_DATA" in line for line in reasons), out
    assert any(SLOW in line and "slow: CI=true" in line for line in reasons), out


@pytest.mark.parametrize("place", ["SUITE_DATA", "beside the checkout"])
def test_where_curves_are_promised_ci_demands_them(clone, place):
    variables = {"SUITE_DATA": str(clone.parent / "absent")}
    if place == "beside the checkout":
        (clone.parent / "shared" / "data").mkdir(parents=True)
        variables = {}
    code, out = run_tests(clone, CI="true", **variables)
    assert code == 4, out
    assert "mlpf_delphes.csv is not in SUITE_DATA=" in out and "unset SUITE_DATA" in out


def test_ci_run_promises_curves(tmp_path):
    folder = tmp_path / "clone"
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    (folder / "bench").write_text('#!/bin/sh\necho "CI=$CI SUITE_DATA=$SUITE_DATA"\n')
    (folder / "bench").chmod(0o755)
    env = {key: value for key, value in os.environ.items() if key not in ("CI", "SUITE_DATA")}
    done = subprocess.run(
        [folder / ".ci" / "run", "tests/core"], env=env, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == f"CI=true SUITE_DATA={tmp_path}/shared/data\n", done.stderr
