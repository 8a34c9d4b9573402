"""Winner and runner-up trained again: seeds, numbers, the file, and what is refused."""

from __future__ import annotations

import json
import math
import os
import statistics
from pathlib import Path

import pytest
from driving import compose
from scipy.stats import ttest_ind
from simulated import Played

from models import table as tables
from models.table_target import TableTarget
from suite import launch, retrain
from suite.core.errors import ConfigError, JournalError
from suite.core.scheduler import rank
from suite.core.seeds import stream_seed
from suite.projection import load_run

EPOCHS, N = 4, 3


def run(folder: Path, *overrides: str) -> Path:
    given = ("algorithm=random_search", "model=table_target", "backend=inline", *overrides)
    config = compose("report=false", f"max_epochs={EPOCHS}", "seed=5", *given)
    assert launch.run(config, folder).status == "completed"
    return folder


def test_both_are_trained_with_fresh_seeds_to_the_end(tmp_path):
    folder = run(tmp_path / "run")
    done = retrain.retrain(folder, N)
    view = load_run(folder)
    assert [t["trial_id"] for t in done["trials"]] == rank(
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
    assert json.loads((folder / retrain.NAME).read_text()) == done
    assert not list(folder.glob(".*.part"))


def test_more_repeats_begin_with_the_same(tmp_path):
    folder = run(tmp_path / "run")
    few, many = (retrain.retrain(folder, n)["trials"] for n in (2, 4))
    for one, other in zip(few, many, strict=True):
        assert other["seeds"][:2] == one["seeds"]
        assert other["test"]["values"]["values"][:2] == one["test"]["values"]["values"]


def test_the_door_prints_both_and_the_verdict(tmp_path, capsys):
    folder = run(tmp_path / "run")
    assert retrain.main([str(folder), "--n", "3"]) == 0
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

    model = {"_target_": "models.table.Table", "folder": str(tmp_path)}
    config["model"] = model | {"description": yaml.safe_load(description)}
    config["scheduler"] |= {"n_trials": 5}
    assert launch.run(config, tmp_path / "run").status == "completed"
    return tmp_path / "run"


def test_a_table_draws_its_repeats_in_the_metrics_own_direction(table):
    done = retrain.retrain(table, 8)
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
    done = retrain.retrain(table, 2)
    assert done["gap"]["validation"]["p"] is None
    assert any("every repeat is equal" in line for line in retrain.lines(done))


def test_failures_are_counted_and_left_out(tmp_path, monkeypatch, capsys):
    folder = run(tmp_path / "run")
    replay = TableTarget.start
    bad = stream_seed(5, "retrain", 2)

    def start(self, config, seed):
        self.diverge_below = 10_000 if seed == bad else 0
        return replay(self, config, seed)

    monkeypatch.setattr(TableTarget, "start", start)
    assert retrain.main([str(folder), "--n", "3"]) == 0
    done = json.loads((folder / retrain.NAME).read_text())
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

    monkeypatch.setattr(TableTarget, "start", start)
    assert retrain.main([str(folder), "--n", "2"]) == 1
    done = json.loads((folder / retrain.NAME).read_text())
    assert done["trials"][0]["validation"]["mean"] is None
    assert done["gap"]["test"]["value"] is None


def test_what_cannot_be_retrained_is_refused(tmp_path, no_fsync, capsys):
    folder = run(tmp_path / "run")
    with pytest.raises(ConfigError, match="n=1: must be an integer >= 2"):
        retrain.retrain(folder, 1)
    with pytest.raises(JournalError):
        retrain.retrain(tmp_path, 2)
    Played(tmp_path / "cut").play(20)
    with pytest.raises(ConfigError, match="status=unfinished"):
        retrain.retrain(tmp_path / "cut", 2)
    assert retrain.main([str(folder), "--backend", "mpi"]) == 1
    assert "backend=mpi: unknown; known are inline" in capsys.readouterr().err
    assert not (folder / retrain.NAME).exists()


def test_a_folder_that_cannot_be_written_is_found_before_training(tmp_path, monkeypatch):
    folder = run(tmp_path / "run")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match="must be writable"):
        retrain.retrain(folder, 2)
