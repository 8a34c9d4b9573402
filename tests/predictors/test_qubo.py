"""The QUBO of the dual: whatever the bits, its energy is that of the unknowns they stand for."""

import dimod
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.predictors import annealers, qubo


@st.composite
def _problems(draw):
    n, n_bits = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    X, y = rng.random((n, 3)), rng.normal(size=n)
    weights = qubo.bit_weights(
        n_bits, draw(st.sampled_from([0.5, 2.0, 1.0])), draw(st.sampled_from([0.0, 0.005, 1.0]))
    )
    return (
        qubo.rbf_kernel(X, X, draw(st.floats(0.01, 5))),
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
        qubo.dual_energy(a, h, kernel, y, epsilon, xi)
        for a, h in zip(alpha, alpha_hat, strict=True)
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
    assert qubo.rbf_kernel(A, B, gamma) == pytest.approx(direct, abs=1e-12)
    assert (qubo.rbf_kernel(A, A, gamma) <= 1.0).all()


@pytest.mark.parametrize("seed", range(5))
def test_simulated_annealing_finds_what_trying_all_bit_strings_finds(seed):
    """2 points x 2 bits: 8 variables, 256 bit strings."""
    rng = np.random.default_rng(seed)
    X, y = rng.random((2, 3)), rng.random(2)
    weights = qubo.bit_weights(2, 0.5, 0.005)
    Q = qubo.build(qubo.rbf_kernel(X, X, 0.1), y, weights, 0.02, 0.01)
    every = (np.arange(256)[:, None] >> np.arange(8)) & 1
    lowest = qubo.energy(Q, every).min()
    _, exact = annealers.lowest_reads(dimod.ExactSolver(), Q, 4)
    bits, energies = annealers.lowest_reads(
        annealers.sampler("sa"), Q, 4, num_reads=50, num_sweeps=200, seed=1
    )
    assert exact[0] == pytest.approx(lowest)
    assert energies[0] == pytest.approx(lowest)
    assert qubo.energy(Q, bits) == pytest.approx(energies), (
        "columns are in the order of the variables"
    )
    assert len({tuple(b) for b in bits.tolist()}) == len(bits) and list(energies) == sorted(
        energies
    )


class Backwards:
    """A sampler that names the variables in the reverse order, as dimod allows."""

    def sample(self, bqm, **options):
        names = sorted(bqm.variables, reverse=True)
        rows = np.arange(len(names))[None, :] % 3 == 0
        samples = rows.astype(np.int8), names
        energies = bqm.energies(samples)
        return dimod.SampleSet.from_samples(samples, "BINARY", energies, sort_labels=False)


def test_columns_are_in_the_order_of_the_variables_whatever_the_sampler_says():
    Q = np.triu(np.random.default_rng(2).normal(size=(8, 8)))
    bits, energies = annealers.lowest_reads(Backwards(), Q, 4)
    assert bits.tolist() == [[0, 1, 0, 0, 1, 0, 0, 1]]
    assert qubo.energy(Q, bits) == pytest.approx(energies)


def test_an_unknown_sampler_lists_the_known_ones():
    from suite.core.errors import ConfigError

    with pytest.raises(
        ConfigError,
        match="sampler=saa: unknown; known are sa, steepest_descent, tabu. Did you mean sa?",
    ):
        annealers.sampler("saa")
