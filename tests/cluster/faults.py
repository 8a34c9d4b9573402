"""Faults of clusters over test hosts: what happens, how soon it is noticed, and what it costs. Root, Linux.

    python tests/cluster/faults.py                    all of them, one after another; a row each
    python tests/cluster/faults.py link_2s read_only  these
    python tests/cluster/faults.py --list             their names, and what must happen

Each fault: rank 0 on n1, a worker on each of n2, n3, n4 (kit.hosts), Hyperband on SYNTHETIC curves with a
pause an epoch. It strikes when a fifth of the epochs is there. The run, resubmitted where it must be,
ends with the decisions of the undisturbed inline run, and no process is left on any host.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from kit import hosts as test_hosts  # noqa: E402
from kit.host_runs import KEEPALIVE, HostLaunch, decided, orphans, wait  # noqa: E402
from kit.hosts import Cluster, Host  # noqa: E402
from kit.mpi_runs import Launch, journals_in  # noqa: E402

SEARCH = ("model=table_target", "max_epochs=27", "overlap=false", "resume=auto", "max_attempts=9")
SLEEP_S = 0.03
# What mpirun's daemons may need to end what is left, by KEEPALIVE.
GONE_S = 30.0


@dataclass
class Row:
    """noticed_s: from the fault to the line, message or end that tells of it. again: epochs trained again.

    launches: how often the line was submitted. after_s: until no process was left on any host.
    """

    fault: str
    happened: str
    noticed_s: float | None
    equal: bool
    again: int
    orphans: int
    after_s: float
    launches: int
    lost: list[int]
    seconds: float
    code: int


class Case:
    """A fault's cluster, its run, and what is seen of it."""

    def __init__(self, fault: str, folder: Path, seed: int = 0) -> None:
        self.fault, self.folder, self.seed = fault, folder, seed
        self.cluster: Cluster
        self.launch: HostLaunch
        self.n_launches = 0
        self.struck = 0.0
        self.noticed: float | None = None
        self.left = (0, 0.0)
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Case:
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def hosts(self, n: int = 4, **options: Any) -> list[Host]:
        cluster = Cluster(n, self.folder / "shared", **options)
        self.cluster = self._undo.enter_context(cluster)
        return self.cluster.hosts

    def start(self, *more: str, first: int = 0, sleep_s: float = SLEEP_S, **options: Any) -> HostLaunch:
        """Submit the line: rank 0 on host number `first`, a worker on each of the others."""
        names = [host.name for host in self.cluster.hosts]
        slots = options.pop("slots", {name: 1 for name in names[first:] + names[:first]})
        settings = {"SUITE_STAMP": "one", **KEEPALIVE} | options
        self.n_launches += 1
        self.launch = HostLaunch(
            self.cluster, *SEARCH, f"model.sleep_s={sleep_s}", f"seed={self.seed}", *more,
            slots=slots, first=first, **settings,
        )  # fmt: skip
        return self.launch

    def strike(self, act: Callable[[], object], share: float = 0.2) -> None:
        """Do it when that share of the epochs is in the journal."""
        n = int(share * 267)
        self.launch.until(lambda: self.launch.n_epochs() >= n)
        if self.launch.process.poll() is not None:
            raise AssertionError(f"over before it could be struck:\n{self.launch.out[-2000:]}")
        act()
        self.struck = time.monotonic()

    def notice(self, seen: Callable[[], object], within_s: float = 120.0) -> float:
        """Seconds from the fault until it is seen."""
        wait(seen, within_s)
        self.noticed = time.monotonic() - self.struck
        return self.noticed

    def lost(self) -> list[dict[str, Any]]:
        return self.launch.events("lost")

    def end(self, *hosts: Host, within_s: float = GONE_S) -> str:
        """Wait for the launch's end, then for that of all processes on the hosts (all); its output."""
        out = self.launch.until()
        left, seconds = orphans(hosts or self.cluster.hosts, within_s)
        self.left = (self.left[0] + left, max(self.left[1], seconds))
        return out

    def row(self, happened: str) -> Row:
        folder = self.launch.folder
        last = self.launch.events()[-1]
        if (last["event"], last.get("status")) != ("closed", "completed"):
            raise AssertionError(f"not completed: {str(last)[:300]}\n{self.launch.out[-3000:]}")
        epochs = json.loads((folder / "record.json").read_text())["epochs"]
        whole = undisturbed(self.seed, self.folder.parent)
        return Row(
            self.fault, happened, None if self.noticed is None else round(self.noticed, 1),
            decided(folder) == whole, int(epochs.get("retrained", {}).get("value", 0)), self.left[0],
            round(self.left[1], 1), self.n_launches, [e["worker"] for e in self.lost()],
            round(last["time_s"], 1), self.launch.code,
        )  # fmt: skip


