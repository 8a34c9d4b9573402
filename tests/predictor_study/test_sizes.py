"""The study by number of training curves: its rows on a table made by hand, its files, its refusals."""

import json
import re

import numpy as np
import pytest

from suite.core.errors import ConfigError
from suite.predictor_study import __main__ as door
from suite.predictor_study import sizes_page
from suite.predictor_study.protocols import Curves
from suite.predictor_study.sizes import sizes_study

SVR = {"_target_": "suite.predictors.svr.SVR"}
CONSTANT = {"_target_": "suite.predictors.constant.Constant"}


@pytest.fixture(autouse=True)
def kit_is_admitted(monkeypatch):
    monkeypatch.setenv("SUITE_PLUGINS", "kit")


def tabled(n=60, n_epochs=20):
    draws = np.random.default_rng(1)
    ends = draws.uniform(size=n)
    values = tuple(
        (tuple((end + (1 - end) / (1 + e) + 0.01 * draws.normal()) for e in range(n_epochs)),)
        for end in ends.tolist()
    )
    return Curves("made", "synthetic", "loss", n_epochs, values, tuple((i / n,) for i in range(n)))


def test_each_row_has_a_value_a_split_and_sizes_beyond_half_of_the_table_are_left_out():
    rows = sizes_study(tabled(), {"svr": SVR, "constant": CONSTANT}, (5, 20, 31, 200), 4)
    assert [(row.predictor, row.n_train) for row in rows] == [
        ("svr", 5), ("constant", 5), ("svr", 20), ("constant", 20),
    ]  # fmt: skip
    assert all(len(row.r2) == len(row.fit_s) == 4 and min(row.fit_s) >= 0 for row in rows)
    # Three splits' test curves, half of the table each.
    assert all(len(row.true) == len(row.predicted) == 3 * 30 for row in rows)
    few, many = (row.summary() for row in rows if row.predictor == "svr")
    assert few["r2_worst"] <= few["r2_mean"] <= few["r2_best"] and few["n_splits"] == 4
    assert many["r2_mean"] > few["r2_mean"]
    again = sizes_study(tabled(), {"svr": SVR}, (5,), 4)
    assert again[0].r2 == rows[0].r2 and again[0].predicted == rows[0].predicted


def test_a_row_that_takes_long_has_two_splits_and_its_predictor_no_larger_size():
    slow = {"svr": SVR, "slow": {"_target_": "kit.samplers.SlowMean"}}
    rows = sizes_study(tabled(), slow, (5, 10), 4, row_s=0.02)
    of = {(row.predictor, row.n_train): len(row.r2) for row in rows}
    assert of["slow", 5] == 2 and ("slow", 10) not in of and ("svr", 10) in of


def test_its_files_hold_every_row(tmp_path):
    rows = sizes_study(tabled(), {"svr": SVR, "constant": CONSTANT}, (5, 30), 2)
    numbers, page, sizes, predicted = sizes_page.write(rows, tabled(), tmp_path / "out")
    known = json.loads(numbers.read_text())
    assert known["rows"] == [row.summary() for row in rows] and known["data"] == "synthetic"
    assert page.read_text().count("| svr |") == 2 and "n = 2 splits" in page.read_text()
    assert {path.read_bytes()[:4] for path in (sizes, predicted)} == {b"\x89PNG"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"sizes": (31, 40)}, "sizes=31: half of table made is 30 configurations"),
        ({"sizes": (1,)}, "sizes=1: must be an integer >= 2"),
        ({"n_splits": 1}, "splits=1"),
        ({"row_s": 0.0}, "row_s=0.0: must be greater than 0"),
        ({"predictors": {}}, "predictors=none"),
    ],
)
def test_what_cannot_be_studied_is_named(arguments, says):
    with pytest.raises(ConfigError, match=says):
        sizes_study(
            tabled(), **{"predictors": {"svr": SVR}, "sizes": (5,), "n_splits": 2} | arguments
        )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--sizes", "5,ten"], "--sizes=5,ten: must be integers with commas"),
        (["--samplers", "tabuu"], "--samplers=tabuu: unknown; .*Did you mean tabu"),
        (["--sizes", "5", "--protocol", "published"], "--protocol=published: --sizes is leak-free"),
    ],
)
def test_a_wrong_word_is_named_at_the_door(words, says, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(door.page, "read", lambda table: tabled())
    assert door.main([*words, "--out", str(tmp_path / "out")]) == 1
    assert re.search(says, capsys.readouterr().err) and not (tmp_path / "out").exists()


def test_the_door_studies_a_sampler_beside_the_predictors(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(door.page, "read", lambda table: tabled())
    words = ["--sizes", "5", "--splits", "2", "--predictors", "svr", "--samplers", "random"]
    assert door.main([*words, "--out", str(tmp_path / "out")]) == 0
    assert "| 5 | qsvr, random |" in capsys.readouterr().out
