"""The classical predictor is scikit-learn's NuSVR on min-max scaled curves, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import NuSVR

from kit.driving import power_law
from suite.predictors.svr import SVR


@given(st.integers(2, 30), st.integers(1, 12), st.integers(0, 2**20))
def test_it_equals_nusvr_on_scaled_data(n, width, seed):
    rng = np.random.default_rng(seed)
    X, y, X_new = rng.normal(size=(n, width)), rng.normal(5, 3, n), rng.normal(size=(4, width))
    scale_X, scale_y = MinMaxScaler().fit(X), MinMaxScaler().fit(y[:, None])
    direct = (
        NuSVR()
        .fit(scale_X.transform(X), scale_y.transform(y[:, None])[:, 0])
        .predict(scale_X.transform(X_new))
    )
    assert SVR().fit(X, y).predict(X_new) == pytest.approx(
        scale_y.inverse_transform(direct[:, None])[:, 0], rel=1e-12
    )


def test_its_parameters_reach_nusvr():
    X = np.array([power_law(i, 8) for i in range(20)])
    y = np.array([power_law(i, 30)[-1] for i in range(20)])
    assert not np.allclose(SVR(C=50.0).fit(X, y).predict(X), SVR().fit(X, y).predict(X))
    assert not np.allclose(SVR(nu=0.05).fit(X, y).predict(X), SVR().fit(X, y).predict(X))


@given(st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_the_unit_of_the_objective_does_not_matter(unit, shift):
    X = np.array([power_law(i, 8) for i in range(15)])
    y = np.array([power_law(i, 30)[-1] for i in range(15)])
    scaled = SVR().fit(unit * X + shift, unit * y + shift).predict(unit * X + shift)
    assert (scaled - shift) / unit == pytest.approx(
        SVR().fit(X, y).predict(X), abs=5e-3
    )  # libsvm stops at 1e-3


def test_a_constant_target_and_a_constant_feature():
    X = np.column_stack([np.ones(6), np.arange(6.0)])
    assert SVR().fit(X, np.full(6, 2.0)).predict(X) == pytest.approx(2.0)


def test_it_beats_the_mean_on_smooth_curves():
    X, X_new = (np.array([power_law(i, 10) for i in range(a, b)]) for a, b in ((0, 20), (100, 160)))
    y, y_new = (
        np.array([power_law(i, 30)[-1] for i in range(a, b)]) for a, b in ((0, 20), (100, 160))
    )
    assert ((SVR().fit(X, y).predict(X_new) - y_new) ** 2).mean() < 0.1 * (
        (y_new - y.mean()) ** 2
    ).mean()


def test_what_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="NaN or infinity"):
        SVR().fit([[1.0], [np.nan]], [1.0, 2.0])
    with pytest.raises(ValueError, match="NaN"):
        SVR().fit([[1.0], [2.0]], [1.0, 2.0]).predict([[np.nan]])
