"""What each side ran on, in one line a machine, from its records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from suite.compare.comparable import Side
from suite.compare.figures_of_merit import Measured


def machines(side: Side) -> list[str]:
    """Each kind of machine of a side once, with its number of runs where there are several kinds."""
    kinds = Counter(machine(run) for run in side.all())
    if len(kinds) == 1:
        return list(kinds)
    return [f"{words} ({n} run{'s' * (n != 1)})" for words, n in kinds.items()]


def machine(run: Measured) -> str:
    """Processor, GPUs, nodes, workers, MPI and versions of one run, as far as its record says."""
    environment = run.record["environment"]
    host: Mapping[str, Any] = environment["host"] or {}
    lives = run.record["workers"]["lives"]
    nodes = {life.get("node") for life in lives} - {None}
    devices = {str(life.get("device_name") or life.get("device") or "") for life in lives} - {""}
    parts = [
        str(host.get("cpu") or ""),
        f"{cores['value']:g} cores" if (cores := host.get("n_cores")) else "",
        ", ".join(sorted(devices - {str(host.get("cpu"))})),
        f"{len(nodes)} node{'s' * (len(nodes) != 1)}" if nodes else "",
        f"{run.record['workers']['joined']['value']:g} workers",
        f"MPI {host['mpi']}" if host.get("mpi") else "",
        str(host.get("os") or ""),
        ", ".join(f"{k} {v}" for k, v in (environment["versions"] or {}).items()),
    ]
    return "; ".join(part for part in parts if part)
