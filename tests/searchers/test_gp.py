"""The Gaussian process: that it searches, what it knows, tables, and what it falls back to."""

import statistics

import numpy as np
import pytest
from scipy.stats import norm

from kit.toy_searches import SPACE, begun, branin, least, search
from suite.core.errors import ConfigError
from suite.core.space import Choice, Int, Space
from suite.core.types import Trial
from suite.searchers import gp
from suite.searchers.gp import Gp
from suite.searchers.random import Random


def seen(objective, n, space=SPACE):
    return search(Random(), n, objective, space)


@pytest.mark.slow
def test_it_finds_better_configurations_than_random_draws():
    """Medians of regret after 60 trials: 0.002 over 20 seeds, random draws 1.9 over 100."""
    ours = statistics.median(least(search(Gp(), 40, seed=seed)) for seed in range(5))
    random = statistics.median(least(search(Random(), 40, seed=seed)) for seed in range(20))
    assert ours < 0.1 * random


def test_expected_improvement_is_that_of_the_formula():
    X, y = np.array([[0.0], [0.4], [1.0]]), np.array([0.5, -1.0, 0.5])
    process = gp._process(gp._likeliest(X, y), X, y)
    points = np.array([[0.1], [0.45], [0.8]])
    mean, std = process.predict(points, return_std=True)
    std = np.sqrt(std**2 - process.kernel_.k2.noise_level)
    draws = mean + std * norm.ppf((np.arange(20000) + 0.5) / 20000)[:, None]
    expected = np.maximum(-0.9 - draws, 0.0).mean(axis=0)
    assert gp._expected_improvement(process, points, -0.9) == pytest.approx(expected, rel=1e-3)


def test_length_scales_say_which_hyperparameter_counts():
    X = np.random.default_rng(0).random((40, 2))
    process = gp._process(gp._likeliest(X, y := np.sin(6 * X[:, 0])), X, y)
    matters, does_not = process.kernel_.k1.k2.length_scale
    assert does_not > 5 * matters


def test_a_value_left_out_is_predicted_by_the_others():
    X = np.random.default_rng(0).random((12, 2))
    y = X[:, 0] - X[:, 1]
    process = gp._process(kernel := gp._likeliest(X, y), X, y)
    some = [i for i in range(12) if i != 3]
    by_hand = gp._process(kernel, X[some], y[some]).predict(X[3:4])[0]
    precision = np.linalg.inv(kernel(X))
    assert y[3] - (precision @ y)[3] / precision[3, 3] == pytest.approx(by_hand, abs=1e-6)
    assert gp._left_out(process) == {"rank_correlation": pytest.approx(1.0, abs=0.02), "n": 12}


def test_where_a_trial_is_under_way_its_mean_is_believed_and_no_other_goes_there():
    trials = seen(branin, 20)
    there = begun(Gp()).propose(30, trials)
    busy = trials | {20: Trial(20, there, 0)}
    assert begun(Gp(max_pending=0)).propose(30, busy) == there
    elsewhere = begun(Gp()).propose(30, busy)
    searcher = begun(Gp())
    apart = np.subtract(searcher.space.encode(elsewhere), searcher.space.encode(there))
    assert np.linalg.norm(apart) > 0.1


def test_a_failed_trial_is_the_worst_and_not_under_way():
    trials = {
        k: Trial(k, t.config, 0, () if t.config["x"] > 2 else t.curve, t.config["x"] > 2)
        for k, t in seen(lambda c: 10.0 - c["x"], 40).items()
    }
    found = [begun(Gp(), seed=seed).propose(40, trials)["x"] for seed in range(8)]
    assert statistics.median(found) < 4.0


def test_the_most_epochs_that_enough_trials_have_decide():
    """After epoch 1 the small x are good, after epoch 4 the large; 6 = d + 3 trials decide."""
    curves = {k: (t.config["x"], 0.0, 0.0, -t.config["x"]) for k, t in seen(branin, 40).items()}
    configs = {k: t.config for k, t in seen(branin, 40).items()}
    few = {k: Trial(k, configs[k], 0, c[: 4 if k < 5 else 1]) for k, c in curves.items()}
    many = {k: Trial(k, configs[k], 0, c[: 4 if k < 30 else 1]) for k, c in curves.items()}
    low = [begun(Gp(), seed=seed).propose(40, few)["x"] for seed in range(5)]
    high = [begun(Gp(), seed=seed).propose(40, many)["x"] for seed in range(5)]
    assert statistics.median(low) < -3 and statistics.median(high) > 8


