"""The MPI library, by mpi4py: nothing outside this folder imports it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from suite.backends import launcher

MISSES = 3
"""Probes in a row that must find nothing.

A probe looks first and moves what has arrived afterwards, one fragment a call in some libraries: after a
long epoch without a call of MPI a message that came long ago is seen by the second probe, not by the first.
"""

# How much later than asked a sleep in MPI_Init may end, nanoseconds.
START_SLACK_NS = 20_000_000
_SLACK = Path("/proc/self/timerslack_ns")


def load() -> Any:
    """The module mpi4py.MPI; importing it calls MPI_Init.

    Raises ImportError or RuntimeError where no MPI library, or one of another ABI, is found.
    """
    if not begun():
        _share_cores()
    with contextlib.nullcontext() if begun() else _patience():
        from mpi4py import MPI

    return MPI


def _share_cores() -> None:
    """More ranks than cores: what waits inside Open MPI lets others run. Else each waiting rank keeps a core
    busy, in MPI_Finalize above all. A value that the user has set stays.
    """
    if launcher.ranks_per_core() > 1:
        os.environ.setdefault("OMPI_MCA_mpi_yield_when_idle", "1")


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """In MPI_Init Open MPI looks every 0.1 ms for the slowest rank: many that wait take the cores from those
    that still import. A thread's timer slack lets Linux wake it later, together with others.
    Source: PR_SET_TIMERSLACK in prctl(2); OMPI_LAZY_WAIT_FOR_COMPLETION in Open MPI's ompi/runtime.
    """
    before = ""
    with contextlib.suppress(OSError):
        before = _SLACK.read_text()
        _SLACK.write_text(f"{START_SLACK_NS}")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if before:
                _SLACK.write_text(before)


def has_come(comm: Any, source: int, tag: int) -> bool:
    """Whether a message from `source` can be received now."""
    return any(comm.Iprobe(source=source, tag=tag) for _ in range(MISSES))


def begun() -> bool:
    """Whether this process has called MPI_Init."""
    return "mpi4py.MPI" in sys.modules
