"""Logs read by MLCommons' own compliance checker, with benchmark/mllog/hpo.yaml."""

import json
import re
import shutil

import pytest

from kit.harnesses import HOW
from kit.submissions import REAL, run
from suite.export.__main__ import main

WORDS = [word for word in REAL if not word.startswith(("algorithm", "max_epochs", "common"))]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Of a real search on images of digits, to a target that it reaches."""
    if shutil.which("mllog-check") is None:
        pytest.skip(f"mllog-check=absent: {HOW}")
    folder = tmp_path_factory.mktemp("log")
    run(folder / "run", ("algorithm=hyperband", "max_epochs=4", *WORDS))
    words = ["mllog", str(folder / "run"), "--to", str(folder / "run.mllog"), "--target", "2.2"]
    assert main(words) == 0
    return (folder / "run.mllog").read_text().splitlines()


@pytest.fixture
def check(program, tmp_path):
    """The checker on these lines; (whether it accepts them, what it said)."""

    def checked(lines):
        (tmp_path / "run.mllog").write_text("".join(line + "\n" for line in lines))
        code, out, err = program("mllog-check", "run.mllog")
        assert "Traceback" not in err
        return code == 0, out + err

    return checked


def test_the_log_of_a_search_is_accepted(log, check):
    accepted, said = check(log)
    assert accepted and "SUCCESS" in said, said


def without(log, key):
    return [line for line in log if f'"key": "{key}"' not in line]


def changed(log, key, old, new):
    """The first line of this key, changed."""
    at = next(n for n, line in enumerate(log) if f'"key": "{key}"' in line)
    assert re.search(old, log[at]), log[at]
    return [*log[:at], re.sub(old, new, log[at]), *log[at + 1 :]]


def moved(log, key):
    """The first line of this key, at the end."""
    at = next(n for n, line in enumerate(log) if f'"key": "{key}"' in line)
    return [*log[:at], *log[at + 1 :], log[at]]


SPOILED = {
    "cut": lambda log: log[: len(log) // 2],
    "empty": lambda log: [],
    "no organisation": lambda log: without(log, "submission_org"),
    "no target": lambda log: without(log, "quality_target"),
    "simulated": lambda log: changed(log, "simulated", '"value": false', '"value": true'),
    "no real data in the closed division": lambda log: changed(
        changed(log, "submission_division", "open", "closed"), "data", '"real"', '"stand-in"'
    ),
    "an epoch left out": lambda log: changed(log, "epoch_start", '"epoch_num": 1', '"epoch_num": 2'),
    "an epoch beyond the most": lambda log: changed(log, "max_epochs", '"value": 4', '"value": 1'),
    "a trial without an end": lambda log: without(log, "trial_stop"),
    "not evaluated": lambda log: without(log, "eval_error"),
    "begun after its end": lambda log: moved(log, "run_start"),
    "reached, but said to be aborted": lambda log: changed(log, "run_stop", "success", "aborted"),
    "not reached, but said to be": lambda log: without(log, "target_reached"),
    "reached by a value above": lambda log: changed(log, "target_reached", r'e": [\d.]+', 'e": 9.0'),
    "a winner that was no trial": lambda log: changed(log, "winner", r'"value": \d+', '"value": 999'),
}  # fmt: skip


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_log_that_breaks_a_rule_is_refused(spoiled, log, check):
    accepted, said = check(SPOILED[spoiled](log))
    assert not accepted and "FAILED" in said, said


def test_the_checkers_own_parser_finds_every_line(log):
    assert len(log) > 60 and all(json.loads(line.removeprefix(":::MLLOG ")) for line in log)
