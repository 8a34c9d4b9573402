"""budget.all_epochs: any run ends after so many epochs of all trials, and goes on with more."""

import json
import re

import pytest

from kit.driving import configured
from suite.core import types as t
from suite.core.errors import ConfigError, JournalError
from suite.launch.begin import Begin
from suite.launch.execute import run
from suite.launch.plan import Planned, text
from suite.launch.resumed import resumed_settings
from suite.results.fold import load_run
from suite.run import journal as journals
from suite.run.budget import Spending
from suite.verify.checks import verify

R = 27
WORDS = ("model=table_target", f"max_epochs={R}", "tracking=later", "report=false")
SIMULATED = (*WORDS, "backend=simulate", "backend.epoch_s=60", "backend.workers=4")


def begun(folder, *words, on=SIMULATED):
    outcome = run(configured(*on, *words), folder)
    assert outcome.status == "completed", outcome.reason
    return outcome


def gone_on(folder, *words):
    return Begin(resumed_settings(folder, words), folder, "continue").run()


def verified(folder):
    verdict = verify(folder, "run")
    assert {check.status for check in verdict.checks} == {"pass"}, verdict


def at_end(folder) -> int:
    """Epochs that were reported before the end was."""
    n = 0
    for line in journals.read(folder / journals.NAME)[1]:
        if line["event"] == "budget_used":
            return n
        n += len(line["epoch"]) if line["event"] == "epoch" else 0
    raise AssertionError("the budget was not used up")


@pytest.mark.parametrize("algorithm", ["hyperband", "asha", "price", "random_search"])
def test_it_ends_after_so_many_epochs_and_one_more_a_worker(tmp_path, no_fsync, algorithm):
    folder = tmp_path / "run"
    outcome = begun(folder, f"algorithm={algorithm}", "budget.all_epochs=100", "seed=3")
    assert outcome.reason.startswith("budget.all_epochs=100: used up; "), outcome.reason
    assert at_end(folder) == 100
    view = load_run(folder)
    assert 100 <= view.n_epochs <= 104 and view.test_value is not None
    verified(folder)


def test_it_goes_on_with_more_to_what_the_uncut_run_finds(tmp_path, no_fsync):
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    begun(whole, "seed=5")
    begun(cut, "seed=5", "budget.all_epochs=100")
    again = gone_on(cut, "budget.all_epochs=200")
    assert again.reason.startswith("budget.all_epochs=200: used up; "), again.reason
    assert 200 <= load_run(cut).n_epochs <= 208
    with pytest.raises(ConfigError, match=r"all_epochs=200: must be larger than 200, which the"):
        gone_on(cut, "budget.all_epochs=200")
    assert gone_on(cut, "budget.all_epochs=100000").reason == ""
    verified(cut)
    one, two = ({i: x.curve for i, x in load_run(f).trials.items()} for f in (cut, whole))
    assert one == two and load_run(cut).counts.n_retrained == 0


def test_workers_that_die_spend_epochs_too(tmp_path, no_fsync):
    folder = tmp_path / "run"
    dying = ("backend.deaths_per_hour=2", "backend.return_s=300", "max_attempts=9")
    begun(folder, "budget.all_epochs=150", *dying)
    counts = load_run(folder).counts
    assert counts.n_retrained > 0 and 150 <= counts.n_epochs + counts.n_retrained <= 154
    verified(folder)


def test_in_waves_its_epochs_count_when_the_wave_is_over(tmp_path, no_fsync):
    folder = tmp_path / "run"
    begun(folder, "budget.all_epochs=100", "backend.dispatch=waves")
    assert at_end(folder) >= 100
    verified(folder)


def test_inline_it_is_exact(tmp_path, no_fsync):
    folder = tmp_path / "run"
    begun(folder, "budget.all_epochs=40", on=(*WORDS, "backend=inline"))
    assert load_run(folder).n_epochs == 40
    verified(folder)


def test_looped_goes_on_until_it_and_the_first_of_two_ends(tmp_path, no_fsync):
    folder = tmp_path / "run"
    words = ("algorithm=hyperband_looped", "budget.hours=1000")
    outcome = begun(folder, *words, "budget.all_epochs=900")
    assert outcome.reason.startswith("budget.all_epochs=900: used up; ")
    outcome = begun(tmp_path / "two", "budget.hours=0.5", "budget.all_epochs=900")
    assert outcome.reason.startswith("budget.hours=0.5: used up; ")


def test_a_journal_whose_epochs_leave_budget_does_not_replay(tmp_path, no_fsync):
    folder = tmp_path / "run"
    begun(folder, "budget.all_epochs=100")
    path = folder / journals.NAME
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    rows[0]["config"]["budget"]["all_epochs"] = 130
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (replayed,) = [c for c in verify(folder, "run").checks if c.name == "replay"]
    assert replayed.status == "fail" and "epochs it was not used up after" in replayed.text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("all_epochs=26",), "budget.all_epochs=26: less than one training to max_epochs=27"),
        (("all_epochs=0",), "budget.all_epochs=0: must be"),
        (("all_epochs=1.5",), "budget.all_epochs=1.5: must be"),
    ],
)
def test_what_it_cannot_be_is_refused_before_a_folder_is_made(tmp_path, words, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        outcome = run(configured(*SIMULATED, *(f"budget.{word}" for word in words)), tmp_path / "x")
        raise ConfigError(outcome.reason)
    assert not (tmp_path / "x").exists()


def test_a_budget_shorter_than_a_training_scores_the_best_so_far(tmp_path, no_fsync):
    outcome = begun(tmp_path / "run", "budget.all_epochs=9", "budget.allow_short=true")
    assert "no trial has max_epochs=27, the winner has" in outcome.reason


def test_plan_says_what_share_of_the_search_it_is():
    said = text(Planned.of(configured(*SIMULATED, "budget.all_epochs=100")), None)
    assert "budget      100 epochs in all" in said and "% of those above" in said


def test_every_report_counts_and_it_is_no_end_of_time():
    used = Spending()
    used.adjust({"budget_all_epochs": 3})
    assert used.has_limit and not used.has_end and used.end_ms() is None
    used.saw(t.EpochReport(1, 0, 1, 0.5, {}, 1.0, 0.0))
    used.saw(t.EpochBatch(1, 0, 1, (0.5,), "m", (0.5,), 0.0, (0.0, 1.0)))
    assert used.used_up(10**9) is None
    with pytest.raises(JournalError, match="epochs it was not used up"):
        used.reached(t.BudgetUsed("budget_all_epochs"))
    used.saw(t.Resumed(3.0))
    used.saw(t.EpochReport(1, 0, 2, 0.5, {}, 1.0, 0.0))
    assert used.reached(t.BudgetUsed("budget_all_epochs")) == "budget.all_epochs=3: used up"
