"""What the suite itself costs: python tests/benchmarks/overhead.py [--quick]   (in the environment:
./bench exec ...)

Prints, with medians over --repeats runs:
  jobs      no-op jobs a second over MPI, conductor and journal on, 8 and 50 workers (oversubscribed
      here)
  digits    seconds a job beyond training for digits_cnn on 2 workers: dispatch, restore, checkpoint
  memory    resident memory of rank 0 with scikit-learn and dwave-samplers loaded, MiB
  replay    journal events re-folded a second
Not a test: figures depend on the machine and its load.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from suite.core.run_settings import RunSettings
from suite.launch.assemble import assemble
from suite.launch.compose import compose
from suite.run import journal as journals
from suite.run.driver import Driver


def launch(ranks: int, folder: Path, *overrides: str) -> tuple[Path, float]:
    """Run the suite on `ranks` MPI ranks; returns the run folder and rank 0's peak resident memory
    in MiB.
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMIX_", "PRTE_"))}
    env |= {"SUITE_RUNS": str(folder), "PYTHONSAFEPATH": "1"}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    if os.getuid() == 0:
        env |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    command = [
        "mpirun",
        "--with-ft",
        "ulfm",
        "--oversubscribe",
        "-n",
        str(ranks),
        sys.executable,
        "-m",
        "suite",
        "report=false",
        "tracking=later",
        *overrides,
    ]
    before = set(folder.rglob(journals.NAME))
    process = subprocess.Popen(
        command, env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    peak: list[float] = [0.0]
    watcher = threading.Thread(target=_watch_rank_0, args=(process, peak), daemon=True)
    watcher.start()
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"a run failed:\n{out}")
    (new,) = set(folder.rglob(journals.NAME)) - before
    return new.parent, peak[0]


def _watch_rank_0(process: subprocess.Popen[str], peak: list[float]) -> None:
    while process.poll() is None:
        for pid in Path("/proc").glob("[0-9]*"):
            try:
                if b"OMPI_COMM_WORLD_RANK=0\0" not in (pid / "environ").read_bytes():
                    continue
                if int((pid / "stat").read_text().rpartition(")")[2].split()[1]) != process.pid:
                    continue
                for line in (pid / "status").read_text().splitlines():
                    if line.startswith("VmHWM"):
                        peak[0] = max(peak[0], int(line.split()[1]) / 1024)
            except (OSError, ValueError):
                continue
        time.sleep(0.2)


def job_overheads(folder: Path) -> tuple[list[float], list[float], list[float], list[float]]:
    """For each finished job, seconds: all beyond training, dispatch, restore, checkpoint."""
    started: dict[int, float] = {}
    trained: dict[int, float] = {}
    rows: tuple[list[float], list[float], list[float], list[float]] = ([], [], [], [])
    for line, events in journals.entries(folder / journals.NAME):
        for event in events:
            if event.kind == "epoch":
                trained[event.job_id] = (
                    trained.get(event.job_id, 0.0) + event.train_s + event.eval_s
                )
            elif event.kind == "finished":
                beyond = event.time_s - started[event.job_id] - trained.get(event.job_id, 0.0)
                for row, value in zip(
                    rows,
                    (
                        beyond,
                        event.time_s - started[event.job_id] - event.busy_s,
                        event.restore_s,
                        event.checkpoint_s,
                    ),
                    strict=True,
                ):
                    row.append(value)
        for command in line.get("do", []):
            if command[0] == "start":
                started[command[2]] = line["time_s"]
    return rows


def replay_rate(folder: Path) -> tuple[int, float]:
    header, lines, _ = journals.read(folder / journals.NAME)
    conductor = assemble(RunSettings.of({**compose([]), **header["config"]})).conductor
    start = time.perf_counter()
    lines = journals.read(folder / journals.NAME)[1]
    Driver(conductor, None).replay(lines)
    seconds = time.perf_counter() - start
    return sum(len(journals.decode(line)) for line in lines), seconds


def middle(values: list[float]) -> str:
    spread = f"{min(values):,.0f} to {max(values):,.0f}"
    return f"{statistics.median(values):,.0f} (n = {len(values)}, {spread})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=20000)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--quick", action="store_true", help="one repeat, few jobs: does it run?")
    options = parser.parse_args()
    repeats, n_jobs = (1, 1000) if options.quick else (options.repeats, options.jobs)
    figures: dict[str, object] = {"n_cores": len(os.sched_getaffinity(0)), "repeats": repeats}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        no_op = (
            "algorithm=random_search",
            f"scheduler.n_trials={n_jobs}",
            "max_epochs=1",
            "model=table_target",
            "backend.checkpoint=none",
            "score_test=false",
        )
        for workers in (8, 50):
            rates = []
            for _ in range(repeats):
                run, _ = launch(workers + 1, folder, *no_op)
                lines = journals.read(run / journals.NAME)[1]
                first = next(line["time_s"] for line in lines if line["event"] == "joined")
                rates.append(n_jobs / (lines[-1]["time_s"] - first))
            figures[f"jobs_per_s_{workers}_workers"] = rates
            print(f"jobs     {workers:2d} workers: {middle(rates)} no-op jobs a second", flush=True)
        hyperband, _ = launch(1, folder, "max_epochs=300", "model=table_target", "backend=inline")
        for name, journal in (("hyperband", hyperband), ("random_search", run)):
            rates = []
            for _ in range(max(repeats, 3)):
                n, seconds = replay_rate(journal)
                rates.append(n / seconds)
            figures[f"replayed_events_per_s_{name}"] = rates
            print(f"replay   {name}: {middle(rates)} events a second ({n:,} events)", flush=True)

        memory, rows = [], [[], [], [], []]
        for repeat in range(1 if options.quick else 3):
            epochs = "max_epochs=9" if options.quick else "max_epochs=27"
            run, peak = launch(
                3, folder, "algorithm=swift_qsvr", "scheduler.n_curves=4", epochs, f"seed={repeat}"
            )
            memory.append(peak)
            for row, new in zip(rows, job_overheads(run), strict=True):
                row += new
            if (
                repeat == 0
            ):  # scikit-learn's NuSVR beside it: both predictors' libraries in one process
                memory.append(
                    launch(3, folder, "algorithm=swift_svr", "scheduler.n_curves=4", epochs)[1]
                )
        figures["rank_0_peak_mib"] = memory
        print(f"memory   rank 0: {max(memory):.0f} MiB at its peak (n = {len(memory)} runs)")
        for what, row in zip(
            ("beyond training", "dispatch", "restore", "checkpoint"), rows, strict=True
        ):
            cuts = statistics.quantiles(row, n=20)
            figures[f"digits_{what.replace(' ', '_')}_s"] = {
                "n": len(row),
                "median": cuts[9],
                "p95": cuts[18],
            }
            print(
                f"digits   {what:15s} median {cuts[9] * 1e3:6.2f} ms, "
                f"95th percentile {cuts[18] * 1e3:6.2f} ms a job (n = {len(row)} jobs)"
            )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
