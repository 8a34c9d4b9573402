"""The published encoding: its size, its seven ways of combining reads, its offset mended."""

import dimod
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.driving import power_law
from suite.predictors import qsvr_published, qubo, svr_dual
from suite.predictors.qsvr import QSVR

QUICK = {"num_reads": 30, "num_sweeps": 100, "random_state": 3}


def curves(n, e=10, R=30, first=0):
    X = np.array([power_law(i, e) for i in range(first, first + n)])
    return X, np.array([power_law(i, R)[-1] for i in range(first, first + n)])


class Watching:
    """A dimod sampler that keeps what it was given."""

    def __init__(self):
        self.inner = dimod.RandomSampler()

    def sample(self, bqm, **options):
        self.n_variables, self.options, self.vartype = bqm.num_variables, options, bqm.vartype
        return self.inner.sample(bqm, seed=1, **options)


@pytest.mark.parametrize(("n", "n_variables"), [(20, 120), (35, 120), (7, 42)])
def test_twenty_points_make_120_variables(n, n_variables):
    watching = Watching()
    model = QSVR.published(sampler=watching, num_reads=8).fit(*curves(n))
    assert watching.n_variables == model.n_variables_ == n_variables
    assert watching.options == {"num_reads": 8} and watching.vartype is dimod.BINARY
    assert model.sampler_used_ == "Watching" and model.sampler_info_["n_calls"] == 1


def test_its_parameters_are_the_published_drivers():
    model = QSVR.published(xi=0.5)
    assert (model.C, model.gamma, model.epsilon, model.bits) == (67.61, 0.1, 0.02, 3)
    assert (model.num_reads, model.num_sweeps, model.max_samples) == (1000, 1000, 20)
    assert model.xi == 0.5 and QSVR.published().xi == 0.01 and model.encoding == "published"


@pytest.mark.parametrize("way", ["all", *qsvr_published.WAYS])
def test_each_way_is_repeatable_and_predicts_finite_numbers(way):
    X, y = curves(12)
    one, two = (QSVR.published(combine=way, **QUICK).fit(X, y).predict(X) for _ in range(2))
    assert np.isfinite(one).all() and np.array_equal(one, two)


def test_all_is_the_mean_of_the_seven():
    X, y = curves(12)
    X_new, _ = curves(5, first=50)
    each = [
        QSVR.published(combine=w, **QUICK).fit(X, y).predict(X_new) for w in qsvr_published.WAYS
    ]
    assert len(each) == 7 and not np.allclose(each[0], each[5])
    whole = QSVR.published(**QUICK).fit(X, y).predict(X_new)
    assert whole == pytest.approx(np.mean(each, axis=0), abs=1e-9)


@st.composite
def _reads(draw):
    """bits, then what `solve` takes: kernel, y, n_bits, epsilon, C."""
    n, n_bits = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    X, y = rng.random((n, 3)), rng.normal(size=n)
    share = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    bits = (rng.random((draw(st.integers(1, 5)), 2 * n * n_bits)) < share).astype(np.int8)
    C = draw(st.sampled_from([67.61, 1.0]))
    return bits, svr_dual.rbf_kernel(X, X, 1.0), y, n_bits, draw(st.floats(0, 0.5)), C


@given(_reads())
def test_all_weighs_the_ways_alike_whatever_was_read(reads):
    ways = [qsvr_published.solve(*reads, combine=way) for way in qsvr_published.WAYS]
    beta, offset = qsvr_published.solve(*reads)
    assert beta == pytest.approx(np.mean([b for b, _ in ways], axis=0), abs=1e-9)
    assert offset == pytest.approx(np.mean([o for _, o in ways]), abs=1e-9)


