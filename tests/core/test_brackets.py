"""Hyperband's arithmetic: golden totals, and what holds for every max_epochs and eta."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.core.brackets import hyperband_plan, share_in_epochs
from suite.core.errors import ConfigError


@pytest.mark.parametrize(("max_epochs", "n_epochs"), [(100, 3213), (35, 872), (300, 15380)])
def test_golden_totals_with_eta_2(max_epochs, n_epochs):
    assert hyperband_plan(max_epochs, 2).n_epochs == n_epochs


@pytest.mark.parametrize(
    ("max_epochs", "eta", "s_max"),
    [(243, 3, 5), (125, 5, 3), (1000, 10, 3), (242, 3, 4), (1, 2, 0)],
)
def test_s_max_is_exact_where_floats_are_not(max_epochs, eta, s_max):
    brackets = hyperband_plan(max_epochs, eta).brackets
    assert [b.s for b in brackets] == list(range(s_max, -1, -1))


def test_the_table_of_the_paper():
    """Li et al. 2018, Table 1 (R = 81, eta = 3). Its rungs are whole numbers, so no rounding takes
    part.
    """
    rungs = [[(r.n_trials, r.to_epoch) for r in b.rungs] for b in hyperband_plan(81, 3).brackets]
    assert rungs[0] == [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)]
    assert rungs[1] == [(34, 3), (11, 9), (3, 27), (1, 81)]  # ceil(5/4 * 27) = 34
    assert rungs[4] == [(5, 81)]


@given(st.integers(1, 2000), st.integers(2, 12))
def test_what_holds_for_every_plan(max_epochs, eta):
    plan = hyperband_plan(max_epochs, eta)
    s_max = len(plan.brackets) - 1
    assert eta**s_max <= max_epochs < eta ** (s_max + 1)
    for bracket in plan.brackets:
        assert bracket.n_trials == math.ceil((s_max + 1) * eta**bracket.s / (bracket.s + 1))
        assert len(bracket.rungs) == bracket.s + 1
        epochs = [rung.to_epoch for rung in bracket.rungs]
        assert epochs == sorted(set(epochs)) and epochs[0] >= 1 and epochs[-1] == max_epochs
        for rung, after in zip(bracket.rungs, bracket.rungs[1:], strict=False):
            assert rung.n_next == after.n_trials == max(rung.n_trials // eta, 1)
        assert bracket.rungs[-1].n_next == max(bracket.rungs[-1].n_trials // eta, 1)
    assert plan.n_trials == sum(b.n_trials for b in plan.brackets)


@given(st.integers(1, 300), st.integers(2, 5))
def test_a_brackets_total_is_the_sum_of_its_steps(max_epochs, eta):
    for bracket in hyperband_plan(max_epochs, eta).brackets:
        by_trial = [
            max(rung.to_epoch for rung in bracket.rungs if rung.n_trials > k)
            for k in range(bracket.n_trials)
        ]
        assert bracket.n_epochs == sum(by_trial)


@pytest.mark.parametrize(
    ("max_epochs", "eta"), [(27, 1), (27, 0), (27, 2.0), (27, True), (27, "3"), (27, None)]
)
def test_bad_eta(max_epochs, eta):
    with pytest.raises(ConfigError, match=rf"eta={eta}: must be an integer >= 2"):
        hyperband_plan(max_epochs, eta)


@pytest.mark.parametrize("max_epochs", [0, -1, 27.0, True, "27", None])
def test_bad_max_epochs(max_epochs):
    with pytest.raises(ConfigError, match=rf"max_epochs={max_epochs}: must be an integer >= 1"):
        hyperband_plan(max_epochs, 2)


@pytest.mark.parametrize("eta", [2, 4])
def test_a_share_of_r_is_the_rung_of_that_share(eta):
    for max_epochs in range(eta, 401):
        for bracket in hyperband_plan(max_epochs, eta).brackets:
            for k, rung in enumerate(reversed(bracket.rungs)):
                assert share_in_epochs(eta**-k, max_epochs) == rung.to_epoch, max_epochs


def test_brackets_of_a_number_without_end_are_refused_at_once():
    with pytest.raises(ConfigError, match="max_epochs=.*must be an integer <= 1000000"):
        hyperband_plan(10**4000, 2)
