"""Features: one row a trial, from its curve, its differences and its hyperparameters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.core.errors import ConfigError
from suite.core.predictor import check_features, check_training_set, features

CURVES = [(4.0, 2.0, 1.0, 0.5, 0.25), (1.0, 1.0, 1.0, 1.0, 1.0)]
CONFIGS = [(0.1, 0.2), (0.3, 0.4)]


def test_each_kind_of_feature():
    assert features(CURVES) == tuple(CURVES)
    assert features(CURVES, use=("differences",))[0] == (-2.0, -1.0, -0.5, -0.25, 1.0, 0.5, 0.25)
    assert features(CURVES, CONFIGS, use=("hyperparameters",)) == tuple(CONFIGS)
    assert features(CURVES, CONFIGS, use=("hyperparameters", "curve"))[1] == (*CURVES[1], 0.3, 0.4)


def test_every_nth_epoch_begins_with_the_first():
    assert features(CURVES, every=2)[0] == (4.0, 1.0, 0.25)
    assert features(CURVES, use=("differences",), every=2)[0] == (-3.0, -0.75, 2.25)


@given(st.integers(1, 6), st.integers(3, 12), st.integers(1, 4), st.integers(0, 2**20))
def test_rows_have_one_length_and_come_in_order(n, epochs, every, seed):
    curves = [tuple(row) for row in np.random.default_rng(seed).random((n, epochs)).tolist()]
    rows = features(
        curves, [(0.5,)] * n, use=("curve", "differences", "hyperparameters"), every=every
    )
    assert len(rows) == n and len({len(row) for row in rows}) == 1
    assert rows[::-1] == features(
        curves[::-1], [(0.5,)] * n, ("curve", "differences", "hyperparameters"), every
    )
    assert [row[0] for row in rows] == [curve[0] for curve in curves]
    assert all(type(x) is float for row in rows for x in row)


def test_no_curves_no_rows():
    assert features([]) == ()


def test_unknown_names_are_refused():
    with pytest.raises(
        ConfigError, match=r"curv: .*curve, differences, hyperparameters.*Did you mean curve|curv"
    ):
        features(CURVES, use=("curv",))
    with pytest.raises(ConfigError, match=r"predictor\.features\.use=curv: unknown"):
        check_features({"use": ["curv"]})
    with pytest.raises(
        ConfigError,
        match=r"predictor\.features=evry: unknown; known are every, use. Did you mean every",
    ):
        check_features({"evry": 2})
    with pytest.raises(ConfigError, match=r"every=0: must be an integer >= 1"):
        check_features({"every": 0})
    with pytest.raises(ConfigError, match=r"use=\[\]: name at least one of"):
        check_features({"use": []})


def test_nothing_said_means_the_published_features():
    assert check_features(None) == check_features({}) == {"use": ("curve",), "every": 1}


@pytest.mark.parametrize(
    ("X", "y"),
    [
        ([1.0, 2.0], [1.0, 2.0]),
        ([[1.0], [2.0]], [[1.0], [2.0]]),
        ([[1.0], [2.0]], [1.0]),
        ([[1.0]], [1.0]),
        ([[np.nan], [2.0]], [1.0, 2.0]),
        ([[1.0], [2.0]], [1.0, np.inf]),
    ],
)
def test_a_training_set_that_is_none(X, y):
    with pytest.raises(ValueError, match="must be|needs at least two|NaN or infinity"):
        check_training_set(X, y)
