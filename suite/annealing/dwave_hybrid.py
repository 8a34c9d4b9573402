"""D-Wave's framework of decomposition solvers, with classical parts alone, behind dimod's contract."""

from __future__ import annotations

from typing import Any

import numpy as np

from suite.core.errors import check_integer
from suite.core.packages import check_package


class DWaveHybrid:
    """`dwave-hybrid` (Apache-2.0): the variables that matter most are annealed, put back, and so on.

    Its loop: `size` variables of highest impact on the energy, simulated annealing of these with the others
    held fixed, until `convergence` rounds in a row change no energy, or after `max_rounds` (without that end
    its loop may go on forever, between two energies). No part of it is a quantum device or a service: it
    shows the framework, in which a QPU could anneal the subproblems.
    most_reads: reads of one call, whatever is asked for: each takes some 40 ms of threads and queues.
    Raises ConfigError for a number out of range, and where the package is missing or not of version 0.6.
    Source: D-Wave, dwave-hybrid (github.com/dwavesystems/dwave-hybrid).
    """

    def __init__(
        self, size: int = 20, convergence: int = 3, max_rounds: int = 10, most_reads: int = 2
    ) -> None:
        check_package("hybrid", "dwave-hybrid", "dwave-hybrid", "0.6.16", "0.7")
        self.size, self.convergence = size, convergence
        self.max_rounds, self.most_reads = max_rounds, most_reads
        for name, value in vars(self).items():
            check_integer(name, value, 1)

    def sample(
        self, bqm: Any, num_reads: int = 1, num_sweeps: int = 50, seed: int | None = None
    ) -> Any:
        """At most `most_reads` reads of `bqm`, each from a random start. num_sweeps: of a subproblem."""
        import dimod
        import hybrid
        from dwave.samplers import SimulatedAnnealingSampler

        # D-Wave's libraries leave theirs untyped.
        opened: Any = SimulatedAnnealingSampler
        annealer, draws, reads = opened(), np.random.default_rng(seed), []
        concatenated: Any = dimod.concatenate
        started: Any = dimod.SampleSet.from_samples_bqm

        def anneal(_: Any, state: Any) -> Any:
            # Its own sampler of subproblems takes no seed.
            answer = annealer.sample(
                state.subproblem,
                num_reads=1,
                num_sweeps=num_sweeps,
                seed=int(draws.integers(2**31)),
            )
            return state.updated(subsamples=answer)

        labels = list(bqm.variables)
        for _ in range(min(num_reads, self.most_reads)):
            values = draws.choice(sorted(bqm.vartype.value), (1, len(labels))).astype(np.int8)
            loop = hybrid.LoopUntilNoImprovement(
                hybrid.EnergyImpactDecomposer(size=min(self.size, len(labels)), rolling=True)
                | hybrid.Lambda(next=anneal)
                | hybrid.SplatComposer(),
                convergence=self.convergence,
                max_iter=self.max_rounds,
            )
            start = hybrid.State.from_samples(started((values, labels), bqm), bqm)
            reads.append(loop.run(start).result().samples)
        return concatenated(reads)

    def __repr__(self) -> str:
        return f"DWaveHybrid({', '.join(f'{k}={v}' for k, v in vars(self).items())})"
