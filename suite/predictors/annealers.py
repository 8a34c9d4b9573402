"""Samplers by name: dimod's contract, `sample_qubo(Q, num_reads=...)`.

The D-Wave libraries are imported when asked for.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from suite.core.errors import unknown_name

SAMPLERS = {
    "sa": "dwave.samplers.SimulatedAnnealingSampler",
    "tabu": "dwave.samplers.TabuSampler",
    "steepest_descent": "dwave.samplers.SteepestDescentSampler",
}


class Sampler(Protocol):
    """The one method of dimod.Sampler that is used."""

    def sample(self, bqm: Any, **options: Any) -> Any: ...


def check(name: str) -> None:
    """Raise ConfigError for a name that is not a sampler's."""
    if name not in SAMPLERS:
        raise unknown_name("sampler", name, SAMPLERS)


def sampler(name: str) -> Sampler:
    """A dimod sampler for `name`. All known ones run on this machine's processor; none needs a
    network.

    Raises ConfigError for an unknown name.
    """
    check(name)
    import dwave.samplers

    found: Sampler = getattr(dwave.samplers, SAMPLERS[name].rsplit(".", 1)[1])()
    return found


def lowest_reads(
    using: Sampler, Q: NDArray[np.float64], n_keep: int, **options: Any
) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Sample the QUBO and return the `n_keep` different bit strings of lowest energy, best first,
    and their energies.

    Shapes: Q (v, v) upper triangular -> bits (<= n_keep, v), energies (<= n_keep,).
    """
    import dimod

    bqm = dimod.BinaryQuadraticModel(Q, "BINARY")
    found = using.sample(bqm, **options).aggregate()
    order = np.argsort(found.record.energy, kind="stable")[:n_keep]
    columns = np.argsort(np.asarray(found.variables))
    bits = np.asarray(found.record.sample[order][:, columns], dtype=np.int8)
    return bits, np.asarray(found.record.energy[order], dtype=float)
