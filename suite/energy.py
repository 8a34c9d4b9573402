"""Floor 1: joules of a worker's device since it joined, from the counters that its node offers.

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
thermal (power1_average, power1_input); hwmon sysfs interface; Slurm sstat(1), slurm.conf(5).
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

COUNTER_S, POWER_S = 30.0, 0.2  # seconds between the thread's readings: of a counter, of a power
_REST = "mainboard, network, storage, cooling"
_NO_RIGHT = "the site may give the right to read it"


@dataclass(frozen=True, slots=True)
class Source:
    """What a meter reads. read(): joules of each counter (`moduli`: where each wraps to 0; None:
    never), or with `sampled` watts of each device. It may raise.

    meter: an opaque label of the hardware, so that two workers of one device are counted once; ""
    where the node itself says it.
    """

    name: str
    scope: str
    excludes: str
    read: Callable[[], Sequence[float]]
    moduli: tuple[float | None, ...] = (None,)
    sampled: bool = False
    meter: str = ""


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

    device: as suite.backends.devices names it, "cpu" or "cuda:0". root: where /sys lies; a test
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
            found = find(device, root, os.environ if environ is None else environ, nvml or Nvml)
        except Exception as error:
            found = _said(error)
        if isinstance(found, str):
            self.why = found
            return
        self._source = found
        if not found.sampled:
            self._sum = Counted(found.moduli)
        if self.joules() is not None and threaded:
            period = POWER_S if found.sampled else COUNTER_S
            watched = (weakref.ref(self), self._over, period)
            threading.Thread(target=_watch, args=watched, daemon=True).start()

    def joules(self) -> float | None:
        """Since the beginning; None: cannot be read, or can no more (`why` says so)."""
        if self._source is None or self.why is not None:
            return None
        try:
            with self._lock:
                return round(self._sum.add(self._clock(), self._source.read()), 3)
        except Exception as error:
            self.why = f"{self._source.name}: {_said(error)}"
            return None

    def facts(self) -> dict[str, Any]:
        """For the record: what is read, what of it is left out; or why nothing is."""
        source = self._source
        if source is None or self.why is not None:
            return {"source": "none", "why": self.why}
        said = {"source": source.name, "scope": source.scope, "excludes": source.excludes}
        return said | ({"meter": source.meter} if source.meter else {})

    def close(self) -> None:
        """End the thread; that of a meter which nobody holds any more ends by itself."""
        self._over.set()


def _watch(meter: weakref.ref[Meter], over: threading.Event, period_s: float) -> None:
    while not over.wait(period_s):
        held = meter()
        if held is None or held.joules() is None:
            return
        del held


def find(
    device: str, root: Path, environ: Mapping[str, str], nvml: Callable[[], Any]
) -> Source | str:
    """The source for a device, or why there is none. May raise."""
    if device == "cpu":
        return _rapl(root)
    index = int(device.partition(":")[2] or 0)
    try:
        return _nvml(nvml(), index, environ)
    except Exception as error:
        first = _said(error)
    found = _amdgpu(root, index, environ)
    return f"{first}; {found}" if isinstance(found, str) else found


def _said(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        name = Path(str(error.filename or "")).parts[-2:]
        return f"{'/'.join(name)}: {error.strerror}" if name else error.strerror
    return f"{type(error).__name__}: {error}"[:200]


def _label(*names: str) -> str:
    """Serial numbers stay at home: a digest tells devices apart as well."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]


def device_id(device: str, environ: Mapping[str, str] | None = None) -> str | None:
    """An opaque label of the accelerator behind "cuda:0", which is every pinned worker's name for
    its own; None for a processor.

    By the UUID that torch reads; else by what the node's variables say: workers of one node that
    each see just one GPU, by the index 0, then look like one.
    """
    if not device.startswith("cuda"):
        return None
    index, environ = int(device.partition(":")[2] or 0), os.environ if environ is None else environ
    named = _visible(index, environ, "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")
    # Parts of one GPU have its UUID in some versions, but each its own name here.
    return _label(named if named.startswith("MIG-") else _uuid(index) or named)


# --- processors ----------------------------------------------------------------------------------


