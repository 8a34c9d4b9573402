"""What every predictor promises."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from suite.core.plugins import make
from suite.core.predictor import Predictor
from suite.testing.base import Conformance, expect_error
from suite.testing.driving import power_law

Floats = NDArray[np.float64]


def curves(first: int, n: int, epochs: int = 9) -> tuple[Floats, Floats]:
    """n curves from trial `first` on, n x epochs, and what each is at epoch 27."""
    X = np.array([power_law(i, epochs) for i in range(first, first + n)])
    return X, np.array([power_law(i, 27)[-1] for i in range(first, first + n)])


class PredictorConformance(Conformance):
    """A predictor is fitted to curves that fall as powers of the epoch, with a little noise."""

    group: ClassVar[str] = "predictor"

    def build(self, **extra: Any) -> Predictor:
        leaf = {key: value for key, value in self.leaf.items() if key != "features"}
        model: Predictor = make(leaf, "predictor", Predictor, random_state=5, **extra)
        return model

    def test_it_is_a_predictor_and_documented(self) -> None:
        model = self.build()
        name = type(model).__name__
        assert isinstance(model, Predictor), f"{name}: must be a suite.core.Predictor"
        assert type(model).__doc__, f"{name}: has no docstring"
        model.check()

    def test_fit_returns_itself_and_counts_features(self) -> None:
        model = self.build()
        assert model.fit(*curves(0, 12)) is model, "fit must return self"
        n: Any = getattr(model, "n_features_in_", None)
        assert n == 9, f"n_features_in_={n} after a fit to 9 features"

    def test_shapes(self) -> None:
        for n, m in ((2, 1), (5, 7), (40, 3)):
            predicted = self.build().fit(*curves(0, n)).predict(curves(50, m)[0])
            assert predicted.shape == (m,) and predicted.dtype == float, (
                f"{n} curves, {m} asked for: {predicted.dtype} of shape {predicted.shape}"
            )
            assert np.isfinite(predicted).all(), f"{n} curves: predictions are not finite"

    def test_nested_tuples_are_as_good_as_arrays(self) -> None:
        X, y = curves(0, 10)
        rows = tuple(map(tuple, X.tolist()))
        one = self.build().fit(rows, tuple(y.tolist())).predict(rows)
        assert np.array_equal(one, self.build().fit(X, y).predict(X)), "tuples predict otherwise"

    def test_the_same_question_gives_the_same_answer(self) -> None:
        X, y = curves(0, 30)
        one, two = (self.build().fit(X, y) for _ in range(2))
        np.random.seed(1)
        assert np.array_equal(one.predict(X), two.predict(X)), "two equal fits predict differently"
        assert np.array_equal(one.fit(X, y).predict(X), two.predict(X)), (
            "a second fit must start afresh"
        )

    def test_rows_are_predicted_one_by_one(self) -> None:
        model = self.build().fit(*curves(0, 15))
        X_new = curves(60, 5)[0]
        alone = [float(model.predict(row[None])[0]) for row in X_new]
        assert np.allclose(model.predict(X_new), alone, rtol=1e-6, atol=1e-12), (
            "a row's prediction depends on the other rows"
        )

    def test_what_it_is_given_stays_as_it_was(self) -> None:
        X, y = curves(0, 10)
        before = X.copy(), y.copy()
        self.build().fit(X, y).predict(X)
        assert np.array_equal(X, before[0]) and np.array_equal(y, before[1]), "changes X or y"

    def test_it_learns(self) -> None:
        X, y = curves(0, 20)
        X_new, y_new = curves(100, 60)
        model = self.build().fit(X, y)
        predicted = model.predict(X_new)
        if not model.learns:
            assert np.allclose(predicted, y.mean(), rtol=1e-6), (
                "learns=False: must predict y's mean"
            )
            return
        error, chance = ((predicted - y_new) ** 2).mean(), ((y_new - y.mean()) ** 2).mean()
        assert error < 0.5 * chance, (
            f"mean squared error {error:.3g}; must be below half of the mean's, {chance:.3g}"
        )

    def test_degenerate_training_sets(self) -> None:
        X, y = curves(0, 6)
        for what, rows, values in (
            ("each curve three times", np.repeat(X, 3, axis=0), np.repeat(y, 3)),
            ("one objective for all", X, np.full(6, 0.5)),
            ("a constant feature", np.column_stack([X, np.ones(6)]), y),
        ):
            predicted = self.build().fit(rows, values).predict(rows)
            assert np.isfinite(predicted).all(), f"{what}: predictions are not finite"

    def test_bad_shapes_and_numbers(self) -> None:
        X, y = curves(0, 5)
        for bad in (np.nan, np.inf):
            broken = X.copy()
            broken[0, 0] = bad
            for what, rows, values in (
                (f"fit to {bad} in X", broken, y),
                (f"fit to {bad} in y", X, np.where(y == y[0], bad, y)),
                ("fit to one row without its axis", X[0], y),
                ("fit to 5 curves and 3 objectives", X, y[:3]),
                ("fit to one curve", X[:1], y[:1]),
            ):
                fresh = self.build()
                expect_error(ValueError, what, lambda m=fresh, a=rows, b=values: m.fit(a, b))  # type: ignore[misc]
            model = self.build().fit(X, y)
            for what, rows in ((f"predict of {bad}", broken), ("predict of 4 features", X[:, :4])):
                expect_error(ValueError, what, lambda m=model, a=rows: m.predict(a))  # type: ignore[misc]
