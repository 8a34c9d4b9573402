"""Beliefs: curves and hyperparameters combined by how reliable they were measured to be."""

import numpy as np
import pytest

from suite.surrogates.beliefs import Beliefs, Candidates
from suite.surrogates.forest import Forest
from suite.surrogates.ladder import Ladder

SETTINGS = {"n_trees": 40, "min_leaf": 2, "n_least": 8, "refit_least": 4, "refit_share": 0.17}


def told(n, value, d=2, seed=0):
    """n trials at the first of three rungs: value(x, rng)."""
    rng = np.random.default_rng(seed)
    ladder = Ladder((1, 2, 4))
    beliefs = Beliefs(ladder, **SETTINGS)
    candidates = Candidates(
        50, lambda ids: [tuple(((i * 0.37 + j * 0.61) % 1) for j in range(d)) for i in ids]
    )
    for _ in range(n):
        i = ladder.add()
        x = tuple(rng.random(d).tolist())
        beliefs.add(x)
        ladder.report(i, 0, value(x, rng))
        beliefs.told()
    beliefs.refresh(candidates)
    return ladder, beliefs, candidates


def test_hyperparameters_that_say_something_are_trusted_and_noise_is_not():
    _, informed, candidates = told(60, lambda x, rng: x[0] if x else 0)
    assert informed.trust > 0.5
    trial, h = candidates.best(by_turn=False)
    X = np.array(candidates.points)
    assert X[trial, 0] < 0.15 and h < -1
    assert candidates.best(by_turn=True)[0] == 0
    _, noisy, _ = told(60, lambda x, rng: rng.random())
    assert noisy.trust < 0.3
    assert informed.explained[0] > noisy.explained[0], "of a fresh one more is known"


def test_a_trial_is_never_judged_by_a_forest_that_knows_its_value():
    """Of noise, answers in the bag would follow each trial's own value."""
    ladder, beliefs, _ = told(60, lambda x, rng: rng.random())
    own = np.corrcoef(beliefs._h, ladder.scores)[0, 1]
    assert abs(own) < 0.4


def test_without_numbers_to_learn_from_curves_alone_decide():
    ladder, beliefs, candidates = told(40, lambda x, rng: rng.random(), d=0)
    assert beliefs.trust == 0 and beliefs.explained[0] == 0
    assert beliefs.mean == pytest.approx(ladder.scores * ladder.with_end(0))
    assert candidates.best(by_turn=False) == (0, 0.0)
    _, equal, _ = told(40, lambda x, rng: 1.0)
    assert equal.trust == 0 and equal.mean == pytest.approx(np.zeros(40))


def test_higher_rungs_explain_more_and_the_end_is_what_it_is():
    ladder, beliefs, candidates = told(20, lambda x, rng: rng.random())
    for k in (1, 2):
        for i in range(10):
            ladder.report(i, k, float(i))
    beliefs.refresh(candidates)
    assert beliefs.explained == sorted(beliefs.explained) and len(beliefs.explained) == 3
    assert beliefs.mean[:10] == pytest.approx(ladder.scores[:10])


def test_candidates_come_once_each_and_end_with_the_table():
    candidates = Candidates(3, lambda ids: [(i / 5,) for i in ids], n=5)
    candidates.answered(np.array([0.5, -1.0, 0.2]))
    taken = []
    while (best := candidates.best(by_turn=False)) is not None:
        candidates.take(best[0])
        taken.append(best[0])
    assert taken == [1, 2, 0, 3, 4], "those that the forest was not asked for wait"


def test_trees_on_bootstrap_samples_answer_as_they_were_measured():
    rng = np.random.default_rng(0)
    X = rng.random((40, 2))
    forest = Forest(20)
    answers = forest.fit_out_of_bag(X, X[:, 0])
    assert (answers == Forest(20).out_of_bag(X, X[:, 0])).all()
    assert np.corrcoef(forest.predict(X), X[:, 0])[0, 1] > np.corrcoef(answers, X[:, 0])[0, 1] > 0.8