def _rapl(root: Path) -> Source | str:
    zones = root / "sys/class/powercap"
    packages = [
        zone
        for zone in sorted(zones.glob("intel-rapl:*"))  # AMD's processors use the name too
        if _text(zone / "name").startswith("package")  # not psys, nor core, uncore, dram in one
    ]
    if not packages:
        return "rapl: no powercap package domain (a virtual machine, or another processor)"
    files = [zone / "energy_uj" for zone in packages]
    try:
        for file in files:
            _number(file)
    except PermissionError:
        return f"rapl: energy_uj is root's alone on this node; {_NO_RIGHT}"
    moduli = tuple(
        float(top) * 1e-6 if (top := _text(zone / "max_energy_range_uj")).isdigit() else None
        for zone in packages
    )
    excludes = f"memory, accelerators, {_REST}; another user's share is not taken off"
    return Source("rapl", "package", excludes, partial(_micro, files), moduli)


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _number(file: Path) -> int:
    return int(file.read_text())


def _micro(files: Sequence[Path]) -> list[float]:
    """J of uJ, W of uW."""
    return [_number(file) * 1e-6 for file in files]


# --- accelerators --------------------------------------------------------------------------------

_GPU_EXCLUDES = f"processors, memory of the host, {_REST}"


class NvmlError(Exception):
    """NVML's word for what went wrong."""


class Nvml:
    """The five calls of libnvidia-ml.so.1 that are needed; the driver brings it (in a container:
    --nv), so that no package has to be installed. Raises OSError, NvmlError.
    """

    def __init__(self, library: str = "libnvidia-ml.so.1") -> None:
        try:
            self._library = ctypes.CDLL(library)
        except OSError:
            raise NvmlError("no NVML library (in a container: --nv)") from None
        self._library.nvmlErrorString.restype = ctypes.c_char_p
        self._call("nvmlInit_v2")

    def _call(self, name: str, *arguments: Any) -> None:
        if code := getattr(self._library, name)(*arguments):
            word = self._library.nvmlErrorString(code) or b""
            raise NvmlError(f"{name}: {word.decode(errors='replace')}")

    def handle(self, name: str) -> Any:
        """Of a device by its UUID (GPU-..., MIG-...) or its index, in the order of PCI buses."""
        found = ctypes.c_void_p()
        if name.isdigit():
            self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(int(name)), _to(found))
        else:
            self._call("nvmlDeviceGetHandleByUUID", name.encode(), _to(found))
        return found

    def energy(self, handle: Any) -> float:
        """J since the driver was loaded."""
        found = ctypes.c_ulonglong()
        self._call("nvmlDeviceGetTotalEnergyConsumption", handle, _to(found))
        return found.value * 1e-3

    def power(self, handle: Any) -> float:
        """W, as the device averages them (Ampere and newer but the GA100: over a second)."""
        found = ctypes.c_uint()
        self._call("nvmlDeviceGetPowerUsage", handle, _to(found))
        return found.value * 1e-3


def _to(value: Any) -> Any:
    return ctypes.byref(value)


def _nvml(library: Any, index: int, environ: Mapping[str, str]) -> Source:
    name = _uuid(index) or _visible(index, environ, "CUDA_VISIBLE_DEVICES")
    handle, meter = library.handle(name), _label(name)
    try:
        library.energy(handle)
    except NvmlError:
        library.power(handle)
        read = partial(_each, library.power, handle)
        return Source("nvml power", "device", _GPU_EXCLUDES, read, sampled=True, meter=meter)
    read = partial(_each, library.energy, handle)
    return Source("nvml", "device", _GPU_EXCLUDES, read, meter=meter)


def _each(call: Callable[[Any], float], handle: Any) -> list[float]:
    return [call(handle)]


def _torch(index: int) -> Any:
    """What torch knows of the device, where it is imported: NVML's order may be another."""
    torch = sys.modules.get("torch")
    try:
        return torch.cuda.get_device_properties(index) if torch is not None else None
    except Exception:
        return None


def _uuid(index: int) -> str | None:
    found = getattr(_torch(index), "uuid", None)
    return f"GPU-{found}" if found else None


