"""The rule `configuration` and the words of a run's command: composed again, or named with the reason."""

from __future__ import annotations

import json
import shutil

import pytest

from kit.submissions import run
from suite.check.configuration import RULE
from suite.check.findings import Asked
from suite.check.run import check_run
from suite.run import journal as journals

WORDS = ("model=table_target", "algorithm=hyperband", "max_epochs=2", "overlap=false", "backend=simulate",
         "backend.workers=2")  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return run(tmp_path_factory.mktemp("runs") / "one", WORDS)


@pytest.fixture
def finding(made, tmp_path):
    """What the rule says of this run, had it been begun by other words."""

    def of(*command):
        copy = shutil.copytree(made, tmp_path / "run")
        path = copy / journals.NAME
        first, _, rest = path.read_text().partition("\n")
        header = json.loads(first) | {"command": [*WORDS, *command]}
        path.write_text(json.dumps(header) + "\n" + rest)
        (found,) = (one for one in check_run(copy, "run", Asked()).findings if one.rule == RULE)
        return found

    return of


@pytest.mark.parametrize(
    "command",
    [
        ("seed=0,1", "hydra.mode=MULTIRUN"),
        ("-m", "seed=range(2)"),
        ("-m", "seed=range(0, 4, 2)"),
    ],
    ids="|".join,
)
def test_a_sweep_as_it_is_documented_is_compared(command, finding):
    found = finding(*command)
    assert (found.status, found.text) == (
        "pass", "is what its command gives with the files of this version",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("hydra.run.dir=elsewhere", "holds hydra.run.dir=elsewhere, which a checker does not"),
        ("name=${oc.env:HOME}", "holds name=${oc.env:HOME}, which a checker does not compose"),
        ("seed=range(0, 4, 0)", "holds seed=range(0, 4, 0), which a checker does not compose"),
        (
            "seed=range(999999999)",
            "names up to 999999999 runs, and a checker composes 5000 at most",
        ),
    ],
)
def test_a_word_that_is_not_composed_is_named(command, said, finding):
    found = finding(command)
    assert found.status == "unprovable" and said in found.text
