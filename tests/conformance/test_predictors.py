"""What every predictor promises: each file of conf/predictor that names a class."""

import numpy as np
import pytest
from driving import compose, names, power_law

from suite.core.plugins import make
from suite.core.predictor import Predictor, check_features

_leaves = {name: compose(f"predictor={name}")["predictor"] for name in names("predictor")}
every = pytest.mark.parametrize(
    "name", [name for name, leaf in _leaves.items() if leaf["_target_"]]
)


def build(name, random_state=5):
    spec = {key: value for key, value in _leaves[name].items() if key != "features"}
    return make(spec, "predictor", random_state=random_state)


def curves(first, n, e=9):
    X = np.array([power_law(i, e) for i in range(first, first + n)])
    return X, np.array([power_law(i, 27)[-1] for i in range(first, first + n)])


@pytest.mark.parametrize("name", _leaves)
def test_its_yaml_says_what_it_sees(name):
    assert check_features(_leaves[name]["features"])["use"]


@every
def test_it_is_an_estimator_and_its_files_name_begins_with_its_own(name):
    model = build(name)
    assert isinstance(model, Predictor) and type(model).__doc__
    assert name.replace("_", "").startswith(type(model).__name__.lower())
    X, y = curves(0, 12)
    assert model.fit(X, y) is model
    assert model.n_features_in_ == 9


@every
@pytest.mark.parametrize(("n", "m"), [(2, 1), (5, 7), (40, 3)])
def test_shapes(name, n, m):
    X, y = curves(0, n)
    predicted = build(name).fit(X, y).predict(curves(50, m)[0])
    assert predicted.shape == (m,) and predicted.dtype == float and np.isfinite(predicted).all()


@every
def test_nested_tuples_are_as_good_as_arrays(name):
    X, y = curves(0, 10)
    rows = tuple(map(tuple, X.tolist()))
    assert np.array_equal(
        build(name).fit(rows, tuple(y.tolist())).predict(rows), build(name).fit(X, y).predict(X)
    )


@every
def test_the_same_question_gives_the_same_answer(name):
    X, y = curves(0, 30)
    one, two = (build(name).fit(X, y) for _ in range(2))
    np.random.seed(1)
    assert np.array_equal(one.predict(X), two.predict(X))
    assert np.array_equal(one.fit(X, y).predict(X), two.predict(X)), "a second fit starts afresh"


@every
def test_rows_are_predicted_one_by_one(name):
    X, y = curves(0, 15)
    model = build(name).fit(X, y)
    X_new = curves(60, 5)[0]
    assert model.predict(X_new) == pytest.approx(
        [float(model.predict(row[None])[0]) for row in X_new], abs=1e-12
    )


@every
def test_what_it_is_given_stays_as_it_was(name):
    X, y = curves(0, 10)
    before = X.copy(), y.copy()
    build(name).fit(X, y).predict(X)
    assert np.array_equal(X, before[0]) and np.array_equal(y, before[1])


@every
def test_it_learns(name):
    X, y = curves(0, 20)
    X_new, y_new = curves(100, 60)
    model = build(name).fit(X, y)
    error = model.predict(X_new) - y_new
    if not model.learns:
        assert error + y_new == pytest.approx(y.mean())
        return
    assert (error**2).mean() < 0.5 * ((y_new - y.mean()) ** 2).mean()


@every
def test_degenerate_training_sets(name):
    X, y = curves(0, 6)
    for case in (
        (np.repeat(X, 3, axis=0), np.repeat(y, 3)),
        (X, np.full(6, 0.5)),
        (np.column_stack([X, np.ones(6)]), y),
    ):
        assert np.isfinite(build(name).fit(*case).predict(case[0])).all()


@every
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_shapes_and_numbers(name, bad):
    X, y = curves(0, 5)
    broken = X.copy()
    broken[0, 0] = bad
    for case in (
        (broken, y),
        (X, np.where(y == y[0], bad, y)),
        (X[0], y),
        (X, y[:3]),
        (X[:1], y[:1]),
    ):
        with pytest.raises(ValueError):
            build(name).fit(*case)
    model = build(name).fit(X, y)
    for rows in (broken, X[:, :4]):
        with pytest.raises(ValueError):
            model.predict(rows)
