"""The dual of epsilon-insensitive support vector regression, with the offset's constraint as a
penalty.

Symbols: N training points, beta_n = alpha_n - alpha^_n in [-C, C], K the kernel matrix, eps half
the tube's width, xi the penalty's weight. Minimised is

    D(beta) = beta'K beta / 2 + xi (1'beta)^2 + eps 1'|beta| - y'beta        |beta_n| <= C

which for xi -> infinity is the textbook dual (Smola and Schölkopf 2004, equation 10), whose
constraint 1'beta = 0 a QUBO cannot state. Source: Pasetto et al. 2022 (IEEE QCE), equations 7 to
12. For finite xi it is, exactly, the dual of a regression with the kernel A = K + 2 xi 11' and no
offset (that is: an offset regularised with weight 1 / (2 xi)); `duality_gap` uses that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def rbf_kernel(A: Floats, B: Floats, gamma: float) -> Floats:
    """exp(-gamma |a - b|^2) for rows a of A (n, f) and b of B (m, f). Shape (n, m)."""
    squares = (A**2).sum(1)[:, None] + (B**2).sum(1)[None, :] - 2 * A @ B.T
    return np.asarray(np.exp(-gamma * np.maximum(squares, 0.0)))


def dual_energy(beta: Floats, kernel: Floats, y: Floats, epsilon: float, xi: float) -> Floats:
    """D of each row of beta. Shapes: beta (..., N), kernel (N, N), y (N,) -> (...,)."""
    quadratic = ((beta @ kernel) * beta).sum(-1) / 2 + xi * beta.sum(-1) ** 2
    return np.asarray(quadratic + epsilon * np.abs(beta).sum(-1) - beta @ y)


def duality_gap(
    beta: Floats, kernel: Floats, y: Floats, epsilon: float, xi: float, C: float
) -> float:
    """How far D(beta) can be above its minimum at most: primal + D, zero only at the minimum.

    A certificate (Boyd and Vandenberghe 2004, section 5.5.1) that needs no other solver; it
    overestimates. Shapes: beta (N,) -> scalar, >= 0 for |beta_n| <= C.
    """
    fitted = kernel @ beta + 2 * xi * beta.sum()
    slack = np.maximum(np.abs(y - fitted) - epsilon, 0.0).sum()
    gap = float(beta @ fitted / 2 + C * slack + dual_energy(beta, kernel, y, epsilon, xi))
    # rounded off, it can be -1e-17
    return max(gap, 0.0)


def intercept(residual: Floats, epsilon: float) -> float:
    """The offset b of least primal loss, sum_n max(0, |residual_n - b| - eps); the middle of the
    minimisers.

    The loss is convex and piecewise linear, so a minimum lies on one of its 2N kinks. Needs no
    support vector strictly between 0 and C, of which a coarse encoding may have none.
    """
    kinks = np.unique(np.concatenate([residual - epsilon, residual + epsilon]))
    distance = np.abs(residual[None, :] - kinks[:, None])
    loss = np.maximum(distance - epsilon, 0.0).sum(axis=1)
    lowest = kinks[loss <= loss.min() + 1e-12 * max(1.0, float(loss.min()))]
    return float(lowest[0] + lowest[-1]) / 2
