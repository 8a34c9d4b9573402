"""Levels, scores and the batch system's accounting."""

from __future__ import annotations

import json
import math
import shutil

import pytest

from kit.falsifications import findings
from kit.submissions import run, submission
from suite.check import levels as module
from suite.check.accounting import Job, parse
from suite.check.document import lines
from suite.check.findings import Asked
from suite.check.levels import Level, levels, score
from suite.check.own_target import own_leaf
from suite.check.stated import Stated
from suite.check.submission import check
from suite.core.errors import DataError
from suite.launch.runs import Runs
from suite.results import record as records
from suite.run import journal as journals

WORDS = ("model=table_target", "algorithm=hyperband", "max_epochs=4", "overlap=false", "backend=simulate",
         "backend.workers=2")  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [run(folder / f"seed{seed}", (*WORDS, f"seed={seed}")) for seed in (0, 1)]


@pytest.fixture
def level(monkeypatch):
    small = Level("small", "", ("-m", *WORDS, "seed=0,1"), 5.0, 2, {"hyperband": 1000.0})
    known = {"small": small}
    for name in (
        "suite.check.submission.levels",
        "suite.check.configuration.levels",
        "suite.check.run.levels",
    ):
        monkeypatch.setattr(name, lambda: known)
    return small


def broken(path):
    (checked,) = check([path], Asked())
    return checked, [one.text for one in findings(checked) if one.status == "fail"]


def test_every_level_names_runs_that_can_be_composed():
    for level in levels().values():
        names = {run.config["choices"]["algorithm"] for run in Runs(level.command)}
        assert names and set(level.reference) <= names


def test_a_closed_submission_of_all_runs_passes_and_is_scored(runs, level, tmp_path):
    path = submission(tmp_path / "sub", runs, level="small", division="closed")
    checked, wrong = broken(path)
    assert not wrong and checked.score is not None and checked.score > 0
    assert all("seconds_to_target" in run.figures for run in checked.runs)


def test_a_closed_submission_without_one_seed_is_refused(runs, level, tmp_path):
    checked, wrong = broken(
        submission(tmp_path / "sub", runs[:1], level="small", division="closed")
    )
    assert wrong == ["hyperband, seed 1: missing; level small is all of its runs, each once"]
    assert checked.score is None


def test_a_run_that_was_not_completed_is_no_run_of_the_closed_division(runs, level, tmp_path):
    """Else half a search would be scored by its seconds to the target."""
    both = []
    for number, whole in enumerate(runs):
        both.append(shutil.copytree(whole, tmp_path / f"run{number}"))
    rows = (both[1] / journals.NAME).read_text().splitlines()
    end = {**json.loads(rows[-1]), "status": "interrupted", "reason": "stopped by a signal"}
    (both[1] / journals.NAME).write_text("\n".join([*rows[:-1], json.dumps(end)]) + "\n")
    (both[1] / records.NAME).write_text(records.dumps(records.build(both[1])))
    path = submission(tmp_path / "s" / "sub", both, level="small", division="closed")
    checked, wrong = broken(path)
    assert any(
        "status=interrupted: must be completed in the closed division" in one for one in wrong
    )
    assert checked.score is None
    assert any("seed 1, interrupted: " in line for line in lines(checked, everything=False))


@pytest.mark.parametrize(
    ("changed", "said"),
    [("eta=3", "config.eta=3: is 2"), ("algorithm=random_search", "config.scheduler._target_")],
)
def test_other_settings_are_refused_in_the_closed_division(changed, said, level, tmp_path):
    more = ("scheduler.n_trials=3",) if "random" in changed else ()
    other = run(tmp_path / "run", (*WORDS[:1], changed, *more, *WORDS[2:], "seed=0"))
    path = submission(tmp_path / "s" / "sub", [other], level="small", division="closed")
    assert any(said in text and "by level small" in text for text in broken(path)[1])
    path = submission(tmp_path / "o" / "sub", [other], level="small", division="open")
    assert not broken(path)[1]


