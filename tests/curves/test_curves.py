"""Curve tables from real runs: what is written, that it simulates back, and what is refused."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from kit.driving import ROOT, compose, search
from kit.simulated import Played
from models.synthetic_curves import TableTarget
from suite.core.curve_table import parse
from suite.core.errors import ConfigError, DataError
from suite.core.run_settings import RunSettings
from suite.curves import __main__ as door
from suite.curves import recorder
from suite.launch import cli, execute
from suite.results.fold import load_run
from suite.results.run_view import RunView
from suite.schedulers.random_search import RandomSearch

EPOCHS = 4


def run(folder: Path, *overrides: str) -> RunView:
    config = compose(
        "model=table_target", "backend=inline", "report=false", f"max_epochs={EPOCHS}", *overrides
    )
    assert execute.run(RunSettings.of(config), folder).status == "completed"
    return load_run(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Two seeds of Hyperband and random search on SYNTHETIC curves, really trained inline."""
    root = tmp_path_factory.mktemp("runs")
    for algorithm in ("random_search", "hyperband"):
        for seed in (0, 1):
            run(root / f"{algorithm}-{seed}", f"algorithm={algorithm}", f"seed={seed}")
    return root


@pytest.fixture
def table(runs, tmp_path) -> Path:
    recorder.record([runs / "random_search-0"], tmp_path / "mine", licence="CC-BY-4.0")
    return tmp_path / "mine"


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / f"{folder.name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def played(folder: Path, mode: str = "min", **other: Any) -> Path:
    target = {"metric": "val_acc", "mode": mode, "data": "real", "framework": "numpy"}
    Played(folder, target=target, **other).play()
    return folder


# --- what is written -----------------------------------------------------------------------------


def test_a_row_is_a_trial_with_seconds_of_every_epoch(runs, table):
    view = load_run(runs / "random_search-0")
    found = rows(table)
    assert len(found) == len(view.trials)
    for row, trial in zip(found, view.trials.values(), strict=True):
        assert [row[name] for name in trial.config] == [str(v) for v in trial.config.values()]
        for epoch, point in enumerate(trial.epochs, 1):
            assert float(row[f"value_{epoch}"]) == point.objective
            assert float(row[f"train_s_{epoch}"]) == point.train_s
            assert float(row[f"eval_s_{epoch}"]) == point.eval_s


