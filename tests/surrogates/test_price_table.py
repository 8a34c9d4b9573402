"""Prices: against the equation of one box, and against a dynamic programme by brute force."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from suite.surrogates.price_table import PriceTable


def expected_gain(theta, m, variance):
    """E[max(theta - X, 0)], X ~ N(m, variance)."""
    sd = math.sqrt(variance)
    u = (theta - m) / sd
    return sd * (u * norm.cdf(u) + norm.pdf(u))


@given(st.floats(-3, -0.5), st.floats(-3, 1.5), st.floats(0.0, 0.9), st.floats(0.05, 1.0))
def test_the_price_of_one_box_is_weitzmans(theta, m, explained, cost):
    """Opened once: the cost at which E[max(theta - X, 0)] = price cost."""
    exact = expected_gain(theta, m, 1 - explained) / cost
    price = float(PriceTable(theta, [explained], [cost]).price(0, m))
    assert price == pytest.approx(min(exact, 8.0), rel=0.15, abs=0.02)


def brute_force(theta, m, explained, costs, n=120_000, seed=0):
    """The price of two boxes in a row, by simulation: after the first it is gone on where that pays."""
    rng = np.random.default_rng(seed)
    middle = m + math.sqrt(explained[1] - explained[0]) * rng.standard_normal(n)
    u = (theta - middle) / math.sqrt(1 - explained[1])
    gain = math.sqrt(1 - explained[1]) * (u * norm.cdf(u) + norm.pdf(u))
    low, high = 1e-5, 8.0
    for _ in range(40):
        price = math.sqrt(low * high)
        value = np.maximum(gain - price * costs[1], 0).mean() - price * costs[0]
        low, high = (price, high) if value > 0 else (low, price)
    return low


@pytest.mark.parametrize("m", [-1.5, -0.5, 0.0, 0.7])
@pytest.mark.parametrize("explained", [(0.1, 0.6), (0.3, 0.8), (0.0, 0.3)])
def test_the_price_of_two_boxes_in_a_row_is_brute_forces(m, explained):
    costs = (0.25, 0.75)
    price = float(PriceTable(-1.5, explained, costs).price(0, m))
    assert price == pytest.approx(brute_force(-1.5, m, explained, costs), rel=0.12, abs=0.01)


def test_a_better_belief_costs_more_and_what_is_cheap_to_look_at_is_dearer():
    means = np.linspace(-4, 2, 50)
    table = PriceTable(-2.0, [0.2, 0.5, 0.8], [0.1, 0.4, 0.5])
    for state in range(3):
        assert (np.diff(table.price(state, means)) <= 1e-12).all()
    cheap = PriceTable(-2.0, [0.2, 0.5, 0.8], [0.05, 0.4, 0.5])
    assert cheap.price(0, 0.0) > table.price(0, 0.0)
    assert table.price(0, 3.0) == pytest.approx(0.0, abs=1e-3)


def test_an_uncertain_trial_is_dearer_than_one_that_is_known_to_be_as_bad():
    uncertain, known = (PriceTable(-2.0, [e], [0.5]).price(0, 0.0) for e in (0.1, 0.9))
    assert uncertain > 10 * known


def test_fresh_trials_may_go_past_low_rungs():
    whole = PriceTable(-2.0, [0.2, 0.5, 0.8], [0.3, 0.4, 0.5], first=1)
    part = PriceTable(-2.0, [0.2, 0.8], [0.3, 0.5])
    assert whole.price(0, 0.1) == pytest.approx(float(part.price(0, 0.1)))
    assert whole.price(1, 0.1) > 0


def test_a_table_stands_for_numbers_that_are_near():
    table = PriceTable(-2.0, [0.2, 0.5], [0.3, 0.4])
    assert table.stands_for(-2.01, [0.21, 0.5], [0.3, 0.4])
    assert not table.stands_for(-2.03, [0.2, 0.5], [0.3, 0.4])
    assert not table.stands_for(-2.0, [0.22, 0.5], [0.3, 0.4])
    assert not table.stands_for(-2.0, [0.2, 0.5], [0.2, 0.4])
    assert not table.stands_for(-2.0, [0.2, 0.5], [0.3, 0.4], first=1)