def test_another_target_is_refused_in_the_open_division(level, tmp_path):
    other = run(tmp_path / "run", (*WORDS, "model.noise=0.5", "seed=0"))
    path = submission(tmp_path / "s" / "sub", [other], level="small", division="open")
    assert any("config.model.noise=0.5" in text for text in broken(path)[1])


def test_another_simulated_cluster_is_refused_in_the_open_division_too(level, tmp_path):
    """Its seconds are made up: a faster one would win every score."""
    other = run(tmp_path / "run", (*WORDS, "backend.epoch_s=0.01", "seed=0"))
    path = submission(tmp_path / "s" / "sub", [other], level="small", division="open")
    wrong = broken(path)[1]
    assert wrong == ["config.backend.epoch_s=0.01: must be 60.0, by level small"]


def test_a_run_that_was_not_simulated_is_none_of_a_simulated_level(level, tmp_path):
    words = [word.replace("simulate", "inline") for word in WORDS if "workers" not in word]
    path = submission(
        tmp_path / "s" / "sub",
        [run(tmp_path / "run", (*words, "seed=0"))],
        level="small",
        division="open",
    )
    assert "choices.backend: runs of level small are simulated" in broken(path)[1]


def test_a_seed_that_was_lucky_counts_once(runs, level, tmp_path):
    """Repeats in the open division, too, are of different seeds."""
    again = run(tmp_path / "again", (*WORDS, "seed=0", "overlap=true"))
    path = submission(tmp_path / "s" / "sub", [*runs, again], level="small", division="open")
    checked, wrong = broken(path)
    assert wrong == ["hyperband, seed 0: 2 runs; repeats have different seeds"]
    assert checked.score is None


def test_an_unknown_level_is_named(runs, tmp_path):
    assert any("level=huge: unknown here" in text for text in broken(
        submission(tmp_path / "sub", runs, level="huge"))[1])  # fmt: skip


def test_a_score_is_the_geometric_mean_of_medians_against_the_reference():
    level = Level("a", "", (), 0.1, 3, {"x": 8.0, "y": 2.0})
    assert score(level, {"x": [4.0, 100.0, 1.0], "y": [4.0, 4.0, 4.0]}) == pytest.approx(1.0)
    assert score(level, {"x": [4.0, 4.0], "y": [4.0, 4.0, 4.0]}) is None
    assert score(level, {"x": [4.0, math.inf, math.inf], "y": [4.0, 4.0, 4.0]}) is None
    assert score(Level("a", "", (), 0.1, 3, {}), {"x": [1.0]}) is None
    assert module.score is score


def test_the_accounting_of_slurm_is_read():
    assert parse("17|60|2|1200\n18|30|4|\n") == [Job(60.0, 2, 1200.0), Job(30.0, 4, 0.0)]
    for text in ("", "17|60", "17|abc|2|0", "17|60|2|0|0", "17|-5|2|0"):
        with pytest.raises(DataError):
            parse(text)


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ({"_target_": "models.synthetic_curves.TableTarget", "noise": 0.5}, ""),
        (
            {"_target_": "models.recorded_curves.Table"},
            "is models.synthetic_curves.TableTarget here",
        ),
        (
            {"_target_": "models.synthetic_curves.TableTarget", "noise": "/etc"},
            "not taken from a journal",
        ),
        ({"_target_": "models.synthetic_curves.TableTarget", "other": 1}, "no argument"),
        ({"_target_": "models.synthetic_curves.TableTarget", "fixed": {"a": 1}}, "not taken"),
    ],
)
def test_of_a_journal_only_numbers_and_words_are_taken_for_the_target(theirs, said):
    header = {"choices": {"model": "table_target", "task": None}, "config": {"model": theirs}}
    leaf, why = own_leaf(Stated.of(header))
    assert (leaf is None) == bool(said) and said in why
    if leaf is not None:
        assert leaf["noise"] == 0.5


@pytest.mark.parametrize("name", ["../x", "a b", "${oc.env:HOME}", "no_such_target", None, 7])
def test_a_name_of_no_target_is_refused(name):
    leaf, why = own_leaf(
        Stated.of({"choices": {"model": name, "task": None}, "config": {"model": {}}})
    )
    assert leaf is None and "installation" in why