def test_the_package_says_what_the_standard_asks_for(runs, table):
    package = json.loads((table / "datapackage.json").read_text())
    assert package["$schema"] == "https://datapackage.org/profiles/2.0/datapackage.json"
    assert package["licenses"] == [{"name": "CC-BY-4.0"}]
    (resource,) = package["resources"]
    data = (table / resource["path"]).read_bytes()
    assert resource["path"] == "mine.csv"
    assert resource["bytes"] == len(data)
    assert resource["hash"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
    fields = {field["name"]: field for field in resource["schema"]["fields"]}
    assert list(fields) == data.decode().splitlines()[0].split(",")
    assert fields["width"]["type"] == "integer"
    assert fields["optimizer"]["type"] == "string"
    assert fields["train_s_1"] | {"title": ""} == {
        "name": "train_s_1",
        "type": "number",
        "title": "",
        "unit": "s",
        "constraints": {"required": True, "minimum": 0},
    }
    header = load_run(runs / "random_search-0").header
    (behind,) = package["provenance"]["runs"]
    assert behind["run_id"] == header.run_id
    assert behind["git"] == header.git and behind["versions"] == header.versions
    assert behind["n_rows"] == len(rows(table))
    assert package["provenance"]["target"]["data"] == resource["curves"]["data"] == "synthetic"


def test_a_table_named_as_its_model_would_be_hidden_by_conf(runs, tmp_path):
    one = runs / "random_search-0"
    assert recorder.record([one], tmp_path / "table_target").name == "table_target_recorded"
    with pytest.raises(ConfigError, match=r"name=table_target: .*--config-dir"):
        recorder.record([one], tmp_path / "x", name="table_target")


def test_zeros_at_the_end_are_values_in_ours_and_failures_in_published_tables():
    text = "a,v1,v2\n1,0.5,0.0\n2,0.0,0.0\n3,0.5,\n"
    described = {"file": "t", "hyperparameters": ["a"], "metric": "acc", "mode": "max"}
    described |= {"curve": {"prefix": "v", "first": 1, "last": 2}}
    assert parse(described, text).n_failed == 3
    assert parse(described | {"trailing_zeros": "values"}, text).n_failed == 1
    with pytest.raises(ConfigError, match="trailing_zeros=x: must be failed or values"):
        parse(described | {"trailing_zeros": "x"}, text)


def test_no_folder_stands_in_the_package(table):
    for path in (table / "datapackage.json", table / "mine.csv"):
        assert str(table.parent) not in path.read_text()


def test_a_metric_to_be_maximised_keeps_its_direction(tmp_path, no_fsync):
    folder = played(tmp_path / "run", "max")
    done = recorder.record([folder], tmp_path / "t")
    view = load_run(folder)
    whole = {trial.curve for trial in view.trials.values() if len(trial.epochs) == 9}
    read = {tuple(-v for v in x.values) for some in done.table.recordings for x in some}
    assert read == whole
    assert (
        yaml.safe_load((tmp_path / "t" / "model" / "t.yaml").read_text())["description"]["mode"]
        == "max"
    )


# --- which trials --------------------------------------------------------------------------------


def test_shorter_trials_are_left_out_and_counted(runs, tmp_path):
    view = load_run(runs / "hyperband-0")
    n_whole = sum(len(trial.epochs) == EPOCHS for trial in view.trials.values())
    done = recorder.record([view.folder], tmp_path / "t")
    assert (len(rows(tmp_path / "t")), done.n_short) == (n_whole, len(view.trials) - n_whole)
    done = recorder.record([view.folder], tmp_path / "two", n_epochs=2)
    assert done.table.n_epochs == 2
    assert len(done.table.configs) > n_whole


def test_the_command_that_is_printed_fits_the_table_and_a_biased_one_is_said_to_be_so(
    runs, tmp_path
):
    for name, is_biased in (("hyperband-0", True), ("random_search-0", False)):
        lines = recorder.record([runs / name], tmp_path / name).lines()
        assert any("better ones than a random draw" in line for line in lines) == is_biased
        _, _, words = lines[-1].partition("use it: swiftbench run ")
        assert cli.main(["plan", *shlex.split(words)]) == 0, lines[-1]
        # One epoch more, or one trial more, and it would not fit.
        assert re.search(r"max_epochs=[1-4]$", words)


def test_partial_trials_fail_where_they_end(runs, tmp_path):
    view = load_run(runs / "hyperband-0")
    done = recorder.record([view.folder], tmp_path / "t", partial=True)
    assert len(done.table.configs) == len(view.trials)
    assert done.table.n_failed == done.n_short > 0
    assert any("kept as failed" in line for line in done.lines())
    found = {trial.curve for trial in view.trials.values()}
    for (recording,) in done.table.recordings:
        assert tuple(v for v in recording.values if v == v) in found


def test_diverged_trials_are_kept_as_failed(tmp_path):
    view = run(tmp_path / "run", "algorithm=random_search", "model.diverge_below=16")
    done = recorder.record([tmp_path], tmp_path / "t")
    n = sum(trial.status == "diverged" for trial in view.trials.values())
    assert done.n_diverged == done.table.n_failed == n > 0
    assert done.n_short == 0


def test_one_training_in_several_runs_is_no_repeat(runs, tmp_path):
    shutil.copytree(runs / "random_search-0", tmp_path / "copy")  # the same run once more
    alone = recorder.record([runs / "random_search-0"], tmp_path / "a")
    both = recorder.record([runs / "random_search-0", tmp_path / "copy"], tmp_path / "b")
    assert both.n_twice == 0
    with_hyperband = recorder.record(
        [runs / "random_search-0", runs / "hyperband-0"], tmp_path / "c", name="c"
    )  # trial k of seed 0 is one training, whoever asked for it
    assert with_hyperband.n_twice == min(
        len(load_run(runs / f"{name}-0").trials) for name in ("random_search", "hyperband")
    )
    assert max(len(some) for some in with_hyperband.table.recordings) == 1
    assert alone.table.configs == both.table.configs


def test_equal_configurations_with_other_seeds_are_repeats(tmp_path, no_fsync):
    fixed = {"learning_rate": 0.01, "width": 64, "optimizer": "adam"}
    target = TableTarget(fixed)
    header = {
        "run_id": "one",
        "date_utc": "2026-01-31T12:00:00Z",
        "algorithm": "random_search",
        "model": "table_target",
        "seed": 0,
        "max_epochs": EPOCHS,
        "target": {"metric": "val_loss", "mode": "min", "data": "synthetic"},
    }
    search(tmp_path / "run", RandomSearch(EPOCHS, 5), target, header=header)
    done = recorder.record([tmp_path / "run"], tmp_path / "t")
    assert [len(some) for some in done.table.recordings] == [5]
    assert "1 configurations (1 of them repeated, up to 5 times in all), 5 rows" in done.lines()[0]


# --- the round trip ------------------------------------------------------------------------------


def test_simulating_on_the_table_gives_the_recorded_curves_and_seconds(runs, table, tmp_path):
    recorded = {trial.curve: trial for trial in load_run(runs / "random_search-0").trials.values()}
    environment = os.environ | {"SUITE_RUNS": str(tmp_path / "out"), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "suite", "--config-dir", str(table), "model=mine"]
    settings = ["backend=simulate", "algorithm=random_search", f"max_epochs={EPOCHS}"]
    more = ["report=false", "tracking=later", "seed=7"]
    subprocess.run([*command, *settings, *more], check=True, cwd=ROOT, env=environment, timeout=120)
    (journal,) = (tmp_path / "out").rglob("journal.jsonl")
    view = load_run(journal)
    assert len(view.trials) == len(recorded)
    assert {trial.curve for trial in view.trials.values()} == set(recorded)
    for trial in view.trials.values():
        real = recorded[trial.curve]
        assert trial.config == real.config
        for one, other in zip(trial.epochs, real.epochs, strict=True):
            assert one.train_s == pytest.approx(other.train_s + other.eval_s, abs=2e-6)
    assert view.header.target.data == "synthetic"


# --- check ---------------------------------------------------------------------------------------


def test_check_reads_the_folder_and_the_yaml(table, capsys):
    assert door.main(["check", str(table)]) == 0
    assert door.main(["check", str(table / "model" / "mine.yaml")]) == 0
    one, other = capsys.readouterr().out.splitlines()
    assert one.split(": ", 1)[1] == other.split(": ", 1)[1]
    assert "rows, 4 epochs, 0 failed rows, seconds: train_s and eval_s" in one


def _changed(table: Path, change: Any) -> None:
    path = table / "datapackage.json"
    package = json.loads(path.read_text())
    change(package)
    path.write_text(json.dumps(package))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda p: p["resources"][0].update(path="../mine.csv"),
            "path=../mine.csv: must be a file",
        ),
        (
            lambda p: p["resources"][0].update(path="/etc/passwd"),
            "path=/etc/passwd: must be a file",
        ),
        (lambda p: p["resources"][0].update(bytes=3), "described as 3"),
        (lambda p: p["resources"][0].update(hash="sha256:00"), "described as sha256:00"),
        (lambda p: p["resources"][0]["schema"]["fields"].pop(1), "row 1, column 2: width"),
        (lambda p: p["resources"][0]["schema"].update(fields=2**53), "row 1, column 1: "),
        (lambda p: p["resources"][0].pop("curves"), "did not write this package"),
        (lambda p: p.update(resources=[]), "must be one table"),
    ],
)
def test_check_names_what_is_wrong_in_the_descriptor(table, change, said):
    _changed(table, change)
    with pytest.raises(DataError, match="datapackage.json|mine.csv") as caught:
        recorder.check(table)
    assert said in str(caught.value)


