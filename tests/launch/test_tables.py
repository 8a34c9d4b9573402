"""task=NAME and model=NAME_table for every table of the catalogue, without a YAML file for each."""

import json

import pytest

from kit.driving import CONF, DATA, compose, names
from kit.tables import needed, staged
from suite.core.errors import ConfigError
from suite.core.run_settings import RunSettings
from suite.files import published_tables
from suite.launch import cli
from suite.launch.assemble import assemble
from suite.launch.runs import Runs

ENTRIES = published_tables()
# The smallest table has 29 configurations.
ALGORITHMS = {
    "hyperband": (),
    "asha": ("scheduler.n_trials=29", "scheduler.s=1"),
    "random_search": (),
}


def test_each_table_is_a_task_and_a_model_and_none_has_a_file():
    assert set(ENTRIES) <= set(names("task"))
    assert {entry.model for entry in ENTRIES.values()} <= set(names("model"))
    files = {path.stem for group in ("task", "model") for path in (CONF / group).glob("*.yaml")}
    # `mlpf` is the name of a target as well.
    assert not files & {*(set(ENTRIES) - {"mlpf"}), *(entry.model for entry in ENTRIES.values())}


@pytest.mark.parametrize("name", ["mlpf", "lcbench_34539", "rl_ppo_pong"])
def test_a_task_is_its_table_with_its_epochs_and_budget(name):
    entry, config = ENTRIES[name], compose(f"task={name}", "algorithm=random_search")
    assert config["model"]["description"] == entry.description()
    assert config["max_epochs"] == entry.max_epochs
    ends = {"n_trials": entry.configurations, "n_epochs": entry.n_epochs}
    assert {name: end for name, end in config["budget"].items() if end} == ends
    assert config["choices"]["task"] == name and config["choices"]["model"] == entry.model


def test_a_file_of_ones_own_comes_before_the_catalogue(tmp_path):
    from suite.launch.compose import compose as composed

    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "mnist.yaml").write_text("# @package _global_\nmax_epochs: 3\n")
    config = composed(["task=mnist"], config_dir=tmp_path)
    assert config["max_epochs"] == 3 and config["choices"]["model"] == "digits_cnn"


def test_a_sweep_over_tasks_has_a_run_for_each():
    runs = list(Runs(["-m", "task=mnist,lcbench_34539", "backend=simulate"]))
    assert [run.config["max_epochs"] for run in runs] == [12, 52]


@pytest.mark.parametrize(
    ("word", "close"),
    [("task=lcbench_3453", "lcbench_34539"), ("model=rl_ppo_pong_tabel", "rl_ppo_pong_table")],
)
def test_an_unknown_table_is_refused_with_the_close_name(word, close):
    with pytest.raises(ConfigError, match=rf"{word}: unknown; .*Did you mean {close}\?"):
        compose(word)


def test_the_help_page_says_what_each_table_is(capsys):
    assert cli.main(["--help"]) == 0
    page = capsys.readouterr().out
    assert "SURROGATE: MLPs on OpenML task 34539" in " ".join(page.split())


def test_an_absent_table_is_refused_before_anything_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SUITE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "runs"))
    assert cli.main(["task=mlpf", "backend=simulate"]) == 1
    said = capsys.readouterr().err
    assert f"fetch it: swiftbench fetch curves --only mlpf_delphes.csv --to {tmp_path}/data" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("max_epochs=16", r"max_epochs=16: the curves of algoperf_wmt have 15 epochs"),
        ("scheduler.n_trials=45", "the scheduler asks for 45 configurations, the table has 44"),
    ],
)
def test_more_than_a_table_holds_is_refused_by_what_was_typed(
    word, says, tmp_path, monkeypatch, capsys
):
    needed(ENTRIES["algoperf_wmt"])
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "runs"))
    words = ["task=algoperf_wmt", "algorithm=random_search", "backend=simulate", word]
    assert cli.main(words) == 1
    assert says in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_surrogate_is_labelled_wherever_a_stand_in_is(tmp_path, monkeypatch, capsys, no_fsync):
    needed(ENTRIES["lcbench_34539"])
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "runs"))
    words = ["task=lcbench_34539", "backend=simulate", "tracking=later"]
    assert cli.main(["plan", *words]) == 0
    assert "(SURROGATE data)" in capsys.readouterr().out
    assert cli.main(words) == 0
    said = capsys.readouterr()
    assert "lcbench_34539 [SURROGATE]: completed" in said.out
    (record,) = (tmp_path / "runs").rglob("record.json")
    assert json.loads(record.read_text())["data"] == "surrogate"
    (page,) = (tmp_path / "runs").rglob("report.md")
    assert r"lcbench_34539, family lcbench \[SURROGATE\]" in page.read_text()
    assert "SURROGATE" in page.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_table_is_searched_to_the_end(algorithm, tmp_path, monkeypatch, capsys, no_fsync):
    """All that are here, in one process: 36 tables under three algorithms within 90 s on two cores."""
    here = [entry.name for entry in ENTRIES.values() if staged(entry)]
    if not here:
        pytest.skip(f"no curve table below {DATA}: set SUITE_DATA")
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "runs"))
    words = ["-m", f"task={','.join(here)}", f"algorithm={algorithm}", *ALGORITHMS[algorithm]]
    assert cli.main([*words, "backend=simulate", "report=false", "tracking=later"]) == 0
    assert capsys.readouterr().out.count(": completed") == len(here)
    assembled = assemble(RunSettings.of(compose(f"task={here[0]}", "backend=simulate")))
    assert assembled.target.space.rows
