"""Swift-Hyperband: who is trained in full, who is predicted, who is stopped, and what a predictor
sees.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.driving import last_value, play, power_law
from suite.core.errors import ConfigError
from suite.core.types import WAIT, Predict, Train
from suite.schedulers.hyperband import Hyperband
from suite.schedulers.swift_hyperband import SwiftHyperband


def rounds_of(scheduler, curve=power_law, forecast=last_value):
    """Drive with endless workers: each item is the Trains asked for at once, or a Predict."""
    rounds = []
    while True:
        batch = []
        while isinstance(decision := scheduler.ask(), Train):
            batch.append(decision)
        if isinstance(decision, Predict):
            rounds.append(decision)
            scheduler.tell_forecast(decision.key, forecast(decision))
        elif decision == WAIT or batch:
            assert batch, "waits although nothing is in flight"
        else:
            return rounds
        if batch:
            rounds.append(batch)
            for train in batch:
                scheduler.tell(train.trial_id, curve(train.trial_id, train.to_epoch))


# --- golden totals and timing ---------------------------------------------------------------------


@pytest.mark.parametrize(("max_epochs", "n_epochs"), [(100, 3213), (35, 872), (300, 15380)])
def test_without_forecasts_it_is_hyperband(max_epochs, n_epochs):
    swift = play(SwiftHyperband(max_epochs, 2), forecast=lambda request: None)
    assert swift.n_epochs == n_epochs
    assert swift.epochs == play(Hyperband(max_epochs, 2)).epochs and swift.predicts


@given(st.integers(4, 40), st.integers(2, 8), st.integers(1, 12), st.integers(0, 10**6))
def test_in_the_published_form_no_order_of_completion_changes_anything(
    max_epochs, n_curves, workers, shuffle
):
    make = lambda: SwiftHyperband(max_epochs, 2, n_curves=n_curves)  # noqa: E731
    one, two = make(), make()
    alone, other = play(one), play(two, workers=workers, shuffle=shuffle)
    assert set(other.trains) == set(alone.trains) and len(other.trains) == len(alone.trains)
    assert other.predicts == alone.predicts  # keys, X, y and X_new, bit for bit
    assert dict(two.stopped_at) == dict(one.stopped_at) and other.winner == alone.winner


@given(st.integers(4, 40), st.integers(2, 6), st.integers(1, 12), st.integers(0, 10**6))
def test_overlapping_it_ends_within_hyperbands_budget(max_epochs, n_curves, workers, shuffle):
    scheduler = SwiftHyperband(max_epochs, 2, n_curves=n_curves, overlap=True)
    played = play(scheduler, workers=workers, shuffle=shuffle)
    assert played.n_epochs <= scheduler.plan().n_epochs and played.winner is not None


def test_it_stops_trials_and_says_which():
    scheduler = SwiftHyperband(27, 2, n_curves=4)
    played = play(scheduler)
    assert played.n_epochs < Hyperband(27, 2).plan().n_epochs
    assert scheduler.stopped_at
    for trial_id, epoch in scheduler.stopped_at.items():
        assert played.epochs[trial_id] == epoch == len(played.curves[trial_id])


# --- quotas ---------------------------------------------------------------------------------------


def test_decision_points_lie_half_way():
    plan = SwiftHyperband(100, 2).plan()
    for bracket in plan.brackets:
        before = 0
        for rung in bracket.rungs:
            e = before + math.ceil((rung.to_epoch - before) / 2)
            assert rung.decision_epoch == (e if e < rung.to_epoch else None)
            before = rung.to_epoch
    assert plan.n_epochs == 3213


def test_a_rung_trains_half_of_its_survivors_in_full_and_the_others_to_the_decision_point():
    first = SwiftHyperband(100, 2, n_curves=2)
    rounds = rounds_of(first)
    rung = (
        first.plan().brackets[0].rungs[2]
    )  # 16 trials to 6 epochs, after 32 to 3 (n = 64 at r = 2 in the rung before)
    n_full = math.ceil(0.5 * rung.n_next)
    batch = next(
        b
        for b in rounds
        if isinstance(b, list) and {t.to_epoch for t in b} == {rung.to_epoch, rung.decision_epoch}
    )
    assert [t.to_epoch for t in batch] == [rung.to_epoch] * n_full + [rung.decision_epoch] * (
        rung.n_trials - n_full
    )


def test_fewer_curves_than_d_are_made_up_from_the_rung_by_position():
    scheduler = SwiftHyperband(8, 2, n_curves=7)
    batch = rounds_of(scheduler)[
        2
    ]  # round 0: to epoch 1, round 1: 4 trials to 2 epochs, round 2: 2 trials, d not reached
    assert {t.to_epoch for t in batch} == {4} and len(batch) == scheduler.plan().brackets[0].rungs[
        2
    ].n_trials


def test_a_diverged_full_trial_is_replaced_by_the_next_of_the_rung():
    trials = [i for i, s in SwiftHyperband(16, 2).bracket_of.items() if s == 0]
    scheduler = SwiftHyperband(16, 2, n_curves=2, full_share=0.9)
    rounds = rounds_of(scheduler, lambda i, e: None if i == trials[0] else power_law(i, e))
    mine = [b for b in rounds if isinstance(b, list) and b[0].trial_id >= trials[0]]
    assert mine[0] == [Train(i, 16) for i in trials[:2]] + [Train(i, 8) for i in trials[2:]]
    assert mine[1] == [
        Train(trials[2], 16)
    ]  # the first of the partial ones takes the diverged one's place


def _last_bracket(forecast):
    """The last bracket of R = 16: 5 trials to 16 epochs, n_next 2; two in full, three predicted.

    Returns its trial ids, and those of them that were finished and stopped.
    """
    scheduler = SwiftHyperband(16, 2, n_curves=2, full_share=0.9)
    trials = [i for i, s in scheduler.bracket_of.items() if s == 0]
    asked = []

    def answer(request):
        if not request.key.startswith("bracket0/"):
            return None
        asked.append(request.X_new)
        return forecast(request)

    played = play(scheduler, forecast=answer)
    assert len(trials) == 5 and [len(rows) for rows in asked] == [3]
    assert asked[0] == tuple(power_law(i, 8) for i in trials[2:])
    finished = [i for i in trials if played.epochs[i] == 16]
    stopped = [i for i in trials if i in scheduler.stopped_at]
    assert sorted(finished + stopped) == trials
    return trials, finished, stopped


def test_no_prediction_is_good_and_enough_are_finished():
    trials, finished, _ = _last_bracket(lambda r: [1e6, 1e6, 1e6])
    assert finished == trials[:2]  # the two in full are as many as survive


def test_all_predictions_are_good():
    trials, finished, _ = _last_bracket(lambda r: [-1e6, -1e6, -1e6])
    assert finished == trials


def test_the_threshold_is_the_quantile_of_this_rungs_full_trials_and_below_means_below():
    trials = _last_bracket(lambda r: None)[0]
    threshold = float(np.quantile([power_law(i, 16)[-1] for i in trials[:2]], 0.25))
    _, finished, _ = _last_bracket(
        lambda r: [threshold, np.nextafter(threshold, -1), np.nextafter(threshold, 1)]
    )
    assert finished == [trials[0], trials[1], trials[3]]


def test_the_best_predicted_fill_up_to_n_next():
    scheduler = SwiftHyperband(64, 2, n_curves=2)
    rung = scheduler.plan().brackets[0].rungs[3]
    asked = []

    def answer(request):
        if request.key.split("/")[1] != f"rung{rung.to_epoch}" or asked:
            return None
        asked.append(request)
        return [1e6 - k for k in range(len(request.X_new))]  # the later, the better, and none good

    play(scheduler, forecast=answer)
    assert (rung.n_trials, rung.n_next) == (8, 4) and len(asked[0].X_new) == 6
    stopped = [
        row
        for row in asked[0].X_new
        if any(power_law(i, len(row)) == row for i in scheduler.stopped_at)
    ]
    assert stopped == list(asked[0].X_new[:4])  # 2 in full + the 2 best predicted = n_next


@pytest.mark.parametrize("values", [lambda r: None, lambda r: [None] * len(r.X_new)])
def test_no_forecast_stops_nobody(values):
    trials, finished, _ = _last_bracket(values)
    assert finished == trials


def test_one_row_without_forecast_is_finished():
    trials, finished, _ = _last_bracket(lambda r: [1e6, 1e6, None])
    assert finished == [trials[0], trials[1], trials[4]]


def test_with_fewer_than_two_finite_full_curves_nobody_is_predicted():
    """With the published k = 0.5 one of the last bracket's five trials is trained in full: no
    quantile of one number.
    """
    scheduler = SwiftHyperband(16, 2, n_curves=2)
    trials = [i for i, s in scheduler.bracket_of.items() if s == 0]
    played = play(scheduler, forecast=lambda r: [1e6] * len(r.X_new))
    assert not [r for r in played.predicts if r.key.startswith("bracket0/")]
    assert all(played.epochs[i] == 16 for i in trials)


# --- what a predictor sees ------------------------------------------------------------------------


def test_a_training_set_is_frozen_and_every_question_to_it_has_its_digest():
    played = play(SwiftHyperband(100, 2))
    by_rung = {}
    for request in played.predicts:
        _, rung, epoch, digest = request.key.split("/")
        by_rung.setdefault((rung, epoch), []).append((request.X, request.y, digest))
    assert any(len(asked) > 1 for asked in by_rung.values()), (
        "no rung was asked about twice: the test shows nothing"
    )
    for asked in by_rung.values():
        assert all(question == asked[0] for question in asked)
    assert len({request.key for request in played.predicts}) == len(played.predicts)


def test_rows_are_the_known_curves_up_to_the_decision_point():
    for request in play(SwiftHyperband(27, 2, n_curves=8)).predicts:
        rung, epoch = (
            int(part[len(name) :])
            for part, name in zip(request.key.split("/")[1:3], ("rung", "epoch"), strict=True)
        )
        known = {power_law(i, rung): i for i in range(200)}
        by_y = {curve[-1]: curve for curve in known}
        assert len(request.y) >= 8
        assert tuple(by_y[y][:epoch] for y in request.y) == request.X
        assert all(len(row) == epoch for row in request.X_new)


@given(st.integers(4, 30), st.integers(0, 10**6), st.sets(st.integers(0, 60)), st.booleans())
def test_diverged_trials_reach_neither_predictor_nor_threshold(
    max_epochs, shuffle, diverging, overlap
):
    scheduler = SwiftHyperband(max_epochs, 2, n_curves=3, overlap=overlap)
    played = play(
        scheduler,
        lambda i, e: None if i in diverging else power_law(i, e),
        workers=5,
        shuffle=shuffle,
    )
    gone = {x for i in diverging for x in power_law(i, 1)}
    for request in played.predicts:
        assert (
            np.isfinite(request.y).all()
            and np.isfinite(request.X).all()
            and np.isfinite(request.X_new).all()
        )
        assert not gone & {row[0] for row in (*request.X, *request.X_new)}
    assert not diverging & set(scheduler.stopped_at)
    assert played.winner not in diverging


@pytest.mark.parametrize("overlap", [True, False])
def test_all_trials_diverging_does_not_raise(overlap):
    played = play(SwiftHyperband(27, 2, overlap=overlap), lambda i, e: None, workers=3, shuffle=1)
    assert played.winner is None and not played.predicts


def test_all_trials_of_one_rung_diverging_ends_its_bracket_and_nothing_else():
    scheduler = SwiftHyperband(27, 2, n_curves=4)
    first = scheduler.plan().brackets[0]
    played = play(scheduler, lambda i, e: None if i < first.n_trials and e > 3 else power_law(i, e))
    assert played.winner is not None and played.winner >= first.n_trials


def test_features_are_those_that_the_predictors_yaml_names():
    scheduler = SwiftHyperband(
        27, 2, n_curves=4, features={"use": ["curve", "hyperparameters"], "every": 2}
    )
    for request in play(scheduler).predicts:
        epoch = int(request.key.split("/")[2].removeprefix("epoch"))
        assert all(
            len(row) == math.ceil(epoch / 2) + 1 and row[-1] == 0.5
            for row in (*request.X, *request.X_new)
        )


# --- bad parameters -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"eta": 1}, "eta=1: must be"),
        ({"max_epochs": 0}, "max_epochs=0: must be"),
        ({"n_curves": 1}, "n_curves=1: must be an integer >= 2"),
        ({"quantile": 0.0}, "quantile=0.0: must lie between"),
        ({"quantile": 1}, "quantile=1: must lie"),
        ({"full_share": 1.5}, "full_share=1.5: must lie"),
        ({"known_share": -0.1}, "known_share=-0.1: must lie"),
        ({"quantile": math.nan}, "quantile=nan: must lie"),
        ({"features": {"use": ["loss"]}}, "loss: unknown; known are curve"),
    ],
)
def test_bad_parameters(wrong, says):
    with pytest.raises(ConfigError, match=says):
        SwiftHyperband(**({"max_epochs": 27, "eta": 2} | wrong))


def test_a_number_of_curves_that_is_no_integer():
    with pytest.raises(ConfigError, match="n_curves=2.5: must be an integer"):
        play(SwiftHyperband(27, 2, n_curves=2.5))
