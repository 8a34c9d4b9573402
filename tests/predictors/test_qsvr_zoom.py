"""The zoom: whatever the annealer answers, the dual energy never rises and no unknown exceeds C."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.predictors import qubo, svr_dual
from suite.predictors.qsvr_zoom import Problem, minimise

# --- annealers with a script: fields h, couplings J -> spins, best first --------------------------


def up(h, J):
    return np.ones((1, len(h)), dtype=np.int8)


def uphill(h, J):
    """The worst that one can do without looking at J: along the fields, and its opposite last."""
    worst = np.where(h >= 0, 1, -1).astype(np.int8)
    return np.vstack([worst, worst])


def guessed(seed):
    draws = np.random.default_rng(seed)

    def anneal(h, J):
        return draws.choice(np.array([-1, 1], dtype=np.int8), (6, len(h)))

    return anneal


def exact(h, J):
    spins = np.array(list(itertools.product((-1, 1), repeat=len(h))), dtype=np.int8)
    energies = spins @ h + np.einsum("ri,ij,rj->r", spins, J, spins.astype(float))
    return spins[np.argsort(energies, kind="stable")]


SCRIPTS = {
    "up": lambda seed: up,
    "uphill": lambda seed: uphill,
    "guessed": guessed,
    "exact": lambda seed: exact,
}


def made(seed, n, C=5.0, epsilon=0.02, xi=0.5, gamma=0.5):
    rng = np.random.default_rng(seed)
    X, y = rng.random((n, 3)), rng.random(n)
    return Problem(svr_dual.rbf_kernel(X, X, gamma), y - y.mean(), C, epsilon, xi)


def energy(problem, beta):
    return svr_dual.dual_energy(beta, problem.kernel, problem.y, problem.epsilon, problem.xi)


_bits = st.integers(1, 3)
_C = st.sampled_from([0.05, 1.0, 4.0, 50.0])


@given(
    st.integers(0, 2**20), st.integers(1, 3), _bits, _C, st.sampled_from(sorted(SCRIPTS)),
    st.booleans(),
)  # fmt: skip
def test_more_rounds_never_raise_the_energy_and_the_unknowns_stay_bounded(
    seed, n, n_bits, C, script, refine
):
    problem = made(seed, n, C)
    last = 0.0  # of beta = 0, where it begins
    for rounds in (1, 2, 3, 5, 9):
        beta = minimise(problem, SCRIPTS[script](seed), n_bits, rounds, refine)
        assert beta.shape == (n,) and (np.abs(beta) <= C).all()
        assert energy(problem, beta) <= last
        last = energy(problem, beta)


@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_with_an_exact_annealer_it_comes_near_the_minimum(seed, refine):
    problem = made(seed, 4)
    beta = minimise(problem, exact, 2, 30, refine)
    lowest = energy(problem, _descended(problem))
    assert lowest <= energy(problem, beta) + 1e-9
    assert energy(problem, beta) <= (0.97 if refine else 0.93) * lowest  # both are negative


def test_more_rounds_come_nearer():
    problem = made(1, 5)
    gaps = [
        svr_dual.duality_gap(
            minimise(problem, exact, 2, rounds, True),
            problem.kernel, problem.y, problem.epsilon, problem.xi, problem.C,
        )
        for rounds in (1, 10, 60)
    ]  # fmt: skip
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2]


def test_the_bound_is_reached_by_moving_though_the_first_radius_is_smaller():
    """Two points far apart, no penalty, so beta is y minus epsilon, cut at C."""
    for C, expected in ((50.0, 29.5), (20.0, 20.0)):
        problem = Problem(np.eye(2), np.array([30.0, -30.0]), C, 0.5, 0.0)
        beta = minimise(problem, exact, 2, 40, True)
        assert beta == pytest.approx([expected, -expected], rel=0.01)


@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_where_nothing_can_be_gained_beta_stays_zero(script, refine):
    problem = made(0, 3)
    inside = Problem(problem.kernel, problem.y, 5.0, 2.0, 0.5)  # all of y lies in the tube
    assert not minimise(inside, SCRIPTS[script](0), 2, 5, refine).any()


@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("target", [0.0, 0.001])
def test_the_radius_shrinks_after_each_round_without_gain(target, refine):
    problem = made(0, 3)
    asked = []

    def watched(h, J):
        asked.append(np.abs(J).max())
        return uphill(h, J)

    flat = Problem(problem.kernel, np.full(3, target), 5.0, 0.1, 0.5)
    assert not minimise(flat, watched, 2, 4, refine).any()
    assert asked == pytest.approx([asked[0] * 0.6 ** (2 * k) for k in range(4)])


def test_without_refinement_a_move_is_the_best_read_as_it_is():
    problem = made(3, 3)
    reads = exact(*qubo.build_ising(
        problem.kernel, problem.y, np.zeros(3), 4.0, 3, problem.epsilon, problem.xi
    ))  # fmt: skip
    best = 4.0 * reads[0].reshape(3, 3) @ qubo.digits(3)
    assert energy(problem, best) < 0
    assert minimise(problem, exact, 3, 1, False) == pytest.approx(best)


@given(st.integers(0, 2**20), st.integers(1, 3))
def test_refinement_makes_of_one_round_no_worse_an_answer(seed, n_bits):
    problem = made(seed, 3)
    plain, refined = (minimise(problem, guessed(seed), n_bits, 1, r) for r in (False, True))
    assert energy(problem, refined) <= energy(problem, plain) + 1e-12


def test_equal_points_with_different_targets_warn_of_nothing(recwarn):
    """The way between two equal points has no curvature."""
    problem = Problem(np.ones((2, 2)), np.array([-20.0, 20.0]), 50.0, 0.02, 0.0)
    beta = minimise(problem, exact, 2, 10, True)
    assert np.isfinite(beta).all() and not recwarn.list


def _descended(problem, sweeps=5000):
    A, beta = problem.kernel + 2 * problem.xi, np.zeros(len(problem.y))
    for _ in range(sweeps):
        for n in range(len(beta)):
            pull = problem.y[n] - A[n] @ beta + A[n, n] * beta[n]
            step = np.sign(pull) * max(abs(pull) - problem.epsilon, 0.0) / A[n, n]
            beta[n] = min(max(step, -problem.C), problem.C)
    return beta
