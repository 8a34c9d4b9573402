"""Records side by side: what is compared, what is refused, and reference values."""

from __future__ import annotations

import json
import math
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest
from driving import compose
from simulated import Played, header

from suite import compare, launch, merits, records, sides
from suite.core.errors import ConfigError
from suite.merits import Measured, Reference, figures, spread
from suite.projection import load_run

SEEDS = (0, 1, 2)


def sweep(root: Path, *overrides: str, algorithms: tuple[str, ...] = ("hyperband",)) -> Path:
    for algorithm in algorithms:
        for seed in SEEDS:
            config = compose(
                "model=table_target", "backend=inline", "report=false", "max_epochs=4",
                f"algorithm={algorithm}", f"seed={seed}", *overrides,
            )  # fmt: skip
            assert launch.run(config, root / f"{algorithm}-{seed}").status == "completed"
    return root


@pytest.fixture(scope="module")
def a(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("a")
    return sweep(root, algorithms=("hyperband", "random_search"))


@pytest.fixture(scope="module")
def b(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("b")
    return sweep(root, algorithms=("hyperband", "random_search"))


def code(*arguments: Any) -> int:
    return compare.main([str(argument) for argument in arguments])


def measured(folder: Path) -> Measured:
    view = load_run(folder)
    return Measured(records.of(view), view)


def changed(folder: Path, to: Path, **fields: Any) -> Path:
    """A copy of a run's record, alone, with some of its fields changed."""
    record = json.loads((folder / records.NAME).read_text())
    for name, value in fields.items():
        *above, last = name.split("__")
        node = record
        for key in above:
            node = node[key]
        node[last] = value
    to.mkdir(parents=True, exist_ok=True)
    (to / records.NAME).write_text(json.dumps(record))
    return to / records.NAME


# --- figures -------------------------------------------------------------------------------------


def test_figures_of_a_run_to_its_target(tmp_path, no_fsync):
    Played(tmp_path / "run", seed=4, p_loss=0.03, p_fail=0.02, p_cut=0.02).play()
    run = measured(tmp_path / "run")
    assert run.view is not None
    for aim in (run.best, 0.9, 0.5):
        found = figures(run, aim)
        passed = [point for point in run.view.anytime if point.best <= aim]
        assert found["epochs_to_target"] == passed[0].n_epochs
        assert found["seconds_to_target"] == passed[0].time_s
        assert 0 < found["node_hours_to_target"] <= 2 * passed[0].time_s / 3600 + 1e-9
    assert 0 < found["not_training_share"] < 1
    assert found["epochs"] == run.view.n_epochs and found["seconds"] == run.view.wall_s
    missed = figures(run, run.best - 1)
    assert [missed[name] for name in merits.TO_TARGET] == [math.inf] * 3


def test_a_share_of_time_by_hand(tmp_path, no_fsync):
    """Workers' time less training and evaluation of epochs that were new."""
    Played(tmp_path / "run", seed=1, p_loss=0.02, p_cut=0.02).play()
    run = measured(tmp_path / "run")
    assert run.view is not None
    new_s = sum(p.train_s + p.eval_s for t in run.view.trials.values() for p in t.epochs)
    worker_s = sum(life.left_s - life.joined_s for life in run.view.workers)
    assert figures(run, None)["not_training_share"] == pytest.approx(1 - new_s / worker_s, abs=1e-6)


def test_maximised_metrics_are_aimed_at_from_below(tmp_path, no_fsync):
    target = header()["target"] | {"mode": "max"}
    Played(tmp_path / "run", target=target).play()
    run = measured(tmp_path / "run")
    first = run.view.anytime[0]
    assert figures(run, run.view.value(first.best))["epochs_to_target"] == first.n_epochs
    assert figures(run, run.best)["epochs_to_target"] > first.n_epochs
    assert figures(run, run.best + 0.1)["epochs_to_target"] == math.inf


def test_a_median_with_unknowns_is_unknown_and_misses_are_counted():
    assert spread([1.0, None]) is None
    found = spread([1.0, 3.0, math.inf])
    assert (found.median, found.n, found.n_missed) == (3.0, 3, 1)
    assert spread([1.0, math.inf, math.inf]).median == math.inf


# --- the page ------------------------------------------------------------------------------------


def test_the_default_target_is_the_worse_median(a, b, capsys):
    assert code(a, b) == 0
    said = capsys.readouterr().out
    best = [measured(a / f"hyperband-{seed}").best for seed in SEEDS]
    assert f"target val_loss <= {statistics.median(best):.6g}" in said
    assert "hyperband: n = 3 (seeds 0, 1, 2)" in said and "random_search: n = 3" in said
    epochs = next(line for line in said.splitlines() if line.strip().startswith("epochs "))
    assert epochs.split()[-1] == "1.000"  # curves are equal on both sides


def test_two_algorithms_on_one_machine(a, capsys):
    one, two = a / "hyperband-0", a / "random_search-0" / "record.json"
    assert code(one, two, "--target", "0.9") == 0
    said = capsys.readouterr().out
    assert "A hyperband | B random_search: n = 1 (seeds 0), target val_loss <= 0.9" in said
    assert "note: config.scheduler._target_" in said
    assert "config.scheduler.eta" not in said


def test_three_sides(a, b, capsys):
    assert code(a, b, a) == 0
    assert "B/A    C/A" in capsys.readouterr().out


def test_records_without_journals_know_nothing_of_the_target(a, tmp_path, capsys):
    lone = changed(a / "hyperband-0", tmp_path / "lone")
    assert code(a / "hyperband-0", lone) == 0
    said = capsys.readouterr().out
    row = next(line for line in said.splitlines() if "seconds_to_target" in line)
    assert row.split()[-2:] == ["-", "-"]
    assert "note: B: 1 records without their journal" in said
    assert code(a / "hyperband-0", tmp_path) == 0  # found below a folder too


def test_simulated_seconds_are_said_to_be(a, tmp_path, capsys):
    other = sweep(tmp_path / "sim", "backend=simulate", "backend.workers=5", "overlap=false")
    shutil.copytree(a, tmp_path / "a", ignore=shutil.ignore_patterns("random*"))
    assert code(tmp_path / "a", other) == 0
    said = capsys.readouterr().out
    assert "note: B: simulated, its seconds are made up" in said
    assert "note: workers: 1 (A), 5 (B)" in said and "note: overlap: True (A), False (B)" in said
    assert "backend.epoch_s" not in said


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("experiment", "other", "experiment: run (A), other (B)"),
        ("model", "digits_cnn", "model: table_target (A), digits_cnn (B)"),
        ("data", "real", "data: synthetic (A), real (B)"),
        ("target__metric", "val_acc", "target.metric: val_loss (A), val_acc (B)"),
        ("target__mode", "max", "target.mode: min (A), max (B)"),
        ("max_epochs__value", 9, "max_epochs: 4 (A), 9 (B)"),
        ("schema_version", "2.0.0", "schema_version: 1.0.0 here, 2.0.0 in record.json"),
        ("config__model__noise", 0.5, "config.model.noise: 0.01 (A), 0.5 (B)"),
        ("config__model__fixed__width", 8, "config.model.fixed.width: None (A), 8 (B)"),
        ("config__model__split", 8, "config.model.split: None (A), 8 (B)"),
        ("seed", 5, "seeds: [0] (A hyperband), [5] (B hyperband)"),
        ("status", "failed", "status=failed (B, hyperband seed 0): must be completed"),
    ],
)
def test_a_refusal_names_the_field_and_both_values(a, tmp_path, capsys, field, value, said):
    other = changed(a / "hyperband-0", tmp_path / "b", **{field: value})
    assert code(a / "hyperband-0", other) == 2
    assert said in capsys.readouterr().err


