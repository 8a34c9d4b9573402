"""Names that cannot lie: derived from what was chosen, in plan, folder, header and record."""

import json

import pytest

from kit.driving import compose, names
from suite.core.errors import ConfigError
from suite.launch import cli
from suite.launch.runs import Runs

QUICK = ("model=table_target", "max_epochs=9", "report=false", "tracking=later", "backend=inline")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("scheduler=asha",), "asha"),
        (("scheduler=asha", "searcher=gp"), "asha_gp"),
        (
            ("scheduler=hyperband", "searcher=tpe"),
            "hyperband+tpe",
        ),  # bohb is on the virtual cluster
        (("searcher=tpe", "overlap=logical"), "bohb"),
        (("algorithm=bohb", "overlap=true"), "bohb"),
        (("algorithm=swift_svr", "predictor=constant"), "swift_constant"),
        (("algorithm=swift_svr", "predictor=ensemble"), "swift_hyperband+ensemble"),
        (("scheduler=random_search", "searcher=grid"), "random_search+grid"),
        (("algorithm=swift_save", "scheduler.save=false"), "swift_save"),
    ],
)
def test_the_name_follows_the_parts(words, name):
    assert compose(*words)["choices"]["algorithm"] == name


@pytest.mark.parametrize("name", names("algorithm"))
def test_an_algorithm_has_the_name_of_its_file(name):
    assert compose(f"algorithm={name}")["choices"]["algorithm"] == name


def test_folder_header_and_record_say_what_ran(tmp_path, monkeypatch, no_fsync):
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path))
    assert cli.main(["scheduler=asha", *QUICK]) == 0
    (folder,) = (path.parent for path in tmp_path.rglob("journal.jsonl"))
    header = json.loads((folder / "journal.jsonl").read_text().splitlines()[0])
    record = json.loads((folder / "record.json").read_text())
    assert folder.name == "asha-seed0"
    assert header["algorithm"] == record["algorithm"] == "asha"
    assert header["model"] == record["model"] == "table_target"
    assert header["command"] == ["scheduler=asha", *QUICK]
    assert header["choices"] == {
        "algorithm": "asha", "scheduler": "asha", "predictor": "none", "searcher": "random",
        "model": "table_target", "task": None, "backend": "inline",
    }  # fmt: skip


def test_the_plan_says_what_would_run(capsys):
    assert cli.main(["plan", "scheduler=asha", "model=table_target"]) == 0
    assert capsys.readouterr().out.startswith("asha on table_target (synthetic data)")


def test_a_table_is_known_by_its_task():
    config = next(iter(Runs(["task=ptb"]))).config
    assert config["choices"]["task"] == "ptb" and config["choices"]["model"] == "ptb_table"


@pytest.fixture
def own(tmp_path):
    """A folder for --config-dir with an algorithm as revision 0e27403 wrote them."""
    (tmp_path / "algorithm").mkdir()
    (tmp_path / "algorithm" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /scheduler: asha\n"
        "  - override /searcher: evolution\n  - override /predictor: none\nalgorithm_name: mine\n"
    )
    return tmp_path


def test_algorithms_of_a_folder_of_one_s_own_count(own):
    here = ["--config-dir", str(own)]
    for words in (["algorithm=mine"], ["scheduler=asha", "searcher=evolution"]):
        assert next(iter(Runs([*here, *words]))).config["choices"]["algorithm"] == "mine"


def test_a_name_that_is_given_must_be_the_derived_one(own):
    with pytest.raises(ConfigError, match="algorithm_name=mine: .* those of pasha\\+evolution"):
        Runs(["--config-dir", str(own), "algorithm=mine", "scheduler=pasha"])


def test_a_class_of_another_file_is_refused():
    with pytest.raises(ConfigError, match="scheduler=hyperband"):
        compose("scheduler._target_=suite.schedulers.asha.Asha")
