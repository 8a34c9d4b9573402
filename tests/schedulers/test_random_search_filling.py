"""Random search that fills the machine: its number of trials by workers, epochs and rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.driving import compose, play
from suite.core.brackets import hyperband_plan
from suite.core.errors import ConfigError
from suite.schedulers.random_search_filling import RandomSearchFilling


@given(st.integers(1, 120), st.integers(1, 200), st.integers(1, 4))
def test_every_worker_has_work_for_as_long_as_hyperband_at_least(max_epochs, n_workers, per_worker):
    plan = RandomSearchFilling(max_epochs, 2, n_workers, per_worker).plan()
    assert plan.n_trials % n_workers == 0, "no worker is idle in the last wave"
    assert plan.n_trials >= n_workers * per_worker
    assert plan.n_epochs >= hyperband_plan(max_epochs, 2).n_epochs


@pytest.mark.parametrize(
    ("settings", "n"),
    [
        ({"n_workers": 50}, 100),
        ({"n_workers": 8}, 40),  # 3213 epochs are 32.13 trainings: 33, and 40 in whole waves
        ({"n_workers": None}, 33),
        ({"n_workers": 50, "most": 44}, 44),
    ],
)
def test_the_numbers_at_100_epochs(settings, n):
    assert RandomSearchFilling(100, **settings).plan().n_trials == n


def test_it_says_where_a_table_has_fewer_rows_than_it_asks_for():
    few = RandomSearchFilling(50, n_workers=50, most=44)
    assert play(few, workers=50).n_epochs == 44 * 50
    assert few.diagnostics == {"n_trials": 44, "n_trials_asked": 100, "fell_back": {"all_rows": 1}}
    assert RandomSearchFilling(50, n_workers=50).diagnostics["fell_back"] == {"all_rows": 0}


def test_it_learns_the_workers_of_a_simulation_and_the_rows_of_a_task():
    def leaf(*words):
        return compose("scheduler=random_search_filling", *words)["scheduler"]

    simulated = leaf("task=algoperf_wmt", "backend=simulate", "backend.workers=8")
    assert (simulated["n_workers"], simulated["most"]) == (8, 44)
    assert (leaf()["n_workers"], leaf()["most"]) == (None, None)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"per_worker": 0}, "per_worker=0: must be"),
        ({"n_workers": 0}, "n_workers=0: must be .* or null"),
        ({"most": 0}, "most=0: must be .* or null"),
        ({"eta": 1}, "eta=1: must be"),
        ({"n_workers": 2.5}, "n_workers=2.5: must be an integer"),
    ],
)
def test_bad_parameters(wrong, says):
    with pytest.raises(ConfigError, match=says):
        RandomSearchFilling(**({"max_epochs": 9} | wrong))
