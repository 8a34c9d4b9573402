"""Energy: counters of a fake /sys, a fake driver, a fake Slurm; what the record makes of them."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.report_runs import write_run
from suite.launch.slurm_energy import JobMeter
from suite.report import tables
from suite.report.groups import collect
from suite.results import record as records
from suite.results.fold import load_run
from suite.track.rows import run_rows
from suite.worker import counters, energy
from suite.worker.counters import NvmlError
from suite.worker.energy import Counted, Meter, Trapezoids, climbed

ROOT = Path(__file__).resolve().parents[2]
TOP_UJ = 262_143_328_850  # of a Xeon's package domain


class Sys:
    """A /sys that a test turns."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, path: str, text: object) -> Path:
        file = self.root / "sys" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
        return file

    def zone(self, zone: str, name: str, uj: int) -> None:
        self.put(f"class/powercap/{zone}/name", name)
        self.put(f"class/powercap/{zone}/max_energy_range_uj", TOP_UJ)
        self.put(f"class/powercap/{zone}/energy_uj", uj)

    def card(self, number: int, bus: str, vendor: str = "0x1002", **files: object) -> Path:
        at = f"devices/pci0000:00/{bus}"
        device = self.put(f"{at}/vendor", vendor).parent
        for name, value in files.items():
            self.put(f"{at}/hwmon/hwmon{number}/{name}", value)
        link = self.root / f"sys/class/drm/card{number}/device"
        link.parent.mkdir(parents=True)
        link.symlink_to(device)
        return device

    def meter(self, device: str = "cpu", **other: Any) -> Meter:
        none = {"nvml": no_nvml, "environ": {}, "threaded": False}
        return Meter(device, root=self.root, **none | other)


def no_nvml() -> Any:
    raise NvmlError("no NVML library")


@pytest.fixture
def sysfs(tmp_path) -> Sys:
    return Sys(tmp_path)


@pytest.fixture
def packages(sysfs) -> Sys:
    """Two packages, and everything that would count them again."""
    sysfs.zone("intel-rapl:0", "package-0", 5_000_000)
    sysfs.zone("intel-rapl:1", "package-1", 7_000_000)
    sysfs.zone("intel-rapl:2", "psys", 90_000_000)
    sysfs.zone("intel-rapl:0:0", "core", 1_000_000)
    sysfs.zone("intel-rapl:0:1", "dram", 1_000_000)
    sysfs.zone("intel-rapl-mmio:0", "package-0", 5_000_000)
    return sysfs


# --- processors -----------------------------------------------------------------------------------


def test_every_package_counts_and_nothing_inside_or_around_one(packages):
    meter = packages.meter()
    assert meter.joules() == 0
    for zone, name in (("0", "package-0"), ("1", "package-1"), ("2", "psys"), ("0:0", "core")):
        packages.zone(f"intel-rapl:{zone}", name, 107_000_000)
    assert meter.joules() == pytest.approx(102 + 100)
    said = meter.facts()
    assert (said["source"], said["scope"]) == ("rapl", "package")
    assert "accelerators" in said["excludes"] and "memory" in said["excludes"]
    assert "meter" not in said  # the node's label tells packages apart


def test_a_counter_that_wraps_goes_on_counting(packages):
    packages.zone("intel-rapl:0", "package-0", TOP_UJ - 1_000_000)
    meter = packages.meter()
    packages.zone("intel-rapl:0", "package-0", 2_000_000)
    assert meter.joules() == pytest.approx(3)
    packages.zone("intel-rapl:0", "package-0", 4_000_000)
    assert meter.joules() == pytest.approx(5)


def test_a_counter_that_ordinary_users_may_not_read_is_said(packages, monkeypatch):
    def denied(file: Path) -> int:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(counters, "_number", denied)  # root, as in a container, would read it
    meter = packages.meter()
    assert meter.joules() is None
    said = meter.facts()
    assert said["source"] == "none" and "root" in said["why"]
    assert str(packages.root) not in said["why"]


def test_a_device_that_vanishes_ends_its_meter_and_no_run(packages):
    meter = packages.meter()
    assert meter.joules() == 0
    shutil.rmtree(packages.root / "sys/class/powercap/intel-rapl:1")
    assert meter.joules() is None
    assert "energy_uj: No such file" in meter.facts()["why"]
    assert str(packages.root) not in meter.facts()["why"]
    packages.zone("intel-rapl:1", "package-1", 7_000_000)
    assert meter.joules() is None  # what it missed nobody knows


