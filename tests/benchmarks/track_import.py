"""Seconds that an import into a new store takes: in one transaction a run, and by MLflow's client.

    python -m suite model=table_target backend=simulate algorithm=asha scheduler.n_trials=3000 \\
        max_epochs=27 name=big report=false tracking=later
    python tests/benchmarks/track_import.py runs/big            # --client: by MLflow's client too, minutes
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from pathlib import Path

from suite.results.find import require_runs
from suite.results.fold import load_run
from suite.track import importer
from suite.track.mlflow_store import Store


def import_s(folders: list[Path], bulk: bool) -> float:
    """Seconds of an import into a new store, which is made before."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        store = Store(Path(folder) / "store")
        store._bulk = bulk
        with store.lock():
            store.prepare().engine.dispose()
        began = time.perf_counter()
        tally = importer.import_all(folders, store)
        seconds = time.perf_counter() - began
        store.tracking.engine.dispose()
    assert tally.n_failed == 0, tally
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--client", action="store_true", help="by MLflow's client too")
    options = parser.parse_args()
    runs = require_runs(options.folders)
    n_trials = sum(len(load_run(run).trials) for run in runs)
    print(f"{len(runs)} runs, {n_trials} trials")
    print(f"one transaction a run  {import_s(runs, bulk=True):8.1f} s")
    if options.client:
        print(f"MLflow's client        {import_s(runs, bulk=False):8.1f} s")


if __name__ == "__main__":
    main()
