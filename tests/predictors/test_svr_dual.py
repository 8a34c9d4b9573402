"""The dual: its gap is a certificate, its limit is the textbook's, its offset the best there is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from suite.predictors import svr_dual


def descended(kernel, y, epsilon, xi, C, sweeps=3000):
    """The minimiser of D, one coordinate after the other: shares no code with the suite."""
    A, beta = kernel + 2 * xi, np.zeros(len(y))
    for _ in range(sweeps):
        before = beta.copy()
        for n in range(len(y)):
            pull = y[n] - A[n] @ beta + A[n, n] * beta[n]
            step = np.sign(pull) * max(abs(pull) - epsilon, 0.0) / A[n, n]
            beta[n] = min(max(step, -C), C)
        if abs(beta - before).max() < 1e-13:
            break
    return beta


@st.composite
def _problems(draw):
    n = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    X, y = rng.random((n, 3)), rng.normal(size=n)
    kernel = svr_dual.rbf_kernel(X, X, draw(st.floats(0.5, 5)))
    given_ = kernel, y, draw(st.floats(0, 0.5)), draw(st.floats(0, 1))
    return given_, draw(st.floats(0.1, 20)), rng


@given(_problems())
def test_the_gap_is_never_less_than_the_distance_to_the_minimum(problem):
    given_, C, rng = problem
    best = svr_dual.dual_energy(descended(*given_, C), *given_)
    for beta in rng.uniform(-C, C, (8, len(given_[1]))):
        gap = svr_dual.duality_gap(beta, *given_, C)
        assert gap >= svr_dual.dual_energy(beta, *given_) - best - 1e-9


@given(_problems())
def test_the_gap_vanishes_at_the_minimum_alone(problem):
    given_, C, _rng = problem
    beta = descended(*given_, C)
    # Where coordinate descent stopped short the gap says by how much at least: hence 1e-4.
    assert -1e-9 <= svr_dual.duality_gap(beta, *given_, C) <= 1e-4 * (1 + C)
    # Half a box inwards: outwards would be cut back to where a bound already holds beta.
    elsewhere = beta - np.where(beta > 0, 0.5, -0.5) * C
    rise = svr_dual.dual_energy(elsewhere, *given_) - svr_dual.dual_energy(beta, *given_)
    assert rise > 0 and svr_dual.duality_gap(elsewhere, *given_, C) >= rise - 1e-9


@given(_problems(), st.integers(1, 4))
def test_energies_of_many_are_those_of_each(problem, rows):
    given_, C, rng = problem
    betas = rng.uniform(-C, C, (2, rows, len(given_[1])))
    each = [[svr_dual.dual_energy(beta, *given_) for beta in half] for half in betas]
    assert svr_dual.dual_energy(betas, *given_) == pytest.approx(np.array(each))


def split(kernel, y, epsilon, xi, C):
    """The minimiser of D by a general solver: alpha and alpha^ in [0, C], smooth in both."""

    def loss(unknowns):
        alpha, alpha_hat = unknowns.reshape(2, -1)
        beta = alpha - alpha_hat
        down = kernel @ beta + 2 * xi * beta.sum() - y
        value = beta @ kernel @ beta / 2 + xi * beta.sum() ** 2 - y @ beta
        return value + epsilon * unknowns.sum(), np.concatenate([down + epsilon, epsilon - down])

    # A line search that rounding stops early (it depends on the processor) begins again from there.
    best, unknowns = np.inf, np.zeros(2 * len(y))
    for _ in range(200):
        solution = minimize(
            loss, unknowns, jac=True, bounds=[(0, C)] * 2 * len(y), method="L-BFGS-B",
            options={"ftol": 1e-16, "gtol": 1e-10, "maxiter": 50_000, "maxfun": 10**6},
        )  # fmt: skip
        unknowns = solution.x
        if best - solution.fun <= 1e-13:
            break
        best = solution.fun
    alpha, alpha_hat = unknowns.reshape(2, -1)
    return alpha - alpha_hat


@pytest.mark.parametrize("seed", range(4))
def test_for_a_heavy_penalty_the_optimum_is_libsvms(seed):
    from sklearn.svm import SVR

    rng = np.random.default_rng(seed)
    X, y = rng.random((8, 2)), rng.normal(size=8)
    C, gamma, epsilon, xi = 2.0, 2.0, 0.1, 300.0
    kernel = svr_dual.rbf_kernel(X, X, gamma)
    theirs = SVR(C=C, gamma=gamma, epsilon=epsilon, tol=1e-9).fit(X, y)
    beta = np.zeros(8)
    beta[theirs.support_] = theirs.dual_coef_[0]
    ours = split(kernel, y, epsilon, xi, C)
    given_ = kernel, y, epsilon, xi
    energies = svr_dual.dual_energy(np.array([ours, beta]), *given_)
    assert energies[0] == pytest.approx(energies[1], rel=5e-3) and energies[0] <= energies[1] + 1e-9
    lighter = svr_dual.dual_energy(split(kernel, y, epsilon, 0.1, C), kernel, y, epsilon, 0.1)
    assert lighter < energies[0], "the constraint costs something"
    fitted = kernel @ ours + svr_dual.intercept(y - kernel @ ours, epsilon)
    assert fitted == pytest.approx(theirs.predict(X), abs=0.02)
    assert svr_dual.duality_gap(ours, *given_, C) == pytest.approx(0.0, abs=1e-3)


@given(
    st.lists(st.floats(-3, 3), min_size=1, max_size=8), st.floats(0, 1), st.booleans()
)  # fmt: skip
def test_the_intercept_has_the_least_loss(residuals, epsilon, twice):
    residual = np.array(residuals * (1 + twice))
    best = svr_dual.intercept(residual, epsilon)

    def loss(b):
        return np.maximum(np.abs(residual - b) - epsilon, 0.0).sum()

    assert loss(best) <= min(loss(b) for b in np.linspace(-4.5, 4.5, 901)) + 1e-9


@pytest.mark.parametrize(
    ("residual", "epsilon", "middle"),
    [
        ([0.0, 2.0], 0.0, 1.0),  # all of [0, 2] is as good
        ([0.0, 1.0], 2.0, 0.5),  # all of [-1, 2] has no loss
        ([0.0, 0.0, 9.0], 0.5, 0.5),  # the two pull b towards 0, the third until their tube ends
        ([5.0], 0.25, 5.0),
    ],
)
def test_the_intercept_is_the_middle_of_the_best(residual, epsilon, middle):
    assert svr_dual.intercept(np.array(residual), epsilon) == pytest.approx(middle)


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=6), st.floats(0, 1))
def test_residuals_upside_down_turn_the_intercept_upside_down(residuals, epsilon):
    residual = np.array(residuals)
    up, down = svr_dual.intercept(residual, epsilon), svr_dual.intercept(-residual, epsilon)
    assert down == pytest.approx(-up, abs=1e-9)
