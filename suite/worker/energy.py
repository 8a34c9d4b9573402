"""Joules of a worker's device since it joined, from the counters that its node offers.

A GPU is read by NVML (NVIDIA's driver library) or amdgpu's hwmon files, a processor by RAPL's
package domains (powercap), a whole job by Slurm. One source a worker, of its own device:

| source | scope | how |
|---|---|---|
| nvml | device | energy counter (mJ, Volta and newer); else `nvml power`: sampled, trapezoids |
| amdgpu | device | hwmon energy1_input (uJ); else `amdgpu power`: sampled, trapezoids |
| rapl | package | every package's energy_uj (uJ, wraps); never psys or zones inside a package |
| slurm | job | ConsumedEnergyRaw (J) of the largest step, asked at begin and end (see JobMeter) |

Nothing here raises: what cannot be read has joules None and a reason. Counters that wrap are read
once in `COUNTER_S` by a thread besides, since a package at 400 W wraps within eleven minutes.

Sources: NVML API reference (nvmlDeviceGetTotalEnergyConsumption, nvmlDeviceGetPowerUsage); Linux
admin-guide/pm/intel-rapl and Documentation/ABI/testing/sysfs-class-powercap; Linux gpu/amdgpu
thermal (power1_average, power1_input, gpu_busy_percent); hwmon sysfs interface; Slurm sstat(1),
slurm.conf(5).
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.worker.counters import Nvml, Source, find_source, reason_of

# Seconds between the thread's readings: of a counter, of a power.
COUNTER_S, POWER_S = 30.0, 0.2


# --- arithmetic ----------------------------------------------------------------------------------


def climbed(last: float, now: float, modulus: float | None) -> float:
    """What a counter has counted from `last` to `now`, having wrapped at most once.

    A counter without a modulus that stands lower than before was reset (a driver restarted): what
    it counts from there on, a lower bound.
    """
    if now >= last:
        return now - last
    return now if modulus is None else max(modulus - last, 0.0) + now


class Counted:
    """Sums counters' increments. add(readings, J each) -> J since the first reading."""

    def __init__(self, moduli: Sequence[float | None]) -> None:
        self._moduli, self.joules = tuple(moduli), 0.0
        self._last: tuple[float, ...] = ()

    def add(self, _: float, readings: Sequence[float]) -> float:
        now = tuple(readings)
        if self._last:
            steps = zip(self._last, now, self._moduli, strict=True)
            self.joules += sum(climbed(*step) for step in steps)
        self._last = now
        return self.joules


class Trapezoids:
    """Integrates power. add(time in s, watts of each device) -> J since the first sample."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self.joules = 0.0

    def add(self, time_s: float, watts: Sequence[float]) -> float:
        power = float(sum(watts))
        if self._last is not None:
            self.joules += max(time_s - self._last[0], 0.0) * (power + self._last[1]) / 2
        self._last = (time_s, power)
        return self.joules


# --- the meter -----------------------------------------------------------------------------------


class Meter:
    """Joules of a worker's device since the meter was made; a reading costs well under 1 ms.

    device: as suite.worker.devices names it, "cpu" or "cuda:0". root: where /sys lies; a test
    gives another, a fake `nvml`, and `threaded=False`.
    """

    def __init__(
        self,
        device: str = "cpu",
        *,
        root: Path = Path("/"),
        environ: Mapping[str, str] | None = None,
        nvml: Callable[[], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
        threaded: bool = True,
    ) -> None:
        self._clock, self._lock, self._over = clock, threading.Lock(), threading.Event()
        self._source: Source | None = None
        self._sum: Counted | Trapezoids = Trapezoids()
        self.why: str | None = None
        try:
            source = find_source(
                device, root, os.environ if environ is None else environ, nvml or Nvml
            )
        except Exception as error:
            source = reason_of(error)
        if isinstance(source, str):
            self.why = source
            return
        self._source = source
        if not source.sampled:
            self._sum = Counted(source.moduli)
        if self.joules() is not None and threaded:
            period = POWER_S if source.sampled else COUNTER_S
            watched = (weakref.ref(self), self._over, period)
            threading.Thread(target=_watch, args=watched, daemon=True).start()

    def joules(self) -> float | None:
        """Joules since the meter was made; None if they cannot be read (`why` gives the reason)."""
        if self._source is None or self.why is not None:
            return None
        try:
            with self._lock:
                return round(self._sum.add(self._clock(), self._source.read()), 3)
        except Exception as error:
            self.why = f"{self._source.name}: {reason_of(error)}"
            return None

    def busy(self) -> float | None:
        """Share of the time in which the device had work, as its driver says; None: it does not say."""
        if self._source is None or self._source.busy is None:
            return None
        try:
            return float(self._source.busy())
        except Exception:
            return None

    def facts(self) -> dict[str, Any]:
        """For the record: what is read and what it leaves out, or why nothing is read."""
        source = self._source
        if source is None or self.why is not None:
            return {"source": "none", "why": self.why}
        facts = {"source": source.name, "scope": source.scope, "excludes": source.excludes}
        return facts | ({"meter": source.meter} if source.meter else {})

    def close(self) -> None:
        """End the thread; it also ends when the meter is garbage-collected."""
        self._over.set()


def _watch(meter: weakref.ref[Meter], over: threading.Event, period_s: float) -> None:
    while not over.wait(period_s):
        held = meter()
        if held is None or held.joules() is None:
            return
        del held
