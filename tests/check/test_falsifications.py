"""Every kind of falsification is caught by a rule, or is stated as what only training again or a signature
can show. A cheat makes record and digests anew each time.
"""

from __future__ import annotations

import shutil

import pytest

from kit import falsifications as f
from kit import submissions
from kit.driving import compose
from suite.check.findings import Asked
from suite.check.submission import check


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return f.bases(tmp_path_factory.mktemp("bases"))


@pytest.mark.parametrize("name", ["real", "simulated", "metered"])
def test_the_submission_that_is_falsified_breaks_no_rule(made, name):
    (checked,) = check([made[name]], Asked())
    broken = [(one.rule, one.text) for one in f.findings(checked) if one.status in ("fail", "skip")]
    assert checked.verdict == "pass" and not broken


@pytest.mark.parametrize(
    "number", range(len(f.KINDS)), ids=[f"{one.name}-{one.base}" for one in f.KINDS]
)
def test_it_is_caught_or_stated_as_what_no_journal_shows(made, tmp_path, number):
    one = f.KINDS[number]
    seed = f.SEEDS[number % len(f.SEEDS)]
    found = f.outcome(one, seed, made[one.base], tmp_path)
    texts = [(x.rule, x.status, x.text) for x in f.findings(found.checked) if x.status != "pass"]
    assert f.is_right(one, found), (one.catches, texts)
    assert bool(one.shown_by) == (not one.catches)


def test_the_page_holds_every_kind_with_what_catches_it():
    text = f.PAGE.read_text()
    rows = [row.split(" | ") for row in text.splitlines() if row.startswith("| ")][1:]
    assert [(row[0][2:], row[1]) for row in rows] == [(one.name, one.base) for one in f.KINDS], (
        "run python tests/kit/falsifications.py"
    )
    for row, one in zip(rows, f.KINDS, strict=True):
        named = [word.strip("`") for word in row[3].split(", ") if word]
        assert bool(named) == bool(one.catches)
        assert {word.replace("not looked at", "skip") for word in named} <= set(one.catches)
    assert len(f.KINDS) * len(f.SEEDS) >= 60


@pytest.mark.parametrize(
    "name",
    [
        "value of an epoch on which no decision rests",
        "every value after the last forecast a little better",
        "test value",
        "trials said to have failed",
    ],
)
def test_what_no_journal_shows_is_shown_by_training_again(made, tmp_path, name):
    one = next(one for one in f.KINDS if (one.name, one.base) == (name, "real"))
    found = f.outcome(one, 0, made["real"], tmp_path, Asked(retrain=1000))
    assert found.rules == ("training",)
    (finding,) = [x for x in f.findings(found.checked) if x.status == "fail"]
    assert "trained again" in finding.text and finding.line is not None


def test_an_untouched_run_trained_again_is_equal_to_the_last_bit(made):
    (checked,) = check([made["real"]], Asked(retrain=2, draw=7))
    (finding,) = [one for one in f.findings(checked) if one.rule == "training"]
    assert finding.status == "pass" and "bit by bit" in finding.text


def test_an_annealer_is_never_asked_because_a_submission_names_it(made, tmp_path):
    """sampler=qpu would spend the checker's money; without recorded answers it stays open."""
    cheat = f.Cheat(made["real"], tmp_path / "cheat")
    cheat.header["config"]["predictor"] = compose("predictor=qsvr", "predictor.sampler=qpu")[
        "predictor"
    ]
    (checked,) = check([cheat.finish()], Asked())
    (finding,) = [one for one in f.findings(checked) if one.rule == "forecasts"]
    assert finding.status == "unprovable" and "no samples.jsonl is there" in finding.text


def test_a_worker_whose_jobs_are_too_short_to_tell_is_told_by_all_of_them(made, tmp_path):
    """A fast machine: half the time of a job of .1 s lies within what clocks may differ by."""
    cheat = submissions.lasting(shutil.copytree(made["real"], tmp_path / "short"), 1.0)
    submissions.scaled(cheat.lines, 0.5, ("time_s",))
    (checked,) = check([cheat.finish()], Asked())
    (wrong,) = [one for one in f.findings(checked) if one.status == "fail"]
    assert wrong.rule == "clock" and wrong.text.startswith("worker ")


def test_readings_that_are_left_out_leave_no_joules(made, tmp_path):
    """The meter's last reading would else be the run's joules, however early it was."""
    (whole,) = check([made["metered"]], Asked())
    assert whole.runs[0].figures["joules"][0] > 0
    cheat = f.Cheat(made["metered"], tmp_path / "cheat")
    for line in cheat.of("finished")[2:]:
        del line["energy_j"]
    (checked,) = check([cheat.finish()], Asked())
    assert checked.runs[0].figures["joules"][0] is None
    (finding,) = [one for one in f.findings(checked) if one.rule == "energy"]
    assert finding.status == "unprovable" and "no joules are counted" in finding.text
