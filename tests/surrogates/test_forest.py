"""The forest: it learns, it is a function of its data, and it knows what it does not know."""

import numpy as np
import pytest

from suite.surrogates.forest import Forest, rank_correlation


def toy(n, seed=0, noise=0.05):
    rng = np.random.default_rng(seed)
    X = rng.random((n, 3))
    return X, 3 * X[:, 0] + np.sin(6 * X[:, 1]) + noise * rng.standard_normal(n)


def test_it_ranks_what_it_has_not_seen():
    X, y = toy(100)
    X_new, y_new = toy(200, seed=1, noise=0.0)
    assert rank_correlation(Forest().fit(X, y).predict(X_new), y_new) > 0.9


def test_the_same_data_give_the_same_forest_and_another_seed_another():
    X, y = toy(40)
    one, two, other = (Forest(seed=s).fit(X, y).predict(X[:9]) for s in (0, 0, 1))
    assert (one == two).all() and not (one == other).all()


def test_out_of_bag_predictions_know_nothing_of_their_own_row():
    X, y = toy(60)
    rng = np.random.default_rng(5)
    noise = rng.standard_normal(60)
    assert rank_correlation(Forest().out_of_bag(X, y), y) > 0.7
    assert abs(rank_correlation(Forest().out_of_bag(X, noise), noise)) < 0.4
    assert rank_correlation(Forest(min_leaf=1).fit(X, noise).predict(X), noise) > 0.9, "by heart"


def test_it_agrees_with_scikit_learns_own_ensemble():
    from sklearn.ensemble import ExtraTreesRegressor

    X, y = toy(80)
    X_new, _ = toy(300, seed=2)
    theirs = ExtraTreesRegressor(400, min_samples_leaf=2, random_state=0).fit(X, y).predict(X_new)
    ours = Forest(400).fit(X, y).predict(X_new)
    assert np.abs(ours - theirs).max() < 0.25 and np.abs(ours - theirs).mean() < 0.05


@pytest.mark.parametrize(
    ("X", "y"),
    [
        ([[1.0]], [1.0]),
        ([[], []], [1.0, 2.0]),
        ([[1.0], [2.0]], [1.0]),
        ([[1.0], [float("nan")]], [1.0, 2.0]),
        ([[1.0], [2.0]], [1.0, float("inf")]),
    ],
)
def test_data_that_do_not_fit_are_refused(X, y):
    with pytest.raises(ValueError, match="must be|NaN"):
        Forest().fit(X, y)


def test_rank_correlation_of_a_constant_is_none():
    assert rank_correlation([1, 1, 1], [1, 2, 3]) == 0.0
    assert rank_correlation([1, 2, 3], [2, 4, 9]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
