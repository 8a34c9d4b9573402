"""Random search: every trial is trained to max_epochs, and the best one wins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.driving import play, power_law
from suite.core.errors import ConfigError
from suite.core.types import Train
from suite.schedulers.random_search import RandomSearch


@given(st.integers(1, 20), st.integers(1, 30), st.integers(1, 8), st.integers(0, 1000))
def test_every_trial_is_trained_once_to_the_end(max_epochs, n_trials, workers, shuffle):
    played = play(RandomSearch(max_epochs, n_trials), workers=workers, shuffle=shuffle)
    assert sorted(played.trains, key=lambda t: t.trial_id) == [
        Train(i, max_epochs) for i in range(n_trials)
    ]
    values = [power_law(i, max_epochs)[-1] for i in range(n_trials)]
    assert played.winner == values.index(min(values))
    assert played.n_epochs == RandomSearch(max_epochs, n_trials).plan().n_epochs


def test_all_trials_diverging_does_not_raise():
    assert play(RandomSearch(3, 4), lambda trial_id, epoch: None).winner is None


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"max_epochs": 0, "n_trials": 2}, "max_epochs=0: must be"),
        ({"max_epochs": 3, "n_trials": 0}, "n_trials=0: must be"),
    ],
)
def test_bad_parameters(parameters, says):
    with pytest.raises(ConfigError, match=says):
        RandomSearch(**parameters)


@pytest.mark.parametrize(
    "parameters", [{"max_epochs": 3, "n_trials": 2.5}, {"max_epochs": 2.5, "n_trials": 2}]
)
def test_numbers_that_are_no_integers(parameters):
    with pytest.raises(ConfigError, match="must be an integer"):
        play(RandomSearch(**parameters))