def test_a_node_without_counters_says_so(sysfs):
    meter = sysfs.meter()
    assert meter.joules() is None
    assert meter.facts() == {
        "source": "none",
        "why": "rapl: no powercap package domain (a virtual machine, or another processor)",
    }


@given(text=st.text(max_size=12), top=st.text(max_size=12))
def test_no_content_of_a_file_raises(text, top, tmp_path_factory):
    sysfs = Sys(tmp_path_factory.mktemp("sys"))
    sysfs.zone("intel-rapl:0", "package-0", 1)
    for name, value in (("energy_uj", text), ("max_energy_range_uj", top)):
        sysfs.put(f"class/powercap/intel-rapl:0/{name}", "").write_bytes(value.encode())
    sysfs.card(0, "0000:01:00.0", energy1_input=text.encode("ascii", "replace").decode())
    for device in ("cpu", "cuda:0", "cuda:x", "tpu"):
        meter = sysfs.meter(device)
        assert meter.joules() is None or meter.joules() == 0
        assert meter.facts()


def test_a_reading_costs_less_than_a_millisecond(packages):
    meter, spent = packages.meter(), []
    for _ in range(200):
        began = time.perf_counter()
        meter.joules()
        spent.append(time.perf_counter() - began)
    assert statistics.median(spent) < 1e-3


def test_between_readings_a_thread_sees_the_counter_wrap(packages, monkeypatch):
    monkeypatch.setattr(energy, "COUNTER_S", 0.005)
    meter = packages.meter(threaded=True)
    seen = 0.0
    for uj in (TOP_UJ // 2, TOP_UJ - 1, TOP_UJ // 2, TOP_UJ - 1, 0):  # two wraps, no reading
        packages.put("class/powercap/intel-rapl:1/.new", uj).rename(
            packages.root / "sys/class/powercap/intel-rapl:1/energy_uj"
        )
        before, deadline = seen, time.monotonic() + 5
        while seen == before and time.monotonic() < deadline:
            time.sleep(0.005)
            seen = meter._sum.joules
    meter.close()
    assert meter.joules() == pytest.approx((2 * TOP_UJ - 7_000_000) * 1e-6, rel=1e-6)


# --- arithmetic -----------------------------------------------------------------------------------


@given(first=st.integers(0, TOP_UJ - 1), steps=st.lists(st.integers(0, TOP_UJ - 1), max_size=30))
def test_increments_shorter_than_the_range_add_up_through_every_wrap(first, steps):
    counted, at = Counted([float(TOP_UJ)]), first
    counted.add(0.0, [float(first)])
    for step in steps:
        at = (at + step) % TOP_UJ
        counted.add(0.0, [float(at)])
    assert counted.joules == sum(steps)


@given(last=st.floats(0, 1e9), now=st.floats(0, 1e9), top=st.none() | st.floats(1, 1e9))
def test_a_counter_never_counts_backwards(last, now, top):
    assert climbed(last, now, top) >= 0


@given(
    gaps=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=30),
    slope=st.floats(-10, 10),
    at=st.floats(0, 700),
)
def test_trapezoids_integrate_a_straight_line_exactly(gaps, slope, at):
    found, now = Trapezoids(), 0.0
    found.add(now, [at])
    for gap in gaps:
        now += gap
        found.add(now, [at + slope * now])
    scale = (abs(at) + abs(slope) * now) * now
    assert found.joules == pytest.approx(at * now + slope * now**2 / 2, abs=1e-9 * scale + 1e-9)


@given(watts=st.lists(st.floats(0, 700), min_size=2, max_size=30), gap=st.floats(0.01, 10))
def test_joules_lie_between_the_least_and_the_greatest_power(watts, gap):
    found = Trapezoids()
    for i, power in enumerate(watts):
        found.add(i * gap, [power])
    seconds = gap * (len(watts) - 1)
    assert min(watts) * seconds - 1e-6 <= found.joules <= max(watts) * seconds + 1e-6


# --- accelerators ---------------------------------------------------------------------------------