@given(_reads(), st.sampled_from(["all", *qsvr_published.WAYS]))
def test_the_points_above_the_tube_pull_the_offset_up_and_those_below_down(reads, way):
    """Odd symmetry: y upside down and alpha for alpha^ turn the answer upside down, which the
    published offset does not.
    """
    bits, kernel, y, n_bits, epsilon, C = reads
    half = bits.shape[1] // 2
    swapped = np.hstack([bits[:, half:], bits[:, :half]])
    beta, offset = qsvr_published.solve(bits, kernel, y, n_bits, epsilon, C, way)
    beta_down, offset_down = qsvr_published.solve(swapped, kernel, -y, n_bits, epsilon, C, way)
    assert beta_down == pytest.approx(-beta, abs=1e-9)
    assert offset_down == pytest.approx(-offset, abs=1e-9)


@pytest.mark.parametrize("way", ["all", "best"])
def test_a_target_upside_down_turns_the_prediction_upside_down(way):
    X, y = curves(2)
    small = {"sampler": "exact", "bits": 2, "xi": 0.5, "scale": None, "combine": way}
    up, down = (QSVR.published(**small).fit(X, sign * y).predict(X) for sign in (1, -1))
    assert down == pytest.approx(-up, abs=1e-9)


@pytest.mark.parametrize("way", ["all", *qsvr_published.WAYS])
def test_without_a_support_vector_the_offset_is_the_mean(way):
    kernel, y = np.eye(3), np.array([1.0, 2.0, 6.0])
    nothing = np.zeros((4, 18), dtype=np.int8)
    beta, offset = qsvr_published.solve(nothing, kernel, y, 3, 0.02, 67.61, way)
    assert not beta.any() and offset == pytest.approx(3.0)


def test_a_bound_support_vector_does_not_count_for_the_offset():
    """Weights are 1 and 1/2 nearly: of alpha = 1.49 and 0.5 the first is not below C = 1."""
    bits = np.array([[1, 1, 0, 1, 0, 0, 0, 0]], dtype=np.int8)
    kernel, y = np.eye(2), np.array([3.0, 2.0])
    low = qubo.bit_weights(2, 0.5, 0.005)[1]
    _, bounded = qsvr_published.solve(bits, kernel, y, 2, 0.1, 1.0, "best")
    assert bounded == pytest.approx(2.0 - low - 0.1)


def test_best_takes_the_read_of_least_error_and_not_of_least_energy():
    kernel, y = np.eye(2), np.array([1.0, -1.0])
    good, bad = [1, 0, 0, 1], [0, 1, 1, 0]  # bits of alpha (2) and alpha^ (2)
    reads = np.array([bad, good], dtype=np.int8)
    beta, _ = qsvr_published.solve(reads, kernel, y, 1, 0.02, 67.61, "best")
    assert beta[0] > 0 > beta[1]
    beta, _ = qsvr_published.solve(reads, kernel, y, 1, 0.02, 67.61, "mean")
    assert beta == pytest.approx(0.0)


def test_a_perfect_read_weighs_everything():
    kernel, y = np.eye(2), np.array([0.3, 0.3])
    reads = np.array([[0, 0, 0, 0], [1, 0, 0, 1]], dtype=np.int8)
    for way in ("mse", "mse_softmax", "logcosh", "logcosh_softmax", "best"):
        beta, offset = qsvr_published.solve(reads, kernel, y, 1, 0.02, 67.61, way)
        assert beta == pytest.approx(0.0) and offset == pytest.approx(0.3)


def test_targets_of_any_size_can_be_left_unscaled(recwarn):
    X, y = curves(6)
    model = QSVR.published(scale=None, **QUICK).fit(X, 1e5 * y)
    assert np.isfinite(model.predict(X)).all() and not recwarn.list


def test_the_zoom_in_its_place_has_a_lower_energy():
    """Not one whose unknowns end at 1.756, for the same problem."""
    X, y = curves(10)
    shared = {"gamma": 0.1, "xi": 0.01, "epsilon": 0.02, "max_samples": 20, "random_state": 3}
    zoomed = QSVR(C=67.61, num_reads=8, rounds=30, **shared).fit(X, y)
    model = QSVR.published(**QUICK).fit(X, y)
    assert np.abs(model.beta_).max() <= 1.7566 < np.abs(zoomed.beta_).max() <= 67.61
    assert model.dual_gap_ > zoomed.dual_gap_ >= 0
