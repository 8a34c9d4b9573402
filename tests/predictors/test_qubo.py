"""The QUBO and the Ising problem of the dual: whatever the bits or spins, the energy is that of the
unknowns they stand for.
"""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.predictors import qubo, svr_dual


@st.composite
def _problems(draw):
    n, n_bits = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    X, y = rng.random((n, 3)), rng.normal(size=n)
    weights = qubo.bit_weights(
        n_bits, draw(st.sampled_from([0.5, 2.0, 1.0])), draw(st.sampled_from([0.0, 0.005, 1.0]))
    )
    return (
        svr_dual.rbf_kernel(X, X, draw(st.floats(0.01, 5))),
        y,
        weights,
        draw(st.floats(0, 0.5)),
        draw(st.floats(0, 1)),
        rng,
    )


@given(_problems())
def test_the_energy_of_any_bit_string_is_the_dual_energy_of_what_it_decodes_to(problem):
    kernel, y, weights, epsilon, xi, rng = problem
    Q = qubo.build(kernel, y, weights, epsilon, xi)
    bits = rng.integers(0, 2, (8, len(Q)))
    bits[0], bits[1] = 0, 1
    alpha, alpha_hat = qubo.decode(bits, weights)
    direct = [
        b @ kernel @ b / 2 + xi * b.sum() ** 2 + epsilon * both - y @ b
        for b, both in zip(alpha - alpha_hat, (alpha + alpha_hat).sum(axis=1), strict=True)
    ]
    assert qubo.energy(Q, bits) == pytest.approx(direct, abs=1e-9 * len(Q) ** 2)
    assert qubo.energy(Q, bits)[0] == 0.0


@given(_problems())
def test_the_matrix_is_upper_triangular_and_of_the_stated_size(problem):
    kernel, y, weights, epsilon, xi, _ = problem
    Q = qubo.build(kernel, y, weights, epsilon, xi)
    assert Q.shape == (2 * len(y) * len(weights),) * 2
    assert np.array_equal(Q, np.triu(Q))


@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 4))
def test_decode_gives_two_unknowns_a_point(reads, n, n_bits):
    weights = qubo.bit_weights(n_bits, 0.5, 0.005)
    alpha, alpha_hat = qubo.decode(np.ones((reads, 2 * n * n_bits), dtype=np.int8), weights)
    assert alpha.shape == alpha_hat.shape == (reads, n)
    assert alpha == pytest.approx(weights.sum())


def test_each_bit_has_its_own_place():
    weights = qubo.bit_weights(3, 0.5, 0.005)
    alpha, alpha_hat = qubo.decode(np.eye(12), weights)  # N = 2, K = 3
    assert np.flatnonzero(alpha[:, 0]).tolist() == [0, 1, 2] and np.flatnonzero(
        alpha[:, 1]
    ).tolist() == [3, 4, 5]
    assert np.flatnonzero(alpha_hat[:, 0]).tolist() == [6, 7, 8] and np.flatnonzero(
        alpha_hat[:, 1]
    ).tolist() == [9, 10, 11]
    assert alpha[:3, 0] == pytest.approx(weights)


def test_the_published_bits_reach_1_756():
    assert qubo.bit_weights(3, 0.5, 0.005).sum() == pytest.approx(1.756, abs=5e-4)


@given(st.integers(1, 5), st.integers(1, 5), st.floats(0.01, 10), st.integers(0, 2**20))
def test_the_kernel(n, m, gamma, seed):
    rng = np.random.default_rng(seed)
    A, B = rng.random((n, 4)), rng.random((m, 4))
    direct = np.exp(-gamma * ((A[:, None] - B[None]) ** 2).sum(-1))
    assert svr_dual.rbf_kernel(A, B, gamma) == pytest.approx(direct, abs=1e-12)
    assert (svr_dual.rbf_kernel(A, A, gamma) <= 1.0).all()