_WHOLE: dict[int, Any] = {}


def undisturbed(seed: int, folder: Path) -> Any:
    if seed not in _WHOLE:
        one = Launch(
            0, *SEARCH, f"seed={seed}", "backend=inline", runs=folder / f"whole-{seed}" / "runs"
        )
        out = one.until()
        assert one.code == 0, out
        _WHOLE[seed] = decided(journals_in(one.runs)[0].parent)
    return _WHOLE[seed]


# --- the network ---------------------------------------------------------------------------------


def link_2s(case: Case) -> Row:
    """n3's link is down for 2 s: nobody is lost, nothing is trained again."""
    return _link_back(case, 2.0)


def link_20s(case: Case) -> Row:
    """n3's link is down for 20 s, report_timeout_s is longer: nobody is lost, nothing is trained again."""
    return _link_back(case, 20.0)


def _link_back(case: Case, seconds: float) -> Row:
    victim = case.hosts()[2]
    # The daemons must be as patient.
    case.start(PRTE_MCA_oob_tcp_keepalive_time="60", sleep_s=max(SLEEP_S, seconds / 100))
    case.strike(victim.down)
    time.sleep(seconds)
    victim.up()
    case.end()
    return case.row(f"the run went on; {len(case.lost())} workers lost")


def link_lost(case: Case) -> Row:
    """n3's link is down for ever: its worker is given up after report_timeout_s, the run completes."""
    victim = case.hosts()[2]
    case.start("backend.report_timeout_s=6", PRTE_MCA_oob_tcp_keepalive_time="60")
    case.strike(victim.down)
    case.notice(case.lost)
    case.end(*(h for h in case.cluster.hosts if h is not victim))
    case.end(victim, within_s=90)
    return case.row(f"{case.lost()[0]['message']}; the run went on without it")


def link_late(case: Case) -> Row:
    """n3's link is back after its worker was given up: what it says is dropped, and it ends itself."""
    victim = case.hosts()[2]
    case.start("backend.report_timeout_s=6", PRTE_MCA_oob_tcp_keepalive_time="60", sleep_s=0.15)
    case.strike(victim.down)
    case.notice(case.lost)
    victim.up()
    alone = wait(lambda: "2" not in case.launch.processes().values(), 90)
    case.end()
    return case.row(f"worker 2 lost; its host back, it ended itself after {alone:.1f} s")


def link_lost_mpirun(case: Case) -> Row:
    """mpirun notices first (its daemons' keepalive): the launch ends; the same line goes on on the others."""
    victim = case.hosts()[2]
    launch = case.start()
    case.strike(victim.down)
    case.notice(lambda: launch.process.poll() is not None)
    case.end()
    case.start(slots={"n1": 1, "n2": 1, "n4": 1})
    case.end()
    return case.row("mpirun lost its daemon and ended all ranks; resubmitted without the host")


