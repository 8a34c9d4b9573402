"""budget.price: a search ends where no trial is worth it; what further node-hours are expected to gain."""

import json
import re

import numpy as np
import pytest

from kit.driving import configured
from suite.core.errors import ConfigError
from suite.core.moved import upgraded
from suite.launch.ending import say
from suite.launch.execute import run
from suite.results.fold import load_run
from suite.schedulers.price import Price
from suite.schedulers.price_outlook import _slope
from suite.surrogates.ladder import Ladder
from suite.verify.checks import verify

R = 27
SIMULATED = (
    "model=table_target", f"max_epochs={R}", "tracking=later", "report=false", "backend=simulate",
    "backend.epoch_s=60", "backend.workers=4", "seed=1",
)  # fmt: skip


def begun(folder, *words):
    few = ("scheduler.n_trees=6", "scheduler.n_candidates=60")
    outcome = run(configured(*SIMULATED, *few, *words), folder)
    assert outcome.status == "completed", outcome.reason
    return outcome, load_run(folder)


def starts(view):
    return [(job.trial_id, job.from_epoch, job.to_epoch) for job in view.jobs]


@pytest.mark.parametrize("policy", ["price", "rank"])
def test_a_price_ends_the_run_before_and_changes_nothing_until_then(tmp_path, no_fsync, policy):
    words = ("algorithm=price", f"scheduler.policy={policy}", "budget.hours=2")
    _, whole = begun(tmp_path / "whole", *words)
    highest = [s[3] for s in whole.measured["scheduler"]["outlook"]["samples"]]
    assert highest and all(gain >= 0 for gain in highest)
    outcome, dear = begun(tmp_path / "dear", *words, "budget.price=1e6")
    assert outcome.reason == "budget.price=1e+06: no trial is worth it any more", outcome.reason
    assert dear.time_s < 0.8 * whole.time_s and dear.test_value is not None
    n = len(starts(dear)) - 1  # without the winner's score
    assert starts(dear)[:n] == starts(whole)[:n]
    verdict = verify(tmp_path / "dear", "run")
    assert {check.status for check in verdict.checks} == {"pass"}, verdict
    # Ended by its price, it is not asked for more time.
    assert not json.loads((tmp_path / "dear/record.json").read_text())["reason"].endswith("goes on")


def test_without_an_end_of_time_epochs_end_it_too(tmp_path, no_fsync):
    outcome, view = begun(tmp_path / "run", "algorithm=price", "budget.price=1e6")
    whole, _ = begun(tmp_path / "whole", "algorithm=price")
    assert "budget.price=1e+06" in outcome.reason and "budget.price" not in whole.reason
    assert view.measured["scheduler"]["decides_by"] == "epochs"


def test_what_more_would_gain_is_said_and_recorded(tmp_path, no_fsync, capsys):
    outcome, view = begun(tmp_path / "run", "algorithm=price_rank", "budget.hours=3")
    say(outcome)
    assert re.search(
        r"the next 10 node-hours \(simulated\) would be expected to gain \S+ of val_loss",
        capsys.readouterr().out,
    )
    seen = view.measured["scheduler"]["outlook"]
    assert seen["node_hours"] == 10 and seen["expected_gain"] > 0 and seen["highest_price"] > 0
    # 27 epochs of a minute on a node of its own, and stragglers.
    assert 0.4 < seen["node_hours_a_training"] < 0.6
    used = [sample[1] for sample in seen["samples"]]
    assert used == sorted(used) and used[-1] <= 12
    best = [sample[2] for sample in seen["samples"]]
    assert best == sorted(best, reverse=True)
    outcome, view = begun(
        tmp_path / "two",
        "algorithm=price_rank",
        "budget.hours=3",
        "scheduler.outlook_node_hours=null",
    )
    assert outcome.outlook == "" and "outlook" not in view.measured["scheduler"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("algorithm=hyperband", "budget.price=0.1"), "budget.price=0.1: Hyperband does not know what"),
        (("algorithm=price", "overlap=logical", "budget.price=0.1"), "a virtual cluster has no clock"),
        (("algorithm=price", "budget.price=0"), "budget.price=0: must be a number > 0"),
        (("algorithm=price", "budget.price=.nan"), "budget.price=.nan: must be"),
        (("algorithm=price", "scheduler.outlook_node_hours=-1"), "outlook_node_hours=-1"),
    ],
)  # fmt: skip
def test_a_price_that_cannot_be_is_refused_before_a_folder_is_made(tmp_path, words, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        outcome = run(configured(*SIMULATED, *words), tmp_path / "x")
        raise ConfigError(outcome.reason)
    assert not (tmp_path / "x").exists()


def test_journals_from_before_have_none():
    config = {"scheduler": {"_target_": "suite.schedulers.price.Price", "max_epochs": 8}}
    assert upgraded(config)["scheduler"]["outlook_node_hours"] is None
    assert "outlook" not in Price(8, outlook_node_hours=None).diagnostics


def test_a_standard_unit_is_the_slope_of_the_highest_rung_with_enough_trials():
    ladder = Ladder((1, 2))
    for i in range(9):
        ladder.add()
        ladder.report(i, 0, float(i))
    for i in range(4):
        ladder.report(i, 1, 100.0 * i)
    ladder.report(8, 0, np.inf)
    ladder.refresh()
    slope = _slope(ladder, 8)
    assert slope is not None and 2 < slope < 5, "4 trials are too few for the upper rung"
    assert _slope(ladder, 20) is None and _slope(ladder, 4) > 20
    flat = Ladder((1,))
    for _ in range(9):
        flat.report(flat.add(), 0, 1.0)
    flat.refresh()
    assert _slope(flat, 8) is None


def test_a_lower_price_ends_later(tmp_path, no_fsync):
    words = ("algorithm=price_rank", "budget.hours=2")
    ends = [begun(tmp_path / p, *words, f"budget.price={p}")[1].time_s for p in ("1e6", "0.1")]
    assert ends[0] < ends[1]
