"""Winner and runner-up trained again: seeds, numbers, the file, and what is refused."""

from __future__ import annotations

import json
import math
import os
import statistics
from pathlib import Path

import pytest
from matplotlib.text import Text
from scipy.stats import ttest_ind, ttest_rel

from kit.driving import compose
from kit.simulated import Played
from kit.text_boxes import crowded
from models import recorded_curves as tables
from models.synthetic_curves import TableTarget
from suite import report
from suite.core.errors import ConfigError, JournalError
from suite.core.run_settings import RunSettings
from suite.core.scheduler import ranking
from suite.core.seeds import stream_seed
from suite.launch import execute
from suite.report import style
from suite.results.fold import load_run
from suite.results.retrained import read_retrained
from suite.retrain import __main__ as door
from suite.retrain import numbers, variability, words
from suite.retrain.repeats import Repeat

EPOCHS, N = 4, 3


def run(folder: Path, *overrides: str) -> Path:
    given = ("algorithm=random_search", "model=table_target", "backend=inline", *overrides)
    config = compose("report=false", f"max_epochs={EPOCHS}", "seed=5", *given)
    assert execute.run(RunSettings.of(config), folder).status == "completed"
    return folder


def test_both_are_trained_with_fresh_seeds_to_the_end(tmp_path):
    folder = run(tmp_path / "run")
    done = variability.retrain(folder, N)
    view = load_run(folder)
    assert [t["trial_id"] for t in done["trials"]] == ranking(
        {i: t.curve for i, t in view.trials.items()}, EPOCHS
    )[:2]
    target = TableTarget()
    for which, trial in enumerate(done["trials"]):
        assert trial["seeds"] == [stream_seed(5, "retrain", 2 * i + which) for i in range(N)]
        config = view.trials[trial["trial_id"]].config
        assert trial["config"] == config
        values = [target.replay(config, seed).values[EPOCHS - 1] for seed in trial["seeds"]]
        assert trial["validation"]["values"]["values"] == values
        assert trial["validation"]["mean"]["value"] == statistics.fmean(values)
        assert trial["validation"]["std"]["value"] == statistics.stdev(values)
        assert trial["validation"]["min"]["value"] == min(values)
        assert trial["validation"]["max"]["value"] == max(values)
        assert trial["test"]["values"]["values"] == pytest.approx([v + 0.01 for v in values])
        found = view.trials[trial["trial_id"]].curve[-1]
        assert trial["searched"]["validation"]["value"] == found
    one, other = (trial["validation"]["values"]["values"] for trial in done["trials"])
    p = ttest_ind(one, other, equal_var=False).pvalue
    assert done["gap"]["validation"]["p"] == pytest.approx(p)
    assert done["gap"]["validation"]["n"] == [N, N]
    assert json.loads((folder / variability.NAME).read_text()) == done
    assert not list(folder.glob(".*.part"))


def test_more_repeats_begin_with_the_same(tmp_path):
    folder = run(tmp_path / "run")
    few, many = (variability.retrain(folder, n)["trials"] for n in (2, 4))
    for one, other in zip(few, many, strict=True):
        assert other["seeds"][:2] == one["seeds"]
        assert other["test"]["values"]["values"][:2] == one["test"]["values"]["values"]


def test_the_door_prints_both_and_the_verdict(tmp_path, capsys):
    folder = run(tmp_path / "run")
    assert door.main([str(folder), "--n", "3"]) == 0
    said = capsys.readouterr().out
    assert "winner 3/3: " in said and "runner-up 3/3: " in said
    assert "validation: gap" in said and "Welch's t-test, n = 3 and 3, p = " in said


CSV = "lr,a_1,a_2,a_3,a_4\n" + "".join(
    f"{lr},{','.join(str(acc - 0.1 + 0.02 * e + 0.001 * r) for e in range(4))}\n"
    for lr, acc, n in ((0.1, 0.9, 3), (0.2, 0.8, 1), (0.3, 0.7, 1), (0.4, 0.6, 1), (0.5, 0.5, 1))
    for r in range(n)
)


@pytest.fixture
def table(tmp_path) -> Path:
    """A table to be maximised, whose best configuration was trained three times."""
    (tmp_path / "t.csv").write_text(CSV)
    description = "{file: t.csv, hyperparameters: [lr], metric: acc, mode: max,"
    description += "curve: {prefix: a_, first: 1, last: 4}}"
    config = compose("report=false", "algorithm=random_search", f"max_epochs={EPOCHS}", "seed=1")
    import yaml

    model = {"_target_": "models.recorded_curves.Table", "folder": str(tmp_path)}
    config["model"] = model | {"description": yaml.safe_load(description)}
    config["scheduler"] |= {"n_trials": 5}
    assert execute.run(RunSettings.of(config), tmp_path / "run").status == "completed"
    return tmp_path / "run"


