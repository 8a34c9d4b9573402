"""Fit and threshold: who is trained in full, who in part, who is finished."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.driving import DATA, play, power_law
from kit.mlpf_curves import TABLE, mlpf_curves, svr_forecast
from suite.core.errors import ConfigError
from suite.core.types import Train
from suite.schedulers.fit_and_threshold import FitAndThreshold


def small(**other):
    return FitAndThreshold(**({"max_epochs": 20, "n_full": 4, "n_partial": 6} | other))


def test_full_and_partial_trials_start_together_and_the_good_ones_are_finished():
    scheduler = small()
    threshold = float(np.quantile([power_law(i, 20)[-1] for i in range(4)], 0.25))
    below, above = np.nextafter(threshold, -1), np.nextafter(threshold, 1)
    played = play(
        scheduler, workers=10, forecast=lambda r: [below, threshold, above, None, 1e6, -1e6]
    )
    assert played.trains[:10] == [Train(i, 20) for i in range(4)] + [
        Train(i, 5) for i in range(4, 10)
    ]
    assert played.trains[10:] == [Train(4, 20), Train(7, 20), Train(9, 20)]
    assert dict(scheduler.stopped_at) == {5: 5, 6: 5, 8: 5}
    (request,) = played.predicts
    assert tuple(power_law(i, 5) for i in range(4)) == request.X
    assert request.y == tuple(power_law(i, 20)[-1] for i in range(4))
    assert request.X_new == tuple(power_law(i, 5) for i in range(4, 10))


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 10**6), st.sets(st.integers(0, 9)))
def test_no_order_of_completion_changes_anything(max_epochs, workers, shuffle, diverging):
    curve = lambda i, e: None if i in diverging else power_law(i, e)  # noqa: E731
    one, two = small(max_epochs=max_epochs), small(max_epochs=max_epochs)
    alone, other = play(one, curve), play(two, curve, workers=workers, shuffle=shuffle)
    assert set(other.trains) == set(alone.trains) and other.predicts == alone.predicts
    assert dict(two.stopped_at) == dict(one.stopped_at) and other.winner == alone.winner
    for request in alone.predicts:
        assert np.isfinite(request.X).all() and np.isfinite(request.y).all()


@pytest.mark.parametrize("forecast", [lambda r: None, lambda r: [None] * len(r.X_new)])
def test_no_forecast_stops_nobody(forecast):
    scheduler = small()
    assert play(scheduler, forecast=forecast).n_epochs == 200 == scheduler.plan().n_epochs
    assert not scheduler.stopped_at


def test_with_fewer_than_two_finite_full_curves_all_partial_trials_are_finished():
    played = play(
        small(), lambda i, e: None if i < 3 else power_law(i, e), forecast=lambda r: 1 / 0
    )
    assert not played.predicts and all(played.epochs[i] == 20 for i in range(3, 10))


def test_a_diverged_partial_trial_is_not_asked_about():
    played = play(small(), lambda i, e: None if i == 4 else power_law(i, e))
    assert len(played.predicts[0].X_new) == 5


def test_where_nothing_could_be_saved_nothing_is_asked():
    played = play(small(max_epochs=2, known_share=0.9))
    assert not played.predicts and played.n_epochs == 20


def test_features_are_those_that_the_predictors_yaml_names():
    scheduler = small(features={"use": ["curve", "hyperparameters"]})
    (request,) = play(scheduler).predicts
    assert all(len(row) == 6 and row[-1] == 0.5 for row in (*request.X, *request.X_new))


@pytest.mark.skipif(not TABLE.exists(), reason=f"no curve table in {DATA}: set SUITE_DATA")
def test_on_mlpf_it_saves_two_thirds_of_random_search_and_often_finds_the_same():
    table, epochs, equal = mlpf_curves(), [], 0
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(table))
        played = play(
            FitAndThreshold(100), lambda i, e, o=order: table[o[i]][:e], forecast=svr_forecast
        )
        epochs.append(played.n_epochs)
        best = min(table[order[i]][99] for i in range(60))
        equal += played.curves[played.winner][99] == best
    print(f"\nMLPF, 20 seeds: {np.mean(epochs):.0f} of 6000 epochs, best of 60 found on {equal}")
    assert np.mean(epochs) < 4000 and equal >= 12


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"max_epochs": 0}, "max_epochs=0: must be"),
        ({"n_full": 1}, "n_full=1: must be an integer >= 2"),
        ({"n_partial": 0}, "n_partial=0: must be"),
        ({"known_share": 1}, "known_share=1: must lie between"),
        ({"quantile": float("nan")}, "quantile=nan: must lie"),
        ({"features": {"use": ["loss"]}}, "loss: unknown; known are curve"),
    ],
)
def test_bad_parameters(wrong, says):
    with pytest.raises(ConfigError, match=says):
        small(**wrong)
