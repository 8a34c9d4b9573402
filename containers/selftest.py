"""What %test runs: no GPU, no network, no home folder, nothing written outside a temporary folder.

`apptainer test IMAGE.sif` on a compute node says in seconds whether the image works there. It
leaves with 0, or says which check failed. Usage: selftest.py torch|tensorflow
"""

from __future__ import annotations

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
COMMON = ("numpy", "scipy", "sklearn", "dimod", "dwave.samplers", "hydra", "jsonschema", "mlflow")


def imports(framework: str) -> str:
    """The framework and what every image has; the framework comes first, as in a worker."""
    for name in (framework, *COMMON):
        importlib.import_module(name)
    return f"{framework} {sys.modules[framework].__version__} and {len(COMMON)} packages"


def trains(framework: str) -> str:
    """One epoch of a small target on the CPU."""
    from suite.core.plugins import make
    from suite.searchers.random import Random

    path, settings = SMALL[framework]
    target = make({"_target_": path, **settings}, "model")
    target.stage("cpu")
    searcher = Random()
    searcher.begin(target.space, 0)
    training = target.start(searcher.propose(0, {}), 0)
    training.train_epoch(1)
    metrics = training.validate()
    goal = target.goal
    return f"{path}: {goal.name} {metrics[goal.name]:.4f} after one epoch"


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
