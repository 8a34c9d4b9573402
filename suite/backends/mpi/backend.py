"""backend=mpi: rank 0 decides, the other ranks train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.backends import launcher
from suite.backends.contract import Backend, RunContext
from suite.core.errors import ConfigError
from suite.core.target import Target

if TYPE_CHECKING:
    from suite.backends.mpi.runner import MPIRunner


@dataclass(frozen=True, kw_only=True)
class MPI(Backend):
    """Runs jobs on every other rank of this launch, or on groups of `ranks_per_trial` of them."""

    def n_workers(self) -> int:
        """Groups of ranks (fewer where a node's ranks leave some over); 1 outside a launch."""
        return (launcher.world_size() - 1) // self.ranks_per_trial if launcher.launched() else 1

    def check(self, target: Target) -> None:
        if self.ranks_per_trial > 1 and not target.parallel:
            raise ConfigError(
                f"backend.ranks_per_trial={self.ranks_per_trial}: {type(target).__name__} (framework="
                f"{target.framework}) trains on one rank only; use 1, or a target "
                "that says `parallel`, as digits_cnn and babi_lstm do."
            )

    def open(self, run: RunContext) -> MPIRunner:
        from suite.backends.mpi.runner import MPIRunner

        return MPIRunner(self, run)
