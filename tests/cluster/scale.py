"""How many ranks: no-op workers over test hosts, oversubscribed. Root, Linux.

    python tests/cluster/scale.py 50           50 workers over 8 hosts
    python tests/cluster/scale.py 50 100 200   one after another; a line of JSON each

The workers train SYNTHETIC curves without a pause, so what is measured is rank 0: random search, one epoch a
trial, no checkpoints. No framework is imported (numpy alone). Seconds are those of an oversubscribed
machine: all ranks share its cores, which a cluster's do not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from kit.host_runs import HostLaunch, orphans  # noqa: E402
from kit.hosts import MOST, Cluster, why_not  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
SEARCH = (
    "model=table_target", "algorithm=random_search", "max_epochs=1", "backend.checkpoint=none",
    "backend.join_timeout_s=1500",
)  # fmt: skip


def measure(n: int, trials: int, folder: Path) -> dict[str, object]:
    """One run with n workers. Raises AssertionError where it does not complete."""
    with Cluster(MOST, folder) as cluster:
        names = [host.name for host in cluster.hosts]
        slots = {name: len(range(i, n, MOST)) + (i == 0) for i, name in enumerate(names)}
        free = _available()
        start = time.monotonic()
        launch = HostLaunch(cluster, *SEARCH, f"scheduler.n_trials={trials}", slots=slots)
        launch.still_s = 1500.0
        seen: dict[str, float] = {}
        rank0 = 0

        def watch() -> bool:
            nonlocal rank0
            if "begun_s" not in seen and launch.n_epochs():
                seen["begun_s"] = time.monotonic() - start
                found = launch.processes()
                rank0 = next((pid for pid, rank in found.items() if rank == "0"), 0)
                pss = [_pss(pid) for pid, rank in found.items() if rank not in "-0"]
                seen["worker_pss_mb"] = sum(pss) / max(len(pss), 1)
                seen["used_gb"] = (free - _available()) / 2**20
                seen["rank0_cpu_at_begin_s"] = _cpu(rank0)
            if rank0 and (cpu := _cpu(rank0)):
                seen["rank0_cpu_s"] = cpu
                seen["rank0_rss_mb"] = _rss(rank0) or seen.get("rank0_rss_mb", 0.0)
            return False

        out = launch.until(watch)
        lines = launch.events()
        assert lines[-1].get("status") == "completed", out[-2000:]
        left, _ = orphans(cluster.hosts, 60)
        dispatched = sum(command[0] == "start" for line in lines for command in line.get("do", ()))
        joined = [line for line in lines if line["event"] == "joined"]
        run_s = lines[-1]["time_s"]
        return {
            "workers": n, "joined": len(joined), "trials": trials, "run_s": run_s,
            "dispatches_a_second": round(dispatched / run_s, 1),
            "to_end_s": round(time.monotonic() - start - seen["begun_s"] - run_s, 1),
            "orphans": left, **{key: round(value, 2) for key, value in seen.items()},
        }  # fmt: skip


def _available() -> float:
    """Free memory of the machine, kB."""
    text = Path("/proc/meminfo").read_text()
    return float(text.split("MemAvailable:")[1].split()[0])


def _cpu(pid: int) -> float:
    """Processor seconds of a process; 0 where it is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / TICKS


def _rss(pid: int) -> float:
    try:
        return float(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0


def _pss(pid: int) -> float:
    """Memory of a process, its share of what it shares, MB."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return float(text.split("Pss:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workers", nargs="+", type=int)
    parser.add_argument("--trials", type=int, default=4000)
    given = parser.parse_args()
    if why := why_not():
        sys.exit(f"scale: {why}.")
    for n in given.workers:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(n, given.trials, Path(folder) / "shared")), flush=True)


if __name__ == "__main__":
    main()
