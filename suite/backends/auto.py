"""backend=auto: mpi where a launcher started several ranks, else inline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.backends import launcher
from suite.backends.contract import Backend, RunContext
from suite.backends.inline import Inline, InlineRunner
from suite.backends.mpi.backend import MPI
from suite.core.target import Target

if TYPE_CHECKING:
    from suite.backends.mpi.runner import MPIRunner


@dataclass(frozen=True, kw_only=True)
class Auto(Backend):
    """The backend that the launch calls for, with the same settings."""

    def chosen(self) -> Inline | MPI:
        return MPI.of(self) if launcher.launched() else Inline.of(self)

    def n_workers(self) -> int:
        return self.chosen().n_workers()

    def check(self, target: Target) -> None:
        self.chosen().check(target)

    def open(self, run: RunContext) -> InlineRunner | MPIRunner:
        return self.chosen().open(run)
