"""Energy: readings of the workers' meters, and what the batch system said, against what is possible."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from suite.check.findings import Finding, Read, failed, passed, unprovable
from suite.check.stated import mapping
from suite.compare.figures_of_merit import is_metered_in_part

WATTS = (0.2, 20_000.0)
"""Mean power of one meter over MIN_METERED_S or longer: a sleeping board, a node full of accelerators."""
MIN_METERED_S = 30.0
METERS = {
    "nvml": ("device",), "nvml power": ("device",), "amdgpu": ("device",), "amdgpu power": ("device",),
    "rapl": ("package",), "slurm": ("job",), "none": (None,),
}  # fmt: skip
"""Source of energy -> its scope (suite.worker.energy)."""


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def energy(read: Read) -> Finding:
    """The rule `energy`."""
    for wrong in _energy(read):
        return wrong
    used = read.view.energy
    if used.joules is None:
        return passed("energy", f"none measured: {used.why}")
    if is_metered_in_part(read.view):
        return unprovable(
            "energy",
            "meters were read after a part of the finished jobs alone; no joules are counted",
        )
    return passed("energy", f"{used.joules:.1f} J by {used.source}, scope {used.scope}")


def _energy(read: Read) -> Iterator[Finding]:
    for life in read.view.workers:
        meter = mapping(life.facts.get("energy"))
        source, scope = meter.get("source"), meter.get("scope")
        if source is not None and (source not in METERS or scope not in METERS[source]):
            yield failed(
                "energy",
                f"worker {life.worker}: source={source}, scope={scope}: no meter of the suite",
            )
        if source in (None, "none") and life.readings:
            yield failed("energy", f"worker {life.worker}: has readings, but no meter")
        before = (life.joined_s, 0.0)
        for time_s, joules in life.readings:
            if joules < before[1] - 1e-6:
                yield failed(
                    "energy", f"worker {life.worker}: {joules} J at {time_s} s, after {before[1]} J"
                )
            before = (time_s, joules)
        span_s = before[0] - life.joined_s
        if (
            life.readings
            and span_s >= MIN_METERED_S
            and not WATTS[0] <= before[1] / span_s <= WATTS[1]
        ):
            yield failed(
                "energy", f"worker {life.worker}: {before[1] / span_s:.3g} W on average; possible is "
                f"{WATTS[0]:g} to {WATTS[1]:g} W"
            )  # fmt: skip
    for number, line in read.numbered():
        if line["event"] == "closed" and (used := line.get("energy")):
            if used.get("source") not in ("slurm", "none"):
                yield failed(
                    "energy", f"source={used.get('source')}: no batch system of the suite", number
                )
            joules = used.get("joules")
            if not is_number(joules):
                continue
            if joules < 0:
                yield failed("energy", f"joules={joules}: negative", number)
            # The batch system counts whole nodes, from before the run's begin to after its end.
            node_s = read.view.usage.node_s or 0.0
            if node_s >= MIN_METERED_S and 0 <= joules < WATTS[0] * node_s:
                yield failed(
                    "energy", f"joules={joules}: {joules / node_s:.3g} W a node, least {WATTS[0]:g} W", number
                )  # fmt: skip