def test_check_finds_a_changed_table(table):
    path = table / "mine.csv"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"1", b"2", 1))
    for place in (table, table / "model" / "mine.yaml"):
        with pytest.raises(DataError, match="sha256="):
            recorder.check(place)


def test_check_of_nothing(tmp_path, capsys):
    (tmp_path / "not.yaml").write_text("_target_: models.synthetic_curves.TableTarget\n")
    (tmp_path / "bad.yaml").write_text("a: [\n")
    for name, said in (
        ("none.yaml", "No such file"),
        ("not.yaml", "describes no table"),
        ("bad.yaml", "no YAML that can be read"),
        ("", "datapackage.json: No such file"),
    ):
        assert door.main(["check", str(tmp_path / name)]) == 1
        assert said in capsys.readouterr().err


# --- refusals ------------------------------------------------------------------------------------


def test_runs_of_different_targets_do_not_go_together(runs, tmp_path):
    run(tmp_path / "other", "algorithm=random_search", "model.noise=0.5")
    with pytest.raises(ConfigError, match=r"model\.noise=0\.5 in other, 0\.01 in hyperband-0"):
        recorder.record([runs, tmp_path / "other"], tmp_path / "t")


def test_simulated_runs_are_no_recordings(tmp_path):
    run(tmp_path / "sim", "backend=simulate", "algorithm=random_search")
    with pytest.raises(ConfigError, match="sim: backend=simulate: seconds are made up"):
        recorder.record([tmp_path / "sim"], tmp_path / "t")


def test_bad_input_is_named(runs, table, tmp_path, capsys):
    one = str(runs / "random_search-0")
    for arguments, said in (
        ([one, "--to", str(table)], "to=mine: holds a table"),
        ([one, "--to", str(tmp_path / "A B")], "name=A B: must be"),
        ([one, "--to", str(tmp_path / "t"), "--epochs", "5"], "the longest for 4; lower --epochs"),
        ([one, "--to", str(tmp_path / "t"), "--epochs", "0"], "epochs=0: must be an integer >= 1"),
        ([one, "--to", str(tmp_path / "t"), "--licence", "my own"], "licence=my own"),
        ([str(tmp_path), "--to", str(tmp_path / "t")], "no run at or below it"),
    ):
        assert door.main(["record", *arguments]) == 1
        assert said in capsys.readouterr().err
    assert not (tmp_path / "t").exists()


def test_a_hyperparameter_called_like_a_column_is_refused():
    row = ({"value_1": 1.0}, [0.5], [0.1], [0.1])
    with pytest.raises(ConfigError, match="hyperparameter value_1"):
        recorder.datapackage.to_csv(["value_1"], [row], 1)


def test_a_run_that_was_edited_is_said_beside_its_table(runs, tmp_path):
    folder = shutil.copytree(runs / "random_search-0", tmp_path / "run")
    path = folder / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    edited = json.loads(lines[2]) | {"train_s": 7.0}
    path.write_text("".join([*lines[:2], json.dumps(edited) + "\n", *lines[3:]]))
    recorded = recorder.record([folder], tmp_path / "mine")
    assert any("run: record.json beside the journal is not of" in line for line in recorded.lines())