class Gpu:
    """NVML as the meter calls it."""

    def __init__(self, joules: float | None = 10.0, watts: float | None = 100.0) -> None:
        self.joules, self.watts, self.named = joules, watts, ""

    def handle(self, name: str) -> str:
        self.named = name
        return name

    def energy(self, handle: str) -> float:
        if self.joules is None:
            raise NvmlError("nvmlDeviceGetTotalEnergyConsumption: Not Supported")
        return self.joules

    def power(self, handle: str) -> float:
        if self.watts is None:
            raise NvmlError("nvmlDeviceGetPowerUsage: GPU is lost")
        return self.watts


def test_a_gpu_has_its_own_counter_and_an_opaque_label(sysfs):
    gpu = Gpu()
    meter = sysfs.meter(
        "cuda:0", nvml=lambda: gpu, environ={"CUDA_VISIBLE_DEVICES": "GPU-8f2a, GPU-77"}
    )
    assert gpu.named == "GPU-8f2a"
    gpu.joules = 35.5
    assert meter.joules() == 25.5
    said = meter.facts()
    assert (said["source"], said["scope"]) == ("nvml", "device")
    assert "processors" in said["excludes"]
    assert said["meter"] and "8f2a" not in json.dumps(said)
    other = sysfs.meter("cuda:0", nvml=Gpu, environ={"CUDA_VISIBLE_DEVICES": "3"})
    assert other.facts()["meter"] != said["meter"]


def test_a_gpu_without_a_counter_has_its_power_integrated(sysfs):
    gpu, now = Gpu(joules=None), [0.0]
    meter = sysfs.meter("cuda:0", nvml=lambda: gpu, clock=lambda: now[0])
    assert meter.facts()["source"] == "nvml power"
    now[0], gpu.watts = 2.0, 300.0
    assert meter.joules() == 400
    gpu.watts = None
    assert meter.joules() is None and "GPU is lost" in meter.facts()["why"]


def test_a_driver_says_how_busy_its_device_is(sysfs, packages):
    class Busy(Gpu):
        def busy(self, handle: str) -> float:
            if self.watts is None:
                raise NvmlError("nvmlDeviceGetUtilizationRates: GPU is lost")
            return 0.93

    gpu = Busy()
    meter = sysfs.meter("cuda:0", nvml=lambda: gpu)
    assert meter.busy() == 0.93
    gpu.watts = None
    assert meter.busy() is None and meter.joules() == 0
    assert packages.meter().busy() is None  # RAPL does not say
    sysfs.card(0, "0000:03:00.0", energy1_input=1_000_000)
    sysfs.put("devices/pci0000:00/0000:03:00.0/gpu_busy_percent", 37)
    assert sysfs.meter("cuda:0").busy() == 0.37


def test_the_power_is_sampled_while_nobody_asks(sysfs, monkeypatch):
    monkeypatch.setattr(energy, "POWER_S", 0.005)
    gpu = Gpu(joules=None)
    meter = sysfs.meter("cuda:0", nvml=lambda: gpu, threaded=True)
    deadline = time.monotonic() + 30
    while meter._sum.joules == 0 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert meter._sum.joules > 0
    meter.close()
    time.sleep(0.05)
    at = meter._sum.joules
    time.sleep(0.05)
    assert meter._sum.joules == at


def test_the_thread_of_a_meter_that_nobody_holds_ends(sysfs, monkeypatch):
    monkeypatch.setattr(energy, "POWER_S", 0.005)
    before = set(threading.enumerate())
    meter = sysfs.meter("cuda:0", nvml=lambda: Gpu(joules=None), threaded=True)
    (thread,) = set(threading.enumerate()) - before
    assert thread.is_alive()
    del meter
    thread.join(5)
    assert not thread.is_alive()


