"""Proton collisions by Pythia 8 through a parametric detector, in the published set's file format.

    swiftbench pythia --to $SUITE_DATA --events 3000 --pileup 20
    swiftbench pythia --to $SUITE_DATA --events 300 --process qcd --seed 1 --processes 2
    swiftbench pythia --to $SUITE_DATA --events 400 --collider ee

hardware: 1 thread of a 2-core x86-64 virtual machine; versions: pythia8mc 8.317, numpy 2.4; n and
number (events a second): tests/benchmarks/pythia_events.py; lineage: Pata et al. 2021 (Eur. Phys.
J. C 81:381), who took Pythia 8 and Delphes 3; Bierlich et al. 2022 (SciPost Phys. Codeb. 8).

A STAND-IN: the same processes, energy and schema, another detector (models/data/detector.py),
Pythia's internal NNPDF2.3 LO, our own rule-based candidates (models/data/rule_based.py), and pile-
up from a pool of minimum-bias events that are used again, turned by a random angle. A file is a
function of (seed, its number, settings, versions): neither the number of processes nor an
interruption changes a byte. Those of electrons and positrons: models/data/pythia_ee.py.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from models.data import delphes, detector, rule_based
from models.data.generated import MANIFEST, PER_FILE, Job, facts, sizes, write_set
from suite.core.command import argument_parser, run_command
from suite.core.errors import ConfigError, DataError, check_integer, unknown_name
from suite.core.seeds import stream, stream_seed

__all__ = ["MANIFEST", "Generator", "pythia_version", "write"]

# Minimum-bias events, which are used again; they take two seconds to generate.
POOL = 500
# Attempts at an event; about one in ten thousand fails once.
ATTEMPTS = 100
_COMMON = (
    "Print:quiet = on", "Beams:eCM = 14000.", "ParticleDecays:limitTau0 = on",
    "ParticleDecays:tau0Max = 10.", "Tune:pp = 14", "MultipartonInteractions:pT0Ref = 2.09",
    "MultipartonInteractions:alphaSvalue = 0.126", "Random:setSeed = on",
)  # fmt: skip
_PROCESSES = {
    "ttbar": ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on", "6:m0 = 172.5"),
    "qcd": ("HardQCD:all = on", "PhaseSpace:pTHatMin = 20."),
    "minbias": (
        "SoftQCD:nonDiffractive = on", "SoftQCD:singleDiffractive = on",
        "SoftQCD:doubleDiffractive = on",
    ),
}  # fmt: skip
_NAMES = {"ttbar": "tev14_pythia8_ttbar_0_{}.pkl.bz2", "qcd": "tev14_pythia8_qcd_10_{}.pkl.bz2"}


class Generator:
    """Pythia for one process, seeded: `lines` are its settings, None those of proton collisions.

    Raises DataError where pythia8mc is not installed.
    """

    def __init__(self, process: str, seed: int, lines: Sequence[str] | None = None) -> None:
        try:
            import pythia8mc
        except ImportError:
            raise DataError(
                "pythia8mc is not installed: install the extra `hep`, or make the events elsewhere "
                "(swiftbench pythia) and bring the folder along."
            ) from None
        self.process = process
        self._pythia = pythia8mc.Pythia("", False)
        lines = (*_COMMON, *_PROCESSES[process]) if lines is None else lines
        for line in (*lines, f"Random:seed = {1 + seed % 900_000_000}"):
            if not self._pythia.readString(line):
                raise DataError(f"Pythia does not know {line!r}; install pythia8mc >= 8.317.")
        if not self._pythia.init():
            raise DataError(f"Pythia could not begin with process={process}; see its messages.")
        self._charges: dict[int, float] = {}

    def __call__(self) -> detector.Particles:
        """The stable particles of the next event."""
        for _ in range(ATTEMPTS):  # a failed event is drawn again
            if self._pythia.next():
                break
        else:
            raise DataError(
                f"process={self.process}: Pythia failed {ATTEMPTS} times in a row; "
                "take another seed."
            )
        rows = [(p.id(), p.px(), p.py(), p.pz(), p.e()) for p in self._pythia.event if p.isFinal()]
        table = np.array(rows)
        pid = table[:, 0].astype(int)
        for number in set(pid.tolist()) - set(self._charges):
            self._charges[number] = self._pythia.particleData.charge(number)
        charge = np.array([self._charges[number] for number in pid.tolist()])
        return detector.Particles(pid, charge, *table[:, 1:].T)


def write(
    folder: Path, n_events: int, *, pileup: float = 0, seed: int = 0, process: str = "ttbar",
    per_file: int = PER_FILE, processes: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:  # fmt: skip
    """`n_events` events in files of `per_file` in `folder`, and the manifest, which is returned.

    pileup: mean number of minimum-bias collisions an event (Poisson). Files that are there and
    whole are kept. progress(files done, files) is called after each.
    Raises ConfigError for an argument out of range or a folder of other settings, DataError
    without pythia8mc.
    """
    check_integer("events", n_events, 1)
    check_integer("per_file", per_file, 1)
    check_integer("processes", processes, 1)
    check_integer("seed", seed, 0)
    if process not in _NAMES:
        raise unknown_name("process", process, _NAMES)
    if not 0 <= pileup <= 1000:
        raise ConfigError(
            f"pileup={pileup}: must be 0 to 1000 collisions (the published set: 200)."
        )
    settings = {
        "process": process, "pileup": float(pileup), "seed": seed, "per_file": per_file,
        "pool": POOL, "energy_gev": 14000, "settings": [*_COMMON, *_PROCESSES[process]],
        "detector": detector.VERSION, "rule_based": rule_based.VERSION, "pythia8mc": pythia_version(),
    }  # fmt: skip
    jobs = [
        Job(str(folder), _NAMES[process].format(number), process, number, size, settings)
        for number, size in enumerate(sizes(n_events, per_file))
    ]
    what = "Pythia 8 events through a parametric detector; not the published Delphes set"
    return write_set(folder, what, jobs, _file, settings, processes, progress)


# The minimum-bias events of each seed, once in a process.
_pools: dict[Any, list[detector.Particles]] = {}


def _file(job: Job) -> tuple[str, dict[str, Any]]:
    settings, number = job.settings, job.number
    seed, pileup = int(settings["seed"]), float(settings["pileup"])
    hard = Generator(job.process, stream_seed(seed, "hard", number))
    rng = stream(seed, "detector", number)
    if pileup > 0 and seed not in _pools:
        soft = Generator("minbias", stream_seed(seed, "minbias"))
        _pools[seed] = [soft() for _ in range(POOL)]
    events = []
    for _ in range(job.n_events):
        collisions = [hard()]
        for pick in rng.integers(POOL, size=rng.poisson(pileup)):
            collisions.append(_pools[seed][pick].rotated(rng.uniform(0, 2 * np.pi)))
        X, y = detector.detect(detector.Particles.joined(collisions), rng)
        # Rounded to what MLPF reads, though stored as float64: half the bytes, half the time.
        events.append((X.astype(np.float32), y.astype(np.float32)))
    path = Path(job.folder) / job.name
    delphes.write(path, events, [rule_based.candidates(X).astype(np.float32) for X, _ in events])
    return job.name, facts(path, [len(X) for X, _ in events])


def pythia_version() -> str | None:
    """None: not installed, and then what is whole can still be verified."""
    try:
        return version("pythia8mc")
    except PackageNotFoundError:
        return None


class _Bar:
    """Progress on stderr: files done and, after the first one that was made, the seconds left.

    n_kept: files that were there already.
    """

    def __init__(self) -> None:
        self.n_kept: int | None = None
        self.begun = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        self.n_kept = done if self.n_kept is None else self.n_kept
        live = sys.stderr.isatty()
        filled = 30 * done // total
        line = f"[{'#' * filled}{'.' * (30 - filled)}] {done}/{total} files"
        if self.n_kept < done < total:
            each = (time.monotonic() - self.begun) / (done - self.n_kept)
            line += f", about {each * (total - done):.0f} s left"
        start, end = ("\r", "\x1b[K" if done < total else "\x1b[K\n") if live else ("", "\n")
        print(f"{start}{line}", end=end, file=sys.stderr, flush=True)


def _use(root: Path, *words: str) -> str:
    """The command that trains on the events of a data root. words: which model's."""
    words = (words[0], "model.data=stand_in", *words[1:])
    if os.environ.get("SUITE_DATA") != str(root):
        words += (shlex.quote(f"model.folder={root.absolute()}"),)
    return " ".join(["swiftbench run", *words])


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0; 1: an error, printed to stderr; 130: interrupted."""
    # It is made of this module's Generator.
    from models.data import pythia_ee

    parser = argument_parser("models.data.pythia", __doc__)
    parser.add_argument("--to", type=Path, required=True, metavar="DIR",
                        help="data root; the set gets a folder in it")  # fmt: skip
    parser.add_argument("--collider", choices=("pp", "ee"), default="pp",
                        help="protons (14 TeV), or electrons and positrons (380 GeV; "
                        "default: %(default)s)")  # fmt: skip
    parser.add_argument("--events", type=int, required=True, metavar="N", help="events to generate")
    parser.add_argument("--pileup", type=float, default=0, metavar="X",
                        help="mean further collisions an event (default: %(default)g)")  # fmt: skip
    parser.add_argument("--process", metavar="NAME",
                        help=f"of pp one of {', '.join(_NAMES)} (default: ttbar); of ee one of "
                        f"{', '.join(pythia_ee.PROCESSES)}, or all (the default) in equal parts")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), metavar="N",
                        help="processes at once (default: one a core of this machine)")  # fmt: skip
    parser.add_argument("--per-file", type=int, default=PER_FILE, metavar="N",
                        help="events a file (default: %(default)s)")  # fmt: skip
    options = parser.parse_args(arguments)
    is_pp = options.collider == "pp"
    if options.pileup and not is_pp:
        parser.error(f"--pileup={options.pileup:g}: only protons of --collider=pp have it.")
    folder = options.to / (f"delphes_standin_pu{options.pileup:g}" if is_pp else pythia_ee.FOLDER)
    use = ("model=mlpf", f"model.pileup={options.pileup:g}") if is_pp else ("model=mlpf_clic",)
    settings: dict[str, Any] = {
        "seed": options.seed, "per_file": options.per_file, "processes": options.processes,
        "progress": _Bar(),
    }  # fmt: skip
    if options.process is not None:
        settings["process"] = options.process
    if options.to.name == folder.name:
        parser.error(
            f"--to={options.to}: is the set's own folder; name the one above it, as for fetch."
        )

    def body() -> int:
        try:
            if is_pp:
                manifest = write(folder, options.events, pileup=options.pileup, **settings)
            else:
                manifest = pythia_ee.write(folder, options.events, **settings)
        except OSError as error:
            raise DataError(f"{folder}: cannot be written ({error}); name another --to.") from error
        files = manifest["files"].values()
        n, elements = sum(f["n_events"] for f in files), sum(f["n_elements"] for f in files)
        print(
            f"{folder}: {n} events of {elements / n:.0f} elements on average, "
            f"{sum(f['bytes'] for f in files) / 2**20:.1f} MiB. A STAND-IN, not the published set."
        )
        print(f"use it: {_use(options.to, *use)}")
        return 0

    try:
        return run_command("pythia", body)
    except KeyboardInterrupt:
        print(f"pythia: interrupted; complete files in {folder} are kept.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