@given(_problems())
def test_where_no_point_is_on_both_sides_of_the_tube_the_energy_is_the_signed_duals(problem):
    kernel, y, weights, epsilon, xi, rng = problem
    bits = rng.integers(0, 2, (8, 2 * len(y), len(weights)))
    bits[:, : len(y)][:, ::2] = bits[:, len(y) :][:, 1::2] = 0
    bits = bits.reshape(8, -1)
    alpha, alpha_hat = qubo.decode(bits, weights)
    direct = svr_dual.dual_energy(alpha - alpha_hat, kernel, y, epsilon, xi)
    Q = qubo.build(kernel, y, weights, epsilon, xi)
    assert qubo.energy(Q, bits) == pytest.approx(direct, abs=1e-9 * len(Q) ** 2)


@given(st.integers(1, 8))
def test_sums_of_digits_are_evenly_spaced_from_minus_one_to_one(n_bits):
    signs = np.array(list(itertools.product((-1, 1), repeat=n_bits)))
    assert signs @ qubo.digits(n_bits) == pytest.approx(np.linspace(-1, 1, 2**n_bits), abs=1e-12)


@st.composite
def _zooms(draw):
    """kernel, y, radius, n_bits, epsilon, xi, rng; at most 8 spins."""
    n, n_bits = draw(st.integers(1, 4)), draw(st.integers(1, 2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kernel = svr_dual.rbf_kernel(*2 * (rng.random((n, 3)),), draw(st.floats(0.01, 5)))
    return (
        kernel, rng.normal(size=n), draw(st.floats(0.01, 4)), n_bits,
        draw(st.floats(0, 0.5)), draw(st.floats(0, 1)), rng,
    )  # fmt: skip


def _beyond_the_ising(kernel, y, center, radius, n_bits, epsilon, xi):
    """D(center + W s) - h's - s'Js for all spins s."""
    h, J = qubo.build_ising(kernel, y, center, radius, n_bits, epsilon, xi)
    assert h.shape == (len(y) * n_bits,) and np.array_equal(J, np.triu(J, 1))
    spins = np.array(list(itertools.product((-1, 1), repeat=len(h))))
    digits = spins.reshape(len(spins), len(y), n_bits) @ qubo.digits(n_bits)
    direct = svr_dual.dual_energy(center + radius * digits, kernel, y, epsilon, xi)
    return direct - spins @ h - np.einsum("ri,ij,rj->r", spins, J, spins)


@given(_zooms())
def test_the_ising_energy_is_the_duals_but_for_a_constant_where_no_sign_is_open(problem):
    kernel, y, radius, n_bits, epsilon, xi, rng = problem
    center = rng.choice([-1.0, 1.0], len(y)) * radius * (1.001 + rng.random(len(y)))
    rest = _beyond_the_ising(kernel, y, center, radius, n_bits, epsilon, xi)
    assert rest == pytest.approx(rest[0], abs=1e-9 * (1 + abs(rest[0])))


@given(_zooms(), st.floats(0, 2))
def test_each_open_sign_adds_an_error_of_at_most_epsilon_times_the_radius(problem, spread):
    kernel, y, radius, n_bits, epsilon, xi, rng = problem
    center = radius * rng.uniform(-spread, spread, len(y))
    rest = _beyond_the_ising(kernel, y, center, radius, n_bits, epsilon, xi)
    n_open = (abs(center) <= radius).sum()
    assert np.ptp(rest) / 2 <= n_open * epsilon * radius + 1e-9 * (1 + abs(rest[0]))


def test_where_the_sign_is_open_its_term_is_left_out():
    kernel, y, center = np.eye(3), np.array([1.0, 2.0, 3.0]), np.array([0.5, -1.0, 1.01])
    with_, without = (
        qubo.build_ising(kernel, y, center, 1.0, 1, epsilon, 0.5)[0] for epsilon in (0.1, 0.0)
    )
    assert with_ - without == pytest.approx([0.0, 0.0, 0.1])