def test_a_table_draws_its_repeats_in_the_metrics_own_direction(table):
    done = variability.retrain(table, 8)
    winner, other = done["trials"]
    recorded = {float(line.split(",")[-1]) for line in CSV.splitlines()[1:4]}
    assert winner["config"] == {"lr": 0.1} and other["config"] == {"lr": 0.2}
    assert set(winner["validation"]["values"]["values"]) == recorded
    assert other["validation"]["std"]["value"] == 0
    assert done["gap"]["validation"]["value"] == pytest.approx(-0.1, abs=0.002)
    assert done["gap"]["validation"]["beyond_chance"] is True


def test_without_any_spread_there_is_no_test(table, tmp_path):
    text = (tmp_path / "t.csv").read_text().splitlines()
    (tmp_path / "t.csv").write_text("\n".join([text[0], *text[3:]]) + "\n")
    tables._parsed.clear()  # this process knows the file as it was
    done = variability.retrain(table, 2)
    assert done["gap"]["validation"]["p"] is None
    assert any("every repeat is equal" in line for line in words.lines(done))


def test_failures_are_counted_and_left_out(tmp_path, monkeypatch, capsys):
    folder = run(tmp_path / "run")
    replay = TableTarget.start
    bad = stream_seed(5, "retrain", 2)

    def start(self, config, seed):
        self.diverge_below = 10_000 if seed == bad else 0
        return replay(self, config, seed)

    monkeypatch.setattr(TableTarget, "start", start)
    assert door.main([str(folder), "--n", "3"]) == 0
    done = json.loads((folder / variability.NAME).read_text())
    winner, other = done["trials"]
    assert winner["n"]["value"] == 2 and bad not in winner["seeds"]
    assert winner["failures"] == ["diverged: val_loss is not finite after epoch 2"]
    assert other["n"]["value"] == 3
    assert math.isfinite(winner["validation"]["mean"]["value"])
    said = capsys.readouterr().out
    assert "winner 2/3: diverged" in said and "1 failed" in said and "n = 2 and 3" in said


def test_all_failed_is_exit_1(tmp_path, monkeypatch, capsys):
    folder = run(tmp_path / "run")

    def start(self, config, seed):
        raise RuntimeError("no such layer")

    monkeypatch.setattr(TableTarget, "warm_up", lambda self: None)
    monkeypatch.setattr(TableTarget, "start", start)
    assert door.main([str(folder), "--n", "2"]) == 1
    done = json.loads((folder / variability.NAME).read_text())
    assert done["trials"][0]["validation"]["mean"] is None
    assert done["gap"]["test"]["value"] is None


def test_what_cannot_be_retrained_is_refused(tmp_path, no_fsync, capsys):
    folder = run(tmp_path / "run")
    with pytest.raises(ConfigError, match="n=1: must be an integer >= 2"):
        variability.retrain(folder, 1)
    with pytest.raises(JournalError):
        variability.retrain(tmp_path, 2)
    Played(tmp_path / "cut").play(20)
    with pytest.raises(ConfigError, match="status=unfinished"):
        variability.retrain(tmp_path / "cut", 2)
    assert door.main([str(folder), "--backend", "mpi"]) == 1
    assert "backend=mpi: one rank; needs 2 or more" in capsys.readouterr().err
    assert door.main([str(folder), "--backend", "slurm"]) == 1
    assert "backend=slurm: unknown; known are auto, inline, mpi" in capsys.readouterr().err
    assert not (folder / variability.NAME).exists()


def test_a_folder_that_cannot_be_written_is_found_before_training(tmp_path, monkeypatch):
    folder = run(tmp_path / "run")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match="must be writable"):
        variability.retrain(folder, 2)


# --- data, code and text that are not the run's ---------------------------------------------------

DATA_SET = {
    "name": "made", "origin": "formula", "sha256": "0" * 64, "stand_in": False, "split": "fixed",
    "split_sha256": "1" * 64, "n_train": 7, "n_valid": 2, "n_test": 1,
}  # fmt: skip


def test_other_data_than_the_runs_are_refused_or_marked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(TableTarget, "provenance", DATA_SET)
    folder = run(tmp_path / "run")
    assert door.main([str(folder), "--n", "2"]) == 0
    assert not [
        one
        for one in json.loads((folder / variability.NAME).read_text())["differences"]
        if one["field"].startswith("data")
    ]
    (folder / variability.NAME).unlink()
    monkeypatch.setattr(TableTarget, "provenance", DATA_SET | {"sha256": "2" * 64, "n_train": 8})
    capsys.readouterr()
    assert door.main([str(folder), "--n", "2"]) == 1
    error = capsys.readouterr().err
    assert "retrain: data_set.sha256=222222222222..., not 000000000000..., as in the run" in error
    assert "--unlike-data" in error
    assert not (folder / variability.NAME).exists()
    assert door.main([str(folder), "--n", "2", "--unlike-data"]) == 0
    assert "WARNING: not as in the run: data_set.n_train: 8 here, 7 in the run" in (
        capsys.readouterr().out
    )
    assert {"field": "data_set.n_train", "here": 8, "run": 7} in json.loads(
        (folder / variability.NAME).read_text()
    )["differences"]