def test_a_proposal_is_a_function_of_its_arguments():
    trials = seen(branin, 70)
    searcher = begun(Gp(max_fit=20, max_observations=50))
    for k in (10, 40, 30, 70):  # what was asked before changes nothing
        searcher.propose(k, {i: trials[i] for i in range(k)})
    again = begun(Gp(max_fit=20, max_observations=50))
    backwards = {i: trials[i] for i in reversed(range(70))}
    assert searcher.propose(70, trials) == again.propose(70, backwards)


def test_the_kernel_is_fitted_again_only_where_its_observations_change():
    searcher = Gp(max_fit=10)
    search(searcher, 60)
    counts = searcher.diagnostics
    assert counts["by_model"] == 54 and counts["fits"] < 27
    assert counts["n"] == 59 and counts["rank_correlation"] > 0.4


def test_of_too_many_it_knows_the_best_and_the_newest():
    searcher = begun(Gp(max_observations=5))
    values = {0: 0.3, 1: 0.1, 2: 0.9, 3: 0.2, 4: 0.8, 5: 0.7, 6: 0.6}
    assert list(searcher._selected(values)) == [1, 3, 4, 5, 6]
    assert list(searcher._selected({k: values[k] for k in range(5)})) == [0, 1, 2, 3, 4]


ROWS = [{"x": 0.1 * i, "y": 1.0, "kind": "abc"[i % 3]} for i in range(30)]


def test_of_a_table_every_row_once_and_the_good_ones_soon():
    space = Space(SPACE, rows=ROWS)
    trials = search(Gp(), 30, lambda c: abs(c["x"] - 2.0), space)
    asked = [round(trial.config["x"], 6) for trial in trials.values()]
    assert sorted(asked) == [round(row["x"], 6) for row in ROWS]
    assert 2.0 in asked[:14]
    with pytest.raises(ConfigError, match="all are used"):
        begun(Gp(), space).propose(30, trials)


@pytest.mark.parametrize(
    ("space", "objective", "n", "why"),
    [
        (SPACE, branin, 5, "too few observations"),
        (SPACE, lambda c: 1.0, 20, "equal objectives"),
        ({"only": Choice("a")}, lambda c: 1.0, 20, "one value"),
    ],
)
def test_where_there_is_no_model_it_draws_at_random_and_says_why(space, objective, n, why):
    trials = seen(objective, n, space)
    searcher = begun(Gp(), space)
    assert searcher.propose(n, trials) == begun(Random(), space).propose(n, trials)
    assert searcher.diagnostics == {"proposals": 1, "by_model": 0, "fits": 0, "fell_back": {why: 1}}


@pytest.mark.parametrize("error", [ValueError, np.linalg.LinAlgError])
def test_a_fit_that_fails_costs_a_random_draw_and_not_the_run(monkeypatch, error):
    def fails(X, y):
        raise error("as a singular matrix does")

    monkeypatch.setattr(gp, "_likeliest", fails)
    searcher = begun(Gp())
    assert searcher.propose(20, seen(branin, 20)) == begun(Random()).propose(20, {})
    assert searcher.diagnostics["fell_back"] == {error.__name__: 1}


def test_with_everything_fixed_there_is_one_value():
    fixed = {"x": 1.0, "y": 2.0, "kind": "b"}
    searcher = begun(Gp(), fixed=fixed)
    assert searcher.propose(0, {}) == fixed and searcher.diagnostics["fell_back"] == {
        "one value": 1
    }


def test_fixed_names_single_values_and_integers():
    space = Space(
        {**SPACE, "n": Int(1, 3), "only": Choice("this"), "layers": Int(1, 64, log=True)},
        {"y": 4.0},
    )
    searcher = Gp()
    trials = search(searcher, 30, lambda c: c["layers"] + c["n"], space)
    assert searcher.diagnostics["by_model"] == 30 - 7 and not searcher.diagnostics[
        "fell_back"
    ].keys() - {"too few observations"}
    assert {(t.config["y"], t.config["only"]) for t in trials.values()} == {(4.0, "this")}
    assert least(trials) == 2


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"n_least": 1}, "searcher.n_least=1: must be"),
        ({"n_candidates": 0}, "searcher.n_candidates=0: must be"),
        ({"max_observations": 1}, "searcher.max_observations=1: must be"),
        ({"max_pending": -1}, "searcher.max_pending=-1: must be"),
        ({"max_fit": 2.5}, "searcher.max_fit=2.5: must be an integer"),
    ],
)
def test_bad_arguments(wrong, says):
    with pytest.raises(ConfigError, match=says):
        Gp(**wrong)
