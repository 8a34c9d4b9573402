"""Swift-ASHA: nobody is waited for, budgets end it, and forecasts mend ASHA's promotions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.driving import play, power_law
from suite.core.errors import ConfigError
from suite.core.types import Train
from suite.schedulers.swift_asha import SwiftAsha


def point(trial_id):
    return ((trial_id * 0.618034) % 1.0,)


def with_points(scheduler):
    meet = scheduler.on_config
    scheduler.on_config = lambda trial_id, _: meet(trial_id, point(trial_id))
    return scheduler


def crossing(trial_id, to_epoch):
    """The best start worst; the hyperparameter tells."""
    x = point(trial_id)[0]
    return tuple((1 - x) + (2 * x - 1) * (e + 1) / 16 + 0.5 for e in range(to_epoch))


def test_an_example_by_hand():
    """eta 2, R = 4, one bracket: rungs of 1, 2, 4 epochs; too few trials for a forest."""
    value = {0: 0.5, 1: 0.3, 2: 0.4, 3: 0.1, 4: 0.9}
    played = play(SwiftAsha(4, 2, n_trials=5, n_brackets=1), lambda i, e: (value[i],) * e)
    assert played.trains == [
        Train(0, 1),
        Train(1, 1),
        Train(1, 2),  # of two, the top one
        Train(2, 1),
        Train(3, 1),  # of four, the top two: 3 and 1
        Train(3, 2),
        Train(3, 4),  # of two, the top one
        Train(4, 1),
    ]


def test_a_new_trial_goes_to_the_bracket_with_the_fewest_epochs():
    scheduler = SwiftAsha(16, 2, n_trials=30, n_brackets=2)
    trains = play(scheduler, workers=30).trains
    assert [train.to_epoch for train in trains[:6]] == [1, 2, 1, 1, 2, 1] or [
        train.to_epoch for train in trains[:6]
    ] == [2, 1, 1, 2, 1, 1]
    epochs = {4: 0, 3: 0}
    for train in trains[:30]:
        epochs[scheduler.bracket_of[train.trial_id]] += train.to_epoch
    assert abs(epochs[4] - epochs[3]) <= 2


@given(n_epochs=st.integers(20, 150), workers=st.integers(1, 9), shuffle=st.integers(0, 10**6))
def test_no_more_epochs_than_the_budget_but_for_a_first_trial_to_the_end(
    n_epochs, workers, shuffle
):
    scheduler = SwiftAsha(16, 2, n_trials=30, n_epochs=n_epochs)
    played = play(scheduler, workers=workers, shuffle=shuffle)
    assert played.n_epochs <= n_epochs or sum(e == 16 for e in played.epochs.values()) == 1


def test_forecasts_promote_what_objectives_would_leave():
    """Where curves cross, ASHA's own rule sends the wrong ones up."""

    def last(**settings):
        scheduler = with_points(SwiftAsha(16, 2, n_trials=200, n_epochs=10**6, **settings))
        played = play(scheduler, crossing)
        reached = [crossing(i, 16)[-1] for i, e in played.epochs.items() if e == 16]
        return sum(reached) / len(reached), scheduler.diagnostics["model"]

    ours, said = last()
    plain, said_plain = last(least_correlation=1.0)
    assert ours < plain
    assert said["out_of_bag_rank_correlation"]["last"] > 0.3
    assert said_plain["fallback"] == "asha" and said_plain["distrusted"] == said_plain["fits"]


def test_diverged_trials_are_never_promoted_again():
    played = play(
        SwiftAsha(16, 2, n_trials=60),
        lambda i, e: None if i % 3 == 0 and e > 2 else power_law(i, e),
        workers=4,
        shuffle=2,
    )
    for i in range(0, 60, 3):
        assert sum(train.trial_id == i and train.to_epoch > 2 for train in played.trains) <= 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"n_trials": 3}, "n_trials=3: must be at least eta"),
        ({"n_epochs": 0}, "n_epochs=0"),
        ({"n_brackets": 0}, "n_brackets=0"),
        ({"refresh_every": 0}, "refresh_every=0"),
        ({"least_correlation": 2}, "least_correlation=2"),
    ],
)
def test_wrong_parameters_are_refused_by_name(wrong, says):
    with pytest.raises(ConfigError, match=says):
        SwiftAsha(**{"max_epochs": 16, "eta": 2} | wrong)
