"""The SVR with its leave-one-out error."""

import numpy as np
import pytest
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import NuSVR

from kit.driving import power_law
from suite.predictors.loo_svr import LooSVR
from suite.predictors.svr import SVR

X = np.array([power_law(i, 8) for i in range(14)])
y = np.array([power_law(i, 30)[-1] for i in range(14)])


def test_its_values_are_the_svrs():
    values, stds = LooSVR().fit(X, y).predict(X, return_std=True)
    assert np.array_equal(values, SVR().fit(X, y).predict(X)) and stds.shape == values.shape
    assert np.array_equal(values, LooSVR().fit(X, y).predict(X))


def test_sigma_is_what_scikit_learns_leave_one_out_says():
    from sklearn.compose import TransformedTargetRegressor

    model = TransformedTargetRegressor(
        make_pipeline(MinMaxScaler(), NuSVR()), transformer=MinMaxScaler()
    )
    residuals = y - cross_val_predict(model, X, y, cv=LeaveOneOut())
    stds = LooSVR().fit(X, y).predict(X[:2], return_std=True)[1]
    assert stds == pytest.approx([np.std(residuals)] * 2)


def test_sigma_is_larger_than_the_error_on_curves_it_has_seen_and_belongs_to_the_last_fit():
    model = LooSVR().fit(X, y)
    values, stds = model.predict(X, return_std=True)
    assert stds[0] > np.std(y - values)
    assert model.fit(X, 10 * y).predict(X, return_std=True)[1][0] == pytest.approx(
        10 * stds[0], rel=0.05
    )


def test_of_two_curves_each_predicts_the_other():
    stds = LooSVR().fit(X[:2], [1.0, 3.0]).predict(X[:2], return_std=True)[1]
    assert stds == pytest.approx([2.0, 2.0])
