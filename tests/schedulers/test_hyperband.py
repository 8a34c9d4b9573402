"""Hyperband: golden totals from the scheduler itself, and a result that no timing changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.driving import play, power_law
from suite.core.errors import ConfigError
from suite.core.types import DONE, WAIT
from suite.schedulers.hyperband import Hyperband


@pytest.mark.parametrize(("max_epochs", "n_epochs"), [(100, 3213), (35, 872), (300, 15380)])
@pytest.mark.parametrize("overlap", [True, False])
def test_golden_totals_by_driving_it(max_epochs, n_epochs, overlap):
    assert (
        play(Hyperband(max_epochs, 2, overlap), workers=50 if overlap else 1, shuffle=0).n_epochs
        == n_epochs
    )


@given(st.integers(1, 40), st.integers(2, 4), st.integers(1, 12), st.integers(0, 10**6))
def test_neither_overlap_nor_the_order_of_completion_changes_the_decisions(
    max_epochs, eta, workers, shuffle
):
    alone = play(Hyperband(max_epochs, eta, overlap=False))
    for overlap in (True, False):
        other = play(Hyperband(max_epochs, eta, overlap), workers=workers, shuffle=shuffle)
        assert len(other.trains) == len(alone.trains)
        assert set(other.trains) == set(alone.trains)
        assert other.curves == alone.curves and other.winner == alone.winner


@given(st.integers(2, 40), st.integers(0, 10**6), st.sets(st.integers(0, 60)))
def test_diverging_trials_are_never_trained_further(max_epochs, shuffle, diverging):
    played = play(
        Hyperband(max_epochs, 2),
        lambda i, e: None if i in diverging else power_law(i, e),
        workers=4,
        shuffle=shuffle,
    )
    for trial_id in diverging & set(played.curves):
        assert sum(train.trial_id == trial_id for train in played.trains) == 1
    assert played.winner not in diverging


def test_a_whole_rung_diverging_ends_its_bracket_and_nothing_else():
    first = Hyperband(27, 3).plan().brackets[0].n_trials
    played = play(Hyperband(27, 3), lambda i, e: None if i < first else power_law(i, e))
    assert played.winner is not None and played.winner >= first
    assert {t.to_epoch for t in played.trains if t.trial_id < first} == {1}


def test_all_trials_diverging_does_not_raise():
    scheduler = Hyperband(27, 3)
    played = play(scheduler, lambda i, e: None, workers=3, shuffle=2)
    assert played.winner is None and scheduler.ask() == DONE
    assert len(played.trains) == scheduler.plan().n_trials


def test_with_overlap_no_worker_waits_while_a_bracket_has_trials_left():
    scheduler = Hyperband(27, 3)
    n_trials = scheduler.plan().n_trials
    assert [scheduler.ask().trial_id for _ in range(n_trials)] == list(range(n_trials))
    alone = Hyperband(27, 3, overlap=False)
    n_first = alone.plan().brackets[0].n_trials
    assert [alone.ask().trial_id for _ in range(n_first)] == list(
        range(n_first)
    ) and alone.ask() == WAIT


def test_bracket_of_counts_down_from_s_max():
    scheduler = Hyperband(9, 3)
    assert [scheduler.bracket_of[i] for i in range(17)] == [2] * 9 + [1] * 5 + [0] * 3


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ((27, 1), "eta=1: must be an integer >= 2"),
        ((0, 2), "max_epochs=0: must be an integer >= 1"),
        ((27, 2.5), "eta=2.5: must be"),
    ],
)
def test_bad_parameters(parameters, says):
    with pytest.raises(ConfigError, match=says):
        Hyperband(*parameters)