def test_a_run_on_real_data_is_not_trained_again_on_a_stand_in(tmp_path, monkeypatch):
    folder = run(tmp_path / "run")
    monkeypatch.setattr(TableTarget, "data", "stand-in")
    with pytest.raises(ConfigError, match="data=stand-in, not synthetic"):
        variability.retrain(folder, 2)


def test_other_code_and_versions_are_marked(tmp_path, capsys):
    folder = run(tmp_path / "run")
    rows = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    rows[0]["versions"]["numpy"] = "0.1\x1b[2J"
    rows[0]["git"] = {"revision": "0" * 40, "dirty": True}
    (folder / "journal.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert door.main([str(folder), "--n", "2"]) == 0
    said = capsys.readouterr().out
    assert "WARNING: not as in the run: versions.numpy: " in said
    assert "0.1\\x1b[2J in the run" in said and "\x1b" not in said
    assert f"{'0' * 40} in the run" in said


def test_a_link_called_retrain_json_is_replaced_and_not_written_through(tmp_path):
    folder = run(tmp_path / "run")
    for name in (variability.NAME, f".{variability.NAME}.part"):
        (tmp_path / f"victim{name}").write_text("mine")
        (folder / name).symlink_to(tmp_path / f"victim{name}")
    variability.retrain(folder, 2)
    assert not (folder / variability.NAME).is_symlink()
    for name in (variability.NAME, f".{variability.NAME}.part"):
        assert (tmp_path / f"victim{name}").read_text() == "mine"


def test_values_that_overflow_are_null_in_the_file(tmp_path):
    huge = [1.7e308, -1.7e308, 1.7e308]
    summary = numbers.summary(huge, "1")
    gap = numbers.gap(huge, huge, "1")
    json.dumps([summary, gap], allow_nan=False)
    assert gap["p"] is None and summary["std"] is None
    assert words.of_gap("test", gap).startswith("test: gap")


# --- the default configuration --------------------------------------------------------------------

DEFAULT = {"learning_rate": 0.5, "width": 8, "optimizer": "sgd"}


def test_the_default_has_the_winners_seeds_and_the_gain_is_paired(tmp_path, monkeypatch, capsys):
    folder = run(tmp_path / "run")
    monkeypatch.setattr(TableTarget, "default_configuration", DEFAULT)
    monkeypatch.setattr(TableTarget, "default_source", "the kit's")
    assert door.main([str(folder), "--n", "3"]) == 0
    done = json.loads((folder / variability.NAME).read_text())
    winner, _, default = done["trials"]
    assert (default["role"], default["trial_id"], default["config"]) == ("default", None, DEFAULT)
    assert default["seeds"] == winner["seeds"]
    target = TableTarget()
    curves = [list(target.replay(DEFAULT, s).values[:EPOCHS]) for s in default["seeds"]]
    assert default["curves"]["values"] == curves
    pairs = [trial["validation"]["values"]["values"] for trial in (default, winner)]
    gain = done["gain"]["validation"]
    assert gain["value"] == pytest.approx(statistics.fmean(pairs[0]) - statistics.fmean(pairs[1]))
    assert (gain["n"], gain["level"]) == (3, 0.95)
    said = capsys.readouterr().out
    assert "default 3/3: " in said and "validation: gain by tuning +" in said
    changes = [100 * (new - old) / old for old, new in zip(*pairs, strict=True)]
    assert gain["percent"]["value"] == pytest.approx(statistics.fmean(changes)) and changes[0] < 0
    assert (
        f"validation: tuned against default: val_loss {statistics.fmean(changes):+.3g} % (" in said
    )
    assert "n = 3 repeats)" in said and "default: the kit's" in said
    assert done["default_source"] == "the kit's"
    assert door.main([str(folder), "--n", "2", "--no-default"]) == 0
    done = json.loads((folder / variability.NAME).read_text())
    assert [trial["role"] for trial in done["trials"]] == ["winner", "runner-up"]
    assert done["gain"] == {}


def sample(role, values):
    """One whose repeats ended with these values; None: that one failed."""
    repeats = [Repeat(role, i, {}, seed=i, validation=v, test=v) for i, v in enumerate(values) if v]
    return numbers.Sample(role, None, {}, None, repeats)


def test_the_interval_is_that_of_a_paired_t_test():
    before, after = (0.5, 0.9, 0.7, 0.8), (0.3, 0.4, 0.6, 0.2)
    gain = numbers.gain(sample("winner", after), sample("default", before), "test", "1", "min")
    paired = ttest_rel(before, after).confidence_interval(0.95)
    assert (gain["low"], gain["high"]) == pytest.approx((paired.low, paired.high))
    assert gain["value"] == pytest.approx(0.35)


def test_the_change_is_in_per_cent_of_the_default_whichever_way_is_better():
    before, after = sample("default", (0.5, 0.8)), sample("winner", (0.25, 0.6))
    for mode in ("min", "max"):
        percent = numbers.gain(after, before, "test", "1", mode)["percent"]
        assert percent["value"] == pytest.approx((-50 - 25) / 2)
        assert percent["low"] < percent["value"] < percent["high"]
    loss = sample("default", (-2.0, -4.0)), sample("winner", (-1.0, -4.0))
    percent = numbers.gain(loss[1], loss[0], "test", "1", "min")["percent"]
    assert percent["value"] == pytest.approx(25.0), "a value that grows has a positive change"
    before.repeats[0].test = 0.0
    none = numbers.gain(after, before, "test", "1", "min")["percent"]
    assert (none["value"], none["low"]) == (None, None)


def test_pairs_are_seeds_that_succeeded_with_both():
    winner, default = sample("winner", (0.5, None, 0.75)), sample("default", (0.25, 0.5, 0.25))
    gain = numbers.gain(winner, default, "test", "1", "max")
    assert (gain["n"], gain["value"]) == (2, 0.375)
    assert numbers.gain(winner, default, "test", "1", "min")["value"] == -0.375
    alone = numbers.gain(sample("winner", (0.5,)), default, "test", "1", "max")
    assert (alone["n"], alone["low"]) == (1, None)


# --- the figure -----------------------------------------------------------------------------------


@pytest.mark.parametrize("epochs", ["max_epochs=4", "max_epochs=1"])
@pytest.mark.parametrize("default", [None, DEFAULT])
def test_the_figure_is_drawn_and_no_label_lies_on_another(tmp_path, monkeypatch, epochs, default):
    monkeypatch.setattr(TableTarget, "default_configuration", default)
    folder = run(tmp_path / "run", epochs)
    variability.retrain(folder, 3)
    drawn = []
    monkeypatch.setattr(style, "write", lambda figure, path: drawn.append(figure))
    door.figure(folder)
    texts = {text.get_text() for text in drawn[0].findobj(Text)}
    assert "run / table_target" in texts and "SYNTHETIC DATA" in texts
    assert ("default: before" in texts) == bool(default)
    assert crowded(drawn[0]) == []


@pytest.mark.slow
def test_the_report_holds_the_figure_of_a_run_that_was_trained_again(tmp_path, monkeypatch):
    monkeypatch.setattr(TableTarget, "default_configuration", DEFAULT)
    folder = run(tmp_path / "run")
    assert door.main([str(folder), "--n", "2"]) == 0
    assert (folder / "retrain.png").read_bytes().startswith(b"\x89PNG")
    page = (report.write([folder], tmp_path / "out") / "report.html").read_text()
    assert "Trained again: random_search, seed 5" in page and "Gain by tuning" in page
    assert "Tuned against default" in page and "n = 2 repeats)" in page
    # The file of another run says nothing of this one.
    text = json.loads((folder / variability.NAME).read_text()) | {"run_id": "another"}
    (folder / variability.NAME).write_text(json.dumps(text))
    page = (report.write([folder], tmp_path / "out") / "report.html").read_text()
    assert "Trained again" not in page
    (folder / variability.NAME).unlink()
    (folder / variability.NAME).symlink_to("/etc/hostname")
    page = (report.write([folder], tmp_path / "out") / "report.html").read_text()
    assert "retrain.json" in page and "Could not be made" in page
    (folder / variability.NAME).unlink()
    (folder / variability.NAME).write_text("{")
    page = (report.write([folder], tmp_path / "out") / "report.html").read_text()
    assert "retrain.json" in page and "Could not be made" in page


def test_a_file_of_the_first_version_is_read_and_drawn(tmp_path):
    folder = run(tmp_path / "run")
    done = variability.retrain(folder, 2)
    for key in ("gain", "workers", "wall"):
        del done[key]
    for trial in done["trials"]:
        del trial["curves"]
    (folder / variability.NAME).write_text(json.dumps(done | {"schema_version": "1.1.0"}))
    old = read_retrained(folder)
    assert [one.role for one in old.configurations] == ["winner", "runner-up"]
    assert old.configurations[0].curves == () and old.gain == {}
    assert door.figure(folder).is_file()
