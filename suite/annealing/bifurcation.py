"""Simulated bifurcation, a classical dynamics of oscillators, behind dimod's contract."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from suite.core.errors import check_integer
from suite.core.packages import check_package


class SimulatedBifurcation:
    """The package `simulated-bifurcation` (MIT licence, torch): all reads at once, as a matrix product.

    mode: "ballistic" (the default: "discrete" stayed far above the minimum on two problems of QSVR) or
    "discrete"; heated: with thermal fluctuations; max_steps: of the dynamics (it has no
    sweeps; its own default is 10,000 with a stop at convergence, which is left out here so that the effort is
    known). device: "cpu", or "cuda" for a GPU (not tried; on a GPU it need not be repeatable).
    Steps are taken in single precision, as the package does (2.0.0 fails in double precision); energies are
    computed again in double precision. The package draws from torch's global generator: it is seeded for the
    call and put back, so that no other thread may train with torch meanwhile (on rank 0 none does).
    Raises ConfigError for a number out of range, and where the package is missing or not of version 2.
    Source: Goto et al. 2021 (Sci. Adv. 7:eabe7953); Kanao and Goto 2022 (Commun. Phys. 5:153).
    """

    def __init__(
        self,
        mode: Literal["ballistic", "discrete"] = "ballistic",
        heated: bool = False,
        max_steps: int = 1000,
        device: str = "cpu",
    ) -> None:
        check_package("simulated_bifurcation", "simulated-bifurcation", "bifurcation", "2", "3")
        check_integer("max_steps", max_steps, 1)
        self.mode, self.heated, self.max_steps, self.device = mode, heated, max_steps, device

    def sample(self, bqm: Any, num_reads: int = 1, seed: int | None = None) -> Any:
        """`num_reads` reads of `bqm`, each from a random start. seed: None: torch's generator as it is."""
        import dimod
        import simulated_bifurcation
        import torch

        spins = bqm.change_vartype("SPIN", inplace=False)
        labels = list(spins.variables)
        linear, (rows, columns, quadratic), _ = spins.to_numpy_vectors(variable_order=labels)
        couplings = np.zeros((len(labels), len(labels)))
        couplings[rows, columns] = quadratic
        # Single precision has no room for every scale; the minimum does not depend on it.
        scale = max(float(np.abs(couplings).max()), float(np.abs(linear).max())) or 1.0
        parts = [torch.tensor(part / scale, dtype=torch.float32) for part in (couplings, linear)]
        on_gpu = [] if self.device == "cpu" else [torch.device(self.device)]
        # A new thread's team of threads costs more than matrices of this size gain from it.
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.random.fork_rng(devices=on_gpu, enabled=seed is not None):
                if seed is not None:
                    torch.manual_seed(seed)
                samples, _ = simulated_bifurcation.minimize(
                    *parts, domain="spin", agents=num_reads, max_steps=self.max_steps, best_only=False,
                    mode=self.mode, heated=self.heated, device=self.device, verbose=False,
                    early_stopping=False,
                )  # fmt: skip
        finally:
            torch.set_num_threads(n_threads)
        reads = samples.reshape(num_reads, len(labels)).cpu().numpy().astype(np.int8)
        # dimod leaves it untyped
        made: Any = dimod.SampleSet.from_samples_bqm
        return made((reads, labels), spins).change_vartype(bqm.vartype, inplace=False)

    def __repr__(self) -> str:
        return (
            f"SimulatedBifurcation(mode={self.mode!r}, heated={self.heated}, "
            f"max_steps={self.max_steps}, device={self.device!r})"
        )
