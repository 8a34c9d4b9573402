"""Electron-positron collisions by Pythia 8 through CLIC's card, in the format of models/data/clic.py.

hardware: 1 thread of a 2-core x86-64 virtual machine; versions: pythia8mc 8.317, numpy 2.4; n, number:
docs/clic.md; lineage: the settings of scripts/fcc/p8_ee_*_ecm380.cmd of jpata/particleflow (v1.6.2):
top-quark pairs, quark pairs, WW into quarks, ZH; there the Higgs boson decays into tau leptons only, here as
Pythia's tables say.

A STAND-IN: the same processes, energy and format, another detector (models/data/clic_detector.py) and our own
rule-based candidates in place of Pandora's. As there: initial-state radiation, no beamstrahlung, no
gamma gamma -> hadrons. `swiftbench pythia --collider ee` writes a set.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.data import clic, clic_detector, rule_based
from models.data.generated import PER_FILE, Job, facts, sizes, write_set
from models.data.pythia import Generator, pythia_version
from suite.core.errors import check_integer, unknown_name
from suite.core.seeds import stream, stream_seed

ENERGY_GEV = 380
_COMMON = (
    "Print:quiet = on", "Beams:idA = 11", "Beams:idB = -11", f"Beams:eCM = {ENERGY_GEV}.",
    "PartonLevel:ISR = on", "PartonLevel:FSR = on", "ParticleDecays:limitTau0 = on",
    "ParticleDecays:tau0Max = 10.", "Random:setSeed = on",
)  # fmt: skip
_QUARKS = "1 2 3 4 5"
_LINES = {
    "tt": ("Top:ffbar2ttbar(s:gmZ) = on",),
    "qq": (
        "WeakSingleBoson:ffbar2ffbar(s:gmZ) = on", "23:onMode = off", f"23:onIfAny = {_QUARKS}",
        "22:onMode = off", f"22:onIfAny = {_QUARKS}",
    ),
    "zh": ("HiggsSM:ffbar2HZ = on", "25:m0 = 125.0"),
    "ww": ("WeakDoubleBoson:ffbar2WW = on", "24:onMode = off", f"24:onIfAny = {_QUARKS} 6"),
}  # fmt: skip
PROCESSES = tuple(_LINES)
ALL = "all"
FOLDER = "clic_standin"
"""Of a set, in the data root."""

NAME = "p8_ee_{}_ecm380_{}.parquet"
WHAT = "Pythia 8 events through a card of CLIC's detector; not the published EDM4HEP-derived set"


def write(
    folder: Path, n_events: int, *, seed: int = 0, process: str = ALL, per_file: int = PER_FILE,
    processes: int = 1, progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:  # fmt: skip
    """`n_events` events in files of at most `per_file` of one process, and the manifest, which is returned.

    process: all: a quarter of the events of each. Files that are there and whole are kept. progress(files
    done, files) is called after each. Raises ConfigError for an argument out of range or a folder of other
    settings, DataError without pythia8mc.
    """
    check_integer("events", n_events, 1)
    check_integer("per_file", per_file, 1)
    check_integer("processes", processes, 1)
    check_integer("seed", seed, 0)
    if process not in (ALL, *PROCESSES):
        raise unknown_name("process", process, (ALL, *PROCESSES))
    chosen = PROCESSES if process == ALL else (process,)
    settings = {
        "collider": "ee", "process": process, "seed": seed, "per_file": per_file,
        "energy_gev": ENERGY_GEV, "settings": [*_COMMON, *(x for p in chosen for x in _LINES[p])],
        "detector": clic_detector.VERSION, "rule_based": rule_based.VERSION,
        "pythia8mc": pythia_version(),
    }  # fmt: skip
    jobs = [
        Job(str(folder), NAME.format(p, number), p, number, size, settings)
        for k, p in enumerate(chosen)
        for number, size in enumerate(sizes(len(range(k, n_events, len(chosen))), per_file))
    ]
    return write_set(folder, WHAT, jobs, _file, settings, processes, progress)


def _file(job: Job) -> tuple[str, dict[str, Any]]:
    seed = int(job.settings["seed"])
    lines = (*_COMMON, *_LINES[job.process])
    hard = Generator(job.process, stream_seed(seed, "hard", job.process, job.number), lines)
    rng = stream(seed, "detector", job.process, job.number)
    events = [clic_detector.detect(hard(), rng) for _ in range(job.n_events)]
    path = Path(job.folder) / job.name
    clic.write(path, events)
    return job.name, facts(path, [len(e["X_track"]) + len(e["X_cluster"]) for e in events])
