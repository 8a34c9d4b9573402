"""The expected gain of further epochs, against what is known in closed form and against a simulation."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from suite.core.seeds import stream
from suite.surrogates.expected_gain import expected_gain

# One rung below R, at half of it.
EXPLAINED, COSTS = (0.0, 0.64), (0.5, 0.5)


def boxes(fresh=(), at_rung=()):
    return [np.array(fresh, dtype=float), np.array(at_rung, dtype=float)]


def test_of_one_trial_it_is_the_expected_improvement():
    best, m, sd = -1.0, -0.8, math.sqrt(1 - 0.64)
    u = (best - m) / sd
    wanted = sd * (u * norm.cdf(u) + norm.pdf(u))
    assert expected_gain(best, EXPLAINED, COSTS, 0, boxes((), (m,)), 10.0) == pytest.approx(
        wanted, rel=0.02
    )


def test_it_rises_with_what_is_spent_and_nothing_gains_nothing():
    some = boxes(np.zeros(200), (-1.2, -0.5, 0.3))
    gains = [expected_gain(-1.5, EXPLAINED, COSTS, 0, some, b) for b in (0, 0.1, 1, 5, 20, 100)]
    assert gains[0] == 0 and gains == sorted(gains) and gains[-1] > 3 * gains[1] > 0
    assert expected_gain(-1.5, EXPLAINED, COSTS, 0, boxes(), 5.0) == 0
    # The better the best, the less there is to gain.
    assert expected_gain(-2.5, EXPLAINED, COSTS, 0, some, 5.0) < gains[3]


def test_the_better_of_many_is_not_their_sum():
    one = expected_gain(-1.0, EXPLAINED, COSTS, 0, boxes((), (-1.0,)), 1000.0)
    many = expected_gain(-1.0, EXPLAINED, COSTS, 0, boxes((), [-1.0] * 50), 1000.0)
    sample = stream(1, "finals").normal(-1.0, 0.6, (4000, 50)).min(axis=1)
    assert many == pytest.approx(np.maximum(-1.0 - sample, 0).mean(), rel=0.03)
    assert many < 6 * one


def test_it_is_what_a_rule_with_two_steps_gains():
    """200 new trials, enough to buy 20 R: by a simulation of buying at one price, found by hand."""
    best, random = -2.0, stream(2, "trials")
    rung = random.normal(0.0, 0.8, (2000, 200))
    final = rung + random.normal(0.0, 0.6, rung.shape)
    found = {}
    for bar in np.linspace(-2.0, 0.5, 26):
        # All are opened to the rung, then those that are good there; up to the budget.
        cost = 0.5 + 0.5 * (rung < bar)
        paid = np.cumsum(cost, axis=1) <= 20.0
        value = np.where((rung < bar) & paid, final, np.inf).min(axis=1)
        found[bar] = np.maximum(best - value, 0).mean()
    gained = expected_gain(best, EXPLAINED, COSTS, 0, boxes(np.zeros(200)), 20.0)
    assert gained == pytest.approx(max(found.values()), rel=0.15)