def test_the_drivers_library_is_called_as_its_reference_says(sysfs, monkeypatch):
    """Through ctypes, with functions of C's types in the library's place."""
    uint, ulong = ctypes.POINTER(ctypes.c_uint), ctypes.POINTER(ctypes.c_ulonglong)
    pointer, word = ctypes.POINTER(ctypes.c_void_p), ctypes.create_string_buffer(b"GPU is lost")
    state = {"mJ": 2**40, "code": 0, "named": b""}

    def by_uuid(name: bytes, found: Any) -> int:
        state["named"], found[0] = name, 77
        return 0

    def by_index(index: int, found: Any) -> int:
        state["named"], found[0] = b"#%d" % index, 77
        return 0

    def counted(handle: int, found: Any) -> int:
        assert handle == 77
        found[0] = state["mJ"]
        return state["code"]

    def rates(handle: int, found: int) -> int:
        # A struct of two: of the multiprocessors, of the memory.
        both = ctypes.cast(found, uint)
        both[0], both[1] = 93, 40
        return 0

    def c(result: Any, *types: Any) -> Any:
        return ctypes.CFUNCTYPE(result, *types)

    library = SimpleNamespace(
        nvmlInit_v2=c(ctypes.c_int)(lambda: 0),
        nvmlErrorString=c(ctypes.c_void_p, ctypes.c_int)(lambda code: ctypes.addressof(word)),
        nvmlDeviceGetHandleByUUID=c(ctypes.c_int, ctypes.c_char_p, pointer)(by_uuid),
        nvmlDeviceGetHandleByIndex_v2=c(ctypes.c_int, ctypes.c_uint, pointer)(by_index),
        nvmlDeviceGetTotalEnergyConsumption=c(ctypes.c_int, ctypes.c_void_p, ulong)(counted),
        nvmlDeviceGetPowerUsage=c(ctypes.c_int, ctypes.c_void_p, uint)(lambda *_: 3),
        nvmlDeviceGetUtilizationRates=c(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(rates),
    )
    monkeypatch.setattr(counters.ctypes, "CDLL", lambda name: library)
    meter = sysfs.meter("cuda:0", nvml=None, environ={"CUDA_VISIBLE_DEVICES": "2"})
    assert meter.facts()["source"] == "nvml" and state["named"] == b"#2"
    state["mJ"] += 1500
    assert meter.joules() == 1.5 and meter.busy() == 0.93
    sysfs.meter("cuda:0", nvml=None, environ={"CUDA_VISIBLE_DEVICES": "GPU-1"})
    assert state["named"] == b"GPU-1"
    state["code"] = 15
    assert meter.joules() is None and "GPU is lost" in meter.facts()["why"]


def test_a_node_without_the_driver_says_what_was_tried(sysfs):
    def nvml() -> Any:
        return counters.Nvml("libno-such-library.so.1")

    meter = sysfs.meter("cuda:0", nvml=nvml)
    assert meter.joules() is None
    assert "--nv" in meter.facts()["why"] and "no AMD card" in meter.facts()["why"]


def test_an_amd_card_is_found_by_the_order_of_buses_and_what_is_visible(sysfs):
    sysfs.card(0, "0000:c1:00.0", energy1_input=5_000_000)
    far = sysfs.card(1, "0000:c8:00.0", energy1_input=7_000_000)
    sysfs.card(2, "0000:03:00.0", vendor="0x1a03", energy1_input=1)  # the console's
    meter = sysfs.meter(
        "cuda:0", environ={"ROCR_VISIBLE_DEVICES": "1,0", "HIP_VISIBLE_DEVICES": "0"}
    )
    (far / "hwmon/hwmon1/energy1_input").write_text("9500000\n")
    assert meter.joules() == 2.5
    assert (meter.facts()["source"], meter.facts()["scope"]) == ("amdgpu", "device")
    assert "none of 2 cards" in sysfs.meter("cuda:0", environ={"HIP_VISIBLE_DEVICES": "5"}).why


def test_an_amd_card_without_a_counter_has_its_power_integrated(sysfs):
    card, now = sysfs.card(0, "0000:c1:00.0", power1_average=200_000_000), [0.0]
    meter = sysfs.meter("cuda:0", clock=lambda: now[0])
    now[0] = 3.0
    (card / "hwmon/hwmon0/power1_average").write_text("400000000\n")
    assert meter.joules() == 900
    assert meter.facts()["source"] == "amdgpu power"


# --- a job ----------------------------------------------------------------------------------------


def sstat(*answers: str, code: int = 0, stderr: str = "") -> Any:
    todo = list(answers)

    def run(words: list[str], **_: Any) -> Any:
        assert words[0] == "sstat" and "4711" in words
        return subprocess.CompletedProcess(words, code, todo.pop(0) if todo else "", stderr)

    return run


def test_a_jobs_largest_step_counts_from_begin_to_end():
    none = str(2**64 - 2)
    meter = JobMeter({"SLURM_JOB_ID": "4711"}, sstat("900\n1000\n", f"4000\n6000\n{none}\n\n"))
    said = meter.reading()
    assert (said["joules"], said["source"], said["scope"]) == (5000, "slurm", "job")


@pytest.mark.parametrize(
    ("environ", "run", "why"),
    [
        ({}, sstat(), "not in a job"),
        ({"SLURM_JOB_ID": "4711"}, sstat("0\n", "0\n"), "AcctGatherEnergyType"),
        ({"SLURM_JOB_ID": "4711"}, sstat(code=1, stderr="sstat: error: no\nsteps"), "no steps"),
    ],
)
def test_a_job_that_was_not_measured_says_why(environ, run, why):
    said = JobMeter(environ, run).reading()
    assert said["joules"] is None and said["source"] == "none" and why in said["why"]


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "No such file", "sstat"), subprocess.TimeoutExpired("sstat", 10)]
)
def test_a_batch_system_that_does_not_answer_ends_no_run(error):
    def run(*_: Any, **__: Any) -> Any:
        raise error

    said = JobMeter({"SLURM_JOB_ID": "4711"}, run).reading()
    assert said["joules"] is None and "sstat" in said["why"]