def test_seeds_and_algorithms_must_be_the_same_sets(a, b, tmp_path, capsys):
    shutil.copytree(b, tmp_path / "b", ignore=shutil.ignore_patterns("random_search-2"))
    assert code(a, tmp_path / "b") == 2
    assert "seeds: [0, 1, 2] (A hyperband), [0, 1] (B random_search)" in capsys.readouterr().err
    for seed in SEEDS[:2]:
        shutil.rmtree(tmp_path / "b" / f"random_search-{seed}")
    assert code(a, tmp_path / "b") == 2
    said = "algorithms: hyperband, random_search (A), hyperband (B)"
    assert said in capsys.readouterr().err
    shutil.copytree(b / "hyperband-0", tmp_path / "b" / "again")
    assert code(b / "hyperband-0", tmp_path / "b") == 2
    assert "seed=0 (B, hyperband seed 0): stands there twice" in capsys.readouterr().err


def test_where_a_table_lies_does_not_matter(a, tmp_path):
    places = [
        changed(a / "hyperband-0", tmp_path / name, config__model__folder=f"data/{name}")
        for name in ("one", "two")
    ]
    assert code(*places) == 0


def test_bad_input_is_named(a, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for arguments, said in (
        ([a], "sides=1"),
        ([a, tmp_path / "empty"], "no record.json or journal.jsonl"),
        ([a, tmp_path / "none.json"], "none.json: cannot be read"),
        ([a, a, "--target", "nan"], "target=nan"),
    ):
        assert code(*arguments) == 1
        assert said in capsys.readouterr().err


def test_a_journal_that_went_on_is_not_the_records(a, tmp_path):
    shutil.copytree(a / "hyperband-0", tmp_path / "run")
    with open(tmp_path / "run" / "journal.jsonl", "a") as file:
        file.write('{"event": "closed", "status": "completed", "reason": "", "time_s": 99.0}\n')
    side = sides.read(tmp_path / "run" / "record.json", "A")
    assert side.runs["hyperband"][0].view is None
    assert sides.read(tmp_path / "run", "A").runs["hyperband"][0].view is not None


# --- reference values ----------------------------------------------------------------------------


def yaml(path: Path, text: str) -> Path:
    path.write_text(f"# @package _global_\nname: x\nreference:\n{text}")
    return path


def test_reference_values_pass_and_fail(a, tmp_path, capsys):
    n = measured(a / "hyperband-0").view.n_epochs
    good = yaml(
        tmp_path / "good.yaml",
        f"  hyperband/epochs: {{value: {n}, lower: {n}, upper: {n}, unit: epochs}}\n"
        "  seconds: {value: 1, lower: null, upper: 1.0e+3, unit: s}\n",
    )
    assert code(a, "--reference", good) == 0
    said = capsys.readouterr().out
    assert f"pass A hyperband/epochs: {n}, expected {n} [{n} .. {n}] epochs" in said
    assert "pass A random_search/seconds" in said and "FAIL" not in said
    bad = yaml(
        tmp_path / "bad.yaml",
        f"  hyperband/epochs: {{value: {n + 1}, lower: {n + 1}, upper: null, unit: epochs}}\n"
        "  asha/epochs: {value: 1, lower: 0, upper: 2, unit: epochs}\n",
    )
    assert code(a, a, "--reference", bad) == 1
    said = capsys.readouterr().out
    assert "FAIL A hyperband/epochs" in said and "FAIL B hyperband/epochs" in said
    assert "FAIL asha/epochs: no run of asha" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  epoch: {value: 1, lower: 0, upper: 2, unit: epochs}\n", "Did you mean epochs?"),
        ("  epochs: {value: 1, lower: 0, unit: epochs}\n", "must be {value, lower, upper, unit}"),
        ("  epochs: {value: 1, lower: 0, upper: 2, unit: s}\n", "epochs is in epochs"),
        ("  epochs: {value: 9, lower: -0.1, upper: 0.1, unit: epochs}\n", "not fractions"),
        ("  epochs: {value: 9, lower: null, upper: null, unit: epochs}\n", "one must be a bound"),
        ("  epochs: {value: 1e3, lower: 0, upper: null, unit: epochs}\n", "must be a number"),
        ("  {}\n", "reference: missing"),
    ],
)
def test_wrong_references_are_named(tmp_path, text, said):
    with pytest.raises(ConfigError) as caught:
        merits.references(yaml(tmp_path / "x.yaml", text))
    assert said in str(caught.value)


def test_not_reached_is_no_pass():
    assert not Reference(None, "seconds_to_target", 1.0, 0.0, None, "s").holds(math.inf)