def _visible(index: int, environ: Mapping[str, str], *variables: str) -> str:
    """The node's name for the process's `index`-th device: of the first variable that is set."""
    for variable in variables:
        names = [name.strip() for name in environ.get(variable, "").split(",") if name.strip()]
        if index < len(names):
            return names[index]
    return str(index)


def _amdgpu(root: Path, index: int, environ: Mapping[str, str]) -> Source | str:
    found = root.glob("sys/class/drm/card*/device")
    cards = [card.resolve() for card in found if _text(card / "vendor") == "0x1002"]
    cards = sorted(dict.fromkeys(cards))  # by PCI address, as ROCm numbers them
    if not cards:
        return "amdgpu: no AMD card"
    known = _torch(index)
    if isinstance(bus := getattr(known, "pci_bus_id", None), int):
        domain, slot = getattr(known, "pci_domain_id", 0), getattr(known, "pci_device_id", 0)
        named = [c for c in cards if c.name.startswith(f"{domain:04x}:{bus:02x}:{slot:02x}.")]
        cards, name = (named or cards), "0" if named else str(index)
    else:
        below = _visible(index, environ, "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")
        name = below
        if below.isdigit():  # ROCR numbers what it leaves from 0 for HIP
            name = _visible(int(below), environ, "ROCR_VISIBLE_DEVICES")
    if not name.isdigit() or int(name) >= len(cards):
        return f"amdgpu: device {name[:40]} is none of {len(cards)} cards by index"
    card = cards[int(name)]
    for word in ("energy1_input", "power1_average", "power1_input"):
        for file in sorted(card.glob(f"hwmon/hwmon*/{word}")):
            _number(file)
            read, sampled = partial(_micro, (file,)), word.startswith("power")
            name = "amdgpu power" if sampled else "amdgpu"
            return Source(
                name, "device", _GPU_EXCLUDES, read, sampled=sampled, meter=_label(card.name)
            )
    return "amdgpu: the card has neither energy1_input nor power1_average"


# --- a job ---------------------------------------------------------------------------------------

_NOTHING = 2**63  # Slurm's "no value" is near 2**64


class JobMeter:
    """Joules of this Slurm job since the meter was made, of all its nodes; rank 0 asks twice.

    A question is a process and a message to slurmctld: tens of milliseconds, at a run's begin and
    end only. Steps of one node are counted by the same node's counter: the largest step counts, so
    that nothing counts twice (a lower bound where no step spans all nodes).
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        run: Callable[..., Any] = subprocess.run,
        timeout_s: float = 10.0,
    ) -> None:
        self._job = (os.environ if environ is None else environ).get("SLURM_JOB_ID", "")
        self._run, self._timeout_s = run, timeout_s
        self.why: str | None = None if self._job else "slurm: not in a job"
        self._began = self._read()

    def _read(self) -> float | None:
        if not self._job:
            return None
        words = ["sstat", "-a", "-n", "-P", "-j", self._job, "-o", "ConsumedEnergyRaw"]
        try:
            done = self._run(words, capture_output=True, text=True, timeout=self._timeout_s)
            if done.returncode:
                self.why = f"slurm: sstat: {' '.join(done.stderr.split())[:160]}"
                return None
            return consumed(done.stdout.splitlines())
        except (OSError, subprocess.TimeoutExpired, ValueError) as error:
            self.why = f"slurm: sstat: {_said(error)}"
            return None

    def reading(self) -> dict[str, Any]:
        """{"joules", "source", "scope", "excludes"}, or {"joules": None, "source": "none", "why"};
        for the journal's closing line.
        """
        now = self._read()
        if now:  # 0: no step was measured
            joules = climbed(self._began or 0.0, now, None)
            said = {"source": "slurm", "scope": "job"}
            return {"joules": joules, **said, "excludes": "what the site's plugin does not see"}
        self.why = self.why or "slurm: measures none (AcctGatherEnergyType=none?)"
        return {"joules": None, "source": "none", "why": self.why}


def consumed(lines: Iterable[str]) -> float:
    """J of the largest step in sstat's or sacct's ConsumedEnergyRaw, 0 where none was measured."""
    found = [line.strip().rstrip("|") for line in lines]
    return float(max((int(x) for x in found if x.isdigit() and int(x) < _NOTHING), default=0))
