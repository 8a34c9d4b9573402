"""Agreement of ranks between few epochs and all: measured on trials that were selected, shrunk to a prior."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.core.brackets import hyperband_plan
from suite.surrogates.rank_agreement import N_LEAST, PRIOR, measure


def trained(n, epochs, value):
    """n trials with the curve value(trial_id, epoch)."""
    return {i: tuple(value(i, e) for e in range(1, epochs + 1)) for i in range(n)}


def same(i, e):
    return i + 1.0 / e


def reversed_late(i, e, R=64):
    """Ranks of epochs below R turn round at R."""
    return -i if e == R else i + 1.0 / e


def selected(values, eta=2):
    """Successive halving of trials with values (n, n_points) at epochs 1, 2, 4, ...: the curves it leaves."""
    alive, curves = list(range(len(values))), {}
    for k in range(values.shape[1]):
        epochs = 2**k
        for i in alive:
            curve = np.repeat(values[i, : k + 1], [1] + [2 ** (j - 1) for j in range(1, k + 1)])
            curves[i] = tuple(curve.tolist())
            assert len(curve) == epochs
        alive = sorted(alive, key=lambda i: values[i, k])[: max(len(alive) // eta, 1)]
    return curves


def correlated(rng, n, n_points, rho):
    """(n, n_points): each column correlated by rho with the one before."""
    columns = [rng.normal(size=n)]
    for _ in range(n_points - 1):
        columns.append(rho * columns[-1] + math.sqrt(1 - rho**2) * rng.normal(size=n))
    return np.array(columns).T


def test_nothing_known_is_the_prior_an_octave():
    agreement = measure({}, 64)
    assert agreement.points == (1, 2, 4, 8, 16, 32, 64)
    assert agreement.values == (PRIOR,) * 6 and agreement.n_trials == (0,) * 6
    assert agreement.with_end(64) == 1 and agreement.with_end(16) == pytest.approx(PRIOR**2)
    assert agreement.with_end(23) == pytest.approx(PRIOR ** math.log2(64 / 23))
    assert [agreement.least_epochs(least) for least in (1, 0.77, 0.5, 0)] == [64, 16, 2, 1]


def test_equal_ranks_lower_the_floor_and_reversed_ranks_raise_it():
    least = measure({}, 64).least_epochs(0.7)
    assert measure(trained(16, 64, same), 64).least_epochs(0.7) < least
    late = measure(trained(16, 64, reversed_late), 64)
    assert late.least_epochs(0.7) > least, "from R alone"
    assert late.values[-1] < 0.4 < 0.9 < late.values[0]
    assert late.n_trials == (16,) * 6


def test_the_fewer_the_trials_the_nearer_to_the_prior():
    values = [measure(trained(n, 64, reversed_late), 64).values[-1] for n in (3, 4, 8, 64)]
    assert values[0] == PRIOR and values == sorted(values, reverse=True)
    assert measure(trained(N_LEAST - 1, 64, same), 64).n_trials == (0,) * 6


@pytest.mark.parametrize("rho", [0.5, 0.7, 0.9])
def test_the_agreement_of_all_is_found_among_survivors(rho):
    """In the mean over 40 draws of many trials. Without the correction it is far too small."""
    rng = np.random.default_rng(3)
    found, plain = [], []
    for _ in range(40):
        curves = selected(correlated(rng, 2048, 4, rho))
        found.append(measure(curves, 8).values[-1])
        last = [(c[3], c[7]) for c in curves.values() if len(c) == 8]
        plain.append(np.corrcoef(np.array(last).T)[0, 1])
    assert abs(np.mean(found) - rho) < 0.07
    assert np.mean(found) - np.mean(plain) > 0.08


@given(seed=st.integers(0, 10**6), n=st.integers(0, 40), R=st.integers(1, 400))
def test_it_depends_on_the_order_of_values_alone_and_not_on_that_of_trials(seed, n, R):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, R + 1, size=n)
    # many ties
    curves = {i: tuple(rng.integers(-9, 9, size=m).tolist()) for i, m in enumerate(lengths)}
    curves |= {n + 1: None}
    before = measure(curves, R)
    transformed = {
        i: curve and tuple(math.exp(v / 3) - 7 for v in curve) for i, curve in curves.items()
    }
    assert measure(transformed, R) == before
    assert measure(dict(reversed(curves.items())), R) == before
    assert all(0 < value < 1 for value in before.values)


@given(
    seed=st.integers(0, 10**6), R=st.integers(1, 400), eta=st.sampled_from([2, 3, 4]), least=st.floats(0, 1)
)  # fmt: skip
def test_the_floor_is_an_epoch_and_agreement_rises_with_epochs(seed, R, eta, least):
    rng = np.random.default_rng(seed)
    curves, next_id = {}, 0
    for bracket in hyperband_plan(R, eta).brackets:
        for rung, after in zip(bracket.rungs, (*bracket.rungs[1:], None), strict=True):
            n = rung.n_trials - (after.n_trials if after else 0)
            for i in range(next_id, next_id + n):
                curves[i] = tuple(rng.normal(size=rung.to_epoch).tolist())
            next_id += n
    agreement = measure(curves, R)
    rising = [agreement.with_end(e) for e in range(1, R + 1)]
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(rising))
    assert rising[-1] == 1
    floor = agreement.least_epochs(least)
    assert 1 <= floor <= R and rising[floor - 1] >= least
    assert floor == 1 or rising[floor - 2] < least + 1e-12


def test_points_are_the_rungs_of_eta_2():
    for R in range(2, 401):
        rungs = {r.to_epoch for b in hyperband_plan(R, 2).brackets for r in b.rungs}
        assert set(measure({}, R).points) >= rungs and measure({}, R).points[-1] == R
    assert measure({0: (1.0,)}, 1).least_epochs(1.0) == 1


def test_values_that_are_all_equal_say_nothing():
    assert measure(trained(9, 8, lambda i, e: 1.0), 8) == measure({}, 8)
    half = measure(trained(9, 8, lambda i, e: float(i) if e == 8 else 1.0), 8)
    assert half.values == (PRIOR,) * 3


def test_a_failed_trial_is_left_out():
    curves = trained(9, 8, same)
    assert measure(curves | {9: None, 10: ()}, 8) == measure(curves, 8)
