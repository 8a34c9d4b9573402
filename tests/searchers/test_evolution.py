"""Regularised evolution: population, tournament, mutation, tables, and what it falls back to."""

import math
import statistics
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.toy_searches import SPACE, begun, branin, least, search
from suite.core.errors import ConfigError
from suite.core.seeds import stream
from suite.core.space import Choice, Float, Int, Space
from suite.core.types import Trial
from suite.searchers.evolution import Evolution
from suite.searchers.random import Random


def seen(objective, n, space=SPACE):
    return search(Random(), n, objective, space)


def changed(parent, child):
    return [name for name in parent if parent[name] != child[name]]


def test_it_finds_better_configurations_than_random_draws():
    """Medians of regret after 60 trials, over 100 seeds: 0.36, random draws 1.9."""
    ours = statistics.median(least(search(Evolution(), 60, seed=seed)) for seed in range(40))
    random = statistics.median(least(search(Random(), 60, seed=seed)) for seed in range(40))
    assert ours < 0.5 * random


def test_one_hyperparameter_of_a_member_changes_and_each_in_its_turn():
    trials = seen(branin, 20)
    searcher = begun(Evolution())
    names = Counter()
    for k in range(20, 140):
        child = searcher.propose(k, trials)
        changes = min((changed(t.config, child) for t in trials.values()), key=len)
        assert len(changes) == 1
        names[changes[0]] += 1
    assert set(names) == set(SPACE) and min(names.values()) > 20


def test_the_parent_is_the_best_of_a_tournament():
    """Of S drawn with replacement from P the winner's rank is 0 in 1 - (1 - 1/P)^S of the cases."""
    trials = seen(branin, 20)
    best = min(trials, key=lambda k: trials[k].curve)

    def share(size):
        searcher = begun(Evolution(tournament_size=size))
        children = [searcher.propose(k, trials) for k in range(20, 420)]
        return statistics.mean(len(changed(trials[best].config, c)) == 1 for c in children)

    assert share(1) == pytest.approx(1 / 20, abs=0.03)
    assert share(5) == pytest.approx(1 - 0.95**5, abs=0.07)
    assert share(200) > 0.99


def test_who_is_old_leaves_the_population_however_good():
    trials = {k: Trial(k, t.config, 0, (float(k),)) for k, t in seen(branin, 30).items()}
    searcher = begun(Evolution(tournament_size=200))
    child = searcher.propose(30, trials)
    assert len(changed(trials[10].config, child)) == 1  # the best of 10 ... 29, not trial 0


def test_failed_trials_take_a_place_and_are_the_worst():
    """Every other one failed, whatever its curve says; the best of all, trial 1, is too old."""
    trials = {
        k: Trial(k, t.config, 0, (-1.0,) if k % 2 == 0 else (0.1 * k,), k % 2 == 0)
        for k, t in seen(branin, 30).items()
    }
    searcher = begun(Evolution(tournament_size=200, n_least=5))
    children = [searcher.propose(k, trials) for k in range(30, 60)]
    assert all(len(changed(trials[11].config, child)) == 1 for child in children)


def test_trials_of_fewer_epochs_are_not_compared():
    drawn = seen(branin, 40)
    trials = {
        k: Trial(k, t.config, 0, (0.0,) if k % 2 else (5.0, 1.0 + k)) for k, t in drawn.items()
    }
    child = begun(Evolution(tournament_size=200)).propose(40, trials)
    assert len(changed(trials[0].config, child)) == 1


@given(
    st.sampled_from([Float(0.0, 2.0), Float(1e-4, 1.0, log=True), Int(1, 3), Int(1, 256, log=True),
                     Choice("a", "b"), Choice(1, 2, 3)]),
    st.floats(0, 1),
    st.sampled_from([1e-6, 0.1, 5.0]),
    st.integers(0, 10**6),
)  # fmt: skip
def test_a_mutation_is_another_value_in_the_range(parameter, u, step, seed):
    searcher = begun(Evolution(step_size=step), {"p": parameter})
    value = parameter.decode(u)
    mutant = searcher._mutated(parameter, value, stream(seed, "test"))
    assert parameter.check(mutant) is None
    assert mutant != value or step == 1e-6


def test_steps_are_so_wide_and_reflected_at_the_ends():
    searcher = begun(Evolution(step_size=0.1))
    rng = stream(0, "test")
    middle = [searcher._mutated(SPACE["y"], 7.5, rng) for _ in range(2000)]
    assert statistics.stdev(middle) == pytest.approx(1.5, rel=0.1)
    end = [searcher._mutated(SPACE["y"], 0.0, rng) for _ in range(2000)]
    assert min(end) > 0 and statistics.mean(end) == pytest.approx(1.5 * 0.798, rel=0.1)


@given(st.permutations(range(30)), st.integers(0, 10**6))
def test_a_proposal_is_a_function_of_its_arguments(order, seed):
    trials = seen(branin, 30)
    searcher = begun(Evolution(), seed=seed)
    searcher.propose(25, {k: trials[k] for k in range(25)})  # what was asked before is forgotten
    again = begun(Evolution(), seed=seed)
    assert searcher.propose(30, trials) == again.propose(30, {k: trials[k] for k in order})


ROWS = [{"x": 0.1 * i, "y": 1.0, "kind": "abc"[i % 3]} for i in range(60)]


def test_of_a_table_the_unused_row_nearest_to_the_mutant():
    space = Space(SPACE, rows=ROWS)
    objective = lambda c: abs(c["x"] - 2.0)  # noqa: E731
    trials = search(Evolution(), 60, objective, space)
    asked = [round(trial.config["x"], 6) for trial in trials.values()]
    assert sorted(asked) == [round(row["x"], 6) for row in ROWS]
    assert statistics.mean(abs(x - 2.0) for x in asked[20:40]) < 0.7 * statistics.mean(
        abs(x - 2.0) for x in asked[:20]
    )
    with pytest.raises(ConfigError, match="all are used"):
        begun(Evolution(), space).propose(60, trials)


@pytest.mark.parametrize(
    ("space", "objective", "n", "why"),
    [
        (SPACE, branin, 19, "too few observations"),
        (SPACE, lambda c: 1.0, 25, "equal objectives"),
        ({"only": Choice("a")}, lambda c: 1.0, 25, "one value"),
    ],
)
def test_where_nothing_can_be_chosen_it_draws_at_random_and_says_why(space, objective, n, why):
    trials = seen(objective, n, space)
    searcher = begun(Evolution(), space)
    assert searcher.propose(n, trials) == begun(Random(), space).propose(n, trials)
    assert searcher.diagnostics == {"proposals": 1, "by_model": 0, "fell_back": {why: 1}}


def test_fixed_names_and_single_values_never_mutate():
    space = Space({**SPACE, "only": Choice("this")}, {"y": 4.0})
    trials = search(Evolution(population_size=5), 40, branin, space)
    assert {(t.config["y"], t.config["only"]) for t in trials.values()} == {(4.0, "this")}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"population_size": 1}, "searcher.population_size=1: must be"),
        ({"tournament_size": 0}, "searcher.tournament_size=0: must be"),
        ({"step_size": 0.0}, "searcher.step_size=0.0: must be > 0"),
        ({"step_size": math.nan}, "searcher.step_size=nan: must be > 0"),
        ({"n_least": 1}, "searcher.n_least=1: must be"),
    ],
)
def test_bad_arguments(wrong, says):
    with pytest.raises(ConfigError, match=says):
        Evolution(**wrong)
