"""Counters of energy and device names: NVML, amdgpu, RAPL."""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

_REST = "mainboard, network, storage, cooling"
_NO_RIGHT = "the site may give the right to read it"


@dataclass(frozen=True, slots=True)
class Source:
    """What a meter reads. read(): joules of each counter (`moduli`: where each wraps to 0; None:
    never), or with `sampled` watts of each device. It may raise.

    meter: an opaque label of the hardware, so that two workers of one device are counted once; ""
    where the node itself says it. busy(): share of the time in which the device had work, as its driver
    says; None: it does not. It may raise.
    """

    name: str
    scope: str
    excludes: str
    read: Callable[[], Sequence[float]]
    moduli: tuple[float | None, ...] = (None,)
    sampled: bool = False
    meter: str = ""
    busy: Callable[[], float] | None = None


def find_source(
    device: str, root: Path, environ: Mapping[str, str], nvml: Callable[[], Any]
) -> Source | str:
    """The source for a device, or why there is none. May raise."""
    if device == "cpu":
        return _rapl(root)
    index = int(device.partition(":")[2] or 0)
    try:
        return _nvml(nvml(), index, environ)
    except Exception as error:
        first = reason_of(error)
    source = _amdgpu(root, index, environ)
    return f"{first}; {source}" if isinstance(source, str) else source


def reason_of(error: Exception) -> str:
    """An error in a few words, without the path of a user."""
    if isinstance(error, OSError) and error.strerror:
        name = Path(str(error.filename or "")).parts[-2:]
        return f"{'/'.join(name)}: {error.strerror}" if name else error.strerror
    return f"{type(error).__name__}: {error}"[:200]


def _label(*names: str) -> str:
    """A digest that tells devices apart without their serial numbers."""
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


def _rapl(root: Path) -> Source | str:
    zones = root / "sys/class/powercap"
    # AMD's processors use the name intel-rapl, too. Not psys, nor core, uncore, dram inside a package.
    packages = [
        zone
        for zone in sorted(zones.glob("intel-rapl:*"))
        if _text(zone / "name").startswith("package")
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
        float(top) * 1e-6 if (top := _text(zone / "max_energy_range_uj")).isdecimal() else None
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


def _percent(file: Path) -> float:
    return _number(file) / 100


_GPU_EXCLUDES = f"processors, memory of the host, {_REST}"


class NvmlError(Exception):
    """NVML's message of an error."""


class Nvml:
    """The six calls of libnvidia-ml.so.1 that are needed; the driver brings it (in a container:
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
        handle = ctypes.c_void_p()
        if name.isdecimal():
            self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(int(name)), _to(handle))
        else:
            self._call("nvmlDeviceGetHandleByUUID", name.encode(), _to(handle))
        return handle

    def energy(self, handle: Any) -> float:
        """J since the driver was loaded."""
        millijoules = ctypes.c_ulonglong()
        self._call("nvmlDeviceGetTotalEnergyConsumption", handle, _to(millijoules))
        return millijoules.value * 1e-3

    def power(self, handle: Any) -> float:
        """W, as the device averages them (Ampere and newer but the GA100: over a second)."""
        milliwatts = ctypes.c_uint()
        self._call("nvmlDeviceGetPowerUsage", handle, _to(milliwatts))
        return milliwatts.value * 1e-3

    def busy(self, handle: Any) -> float:
        """Share of the driver's last sampling period (a sixth to one second) in which kernels ran."""
        rates = (ctypes.c_uint * 2)()
        self._call("nvmlDeviceGetUtilizationRates", handle, _to(rates))
        return rates[0] / 100


def _to(value: Any) -> Any:
    return ctypes.byref(value)


def _nvml(library: Any, index: int, environ: Mapping[str, str]) -> Source:
    name = _uuid(index) or _visible(index, environ, "CUDA_VISIBLE_DEVICES")
    handle, meter = library.handle(name), _label(name)
    busy = partial(library.busy, handle) if hasattr(library, "busy") else None
    try:
        library.energy(handle)
    except NvmlError:
        library.power(handle)
        read = partial(_each, library.power, handle)
        return Source(
            "nvml power", "device", _GPU_EXCLUDES, read, sampled=True, meter=meter, busy=busy
        )
    read = partial(_each, library.energy, handle)
    return Source("nvml", "device", _GPU_EXCLUDES, read, meter=meter, busy=busy)


def _each(call: Callable[[Any], float], handle: Any) -> list[float]:
    return [call(handle)]


def _torch(index: int) -> Any:
    """torch's properties of the device, None if torch is not imported: NVML's order may differ."""
    torch = sys.modules.get("torch")
    try:
        return torch.cuda.get_device_properties(index) if torch is not None else None
    except Exception:
        return None


def _uuid(index: int) -> str | None:
    uuid = getattr(_torch(index), "uuid", None)
    return f"GPU-{uuid}" if uuid else None


def _visible(index: int, environ: Mapping[str, str], *variables: str) -> str:
    """The node's name for the process's `index`-th device: of the first variable that is set."""
    for variable in variables:
        names = [name.strip() for name in environ.get(variable, "").split(",") if name.strip()]
        if index < len(names):
            return names[index]
    return str(index)


def _amdgpu(root: Path, index: int, environ: Mapping[str, str]) -> Source | str:
    devices = root.glob("sys/class/drm/card*/device")
    cards = [card.resolve() for card in devices if _text(card / "vendor") == "0x1002"]
    # By PCI address, as ROCm numbers them.
    cards = sorted(dict.fromkeys(cards))
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
        # ROCR numbers the devices that it leaves from 0 for HIP.
        if below.isdecimal():
            name = _visible(int(below), environ, "ROCR_VISIBLE_DEVICES")
    if not name.isdecimal() or int(name) >= len(cards):
        return f"amdgpu: device {name[:40]} is none of {len(cards)} cards by index"
    card = cards[int(name)]
    for word in ("energy1_input", "power1_average", "power1_input"):
        for file in sorted(card.glob(f"hwmon/hwmon*/{word}")):
            _number(file)
            read, sampled = partial(_micro, (file,)), word.startswith("power")
            name = "amdgpu power" if sampled else "amdgpu"
            busy = partial(_percent, card / "gpu_busy_percent")
            return Source(
                name,
                "device",
                _GPU_EXCLUDES,
                read,
                sampled=sampled,
                meter=_label(card.name),
                busy=busy,
            )
    return "amdgpu: the card has neither energy1_input nor power1_average"
