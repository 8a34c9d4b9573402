"""What %test runs: no GPU, no network, no home folder, nothing written outside a temporary folder.

`apptainer test IMAGE.sif` on a compute node says in seconds whether the image works there. It
leaves with 0, or says which check failed. An image for GPUs trains on one where a driver is
there (`apptainer test --nv`), and names the driver where none is. Usage: selftest.py torch|tensorflow
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SMALL = {  # a real target of each framework, its data generated or part of a package
    "torch": ("models.digits_cnn.DigitsCNN", {}),
    "tensorflow": ("models.babi_lstm.BabiLSTM", {"data": "stand_in", "limit": 96}),
}
DEVICE = Path("/opt/suite/device")
"""What the image was built for: one word, written by install.sh."""
DRIVERS = {  # of a device: vendor, the file that tells of a driver, the option that brings it in
    "cuda": ("NVIDIA", "libcuda.so.1", "--nv"),
    "rocm": ("AMD", "/dev/kfd", "--rocm"),
}
BUILDS = {  # printed by a process of its own: CUDA's or ROCm's version, and how many GPUs are seen
    "torch": "import torch; print(torch.version.cuda or 'ROCm ' * bool(torch.version.hip) + "
    "(torch.version.hip or 'CPU'), torch.cuda.device_count(), sep=';')",
    "tensorflow": "import tensorflow as tf; i = tf.sysconfig.get_build_info(); "
    "print(i.get('cuda_version') or 'ROCm' * i['is_rocm_build'] or 'CPU', "
    "len(tf.config.list_physical_devices('GPU')), sep=';')",
}
COMMON = ("numpy", "scipy", "sklearn", "dimod", "dwave.samplers", "hydra", "jsonschema", "mlflow")


def imports(framework: str) -> str:
    """The framework and what every image has; the framework comes first, as in a worker."""
    for name in (framework, *COMMON):
        importlib.import_module(name)
    return f"{framework} {sys.modules[framework].__version__} and {len(COMMON)} packages"


def gpu(framework: str) -> str:
    """The build is the device's; where a driver is, one epoch on a GPU. Without one: which is missing."""
    device = DEVICE.read_text().strip() if DEVICE.exists() else "cpu"
    build, n_gpus = _run([sys.executable, "-c", BUILDS[framework]]).splitlines()[-1].split(";")
    kind = "cpu" if build == "CPU" else "rocm" if build.startswith("ROCm") else "cuda"
    if kind != device.rstrip("0123456789"):
        raise AssertionError(
            f"device={device}, but {framework} is built for {build}: build the image "
            "with the device's lock, or on a base that has such a build (containers/build --help)"
        )
    if kind == "cpu":
        return "none is used: built for processors"
    vendor, driver, option = DRIVERS[kind]
    built = f"built for {'CUDA ' * (kind == 'cuda')}{build}"
    if not _is_here(driver):
        return (
            f"{built}; NOT RUN ON A GPU: {vendor}'s driver is missing ({driver}); on a node with "
            f"GPUs: apptainer test {option}"
        )
    if not int(n_gpus):
        raise AssertionError(
            f"{built}; {vendor}'s driver is here ({driver}), but {framework} sees no GPU: the driver "
            f"is too old for {build}, or the job was given no GPU"
        )
    return f"{built}, {n_gpus} here; {_one_epoch(framework, 'cuda:0')}"


def _is_here(driver: str) -> bool:
    """Whether a driver is loaded: its device, or its library, which comes with it."""
    if driver.startswith("/"):
        return Path(driver).exists()
    try:
        ctypes.CDLL(driver)
    except OSError:
        return False
    return True


def trains(framework: str) -> str:
    """One epoch of a small target on the CPU."""
    return _one_epoch(framework, "cpu")


def _one_epoch(framework: str, device: str) -> str:
    from suite.core.plugins import make
    from suite.searchers.random import Random

    path, settings = SMALL[framework]
    target = make({"_target_": path, **settings}, "model")
    target.stage(device)
    searcher = Random()
    searcher.begin(target.space, 0)
    training = target.start(searcher.propose(0, {}), 0)
    training.train_epoch(1)
    metrics = training.validate()
    goal = target.goal
    return f"{path}: {goal.name} {metrics[goal.name]:.4f} after one epoch on {device}"


def singleton(framework: str) -> str:
    """MPI starts without a launcher, in a process of its own: a failing MPI_Init aborts."""
    code = (
        "from mpi4py import MPI; assert MPI.COMM_WORLD.size == 1; "
        "print(MPI.Get_library_version().split(',')[0].split(chr(10))[0])"
    )
    return _run([sys.executable, "-c", code])


def simulates(framework: str) -> str:
    """A search on simulated time, and its record by the schema."""
    from suite.results import schema

    with tempfile.TemporaryDirectory() as folder:
        words = ["backend=simulate", "backend.workers=20", "model=table_target", "max_epochs=9"]
        _run(
            [sys.executable, "-m", "suite", *words, "tracking=later", "report=false", "name=test"],
            {"SUITE_RUNS": folder},
        )
        records = list(Path(folder).rglob("record.json"))
        if len(records) != 1:
            raise AssertionError(f"{len(records)} records: must be 1")
        record = schema.load(records[0])
    return f"record {record['schema_version']}, image {record.get('image')}"


def schema_checks(framework: str) -> str:
    """The schema in the image is one, and refuses what is none of its records."""
    import jsonschema

    from suite.results import schema

    jsonschema.Draft202012Validator.check_schema(json.loads(schema.SCHEMA.read_text()))
    try:
        schema.validate({"schema_version": schema.VERSION})
    except Exception as error:
        if type(error).__name__ == "JournalError":
            return f"schema {schema.VERSION}"
        raise
    raise AssertionError("an empty record was taken for valid")


def _run(command: list[str], more: dict[str, str] | None = None) -> str:
    """Its output, stripped; AssertionError with the tail of what it printed where it fails."""
    # What a launcher tells its ranks must not make a rank of what starts here.
    launcher = ("OMPI_", "PMI", "PRTE_", "SLURM_")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(launcher)} | (more or {})
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environ)
    if done.returncode:
        raise AssertionError(f"exit {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout.strip()


def main(framework: str) -> int:
    os.environ.setdefault("MPLBACKEND", "agg")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    checks: tuple[Callable[[str], str], ...] = (
        imports,
        gpu,
        trains,
        singleton,
        simulates,
        schema_checks,
    )
    failed = 0
    for check in checks:
        begun = time.monotonic()
        try:
            word, said = "ok  ", check(framework)
        except Exception as error:
            word, said = "FAIL", f"{type(error).__name__}: {error}"
            failed += 1
        print(f"{word} {check.__name__:14} {time.monotonic() - begun:5.1f} s  {said}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
