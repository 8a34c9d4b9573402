"""Which objectives are compared: at the most epochs that enough trials have reached."""

import math

import pytest

from suite.surrogates.comparable_objectives import comparable


def test_an_example_by_hand():
    curves = {0: (9.0, 8.0, 7.0), 1: (5.0, 4.0), 2: (3.0, 2.0), 3: (1.0,)}
    T, values = comparable(curves, n_least=3, clip=1.0)
    assert T == 2
    assert values == pytest.approx({0: math.log(8), 1: math.log(4), 2: math.log(2)})


def test_the_poor_are_clipped_and_the_failed_are_no_better_than_they():
    curves = {i: (float(i + 1),) for i in range(10)} | {10: None}
    _, values = comparable(curves, n_least=4, clip=0.8)
    cap = max(values.values())
    assert values[9] == values[8] == values[10] == cap > values[7]
    assert values[0] == 0.0


def test_objectives_that_are_not_all_positive_stay_as_they_are():
    _, values = comparable({0: (-3.0,), 1: (0.0,), 2: (2.0,)}, n_least=2, clip=1.0)
    assert values == {0: -3.0, 1: 0.0, 2: 2.0}


def test_too_few_trials_or_too_few_epochs_give_nothing():
    curves = {0: (1.0, 1.0), 1: (1.0, 1.0), 2: None}
    assert comparable(curves, n_least=3) is None
    assert comparable(curves, n_least=2, least_epochs=2.5) is None
    assert comparable(curves, n_least=2, least_epochs=2) is not None
    assert comparable({}, n_least=1) is None
    assert comparable({0: ()}, n_least=1) is None
