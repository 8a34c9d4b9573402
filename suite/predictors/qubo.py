"""Support vector regression as a QUBO and as an Ising problem: build and decode, in pure numpy.

Symbols: N training points, K bits an unknown, B base, k0 shift; alpha_n and alpha^_n are the dual
unknowns of point n, beta_n = alpha_n - alpha^_n. The energy is that of suite.predictors.svr_dual.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def bit_weights(n_bits: int, base: float, shift: float) -> Floats:
    """Value of each bit of one unknown: w_k = B^(k - k0), k = 0 .. K-1. Shape (K,)."""
    return np.asarray(float(base) ** (np.arange(n_bits) - shift))


def build(kernel: Floats, y: Floats, weights: Floats, epsilon: float, xi: float) -> Floats:
    """The published encoding: the upper-triangular QUBO matrix of 2NK bits, x'Qx the energy.

    Shapes: kernel (N, N), y (N,), weights (K,) -> (2NK, 2NK); bits of alpha_0, alpha_1, ..., then
    of alpha^_0, ... Each unknown is sum_k w_k x_k, so it lies in [0, sum_k w_k] whatever C is.
    Source: Pasetto et al. 2022 (IEEE QCE), equations 7 to 12; with S = [I(x)w, -I(x)w],
    Q = S'(K/2 + xi 11')S + diag[(eps - y)(x)w, (eps + y)(x)w], folded to a triangle.
    """
    # (N, NK): bits -> alpha
    spread = np.kron(np.eye(len(y)), weights)
    to_b = np.hstack([spread, -spread])
    quadratic = to_b.T @ (kernel / 2 + xi) @ to_b
    linear = np.concatenate([np.kron(epsilon - y, weights), np.kron(epsilon + y, weights)])
    full = quadratic + np.diag(linear)
    return np.asarray(np.triu(full) + np.tril(full, -1).T)


def decode(bits: NDArray[np.integer] | Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Bits of `build` (reads, 2NK) -> alpha (reads, N) and alpha^ (reads, N)."""
    n_bits = len(weights)
    unknowns = np.asarray(bits, dtype=float).reshape(len(bits), -1, n_bits) @ weights
    half = unknowns.shape[1] // 2
    return unknowns[:, :half], unknowns[:, half:]


def energy(Q: Floats, bits: NDArray[np.integer] | Floats) -> Floats:
    """x'Qx for each row x of bits. Shape (reads,)."""
    x = np.asarray(bits, dtype=float)
    return np.asarray(np.einsum("ri,ij,rj->r", x, Q, x))


def digits(n_bits: int) -> Floats:
    """Value of each spin of one unknown of radius 1: 2^(K-1-k) / (2^K - 1), k = 0 .. K-1.

    Sums of +- digits are 2^K evenly spaced values in [-1, 1]. Shape (K,).
    """
    powers = 2.0 ** np.arange(n_bits - 1, -1, -1)
    return np.asarray(powers / powers.sum())


def build_ising(
    kernel: Floats, y: Floats, center: Floats, radius: float, n_bits: int, epsilon: float, xi: float
) -> tuple[Floats, Floats]:
    """The zoom encoding: fields h and couplings J (upper triangle) of KN spins around `center`.

    beta = center + W s with W = radius I(x)digits, so one signed unknown a point instead of two:
    K spins where `build` needs 2K bits. h's + s'Js is D(beta) but for a constant, with
    A = K + 2 xi 11': h = W'(A center - y + eps sgn), J = triu(W'AW, 1). |beta_n| is no quadratic
    function where its sign is open; there (|center_n| <= radius) its term is left out, an error of
    at most eps radius a point, and the true energy judges the reads afterwards.
    Shapes: kernel (N, N), y and center (N,) -> h (KN,), J (KN, KN).
    """
    A = kernel + 2 * xi
    # (N, KN): spins -> beta
    W = radius * np.kron(np.eye(len(y)), digits(n_bits))
    sign = np.where(np.abs(center) > radius, np.sign(center), 0.0)
    h = W.T @ (A @ center - y + epsilon * sign)
    return np.asarray(h), np.triu(W.T @ A @ W, 1)
