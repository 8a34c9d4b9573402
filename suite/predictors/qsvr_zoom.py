"""The zoom encoding: SVR's dual by a sequence of small Ising problems, each around the last answer.

Round by round every unknown gets K spins that span center +- radius (suite.predictors.qubo,
build_ising); the annealer's best reads propose moves, the true dual energy judges them, the center
follows, and the radius shrinks when a round gains little. So K = 2 spins an unknown reach the
precision of many bits, and C bounds the unknowns, which it does not in the published encoding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from suite.predictors import qubo
from suite.predictors.svr_dual import dual_energy

Floats = NDArray[np.float64]
Anneal = Callable[[Floats, Floats], NDArray[np.int8]]
"""Fields h (v,) and couplings J (v, v) -> spins (reads, v), best first."""

# of the first round, in units of the scaled target; [-C, C] is reached by moving
_RADIUS = 4.0
# the radius shrinks after a round that gained less than 1 %
_SHRINK, _GAIN = 0.6, 0.01
# best reads that propose a move
_KEEP = 4


@dataclass(frozen=True, slots=True)
class Problem:
    """A dual to minimise. kernel (N, N); y (N,), centred; |beta_n| <= C."""

    kernel: Floats
    y: Floats
    C: float
    epsilon: float
    xi: float


def minimise(problem: Problem, anneal: Anneal, n_bits: int, rounds: int, refine: bool) -> Floats:
    """beta (N,) of low dual energy; 0 where no read ever improved on it. At most `rounds` calls.

    refine: besides the best reads their mean is a candidate, and the way to each is searched for
    its lowest point (classical work, O(N^2) a candidate). False: the best read alone, as it is.
    """
    center, lowest = np.zeros(len(problem.y)), 0.0
    radius = min(_RADIUS, problem.C)
    for _ in range(rounds):
        if radius < problem.epsilon:
            # finer moves change no R², and a device charges for each round
            break
        h, J = qubo.build_ising(
            problem.kernel, problem.y, center, radius, n_bits, problem.epsilon, problem.xi
        )
        spins = anneal(h, J)[: _KEEP if refine else 1].astype(float)
        moves = radius * (spins.reshape(len(spins), -1, n_bits) @ qubo.digits(n_bits))
        reads = np.clip(center + moves, -problem.C, problem.C)
        candidates = _refined(problem, center, reads) if refine else reads
        energies = _energy(problem, candidates)
        best = int(np.argmin(energies))
        gained = lowest - float(energies[best])
        if gained > 0:
            center, lowest = candidates[best], float(energies[best])
        if gained <= _GAIN * abs(lowest):
            radius *= _SHRINK
    return center


def _refined(problem: Problem, center: Floats, reads: Floats) -> Floats:
    """The reads and their mean, and the lowest point on the way to each (for the sign of beta as
    it is at the center). Shapes: center (N,), reads (m, N) -> (2m + 2, N).
    """
    ends = np.vstack([reads, reads.mean(axis=0)])
    ways = ends - center
    A = problem.kernel + 2 * problem.xi
    slope = ways @ (A @ center - problem.y + problem.epsilon * np.sign(center))
    curvature = ((ways @ A) * ways).sum(axis=1)
    step = np.clip(-slope / np.maximum(curvature, 1e-100), 0.0, 1.0)
    return np.vstack([center + step[:, None] * ways, ends])


def _energy(problem: Problem, beta: Floats) -> Floats:
    return dual_energy(beta, problem.kernel, problem.y, problem.epsilon, problem.xi)
