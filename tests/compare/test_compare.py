"""Records side by side: what is compared, what is refused, and reference values."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import json
import math
import os
import random
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest

from kit.driving import compose
from kit.simulated import Played, header
from suite.compare import __main__ as door
from suite.compare import comparable, figures_of_merit
from suite.compare.figures_of_merit import Measured, Reference, figures
from suite.compare.page import Row
from suite.core.errors import ConfigError
from suite.core.run_settings import RunSettings
from suite.launch import execute
from suite.results import record as records
from suite.results.fold import load_run
from suite.results.spread import median_interval, spread_of_all

SEEDS = (0, 1, 2)


def sweep(root: Path, *overrides: str, algorithms: tuple[str, ...] = ("hyperband",)) -> Path:
    for algorithm in algorithms:
        for seed in SEEDS:
            config = compose(
                "model=table_target", "backend=inline", "report=false", "max_epochs=4",
                f"algorithm={algorithm}", f"seed={seed}", *overrides,
            )  # fmt: skip
            assert (
                execute.run(RunSettings.of(config), root / f"{algorithm}-{seed}").status
                == "completed"
            )
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
    return door.main([str(argument) for argument in arguments])


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
    assert [missed[name] for name in figures_of_merit.TO_TARGET[:3]] == [math.inf] * 3


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
    assert spread_of_all([1.0, None]) is None
    found = spread_of_all([1.0, 3.0, math.inf])
    assert (found.median, found.n, found.n_missed) == (3.0, 3, 1)
    assert spread_of_all([1.0, math.inf, math.inf]).median == math.inf


# --- the page ------------------------------------------------------------------------------------


def test_the_default_target_is_the_worse_median(a, b, capsys):
    assert code(a, b) == 0
    said = capsys.readouterr().out
    best = [measured(a / f"hyperband-{seed}").best for seed in SEEDS]
    assert f"target val_loss <= {statistics.median(best):.6g}" in said
    assert "hyperband: n = 3 (seeds 0, 1, 2)" in said and "random_search: n = 3" in said
    epochs = next(line for line in said.splitlines() if line.strip().startswith("epochs "))
    # Curves are equal on both sides.
    assert epochs.endswith(" 1.000 [1.000, 1.000]")


def test_two_algorithms_on_one_machine(a, capsys):
    one, two = a / "hyperband-0", a / "random_search-0" / "record.json"
    assert code(one, two, "--target", "0.9") == 0
    said = capsys.readouterr().out
    assert "A hyperband | B random_search: n = 1 (seeds 0), target val_loss <= 0.9" in said
    assert "note: config.scheduler._target_" in said
    assert "config.scheduler.eta" not in said


def test_three_sides(a, b, capsys):
    assert code(a, b, a) == 0
    head = next(line for line in capsys.readouterr().out.splitlines() if "median (range)" in line)
    assert head.split()[-2:] == ["B/A", "C/A"]


def test_machines_and_the_better_direction_stand_beside_the_numbers(a, b, capsys):
    assert code(a, b) == 0
    said = capsys.readouterr().out.splitlines()
    host = measured(a / "hyperband-0").record["environment"]["host"]
    assert said[1].startswith("A: ") and said[3].startswith("B: ")
    assert said[2].startswith(f"   {host['cpu']}; {host['n_cores']['value']:g} cores")
    assert "1 worker;" in said[2] and "numpy" in said[2]
    assert any(line.split()[:3] == ["epochs", "[epochs]", "lower"] for line in said)


def row_of(a, b, values):
    """A table of two sides whose figures are these."""
    sides = [comparable.read(path, label) for path, label in ((a, "A"), (b, "B"))]
    row = Row.of([(side, "hyperband") for side in sides], None)
    spreads = {name: [spread_of_all(v) for v in of] for name, of in values.items()}
    return dataclasses.replace(row, by_seed=values, figures=spreads)


def test_a_ratio_has_the_range_of_its_seeds(a, b):
    row = row_of(a, b, {"epochs": [[10.0, 20.0, 40.0], [5.0, 20.0, 10.0]]})
    assert row.ratio("epochs", 1) == "0.500 [0.250, 1.000]"  # 10 / 20; of seeds .5, 1, .25


def test_an_interval_of_the_median_covers_as_often_as_it_says():
    """By drawing: of 4000 samples of a skewed distribution, the share in whose interval its median lies."""
    rng = random.Random(1)
    for n, stated in ((3, 0.75), (5, 0.9375), (6, 0.96875), (20, 0.9586)):
        hits = 0
        for _ in range(4000):
            found = median_interval([rng.expovariate(1.0) for _ in range(n)])
            assert found.coverage == pytest.approx(stated, abs=1e-4)
            hits += found.low <= math.log(2) <= found.high
        assert hits / 4000 == pytest.approx(stated, abs=0.03)
    assert median_interval([1.0]) is None


def test_joules_have_no_ratio_between_unlike_scopes(a, b, tmp_path, capsys):
    one = {"value": 100.0, "unit": "J"}
    of = {"excludes": None, "covered": None, "why": None}
    device = {"joules": one, "source": "nvml", "scope": "device", **of}
    package = {"joules": {"value": 50.0, "unit": "J"}, "source": "rapl", "scope": "package", **of}
    paths = {
        name: changed(a / "hyperband-0", tmp_path / name, energy=energy)
        for name, energy in (("d", device), ("p", package), ("q", package | {"joules": one}))
    }
    assert code(paths["p"], paths["q"], "--format", "json") == 0
    rows = {(r["side"], r["figure"]): r for r in json.loads(capsys.readouterr().out)["rows"]}
    assert rows["B", "joules"]["ratio"] == 2.0 and rows["B", "joules"]["unit"] == "J"
    assert code(paths["d"], paths["p"]) == 0
    said = capsys.readouterr().out
    row = next(line for line in said.splitlines() if line.strip().startswith("joules "))
    assert row.split() == ["joules", "[J]", "lower", "100", "50", "-"]
    assert "note: energy: of unlike scopes, and no ratio: device (A), package (B)" in said
    assert "meter nvml (device)" in said


def test_energy_is_a_reference_value(a, tmp_path, capsys):
    energy = {"joules": {"value": 100.0, "unit": "J"}, "source": "nvml", "scope": "device",
              "excludes": None, "covered": None, "why": None}  # fmt: skip
    path = changed(a / "hyperband-0", tmp_path / "m", energy=energy)
    good = yaml(tmp_path / "e.yaml", "  joules: {value: 100, lower: null, upper: 110, unit: J}\n")
    assert code(path, "--reference", good) == 0
    assert "pass A hyperband/joules: 100" in capsys.readouterr().out
    assert code(a / "hyperband-0", "--reference", good) == 1  # it has no meter
    assert "FAIL A hyperband/joules: not measured" in capsys.readouterr().out


def test_machines_are_said_with_their_image(a, tmp_path, capsys):
    environment = json.loads((a / "hyperband-0" / records.NAME).read_text())["environment"]
    environment["image"] = {"digest": f"sha256:{'ab' * 32}", "label": "torch.sif"}
    environment["host"]["mpi"] = "Open MPI 5.0.8"
    theirs = changed(a / "hyperband-0", tmp_path / "b", environment=environment)
    assert code(a / "hyperband-0", theirs) == 0
    said = capsys.readouterr().out
    assert "; MPI Open MPI 5.0.8; " in said and "; image torch.sif sha256:abababababab; " in said
    assert "lower is better, but of trials_per_hour" in said


@pytest.mark.parametrize("form", ["md", "html"])
def test_a_page_shows_what_the_text_shows(a, b, capsys, form):
    assert code(a, b) == 0
    text = capsys.readouterr().out
    assert code(a, b, "--format", form) == 0
    page = capsys.readouterr().out
    if form == "html":
        page = html.unescape(page)
    for figure in figures_of_merit.UNITS:
        assert figure in text and figure in page.replace("\\", "")
    for word in ("1.000 [1.000, 1.000]", "processor", "lower is better"):
        assert word in page.replace("\\", "")


@pytest.mark.parametrize("form", ["md", "html", "json", "csv"])
def test_text_of_a_record_is_no_markup_on_a_page(a, tmp_path, capsys, form):
    hostile = "<script>alert(1)</script>|`x` ![i](//e)"
    environment = json.loads((a / "hyperband-0" / records.NAME).read_text())["environment"]
    environment["host"]["cpu"] = environment["versions"]["numpy"] = hostile
    fields = {"experiment": hostile, "environment": environment, "algorithm": hostile}
    mine = changed(a / "hyperband-0", tmp_path / "<img src=x>", **fields)
    assert code(mine, mine, "--format", form) == 0
    said = capsys.readouterr().out
    if form in ("md", "html"):
        assert "<script" not in said and "<img" not in said and "&lt;script" in said
    if form == "md":
        assert "![i]" not in said and "|\\`x" not in said.replace("\\|", "")
    if form == "html":
        assert "default-src 'none'" in said and "script-src" not in said


@pytest.mark.parametrize("form", ["json", "csv"])
def test_the_numbers_for_programs(a, b, capsys, form):
    assert code(a, b, "--format", form) == 0
    said = capsys.readouterr().out
    read = json.loads(said)["rows"] if form == "json" else list(csv.DictReader(io.StringIO(said)))
    of = {(r["side"], r["algorithm"], r["figure"]): r for r in read}
    assert len(of) == len(read) == 2 * 2 * len(figures_of_merit.UNITS)
    epochs = statistics.median(measured(a / f"hyperband-{seed}").view.n_epochs for seed in SEEDS)
    assert float(of["A", "hyperband", "epochs"]["median"]) == epochs
    assert float(of["B", "hyperband", "epochs"]["ratio"]) == 1.0
    assert of["A", "hyperband", "epochs"]["ratio"] in (None, "")
    assert of["A", "hyperband", "best"]["better"] == "lower"


@pytest.mark.parametrize(
    ("field", "remedy"),
    [
        ("algorithms", "name run folders of the algorithms that both have"),
        ("seeds", "name the run folders of the seeds that both have"),
        ("data", "swiftbench fetch"),
        ("max_epochs", "run one side again with the other's max_epochs"),
        ("config.model.noise", "run one side again with the other's model.noise"),
    ],
)
def test_a_refusal_says_what_helps(field, remedy):
    assert remedy in str(comparable._refusal(field, ("A", 1), ("B", 2)))


def test_records_without_journals_know_nothing_of_the_target(a, tmp_path, capsys):
    lone = changed(a / "hyperband-0", tmp_path / "lone")
    assert code(a / "hyperband-0", lone) == 0
    said = capsys.readouterr().out
    row = next(line for line in said.splitlines() if "seconds_to_target" in line)
    assert row.split()[-2:] == ["-", "-"]
    assert "note: B: 1 records without their journal" in said
    assert code(a / "hyperband-0", tmp_path) == 0  # found below a folder too


def test_a_folder_that_a_run_removes_meanwhile_ends_no_comparison(a, tmp_path, monkeypatch):
    """A checkpoint is listed, and gone when it is looked into."""
    changed(a / "hyperband-0", tmp_path / "runs" / "lone")
    (tmp_path / "runs" / "checkpoints" / "trial-000006").mkdir(parents=True)
    listed = os.scandir

    def scandir(path="."):
        if Path(path).name == "trial-000006":
            raise FileNotFoundError(path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert len(comparable.read(tmp_path / "runs", "A").runs) == 1


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
        ("schema_version", "2.0.0", "schema_version: 1.3.0 here, 2.0.0 in record.json"),
        ("config__model__noise", 0.5, "config.model.noise: 0.01 (A), 0.5 (B)"),
        ("config__model__fixed__width", 8, "config.model.fixed.width: None (A), 8 (B)"),
        ("config__model__split", 8, "config.model.split: None (A), 8 (B)"),
        ("seed", 5, "seeds: [0] (A hyperband), [5] (B hyperband)"),
        ("status", "failed", "status=failed (B, hyperband seed 0): must be completed"),
    ],
)
def test_a_refusal_names_the_field_and_both_values(a, tmp_path, capsys, field, value, said):
    other = changed(a / "hyperband-0", tmp_path / "b", **{field: value})
    assert code(a / "hyperband-0", other) == 3
    assert said in capsys.readouterr().err


def test_budgets_are_said_and_noted_where_they_differ(a, tmp_path, capsys):
    run = a / "hyperband-0"
    one = changed(run, tmp_path / "one", config__budget__hours=0.5, config__budget__n_trials=9)
    other = changed(run, tmp_path / "other", config__budget__hours=0.75, config__budget__n_trials=9)
    assert code(one, one) == 0
    assert "max_epochs 4, budget.n_trials=9, budget.hours=0.5\n" in capsys.readouterr().out
    assert code(one, other) == 0
    printed = capsys.readouterr().out
    assert "max_epochs 4, budget.n_trials=9\n" in printed
    assert "note: budget.hours: 0.5 (A), 0.75 (B)" in printed


def test_seeds_and_algorithms_must_be_the_same_sets(a, b, tmp_path, capsys):
    shutil.copytree(b, tmp_path / "b", ignore=shutil.ignore_patterns("random_search-2"))
    assert code(a, tmp_path / "b") == 3
    assert "seeds: [0, 1, 2] (A hyperband), [0, 1] (B random_search)" in capsys.readouterr().err
    for seed in SEEDS[:2]:
        shutil.rmtree(tmp_path / "b" / f"random_search-{seed}")
    assert code(a, tmp_path / "b") == 3
    said = "algorithms: hyperband, random_search (A), hyperband (B)"
    assert said in capsys.readouterr().err
    shutil.copytree(b / "hyperband-0", tmp_path / "b" / "again")
    assert code(b / "hyperband-0", tmp_path / "b") == 3
    assert "seed=0 (B, hyperband seed 0): appears twice" in capsys.readouterr().err


def test_where_a_table_lies_does_not_matter(a, tmp_path):
    places = [
        changed(a / "hyperband-0", tmp_path / name, config__model__folder=f"data/{name}")
        for name in ("one", "two")
    ]
    assert code(*places) == 0


def test_a_record_with_the_old_names_of_classes_compares_as_today(a, tmp_path, capsys):
    record = json.loads((a / "hyperband-0" / records.NAME).read_text())
    backend = {k: v for k, v in record["config"]["backend"].items() if k != "_target_"}
    old = changed(
        a / "hyperband-0", tmp_path / "old",
        config__model___target_="models.table_target.TableTarget",
        config__backend={"kind": "inline", **backend},
    )  # fmt: skip
    assert code(a / "hyperband-0", old) == 0
    assert "config." not in capsys.readouterr().out


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
        file.write('{"event": "resumed", "time_s": 98.0, "settings": {}}\n')
        file.write('{"event": "closed", "status": "interrupted", "reason": "", "time_s": 99.0}\n')
    side = comparable.read(tmp_path / "run" / "record.json", "A")
    assert side.runs["hyperband"][0].view is None
    assert not load_run(tmp_path / "run").doubts


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
        figures_of_merit.references(yaml(tmp_path / "x.yaml", text))
    assert said in str(caught.value)


def test_not_reached_is_no_pass():
    assert not Reference(None, "seconds_to_target", 1.0, 0.0, None, "s").holds(math.inf)


# --- unlike data, strangers' records --------------------------------------------------------------


DATA_SET = {
    "name": "digits", "origin": "sklearn", "sha256": "0" * 64, "stand_in": False,
    "split": "fixed", "split_sha256": "1" * 64,
    "n_train": {"value": 7, "unit": "examples"}, "n_valid": None, "n_test": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (
            "name",
            "mnist",
            "data_set.name: digits (A, hyperband seed 0), mnist (B, hyperband seed 0)",
        ),
        ("sha256", "2" * 64, f"data_set.sha256: {'0' * 64} (A"),
        ("split_sha256", "2" * 64, f"data_set.split_sha256: {'1' * 64} (A"),
        ("stand_in", True, "data_set.stand_in: False (A"),
        ("n_train", {"value": 8, "unit": "examples"}, "data_set.n_train: 7 (A"),
    ],
)
def test_unlike_data_are_refused_or_marked_above_the_numbers(
    a, tmp_path, capsys, field, value, said
):
    mine = changed(a / "hyperband-0", tmp_path / "a", data_sets=[DATA_SET])
    theirs = changed(a / "hyperband-0", tmp_path / "b", data_sets=[DATA_SET | {field: value}])
    assert code(mine, theirs) == 3
    error = capsys.readouterr().err
    assert said in error and "must be equal" in error and "--unlike-data" in error
    assert code(mine, theirs, "--unlike-data") == 0
    out = capsys.readouterr().out
    assert out.index(f"UNLIKE DATA: {said}") < out.index("median (range)")


def test_workers_of_one_run_on_unlike_data_are_refused(a, tmp_path, capsys):
    both = [DATA_SET, DATA_SET | {"stand_in": True, "sha256": "3" * 64}]
    mine = changed(a / "hyperband-0", tmp_path / "a", data_sets=both)
    assert code(mine, mine) == 3
    said = "data_set.stand_in: False (A, hyperband seed 0), True (A, hyperband seed 0)"
    assert said in capsys.readouterr().err


def test_other_code_and_versions_are_said(a, tmp_path, capsys):
    environment = json.loads((a / "hyperband-0" / records.NAME).read_text())["environment"]
    environment["git"] = {"revision": "f" * 40, "dirty": True}
    environment["versions"]["numpy"] = "0.1"
    theirs = changed(a / "hyperband-0", tmp_path / "b", environment=environment)
    assert code(a / "hyperband-0", theirs) == 0
    out = capsys.readouterr().out
    assert f"{'f' * 40} (B)" in out and "note: git.revision: " in out
    assert "note: versions.numpy: " in out and "0.1 (B)" in out


def test_a_record_without_a_data_set_differs_from_nothing(a, tmp_path):
    mine = changed(a / "hyperband-0", tmp_path / "a", data_sets=[DATA_SET])
    assert code(mine, a / "hyperband-0" / records.NAME) == 0


def test_a_table_of_revision_0e27403_compares_with_the_same_table_of_today(a, tmp_path):
    table = {"description": {"file": "t.csv", "sha256": "00"}, "folder": "x"}
    old, new = (
        changed(
            a / "hyperband-0",
            tmp_path / model,
            model=model,
            config__model={"_target_": path, **table},
        )
        for model, path in (("table", "models.table.Table"), ("t", "models.recorded_curves.Table"))
    )
    assert code(old, new) == 0


ESCAPES = "\x1b]0;owned\x07\x1b[31mred\u202e\n# head"


def test_no_escape_of_a_record_reaches_the_terminal(a, tmp_path, capsys):
    fields: dict[str, Any] = {
        "experiment": ESCAPES, "model": ESCAPES, "suite_version": ESCAPES,
        "target__metric": ESCAPES, "algorithm": ESCAPES,
    }  # fmt: skip
    mine = changed(a / "hyperband-0", tmp_path / "a", **fields)
    theirs = changed(a / "hyperband-0", tmp_path / "b", **fields | {"suite_version": "2"})
    assert code(mine, theirs) == 0
    assert code(mine, a / "hyperband-0") == 3
    said = capsys.readouterr()
    for text in (said.out, said.err):
        assert "\\x1b" in text
        assert not set(text) & set("\x1b\x07\u202e")
        assert "\n# head" not in text


@pytest.mark.parametrize(
    "config", [{"model": ["a", {"b": 1}]}, {"backend": "mpi"}, {"model": None}, {"scheduler": 5}]
)
def test_a_configuration_of_another_shape_is_no_traceback(a, tmp_path, config):
    mine = changed(a / "hyperband-0", tmp_path / "a", config=config)
    assert code(mine, mine) == 0
    assert code(mine, a / "hyperband-0") in (0, 1, 3)


@pytest.mark.parametrize(
    "text", ["[" * 3000, "a: &a [*a]\n", "reference: {best: {value: 1" + "0" * 400]
)
def test_an_experiment_that_cannot_be_read_is_named(a, tmp_path, capsys, text):
    (tmp_path / "x.yaml").write_text(text)
    assert code(a / "hyperband-0", "--reference", tmp_path / "x.yaml") == 1
    assert "x.yaml" in capsys.readouterr().err


def test_a_reference_beyond_the_range_of_a_float_is_named(tmp_path):
    path = yaml(
        tmp_path / "x.yaml",
        f"  best: {{value: 1{'0' * 400}, lower: 0, upper: null, unit: '1'}}\n",
    )
    with pytest.raises(ConfigError, match=r"reference.best.value: must be a number in the range"):
        figures_of_merit.references(path)


def test_a_record_that_is_not_of_the_journal_beside_it_is_said(a, tmp_path, capsys):
    shutil.copytree(a / "hyperband-0", tmp_path / "run")
    record = json.loads((tmp_path / "run" / records.NAME).read_text())
    record["journal"]["sha256"] = "0" * 64
    (tmp_path / "run" / records.NAME).write_text(json.dumps(record))
    for side in (tmp_path / "run", tmp_path / "run" / records.NAME):
        assert code(a / "hyperband-0", side) == 0
        out = capsys.readouterr().out
        assert "note: B: DOUBT: hyperband seed 0: record.json" in out
        assert "000000000000..." in out
