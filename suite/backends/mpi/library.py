"""The MPI library, by mpi4py: nothing outside this folder imports it."""

from __future__ import annotations

import sys
from typing import Any

MISSES = 3
"""Probes in a row that must find nothing.

A probe looks first and moves what has arrived afterwards, one fragment a call in some libraries: after a
long epoch without a call of MPI a message that came long ago is seen by the second probe, not by the first.
"""


def load() -> Any:
    """The module mpi4py.MPI; importing it calls MPI_Init.

    Raises ImportError or RuntimeError where no MPI library, or one of another ABI, is found.
    """
    from mpi4py import MPI

    return MPI


def has_come(comm: Any, source: int, tag: int) -> bool:
    """Whether a message from `source` can be received now."""
    return any(comm.Iprobe(source=source, tag=tag) for _ in range(MISSES))


def begun() -> bool:
    """Whether this process has called MPI_Init."""
    return "mpi4py.MPI" in sys.modules