def delay_200ms(case: Case) -> Row:
    """Every frame of n3 takes 200 ms, each way: the run goes on."""
    case.hosts(slow=[3], delay_s=0.2)
    case.start()
    case.end()
    return case.row("the run went on")


def loss_5(case: Case) -> Row:
    """n3 loses 5 % of its frames, each way: the run goes on."""
    case.hosts(slow=[3], loss=0.05, seed=case.seed + 1)
    case.start()
    case.end()
    return case.row("the run went on")


def rate_1mbit(case: Case) -> Row:
    """n3's link carries 1 Mbit/s, each way: the run goes on."""
    case.hosts()[2].rate("1mbit")
    case.start()
    case.end()
    return case.row("the run went on")


def rank0_cut(case: Case) -> Row:
    """Rank 0's host is cut off: all processes end, and the line submitted on the others goes on."""
    hosts = case.hosts()
    case.start()
    case.strike(hosts[0].down)
    left, seconds = orphans(hosts[1:], 120)
    case.noticed = time.monotonic() - case.struck
    case.end(within_s=60)
    case.left = (case.left[0] + left, max(case.left[1], seconds))
    case.start(first=1, slots={"n2": 1, "n3": 1, "n4": 1})
    case.end(*hosts[1:])
    return case.row("workers ended by their daemons; resubmitted on the other hosts")


def rank0_off(case: Case) -> Row:
    """Rank 0's host is switched off: all processes end, and the line submitted on the others goes on."""
    hosts = case.hosts()
    case.start()

    def off() -> None:
        hosts[0].down()
        hosts[0].power_off()

    case.strike(off)
    left, seconds = orphans(hosts[1:], 120)
    case.noticed = time.monotonic() - case.struck
    case.left = (left, seconds)
    case.start(first=1, slots={"n2": 1, "n3": 1, "n4": 1})
    case.end(*hosts[1:])
    return case.row("workers ended by their daemons; resubmitted on the other hosts")


def worker_off(case: Case) -> Row:
    """A worker's host is switched off: mpirun ends the launch; the same line goes on on the others."""
    victim = case.hosts()[2]
    launch = case.start()

    def off() -> None:
        victim.down()
        victim.power_off()

    case.strike(off)
    case.notice(lambda: launch.process.poll() is not None)
    others = [host for host in case.cluster.hosts if host is not victim]
    case.end(*others)
    case.start(slots={"n1": 1, "n2": 1, "n4": 1})
    case.end(*others)
    return case.row("mpirun lost its daemon and ended all ranks; resubmitted without the host")


FAULTS: dict[str, Callable[[Case], Row]] = {
    f.__name__: f
    for f in (
        link_2s, link_20s, link_lost, link_late, link_lost_mpirun, delay_200ms, loss_5, rate_1mbit,
        rank0_cut, rank0_off, worker_off,
    )
}  # fmt: skip


def run(name: str, folder: Path, seed: int = 0) -> Row:
    """One fault, in a new folder below `folder`. Raises AssertionError where the run does not end as it must."""
    own = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
    with Case(name, own, seed) as case:
        return FAULTS[name](case)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="faults; all without")
    parser.add_argument("--list", action="store_true", help="the faults, and what must happen")
    parser.add_argument("--folder", type=Path, help="for the shared folders")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a file to which rows are added, as JSON lines")
    given = parser.parse_args()
    if given.list:
        for name, fault in FAULTS.items():
            print(f"{name:18s} {fault.__doc__}")
        return
    if why := test_hosts.why_not():
        sys.exit(f"faults: {why}.")
    bad = 0
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for name in given.names or FAULTS:
            try:
                row = run(name, Path(folder), given.seed)
            except AssertionError as error:
                bad += 1
                print(f"{name}: {error}", flush=True)
                continue
            bad += not row.equal or row.orphans > 0
            print(json.dumps(asdict(row)), flush=True)
            if given.out:
                with open(given.out, "a") as out:
                    out.write(json.dumps(asdict(row)) + "\n")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
