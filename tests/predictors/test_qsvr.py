"""The annealed regressor: the published size, deterministic where seeded, and better than
predicting the mean.
"""

import dimod
import numpy as np
import pytest
from driving import power_law

from suite.core.errors import ConfigError
from suite.predictors.qsvr import QSVR

QUICK = {"n_reads": 30, "n_sweeps": 100, "random_state": 3}


def curves(n, e=10, R=30, first=0):
    X = np.array([power_law(i, e) for i in range(first, first + n)])
    y = np.array([power_law(i, R)[-1] for i in range(first, first + n)])
    return X, y


def test_a_seeded_fit_is_repeatable():
    X, y = curves(30)
    one, two = (QSVR(**QUICK).fit(X, y).predict(X) for _ in range(2))
    assert np.array_equal(one, two)


def test_the_seed_chooses_points_and_reads():
    X, y = curves(40)
    assert not np.array_equal(
        QSVR(**QUICK).fit(X, y).predict(X), QSVR(**QUICK | {"random_state": 4}).fit(X, y).predict(X)
    )


class Watching:
    """A dimod sampler that keeps what it was given."""

    def __init__(self):
        self.inner = dimod.RandomSampler()

    def sample(self, bqm, **options):
        self.n_variables, self.options = bqm.num_variables, options
        return self.inner.sample(bqm, **options)


@pytest.mark.parametrize(("n", "n_variables"), [(20, 120), (35, 120), (7, 42)])
def test_twenty_points_make_120_variables(n, n_variables):
    watching = Watching()
    model = QSVR(sampler=watching, n_reads=8).fit(*curves(n))
    assert watching.n_variables == n_variables and watching.options["num_reads"] == 8
    assert model.sampler_used_ == "Watching"


def test_the_sampler_that_was_used_is_said():
    assert QSVR(**QUICK).fit(*curves(5)).sampler_used_ == "sa"
    assert (
        QSVR(**QUICK | {"sampler": "steepest_descent"}).fit(*curves(5)).sampler_used_
        == "steepest_descent"
    )


def test_a_constant_target_gives_finite_numbers_near_it():
    X, _ = curves(8)
    assert QSVR(**QUICK).fit(X, np.full(8, 0.7)).predict(X) == pytest.approx(0.7, abs=0.1)


def test_a_constant_target_is_predicted_exactly():
    X, _ = curves(8)
    assert QSVR(**QUICK).fit(X, np.full(8, 0.7)).predict(X) == pytest.approx(0.7)


def test_duplicates_and_a_feature_without_variance():
    X, y = curves(6)
    X = np.repeat(np.column_stack([X, np.ones(6)]), 2, axis=0)
    predicted = QSVR(**QUICK).fit(X, np.repeat(y, 2)).predict(X)
    assert np.isfinite(predicted).all() and np.array_equal(predicted[::2], predicted[1::2])


def test_two_equal_points():
    assert np.isfinite(
        QSVR(**QUICK).fit([[1.0, 2.0], [1.0, 2.0]], [3.0, 3.0]).predict([[1.0, 2.0]])
    ).all()


def test_it_beats_the_mean_on_smooth_curves():
    X, y = curves(20)
    X_new, y_new = curves(60, first=100)
    error = QSVR(**QUICK).fit(X, y).predict(X_new) - y_new
    assert (error**2).mean() < 0.3 * ((y_new - y.mean()) ** 2).mean()


@pytest.mark.filterwarnings("ignore:Ignoring unknown kwarg")
def test_the_points_above_the_tube_pull_the_offset_up_and_those_below_down():
    """Odd symmetry: turning y upside down turns the prediction upside down, which the published
    offset does not.
    """
    X, y = curves(2)
    options = {"sampler": dimod.ExactSolver(), "n_bits": 2, "n_keep": 1, "xi": 0.5}
    up = QSVR(**options).fit(X, y).predict(X)
    down = QSVR(**options).fit(X, -y).predict(X)
    assert down == pytest.approx(-up, abs=1e-9)


def test_what_is_not_finite_is_refused():
    X, y = curves(4)
    model = QSVR(**QUICK).fit(X, y)
    for bad in (np.nan, np.inf):
        broken = X.copy()
        broken[1, 2] = bad
        with pytest.raises(ValueError, match="NaN or infinity"):
            QSVR(**QUICK).fit(broken, y)
        with pytest.raises(ValueError, match="NaN or infinity"):
            QSVR(**QUICK).fit(X, [*y[:3], bad])
        with pytest.raises(ValueError, match="NaN or infinity"):
            model.predict(broken)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"n_bits": 0}, "n_bits=0: must be"),
        ({"n_reads": 0}, "n_reads=0: must be"),
        ({"n_keep": 0}, "n_keep=0: must be"),
        ({"n_points": 1}, "n_points=1: must be an integer >= 2"),
        ({"gamma": 0}, "gamma=0: must be greater"),
        ({"C": -1}, "C=-1: must be greater"),
    ],
)
def test_bad_parameters(wrong, says):
    with pytest.raises(ConfigError, match=says):
        QSVR(**wrong)


def test_an_unknown_sampler_is_found_before_anything_is_trained():
    with pytest.raises(ConfigError, match="known are sa"):
        QSVR(sampler="qpu")
