"""swift: Hyperband until it knows something; where it may save, smaller brackets and a gate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.driving import play, power_law
from suite.core.brackets import hyperband_plan
from suite.core.errors import ConfigError
from suite.core.types import Train
from suite.schedulers.hyperband import Hyperband
from suite.schedulers.swift import Swift
from suite.schedulers.virtual_cluster import VirtualCluster


def learnable(trial_id, to_epoch):
    """Objective by the hyperparameter: `point` of the trial."""
    x = point(trial_id)[0]
    return tuple(x + 1.0 / (e + 1) for e in range(to_epoch))


def point(trial_id):
    return ((trial_id * 0.618034) % 1.0,)


def told_points(scheduler):
    """The scheduler with each trial's own point in place of the one that `play` gives."""
    meet = scheduler.on_config
    scheduler.on_config = lambda trial_id, _: meet(trial_id, point(trial_id))
    return scheduler


@given(workers=st.integers(1, 9), shuffle=st.integers(0, 10**6))
def test_without_save_it_trains_what_hyperband_trains(workers, shuffle):
    ours, theirs = (
        play(s, workers=workers, shuffle=shuffle) for s in (Swift(16, 2), Hyperband(16, 2))
    )
    assert ours.epochs == theirs.epochs and ours.winner == theirs.winner


def test_brackets_begin_one_after_the_other_on_one_worker():
    played = play(Swift(16, 2))
    first = {}
    for place, train in enumerate(played.trains):
        first.setdefault(Swift(16, 2).bracket_of[train.trial_id], place)
    assert list(first) == sorted(first, reverse=True), "s_max first, down to 0"
    whole = [b.n_epochs for b in hyperband_plan(16, 2).brackets]
    spent, reached = 0, {}
    for train in played.trains[: first[3]]:
        spent += train.to_epoch - reached.get(train.trial_id, 0)
        reached[train.trial_id] = train.to_epoch
    assert spent == whole[0], "the first bracket is over before the second begins"


def test_saving_takes_fewer_trials_and_epochs_once_a_model_exists():
    scheduler = told_points(Swift(64, 2, save=True))
    played = play(scheduler, learnable)
    plan = scheduler.plan()
    assert played.n_epochs < 0.95 * plan.n_epochs
    assert len(played.epochs) < plan.n_trials
    of = scheduler.bracket_of
    begun = {s: sum(of[i] == s for i in played.epochs) for s in set(of.values())}
    full = {b.s: b.n_trials for b in plan.brackets}
    assert begun[6] == full[6], "the first bracket is whole"
    assert begun[0] == -(-full[0] * 8 // 10), "the last one starts 80 % of its trials"
    assert played.winner == min(
        (i for i, e in played.epochs.items() if e == 64), key=lambda i: (learnable(i, 64)[-1], i)
    )
    said = scheduler.diagnostics["model"]
    assert said["out_of_bag_rank_correlation"]["last"] > 0.8 and said["fallback"] is None


@pytest.mark.parametrize("max_epochs", [48, 49, 50, 80, 81])
def test_a_model_exists_at_the_rung_of_a_quarter_however_it_is_rounded(max_epochs):
    scheduler = told_points(Swift(max_epochs, 2, save=True, p=0.0))
    played = play(scheduler, learnable)
    third = scheduler.plan().brackets[2]
    begun = sum(scheduler.bracket_of[i] == third.s for i in played.epochs)
    assert begun == -(-third.n_trials * 8 // 10), "eight trials are there after two brackets"


def test_a_model_that_ranks_nothing_is_not_trusted_and_all_trials_begin():
    scheduler = told_points(Swift(64, 2, save=True, p=0.0))
    played = play(scheduler, power_law)  # a function of the trial's number, not of its point
    said = scheduler.diagnostics["model"]
    assert said["distrusted"] > 0 and said["fallback"] == "hyperband"
    last = [i for i in played.epochs if scheduler.bracket_of[i] == 0]
    assert len(last) == hyperband_plan(64, 2).brackets[-1].n_trials


def test_configurations_that_nobody_told_give_hyperband():
    """A space without a free parameter: every point is empty."""
    scheduler = Swift(16, 2, save=True, p=0.0)
    scheduler.on_config = lambda trial_id, x: Swift.on_config(scheduler, trial_id, ())
    assert play(scheduler).epochs == play(Hyperband(16, 2)).epochs


def test_the_veto_keeps_what_the_model_has_in_its_best_half():
    """Curves that cross: the best start worst. The gate alone would drop them."""

    def crossing(trial_id, to_epoch):
        x = point(trial_id)[0]
        return tuple((1 - x) + (2 * x - 1) * (e + 1) / 64 + 0.5 for e in range(to_epoch))

    scheduler = VirtualCluster(told_points(Swift(64, 2, save=True, p=0.4)), 1)
    play(scheduler, crossing)
    assert scheduler.diagnostics["model"]["vetoes"] > 0


def test_a_job_ends_at_the_next_check_point():
    scheduler = Swift(64, 2, save=True)
    trains = play(scheduler, workers=1).trains
    assert Train(0, 1) == trains[0]
    points = {train.to_epoch for train in trains}
    assert {45, 23, 11}.issubset(points), "64 / sqrt(2), and octaves below"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"share": 1.5}, "share=1.5"),
        ({"p": 0.5}, "p=0.5"),
        ({"least_correlation": -0.1}, "least_correlation=-0.1"),
        ({"refresh_every": 0}, "refresh_every=0"),
        ({"eta": 1}, "eta=1"),
    ],
)
def test_wrong_parameters_are_refused_by_name(wrong, says):
    with pytest.raises(ConfigError, match=says):
        Swift(**{"max_epochs": 16, "eta": 2} | wrong)
