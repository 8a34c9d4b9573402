"""A run as :::MLLOG lines. MLCommons' own checker reads them in tests/harnesses."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil

import pytest

from kit.submissions import run
from suite.export import mllog
from suite.export.__main__ import main
from suite.results.fold import load_run

WORDS = (
    "model=table_target",
    "algorithm=hyperband",
    "max_epochs=4",
    "backend=simulate",
    "backend.workers=2",
)
LABELS = mllog.Labels("a site", None, None)


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    return load_run(run(tmp_path_factory.mktemp("run") / "run", WORDS))


def events(view, target=None):
    """The rows as mappings."""
    rows = mllog.rows(view, LABELS, target)
    assert all(row.startswith(":::MLLOG {") for row in rows)
    return [json.loads(row.removeprefix(":::MLLOG ")) for row in rows]


def of(found, key):
    return [event for event in found if event["key"] == key]


def test_every_epoch_of_every_trial_is_logged_once_and_in_order(view):
    found = events(view)
    assert len(of(found, "trial_start")) == len(of(found, "trial_stop")) == len(view.trials)
    for trial in view.trials.values():
        mine = [e for e in found if e["metadata"].get("trial_id") == trial.trial_id]
        numbers = [e["metadata"]["epoch_num"] for e in mine if e["key"] == "epoch_stop"]
        assert numbers == [point.epoch for point in trial.epochs]
        values = [e["value"] for e in mine if e["key"] == "eval_error"]
        assert values == [view.value(point.objective) for point in trial.epochs]
        keys = [e["key"] for e in mine if e["key"] not in ("target_reached", "winner")]
        per_epoch = ["epoch_start", "epoch_stop", "eval_start", "eval_error", "eval_stop"]
        assert keys == ["trial_start", *per_epoch * len(trial.epochs), "trial_stop"]


def test_times_do_not_go_back_and_are_the_runs_own(view):
    found = events(view)
    times = [event["time_ms"] for event in found]
    assert times == sorted(times)
    (begun,), (ended,) = of(found, "run_start"), of(found, "run_stop")
    joined_s = min(worker.joined_s for worker in view.workers)
    assert ended["time_ms"] - begun["time_ms"] == pytest.approx(
        1000 * (view.time_s - joined_s), abs=1
    )


def test_a_target_that_was_reached_is_success_and_one_that_was_not_is_aborted(view):
    best = view.value(view.best.best)
    found = events(view, best)
    (reached,) = of(found, "target_reached")
    assert reached["value"] == best and reached["metadata"]["epoch_num"] == view.best.epoch
    assert of(found, "run_stop")[0]["metadata"] == {"status": "success"}
    found = events(view, best - 1.0)
    assert not of(found, "target_reached")
    assert of(found, "run_stop")[0]["metadata"] == {"status": "aborted"}
    assert of(events(view), "run_stop")[0]["metadata"] == {"status": "success"}


def test_a_value_that_is_no_number_is_null_and_said_to_have_diverged(view):
    trial = view.trials[0]
    points = (dataclasses.replace(trial.epochs[0], objective=math.inf), *trial.epochs[1:])
    trials = {**view.trials, 0: dataclasses.replace(trial, epochs=points)}
    found = events(dataclasses.replace(view, trials=trials))
    (diverged,) = (e for e in of(found, "eval_error") if e["value"] is None)
    assert diverged["metadata"] == {"trial_id": 0, "epoch_num": 1, "diverged": True}


def test_it_says_what_ran_and_that_it_was_simulated(view):
    said = {event["key"]: event["value"] for event in events(view)[:20]}
    assert said["submission_org"] == "a site" and said["submission_division"] == "open"
    assert said["simulated"] is True and said["data"] == "synthetic"
    assert said["algorithm"] == "hyperband" and said["max_epochs"] == 4


def test_the_log_of_a_simulated_run_is_written_with_a_remark(view, tmp_path, capsys):
    assert main(["mllog", str(view.folder), "--to", str(tmp_path / "run.mllog")]) == 0
    assert "SIMULATED TIME, SYNTHETIC DATA: MLPerf's checker refuses it" in capsys.readouterr().out
    assert (tmp_path / "run.mllog").read_text().count(":::MLLOG ") > 50


def test_a_log_is_of_one_run_and_of_a_valid_one(view, tmp_path, capsys):
    shutil.copytree(view.folder, tmp_path / "runs" / "a")
    shutil.copytree(view.folder, tmp_path / "runs" / "b")
    log = tmp_path / "log"
    assert main(["mllog", str(tmp_path / "runs"), "--to", str(log)]) == 1
    assert "runs=2: a log holds one run" in capsys.readouterr().err
    (tmp_path / "runs" / "a" / "record.json").write_text("{}")
    assert main(["mllog", str(tmp_path / "runs" / "a"), "--to", str(log)]) == 1
    assert "not valid" in capsys.readouterr().err and not log.exists()


def test_a_log_that_cannot_be_written_is_refused(view, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["mllog", str(view.folder), "--to", str(tmp_path / "file" / "log")]) == 1
    assert "name another file" in capsys.readouterr().err
