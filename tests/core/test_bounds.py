"""Numbers that no journal can hold and plans that no machine can are refused before anything is allocated."""

import time

import pytest

from suite.core.brackets import Plan, PlannedBracket, PlannedRung, hyperband_plan
from suite.core.errors import ConfigError, check_integer
from suite.core.moved import upgraded
from suite.core.settings import check_numbers, checked
from suite.schedulers.asha import Asha
from suite.schedulers.random_search import RandomSearch


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), [1.0, float("-inf")], {"a": [{"b": float("nan")}]}]
)
def test_numbers_must_be_finite(value):
    with pytest.raises(ConfigError, match="x.*must be a finite number"):
        check_numbers(value, "x")


@pytest.mark.parametrize(
    "value", [2**63, -(2**63) - 1, 10**400, 10**5000], ids=["high", "low", "400", "5000"]
)
def test_integers_must_fit_64_bits(value):
    with pytest.raises(ConfigError, match=r"seed=.*64 bits"):
        checked(value, int, "seed")
    assert checked(2**63 - 1, int, "seed") == 2**63 - 1


@pytest.mark.parametrize(
    "plan",
    [
        lambda: hyperband_plan(2**62, 2),
        lambda: Plan((PlannedBracket(0, (PlannedRung(10**7, 1, 1),)),)),
        lambda: Plan((PlannedBracket(0, (PlannedRung(10**6, 10**6, 1),)),)),
        lambda: RandomSearch(10**8, 1),
        lambda: RandomSearch(1, 10**9),
        lambda: Asha(max_epochs=9, n_trials=10**8),
        lambda: Asha(max_epochs=9, n_trials=64, s=2**31),
    ],
)
def test_a_plan_that_no_machine_can_hold_is_refused_at_once(plan):
    begun = time.process_time()
    with pytest.raises(ConfigError, match="must be"):
        plan()
    assert time.process_time() - begun < 5


def test_an_integer_may_have_an_upper_bound():
    assert check_integer("n", 3, 1, most=3) == 3
    with pytest.raises(ConfigError, match="n=4: must be an integer <= 3"):
        check_integer("n", 4, 1, most=3)


def test_a_journal_whose_name_was_a_number_is_read():
    assert upgraded({"name": 1234})["name"] == "1234" and upgraded({"name": True})["name"] == "True"
