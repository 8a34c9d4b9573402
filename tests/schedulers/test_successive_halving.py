"""Successive halving: each rung keeps the best 1/eta, by the objective at the rung."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.driving import play, power_law
from suite.core.errors import ConfigError
from suite.core.types import Train
from suite.schedulers.successive_halving import SuccessiveHalving


@pytest.mark.parametrize(
    ("parameters", "n_epochs"),
    [
        ({"max_epochs": 16, "eta": 2, "n_trials": 16}, 48),  # 16·1 + 8·1 + 4·2 + 2·4 + 1·8
        ({"max_epochs": 81, "eta": 3, "n_trials": 81}, 81 + 27 * 2 + 9 * 6 + 3 * 18 + 54),
        ({"max_epochs": 27, "eta": 3, "n_trials": 10, "min_epochs": 5}, 10 * 5 + 3 * 10 + 1 * 12),
        ({"max_epochs": 7, "eta": 2, "n_trials": 1}, 7),
    ],
)
def test_golden_totals_by_driving_it(parameters, n_epochs):
    scheduler = SuccessiveHalving(**parameters)
    assert play(scheduler, workers=3, shuffle=1).n_epochs == n_epochs == scheduler.plan().n_epochs


@given(
    st.integers(1, 40), st.integers(2, 4), st.integers(1, 30), st.integers(1, 9), st.integers(0, 99)
)
def test_the_order_in_which_jobs_finish_changes_nothing(
    max_epochs, eta, n_trials, workers, shuffle
):
    alone = play(SuccessiveHalving(max_epochs, eta, n_trials))
    together = play(SuccessiveHalving(max_epochs, eta, n_trials), workers=workers, shuffle=shuffle)
    assert set(alone.trains) == set(together.trains) and alone.winner == together.winner


def test_the_best_at_the_rung_are_kept():
    played = play(SuccessiveHalving(4, 2, 8))
    at_1 = sorted(range(8), key=lambda i: power_law(i, 1)[0])[:4]
    assert {t.trial_id for t in played.trains if t.to_epoch == 2} == set(at_1)
    at_2 = sorted(at_1, key=lambda i: power_law(i, 2)[1])[:2]
    assert {t.trial_id for t in played.trains if t.to_epoch == 4} == set(at_2)


def test_a_diverged_trial_is_never_promoted_and_all_diverging_does_not_raise():
    best = min(range(8), key=lambda i: power_law(i, 1)[0])
    played = play(SuccessiveHalving(4, 2, 8), lambda i, e: None if i == best else power_law(i, e))
    assert [t for t in played.trains if t.trial_id == best] == [Train(best, 1)]
    assert play(SuccessiveHalving(4, 2, 8), lambda i, e: None).n_epochs == 8


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"eta": 1}, "eta=1: must be an integer >= 2"),
        ({"max_epochs": 0}, "max_epochs=0: must be"),
        ({"n_trials": 0}, "n_trials=0: must be"),
        ({"min_epochs": 0}, "min_epochs=0: must be an integer in 1..max_epochs=9"),
        ({"min_epochs": 10}, "min_epochs=10: must be"),
    ],
)
def test_bad_parameters(wrong, says):
    with pytest.raises(ConfigError, match=says):
        SuccessiveHalving(**({"max_epochs": 9, "eta": 3, "n_trials": 9} | wrong))


@pytest.mark.parametrize("wrong", [{"eta": 2.5}, {"n_trials": 9.5}, {"min_epochs": 1.5}])
def test_numbers_that_are_no_integers(wrong):
    with pytest.raises(ConfigError, match="must be an integer"):
        play(SuccessiveHalving(**({"max_epochs": 9, "eta": 3, "n_trials": 9} | wrong)))
