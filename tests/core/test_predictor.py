"""Features: one row a trial, from its curve, its differences and its hyperparameters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.core.errors import ConfigError
from suite.core.predictor import Features, check_training_set

CURVES = [(4.0, 2.0, 1.0, 0.5, 0.25), (1.0, 1.0, 1.0, 1.0, 1.0)]
CONFIGS = [(0.1, 0.2), (0.3, 0.4)]


def test_each_kind_of_feature():
    assert Features().rows(CURVES) == tuple(CURVES)
    assert Features(("differences",)).rows(CURVES)[0] == (-2.0, -1.0, -0.5, -0.25, 1.0, 0.5, 0.25)
    assert Features(("hyperparameters",)).rows(CURVES, CONFIGS) == tuple(CONFIGS)
    both = Features(("hyperparameters", "curve"))
    assert both.rows(CURVES, CONFIGS)[1] == (*CURVES[1], 0.3, 0.4)


def test_every_nth_epoch_begins_with_the_first():
    assert Features(every=2).rows(CURVES)[0] == (4.0, 1.0, 0.25)
    assert Features(("differences",), 2).rows(CURVES)[0] == (-3.0, -0.75, 2.25)


@given(st.integers(1, 6), st.integers(3, 12), st.integers(1, 4), st.integers(0, 2**20))
def test_rows_have_one_length_and_come_in_order(n, epochs, every, seed):
    curves = [tuple(row) for row in np.random.default_rng(seed).random((n, epochs)).tolist()]
    features = Features(("curve", "differences", "hyperparameters"), every)
    rows = features.rows(curves, [(0.5,)] * n)
    assert len(rows) == n and len({len(row) for row in rows}) == 1
    assert rows[::-1] == features.rows(curves[::-1], [(0.5,)] * n)
    assert [row[0] for row in rows] == [curve[0] for curve in curves]
    assert all(type(x) is float for row in rows for x in row)


def test_no_curves_no_rows():
    assert Features().rows([]) == ()


def test_unknown_names_are_refused():
    with pytest.raises(
        ConfigError, match=r"curv: .*curve, differences, hyperparameters.*Did you mean curve|curv"
    ):
        Features(("curv",))
    with pytest.raises(ConfigError, match=r"predictor\.features\.use=curv: unknown"):
        Features.of({"use": ["curv"]})
    with pytest.raises(
        ConfigError,
        match=r"predictor\.features=evry: unknown; known are every, use. Did you mean every",
    ):
        Features.of({"evry": 2})
    with pytest.raises(ConfigError, match=r"every=0: must be an integer >= 1"):
        Features.of({"every": 0})
    with pytest.raises(ConfigError, match=r"use=\[\]: name at least one of"):
        Features.of({"use": []})


def test_nothing_said_means_the_published_features():
    assert Features.of(None) == Features.of({}) == Features(("curve",), 1)


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
    with pytest.raises(
        ValueError, match="must be|needs at least 2 finished curves|NaN or infinity"
    ):
        check_training_set(X, y)