def test_a_run_in_a_job_asks_the_batch_system_and_its_record_has_the_joules(tmp_path):
    """A whole run by the command line; this machine's processor must not be readable itself."""
    tool, counter = tmp_path / "bin" / "sstat", tmp_path / "counter"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\necho x >>{counter}\nwc -l <{counter} | sed s/$/000/\n")
    tool.chmod(0o755)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMIX_", "SLURM_"))}
    env |= {"PATH": f"{tool.parent}:{env['PATH']}", "SLURM_JOB_ID": "4711"}
    env |= {"SUITE_RUNS": str(tmp_path / "runs"), "PYTHONPATH": str(ROOT)}
    words = ("model=table_target", "max_epochs=9", "tracking=later", "report=false")
    command = [sys.executable, "-m", "suite", "algorithm=hyperband", *words]
    subprocess.run(command, env=env, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    (record,) = (tmp_path / "runs").rglob("record.json")
    found = records.load(record)["energy"]
    if found["source"] == "slurm":  # no RAPL here: what the workers read themselves comes first
        assert (found["joules"]["value"], found["scope"]) == (1000, "job")
    closed = json.loads((record.parent / "journal.jsonl").read_text().splitlines()[-1])
    assert (closed["energy"]["joules"], closed["energy"]["source"]) == (1000, "slurm")


# --- the accelerator's own name -------------------------------------------------------------------


def test_two_gpus_of_a_node_have_two_labels_and_a_processor_none(monkeypatch):
    monkeypatch.setattr(counters, "_uuid", lambda _: None)
    labels = {
        counters.device_id("cuda:0", {name: which})
        for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
        for which in ("0", "3", "GPU-1")
    }
    assert len(labels) == 3 and not any("GPU" in str(label) for label in labels)
    assert counters.device_id("cpu", {"CUDA_VISIBLE_DEVICES": "0"}) is None


def test_where_each_worker_sees_but_one_gpu_its_uuid_tells_them_apart(monkeypatch):
    alike = {"CUDA_VISIBLE_DEVICES": "0"}
    labels = set()
    for uuid in ("GPU-a", "GPU-b"):
        monkeypatch.setattr(counters, "_uuid", lambda _, uuid=uuid: uuid)
        labels.add(counters.device_id("cuda:0", alike))
    assert len(labels) == 2
    part = [counters.device_id("cuda:0", {"CUDA_VISIBLE_DEVICES": f"MIG-{i}"}) for i in range(2)]
    assert part[0] != part[1]  # parts of one GPU


# --- the record -----------------------------------------------------------------------------------

RAPL = {"source": "rapl", "scope": "package", "excludes": "memory"}
NVML = {"source": "nvml", "scope": "device", "excludes": "processors", "meter": "a"}


def metered(folder: Path, facts: Any, joules: Any, closed: Any = None, **run: Any) -> Path:
    """A run of write_run: worker 1 finishes its job at 100 s, worker 2 its own at 80 s of 100."""
    write_run(folder, **run)
    path = folder / "journal.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line.get("event") == "joined":
            line["facts"] = facts.get(line["worker"], {})
        if line.get("event") == "finished" and line["worker"] in joules:
            line["energy_j"] = joules[line["worker"]]
        if line.get("event") == "closed" and closed:
            line["energy"] = closed
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def recorded(folder: Path) -> dict[str, Any]:
    record = records.build(folder)
    records.validate(record)
    return record["energy"]


def test_two_workers_of_a_package_count_its_joules_once(tmp_path):
    facts = {w: {"node": "node0", "energy": RAPL} for w in (1, 2)}
    found = recorded(metered(tmp_path / "run", facts, {1: 1000.0, 2: 800.0}))
    assert found["joules"] == {"value": 1000.0, "unit": "J"}
    assert (found["source"], found["scope"], found["excludes"]) == ("rapl", "package", "memory")
    assert found["covered"] == {"value": 0.9, "unit": "1"} and found["why"] is None


def test_two_nodes_and_two_devices_add_up_and_a_shared_device_does_not(tmp_path):
    nodes = {w: {"node": f"node{w}", "energy": RAPL} for w in (1, 2)}
    assert (
        recorded(metered(tmp_path / "a", nodes, {1: 1000.0, 2: 800.0}))["joules"]["value"] == 1800
    )
    gpus = {w: {"node": "node0", "energy": NVML | {"meter": f"{w}"}} for w in (1, 2)}
    assert recorded(metered(tmp_path / "b", gpus, {1: 1000.0, 2: 800.0}))["joules"]["value"] == 1800
    shared = {w: {"node": "node0", "energy": NVML} for w in (1, 2)}
    found = recorded(metered(tmp_path / "c", shared, {1: 1000.0, 2: 800.0}))
    assert found["joules"]["value"] == 1000


def test_a_record_without_a_reading_says_why(tmp_path):
    none = {w: {"node": "node0", "energy": {"source": "none", "why": "rapl: none"}} for w in (1, 2)}
    found = recorded(metered(tmp_path / "run", none, {}))
    assert found == {
        "joules": None,
        "source": "none",
        "scope": None,
        "excludes": None,
        "covered": None,
        "why": "rapl: none",
    }
    old = recorded(metered(tmp_path / "old", {}, {}))
    assert old["joules"] is None and old["why"] == "no worker carried a meter"


def test_a_worker_that_could_not_read_lowers_what_is_covered(tmp_path):
    facts = {1: {"node": "node0", "energy": NVML}, 2: {"energy": {"source": "none", "why": "gone"}}}
    found = recorded(metered(tmp_path / "run", facts, {1: 1000.0}))
    assert found["joules"]["value"] == 1000
    assert found["covered"]["value"] == 0.5 and found["why"] == "gone"


def test_what_slurm_said_at_the_end_serves_where_no_worker_read(tmp_path):
    said = {"joules": 7.2e6, "source": "slurm", "scope": "job", "excludes": "cooling"}
    found = recorded(metered(tmp_path / "run", {}, {}, closed=said))
    assert found["joules"]["value"] == 7.2e6 and found["source"] == "slurm"
    assert (found["scope"], found["covered"]) == ("job", None)
    facts = {w: {"node": "node0", "energy": RAPL} for w in (1, 2)}
    found = recorded(metered(tmp_path / "read", facts, {1: 1000.0, 2: 800.0}, closed=said))
    assert found["source"] == "rapl"
    none = {"joules": None, "source": "none", "why": "slurm: measures none"}
    assert "slurm: measures none" in recorded(metered(tmp_path / "no", {}, {}, closed=none))["why"]


def test_the_report_and_mlflow_have_energy_where_it_is_known(tmp_path):
    facts = {w: {"node": "node0", "energy": RAPL} for w in (1, 2)}
    folder = metered(tmp_path / "run", facts, {1: 3.6e6, 2: 2.88e6}, n_epochs=20)
    rows = run_rows(load_run(folder), 0.0)
    assert [value for key, value, *_ in rows if key == "cost/energy_J"][-1] == 3.6e6
    groups, _ = collect([tmp_path])
    body = {row[0].strip(): row[1] for row in tables.rows(groups[0], groups[0].algorithms)}
    assert body["energy by rapl, 90 % of workers' time read [kWh]"] == "1.00"
    assert body["an epoch [J]"] == "180,000"


def test_nothing_is_shown_where_energy_is_not_known(tmp_path):
    folder = metered(tmp_path / "run", {}, {})
    assert not any(key == "energy_J" for key, *_ in run_rows(load_run(folder), 0.0))
    groups, _ = collect([tmp_path])
    assert not any("energy" in row[0] for row in tables.rows(groups[0], groups[0].algorithms))
