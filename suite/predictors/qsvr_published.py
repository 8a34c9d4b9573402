"""The published encoding of the QSVR, as a baseline: one QUBO of 2NK bits, and seven ways to
combine its best reads.

Source: Pasetto et al. 2022 (IEEE QCE); Wulff et al. 2024 (Quantum Mach. Intell. 6:59) and the code
published with them. N = 20 points and K = 3 bits are 120 variables. What is known of it:
- the bits bound each unknown at sum_k B^(k - k0) = 1.756; C = 67.61 only says which points count as
  free when the offset is computed. It is an SVR with C = 1.756, and that explains its lead over an
  SVR with C = 67.61;
- the published offset takes y - epsilon on both sides of the tube; mended here (y + epsilon above);
- without a support vector the published code never ends; here the offset is the mean residual;
- "energy" is the plain mean of the reads, because its weights stay equal in the published code;
  kept, so that the mean over the seven ways is the published predictor's;
- "best" of some later versions is the worst read (an error is overwritten by R²); here the best.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from suite.predictors import qubo

Floats = NDArray[np.float64]

# B and k0 of the published driver
BASE, SHIFT = 0.5, 0.005
# reads that are combined: max(int(.004 x 1000), 2)
KEEP = 4
Way = Literal["mse", "mse_softmax", "logcosh", "logcosh_softmax", "best", "mean", "energy"]
WAYS: tuple[Way, ...] = get_args(Way)


def build(kernel: Floats, y: Floats, n_bits: int, epsilon: float, xi: float) -> Floats:
    """The QUBO matrix. Shape (2NK, 2NK), upper triangular."""
    return qubo.build(kernel, y, qubo.bit_weights(n_bits, BASE, SHIFT), epsilon, xi)


def solve(
    bits: NDArray[np.int8], kernel: Floats, y: Floats, n_bits: int, epsilon: float, C: float,
    combine: Literal["all"] | Way = "all",
) -> tuple[Floats, float]:  # fmt: skip
    """beta (N,) and offset from the reads of lowest energy, bits (reads, 2NK), best first.

    combine: one of WAYS, or "all": their mean, which is what the published predictor answers.
    """
    alpha, alpha_hat = qubo.decode(bits, qubo.bit_weights(n_bits, BASE, SHIFT))
    weights = _weights(alpha, alpha_hat, kernel, y, epsilon, C)
    if combine != "all":
        weights = weights[[WAYS.index(combine)]]
    ways = [
        (a - h, _offset(a, h, kernel, y, epsilon, C))
        for a, h in zip(weights @ alpha, weights @ alpha_hat, strict=True)
    ]
    # Prediction is linear in (beta, offset): the mean of the ways is a way.
    return np.mean([beta for beta, _ in ways], axis=0), float(np.mean([b for _, b in ways]))


def _weights(
    alpha: Floats, alpha_hat: Floats, kernel: Floats, y: Floats, epsilon: float, C: float
) -> Floats:
    """Weight of each read in each way, judged on the training points. Shape (7, reads)."""
    errors = np.array(
        [
            kernel @ (a - h) + _offset(a, h, kernel, y, epsilon, C) - y
            for a, h in zip(alpha, alpha_hat, strict=True)
        ]
    )
    tiny = np.finfo(float).tiny
    mse = np.maximum((errors**2).mean(axis=1), tiny)
    log_cosh = np.maximum((np.logaddexp(errors, -errors) - np.log(2)).mean(axis=1), tiny)
    best = np.zeros(len(mse))
    best[np.argmin(mse)] = 1.0
    equal = np.full(len(mse), 1 / len(mse))
    return np.array(
        [
            _share(1 / mse), _softmax(1 / mse), _share(1 / log_cosh), _softmax(1 / log_cosh),
            best, equal, equal,
        ]
    )  # fmt: skip


def _share(scores: Floats) -> Floats:
    scores = scores / scores.max()
    return np.asarray(scores / scores.sum())


def _softmax(scores: Floats) -> Floats:
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum())


def _offset(
    alpha: Floats, alpha_hat: Floats, kernel: Floats, y: Floats, epsilon: float, C: float
) -> float:
    """b of f(x) = K(x, X)(alpha - alpha^) + b: the mean over free support vectors of what the tube
    demands there.
    """
    residual = y - kernel @ (alpha - alpha_hat)
    below, above = (alpha > 0) & (alpha < C), (alpha_hat > 0) & (alpha_hat < C)
    demands = np.concatenate([residual[below] - epsilon, residual[above] + epsilon])
    return float(demands.mean()) if len(demands) else float(residual.mean())
