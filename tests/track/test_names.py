"""Names of hyperparameters and metrics: MLflow takes each, and two stay two."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.simulated import Played
from suite.results.fold import load_run
from suite.track import importer
from suite.track.contract import TrackingError
from suite.track.mlflow_store import Store
from suite.track.names import mlflow_name, text, texts
from suite.track.rows import target_name

ODD = [
    "weight@decay", "weight#decay", "decoder/", "./lr", "../lr", "..", ".", "", "/", "//", "//a", "/a",
    "a//b", "a/../b", "lr\n", " lr", "lr ", "\u00e9\u0301", "\U0001f600", "\ud800", "a\0b", "\x1b[2J",
    "n" * 251, "n" * 250 + "a", "n" * 250 + "b", "lr-0123abcd", "..lr", "a/..", "a/.", "=cmd|calc!A1", "a\\b",
]  # fmt: skip
PLAIN = [
    "lr",
    "weight decay",
    "suite:lr",
    "optimizer/lr",
    "a.b",
    "\u03b1",
    "n" * 250,
    "...a"[3:],
    "a-b",
    "-",
    "12_34",
]


def admitted(name: str) -> bool:
    from mlflow.utils.validation import _validate_length_limit, _validate_metric_name

    _validate_metric_name(name)
    _validate_length_limit("name", 250, name)
    return True


@pytest.mark.parametrize("name", ODD)
def test_a_name_that_mlflow_refuses_or_changes_is_cleaned(name):
    cleaned = mlflow_name(name)
    assert cleaned != name and admitted(cleaned) and cleaned == cleaned.strip()
    assert mlflow_name(name) == cleaned


@pytest.mark.parametrize("name", PLAIN)
def test_a_usual_name_stays(name):
    assert mlflow_name(name) == name and admitted(name)


@given(st.sets(st.text(st.characters(codec=None), max_size=12), min_size=2, max_size=8))
def test_any_names_stay_apart_and_are_admitted(names):
    cleaned = {mlflow_name(name) for name in names | {mlflow_name(name) for name in names if name}}
    assert all(map(admitted, cleaned))
    assert len({mlflow_name(name) for name in names}) == len(names)


def test_names_that_become_one_are_an_error_and_no_value_is_lost():
    assert texts({"a": 1, "b": None, "c": "x" * 9}, 5) == {"a": "1", "c": "xxxxx"}
    with pytest.raises(TrackingError, match="are both"):
        mlflow_name.cache_clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("suite.track.names._normal", lambda name: False)
            patch.setattr("suite.track.names._changed", lambda name: "same")
            texts({"a": 1, "b": 2}, 5)
    mlflow_name.cache_clear()


def test_a_value_is_text_for_every_data_base():
    assert text("a\0b\ud800", 99) == "a\\x00b\\ud800"


def test_a_targets_metric_cannot_take_the_suites_name():
    names = ["suite/train_s", "target/suite/train_s", "target/x", "train_s", "suite"]
    given = [target_name(name) for name in names]
    assert given == [
        "target/suite/train_s",
        "target/target/suite/train_s",
        "target/target/x",
        *names[3:],
    ]


# --- in a store -----------------------------------------------------------------------------------


def renamed(folder: Path, names: dict[str, str], **head: object) -> Path:
    """A played run whose hyperparameters and metrics are called otherwise."""
    Played(folder).play()
    path = folder / "journal.jsonl"
    whole = path.read_text()
    for name, other in names.items():
        whole = whole.replace(f'"{name}"', json.dumps(other))
    first, _, rest = whole.partition("\n")
    path.write_text(json.dumps(json.loads(first) | head) + "\n" + rest)
    return folder


def column(store: Store, sql: str) -> list[object]:
    with sqlite3.connect(f"file:{store.folder / 'mlflow.db'}?mode=ro", uri=True) as data:
        return [row[0] for row in data.execute(sql)]


def test_two_names_that_were_one_after_cleaning_are_two_parameters(store, tmp_path, no_fsync):
    run = renamed(tmp_path / "run", {"learning_rate": "weight@decay", "width": "weight#decay"})
    importer.import_run(run, store)
    n_trials = len(load_run(run).trials)
    for name in ("weight@decay", "weight#decay"):
        assert column(store, f"SELECT count(*) FROM params WHERE key = '{mlflow_name(name)}'") == [
            n_trials
        ]
    assert column(store, "SELECT DISTINCT status FROM runs") == ["FINISHED"]


@pytest.mark.parametrize(
    "name", ["train_s", "eval_s", "suite/train_s", "epoch", "loss//aux", "\ud800"]
)
def test_an_objective_of_any_name_keeps_its_values(name, store, tmp_path, no_fsync):
    run = renamed(tmp_path / "run", {"val_loss": name})
    importer.import_run(run, store)
    view = load_run(run)
    key = mlflow_name(target_name(view.metric))
    curves = {
        point.metrics[view.metric] for trial in view.trials.values() for point in trial.epochs
    }
    assert set(column(store, f"SELECT value FROM metrics WHERE key = '{key}'")) == curves
    assert set(column(store, "SELECT value FROM metrics WHERE key = 'suite/train_s'")) == {0.003}


@pytest.mark.parametrize("model", ["20261128", "12_34", "3e5", "true", "a\nb", "../x", "m" * 600])
def test_a_model_of_any_name_has_an_experiment_and_no_other(model, store, tmp_path, no_fsync):
    run = renamed(tmp_path / "run", {}, model=model, experiment=20261128)
    done = importer.import_run(run, store)
    assert column(store, "SELECT name FROM experiments WHERE experiment_id != 0") == [
        done.experiment
    ]
    if model.isalnum() or "_" in model:
        assert done.experiment in (f"suite/{model}", mlflow_name(f"suite/{model}"))
    assert "20261128" in column(store, "SELECT value FROM tags WHERE key = 'suite.experiment'")


def test_runs_of_two_curve_tables_are_in_two_experiments(store, tmp_path, no_fsync):
    for table in ("mlpf_table", "ptb_table"):
        run = renamed(tmp_path / table, {}, model=table, run_id=table)
        assert importer.import_run(run, store).experiment == f"suite/{table}"


def test_a_time_that_no_calendar_has_is_named_and_nothing_is_left(store, tmp_path, no_fsync):
    run = renamed(tmp_path / "run", {}, date_utc="9999-12-31T23:59:59Z")
    assert importer.import_all([run], store) == (0, 1)
    assert column(store, "SELECT count(*) FROM runs") == [0]
