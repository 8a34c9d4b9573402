"""The ladder: scores as if no trial had been selected, correlations of rungs, failed trials last."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.surrogates.ladder import Ladder, halved_rungs
from suite.surrogates.rank_agreement import PRIOR, measure


def climbed(values, rungs, eta=2):
    """Successive halving of trials with values (n, n_rungs) on a ladder."""
    ladder, alive = Ladder(rungs), list(range(len(values)))
    for _ in alive:
        ladder.add()
    for k in range(len(rungs)):
        for i in alive:
            ladder.report(i, k, values[i, k])
        alive = sorted(alive, key=lambda i: values[i, k])[: max(len(alive) // eta, 1)]
    ladder.refresh()
    return ladder


def correlated(n, n_rungs, rho, seed=0):
    rng = np.random.default_rng(seed)
    columns = [rng.normal(size=n)]
    for _ in range(n_rungs - 1):
        columns.append(rho * columns[-1] + math.sqrt(1 - rho**2) * rng.normal(size=n))
    return np.array(columns).T


def test_it_measures_what_rank_agreement_does():
    values = correlated(64, 4, 0.8)
    ladder = climbed(values, (1, 2, 4, 8))
    curves = {
        i: tuple(np.repeat(values[i, : k + 1], [1, 1, 2, 4][: k + 1]).tolist())
        for i, k in enumerate(ladder.highest.tolist())
    }
    agreement = measure(curves, 8)
    assert ladder.agreement == pytest.approx(agreement.values)
    assert ladder.n_measured == list(agreement.n_trials)
    assert ladder.with_end(1) == pytest.approx(agreement.with_end(2)) and ladder.with_end(3) == 1


def test_survivors_scores_are_those_that_all_would_have():
    """Without the correction the mean score of a rung's trials is 0, whoever was selected."""
    values = correlated(4096, 3, 0.9)
    ladder = climbed(values, (1, 2, 4))
    last = ladder.at(2)
    truth = values[last, 2]
    assert abs(ladder.scores_at(2).mean() - truth.mean()) < 0.25 < abs(truth.mean())
    assert np.corrcoef(ladder.scores_at(2), truth)[0, 1] > 0.95


@given(st.lists(st.integers(-500, 500), min_size=8, max_size=40), st.randoms())
def test_neither_order_of_arrival_nor_scale_changes_anything(values, shuffle):
    one, two, other = Ladder((1, 2)), Ladder((1, 2)), Ladder((1, 2))
    n = len(values)
    for ladder in (one, two, other):
        for _ in range(n):
            ladder.add()
    order = list(range(n))
    for k, i in itertools.product((0, 1), order):
        one.report(i, k, values[i] + k)
        other.report(i, k, values[i] * 16 + k)
    shuffle.shuffle(order)
    for k, i in itertools.product((0, 1), order):
        two.report(i, k, values[i] + k)
    for ladder in (one, two, other):
        ladder.refresh()
    assert one.scores == pytest.approx(two.scores) and one.scores == pytest.approx(other.scores)
    assert one.agreement == pytest.approx(two.agreement)


def test_a_refresh_after_each_report_ends_where_one_at_the_end_does():
    values = correlated(70, 3, 0.7)
    often, once = Ladder((1, 2, 4)), Ladder((1, 2, 4))
    rng = np.random.default_rng(1)
    reached = [0] * 70
    for _ in range(70):
        often.add(), once.add()
    for i in rng.integers(0, 70, 160).tolist():
        if (k := reached[i]) < 3:
            reached[i] += 1
            often.report(i, k, values[i, k]), once.report(i, k, values[i, k])
            often.refresh()
    once.refresh()
    assert often.scores == pytest.approx(once.scores, nan_ok=True)


def test_failed_trials_rank_last_and_equally():
    ladder = Ladder((1, 2))
    for i in range(6):
        ladder.add()
        ladder.report(i, 0, math.inf if i % 2 else float(i))
    ladder.refresh()
    scores = ladder.scores
    assert scores[1] == scores[3] == scores[5] > max(scores[::2])
    assert ladder.agreement == [PRIOR] and ladder.n_measured == [0]


@pytest.mark.parametrize(
    ("max_epochs", "share", "rungs"),
    [
        (100, 1 / 16, (6, 12, 25, 50, 100)),
        (100, 1 / 32, (3, 6, 12, 25, 50, 100)),
        (16, 1 / 16, (1, 2, 4, 8, 16)),
        (52, 0.0625, (3, 6, 13, 26, 52)),
        (3, 0.0625, (1, 2, 3)),
        (1, 0.0625, (1,)),
        (9, 1.0, (9,)),
    ],
)
def test_rungs(max_epochs, share, rungs):
    assert halved_rungs(max_epochs, share) == rungs


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_rungs_rise_to_max_epochs(max_epochs, share):
    rungs = halved_rungs(max_epochs, share)
    assert rungs[-1] == max_epochs and rungs[0] >= 1
    assert all(a < b for a, b in itertools.pairwise(rungs))
