"""1-Epoch: one epoch for all, then all epochs for the best few after it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.driving import play, power_law
from suite.core.brackets import hyperband_plan
from suite.core.errors import ConfigError
from suite.core.types import Train
from suite.schedulers.one_epoch import OneEpoch


@given(st.integers(2, 20), st.integers(1, 30), st.integers(1, 8), st.integers(0, 1000))
def test_the_best_after_one_epoch_are_finished(max_epochs, n_trials, workers, shuffle):
    k = max(n_trials // 3, 1)
    played = play(OneEpoch(max_epochs, 2, n_trials, k), workers=workers, shuffle=shuffle)
    first = sorted(range(n_trials), key=lambda i: (power_law(i, 1)[0], i))[:k]
    assert {t.trial_id for t in played.trains if t.to_epoch == max_epochs} == set(first)
    assert played.n_epochs == n_trials + k * (max_epochs - 1)
    # The winner is the best at max_epochs, not the best after one epoch.
    assert played.winner == min(first, key=lambda i: (power_law(i, max_epochs)[-1], i))


@given(st.integers(1, 120), st.integers(2, 4))
def test_by_default_it_starts_and_finishes_what_hyperband_does_in_no_more_epochs(max_epochs, eta):
    plan, hyperband = OneEpoch(max_epochs, eta).plan(), hyperband_plan(max_epochs, eta)
    finished = sum(bracket.rungs[-1].n_trials for bracket in hyperband.brackets)
    assert plan.n_trials == hyperband.n_trials and plan.n_epochs <= hyperband.n_epochs
    assert plan.brackets[0].rungs[-1].n_trials == (
        hyperband.n_trials if max_epochs == 1 else finished
    )


def test_the_numbers_at_50_epochs():
    rungs = OneEpoch(max_epochs=50, eta=2).plan().brackets[0].rungs
    assert [(rung.n_trials, rung.to_epoch) for rung in rungs] == [(84, 1), (14, 50)]


def test_ties_go_to_the_lower_trial_id():
    played = play(OneEpoch(3, n_trials=5, k=2), lambda i, e: (0.5,) * e, workers=3, shuffle=4)
    assert {t.trial_id for t in played.trains if t.to_epoch == 3} == {0, 1}


def test_a_diverged_trial_is_not_finished_and_all_diverging_does_not_raise():
    best = min(range(8), key=lambda i: power_law(i, 1)[0])
    values = lambda i, e: None if i == best else power_law(i, e)  # noqa: E731
    played = play(OneEpoch(4, n_trials=8, k=3), values)
    assert [t for t in played.trains if t.trial_id == best] == [Train(best, 1)]
    assert len([t for t in played.trains if t.to_epoch == 4]) == 3
    assert play(OneEpoch(4, n_trials=8, k=3), lambda i, e: None).n_epochs == 8


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"eta": 1}, "eta=1: must be an integer >= 2"),
        ({"max_epochs": 0}, "max_epochs=0: must be"),
        ({"n_trials": 0}, "n_trials=0: must be .* or null"),
        ({"k": 0}, "k=0: must be .* or null"),
        ({"n_trials": 3, "k": 4}, "k=4: must be at most n_trials=3; lower k"),
        ({"k": 2.5}, "k=2.5: must be an integer"),
    ],
)
def test_bad_parameters(wrong, says):
    with pytest.raises(ConfigError, match=says):
        OneEpoch(**({"max_epochs": 9} | wrong))
