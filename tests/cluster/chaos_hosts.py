"""Chaos over test hosts: seeded runs, each with one to three faults at random moments. Root, Linux.

    python tests/cluster/chaos_hosts.py                    100 runs, about an hour on two idle cores
    python tests/cluster/chaos_hosts.py --runs 5 --seed 7  some
    python tests/cluster/chaos_hosts.py --first 40 --out rows.jsonl

Each run is one of hyperband, swift_svr, successive_halving (overlap=false) on SYNTHETIC curves, rank 0 and
three workers on a host each; half of the runs have a slow or lossy link. A launch that ends is submitted
again on the hosts that are left, at most 8 times. Every run must end with the decisions of the undisturbed
inline run, and no process may be left on any host. A line a run, then a summary; exit code 1 if any differs.
Run k of a seed always has the same faults, at the same shares of its epochs.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from kit.host_faults.case import Case, Row, undisturbed  # noqa: E402
from kit.host_runs import orphans  # noqa: E402
from kit.hosts import why_not  # noqa: E402

ALGORITHMS = ("hyperband", "swift_svr", "successive_halving")
FAULTS = ("kill_worker", "kill_rank0", "flap", "link_lost", "off", "stop_worker", "read_only")
MOST_LAUNCHES = 8


class Run:
    """Run `number` of `seed`: its cluster, its faults, and when they strike."""

    def __init__(self, seed: int, number: int, folder: Path) -> None:
        self.rng = random.Random(f"{seed} {number}")
        algorithm = ALGORITHMS[number % len(ALGORITHMS)]
        self.n_done = 0
        self.faults = self.rng.choices(FAULTS, k=self.rng.choice((1, 1, 2, 3)))
        link: dict[str, Any] = {}
        if self.rng.random() < 0.5:
            slow = self.rng.randrange(1, 5)
            link = {"slow": [slow], "delay_s": self.rng.choice((0.0, 0.02, 0.1)), "seed": number}
            link["loss"] = self.rng.choice((0.0, 0.02, 0.05))
        words = [f"n{link['slow'][0]} {link['delay_s']:g} s {link['loss']:.0%}"] if link else []
        self.case = Case(
            " + ".join([*words, *self.faults]), folder, self.rng.randrange(3), algorithm
        )
        self.link = link

    def __call__(self) -> Row:
        with self.case as case:
            case.hosts(**self.link)
            n_epochs = sum(
                map(
                    len,
                    undisturbed(case.seed, case.algorithm, case.folder.parent)["curves"].values(),
                )
            )
            moments = sorted(self.rng.uniform(0.02, 0.85) for _ in self.faults)
            self.todo = list(zip(self.faults, (int(at * n_epochs) for at in moments), strict=True))
            while True:
                self._launch(case)
                last = case.launch.events()[-1:]
                is_over = last and last[0].get("status") == "completed"
                # Rank 0 may be lost between the closing line and the record; the same line writes it.
                if is_over and (case.launch.folder / "record.json").exists():
                    return case.row("; ".join(case.said))
                if case.n_launches >= MOST_LAUNCHES:
                    raise AssertionError(f"not completed after {MOST_LAUNCHES} launches: {last}")

    def _launch(self, case: Case) -> None:
        """Submit on the hosts that are left, and strike as planned."""
        hosts = [host for host in case.cluster.hosts if not (host.is_off or host.is_cut)]
        first = case.cluster.hosts.index(hosts[0])
        launch = case.start(
            "backend.report_timeout_s=8", first=first, slots={host.name: 1 for host in hosts}
        )
        while self.todo:
            fault, after = self.todo[0]
            launch.until(lambda after=after: launch.n_epochs() >= after)
            if launch.process.poll() is not None:
                break
            self.todo.pop(0)
            getattr(self, f"_{fault}")(case, hosts)
        launch.until()
        case.ended()
        # A host that is cut off ends its processes by its daemon's keepalive.
        case.said.append(f"{case.n_launches}: {launch.code}")
        left, seconds = orphans([host for host in case.cluster.hosts if not host.is_off], 90)
        case.left = (case.left[0] + left, max(case.left[1], seconds))

    def _victim(self, hosts: list[Any]) -> tuple[int, Any]:
        rank = self.rng.randrange(1, len(hosts)) if len(hosts) > 1 else 0
        return rank, hosts[rank]

    def _kill_worker(self, case: Case, hosts: list[Any]) -> None:
        case.launch.kill(self._victim(hosts)[0])

    def _kill_rank0(self, case: Case, hosts: list[Any]) -> None:
        case.launch.kill(0)

    def _stop_worker(self, case: Case, hosts: list[Any]) -> None:
        rank, seconds = self._victim(hosts)[0], self.rng.choice((1.0, 4.0, 12.0))
        case.launch.kill(rank, signal.SIGSTOP)
        time.sleep(seconds)
        case.launch.kill(rank, signal.SIGCONT)

    def _flap(self, case: Case, hosts: list[Any]) -> None:
        host = self.rng.choice(hosts)
        host.down()
        time.sleep(self.rng.choice((0.2, 1.0, 3.0)))
        host.up()

    def _may_go(self, hosts: list[Any]) -> bool:
        """Two hosts must be left at least."""
        return sum(not (host.is_off or host.is_cut) for host in hosts) > 2

    def _link_lost(self, case: Case, hosts: list[Any]) -> None:
        if self._may_go(hosts):
            host = self.rng.choice(hosts)
            host.down()
            host.is_cut = True

    def _off(self, case: Case, hosts: list[Any]) -> None:
        if self._may_go(hosts):
            self.rng.choice(hosts).power_off()

    def _read_only(self, case: Case, hosts: list[Any]) -> None:
        _, host = self._victim(hosts)
        host.freeze(True)
        time.sleep(2)
        host.freeze(False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="number of the first run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="for the shared folders")
    parser.add_argument("--out", type=Path, help="a file to which rows are added, as JSON lines")
    given = parser.parse_args()
    if why := why_not():
        sys.exit(f"chaos_hosts: {why}.")
    rows: list[Row] = []
    bad = 0
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for number in range(given.first, given.first + given.runs):
            run = Run(given.seed, number, Path(tempfile.mkdtemp(dir=folder)))
            start = time.monotonic()
            try:
                row = run()
            except Exception as error:
                bad += 1
                print(f"{number}: {run.case.fault}: {type(error).__name__}: {error}", flush=True)
                continue
            rows.append(row)
            bad += not row.equal or row.orphans > 0
            line = {"number": number, "algorithm": run.case.algorithm, "seed": run.case.seed}
            line |= asdict(row) | {"wall_s": round(time.monotonic() - start, 1)}
            print(json.dumps(line), flush=True)
            if given.out:
                with open(given.out, "a") as out:
                    out.write(json.dumps(line) + "\n")
    if rows:
        print(
            f"{sum(row.equal for row in rows)} of {given.runs} equal to the undisturbed run, {bad} not as "
            f"they must be; {sum(row.launches for row in rows)} launches, "
            f"{sum(row.orphans for row in rows)} orphans, "
            f"{sum(row.again for row in rows)} epochs trained again; median "
            f"{statistics.median(row.seconds for row in rows):.1f} s of a run's own time"
        )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
