"""Support vector regression as a QUBO: build and decode, in pure numpy.

Symbols: N training points, K bits an unknown, B base, k0 shift; alpha_n and alpha^_n are the dual
unknowns of point n.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def bit_weights(n_bits: int, base: float, shift: float) -> Floats:
    """Value of each bit of one unknown: w_k = B^(k - k0), k = 0 .. K-1. Shape (K,)."""
    return np.asarray(float(base) ** (np.arange(n_bits) - shift))


def rbf_kernel(A: Floats, B: Floats, gamma: float) -> Floats:
    """exp(-gamma |a - b|^2) for rows a of A (n, f) and b of B (m, f). Shape (n, m)."""
    squares = (A**2).sum(1)[:, None] + (B**2).sum(1)[None, :] - 2 * A @ B.T
    return np.asarray(np.exp(-gamma * np.maximum(squares, 0.0)))


def build(kernel: Floats, y: Floats, weights: Floats, epsilon: float, xi: float) -> Floats:
    """The upper-triangular QUBO matrix of the dual of epsilon-SVR; its energy is that of
    `dual_energy`.

    Shapes: kernel (N, N), y (N,), weights (K,) -> (2NK, 2NK); bits of alpha_0, alpha_1, ..., then
    of alpha^_0, ...
    Source: Pasetto et al. 2022 (IEEE QCE), equations 7 to 12: E = b'Kb/2 + xi (1'b)^2 + eps
    1'(alpha + alpha^) - y'b with b = alpha - alpha^; the penalty xi stands for the constraint sum b
    = 0.
    """
    spread = np.kron(np.eye(len(y)), weights)  # (N, NK): bits -> alpha
    to_b = np.hstack([spread, -spread])
    quadratic = to_b.T @ (kernel / 2 + xi) @ to_b
    linear = np.concatenate([np.kron(epsilon - y, weights), np.kron(epsilon + y, weights)])
    full = quadratic + np.diag(linear)
    return np.asarray(np.triu(full) + np.tril(full, -1).T)


def decode(bits: NDArray[np.integer] | Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Bits (reads, 2NK) -> alpha (reads, N) and alpha^ (reads, N)."""
    n_bits = len(weights)
    unknowns = np.asarray(bits, dtype=float).reshape(len(bits), -1, n_bits) @ weights
    half = unknowns.shape[1] // 2
    return unknowns[:, :half], unknowns[:, half:]


def dual_energy(
    alpha: Floats, alpha_hat: Floats, kernel: Floats, y: Floats, epsilon: float, xi: float
) -> float:
    """The energy that `build` encodes, straight from the unknowns: for tests and for judging a
    solution.
    """
    b = alpha - alpha_hat
    return float(
        b @ kernel @ b / 2 + xi * b.sum() ** 2 + epsilon * (alpha + alpha_hat).sum() - y @ b
    )


def energy(Q: Floats, bits: NDArray[np.integer] | Floats) -> Floats:
    """x'Qx for each row x of bits. Shape (reads,)."""
    x = np.asarray(bits, dtype=float)
    return np.asarray(np.einsum("ri,ij,rj->r", x, Q, x))
