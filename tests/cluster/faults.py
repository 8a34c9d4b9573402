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
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from kit.host_runs import KEEPALIVE, HostLaunch, decided, orphans, wait  # noqa: E402
from kit.hosts import Cluster, Host  # noqa: E402
from kit.hosts import why_not as host_why_not  # noqa: E402
from kit.mpi_runs import Launch, journals_in  # noqa: E402

SEARCH = ("model=table_target", "max_epochs=27", "overlap=false", "resume=auto", "max_attempts=9")
SLEEP_S = 0.03
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
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

    def __init__(
        self, fault: str, folder: Path, seed: int = 0, algorithm: str = "hyperband"
    ) -> None:
        self.fault, self.folder, self.seed, self.algorithm = fault, folder, seed, algorithm
        self.cluster: Cluster
        self.launch: HostLaunch
        self.n_launches = 0
        self.said: list[str] = []
        self.struck = 0.0
        self.noticed: float | None = None
        self.left = (0, 0.0)
        self.undo = contextlib.ExitStack()

    def __enter__(self) -> Case:
        return self

    def __exit__(self, *_: object) -> None:
        self.undo.close()

    def hosts(self, n: int = 4, **options: Any) -> list[Host]:
        cluster = Cluster(n, self.folder / "shared", **options)
        self.cluster = self.undo.enter_context(cluster)
        return self.cluster.hosts

    def start(self, *more: str, first: int = 0, sleep_s: float = SLEEP_S, **options: Any) -> HostLaunch:
        """Submit the line: rank 0 on host number `first`, a worker on each of the others."""
        names = [host.name for host in self.cluster.hosts]
        slots = options.pop("slots", {name: 1 for name in names[first:] + names[:first]})
        settings = {"SUITE_STAMP": "one", **KEEPALIVE} | options
        undisturbed(self.seed, self.algorithm, self.folder.parent)
        self.n_launches += 1
        self.launch = HostLaunch(
            self.cluster, f"algorithm={self.algorithm}", *SEARCH, f"model.sleep_s={sleep_s}",
            f"seed={self.seed}", *more,
            slots=slots, first=first, **settings,
        )  # fmt: skip
        return self.launch

    def second(self, one: HostLaunch, **options: Any) -> HostLaunch:
        """The same line, submitted from n3 with a worker on n4 into the runs of the first."""
        runs = self.folder / "shared" / "second" / "runs"
        found = {"runs": runs, "SUITE_RUNS": str(one.runs)}
        return self.start(first=2, slots={"n3": 1, "n4": 1}, **found, **options)

    def strike(self, act: Callable[[], object], share: float = 0.2) -> None:
        """Do it when that share of the epochs is in the journal."""
        curves = undisturbed(self.seed, self.algorithm, self.folder.parent)["curves"]
        n = int(share * sum(map(len, curves.values())))
        self.launch.until(lambda: self.launch.n_epochs() >= n)
        if self.launch.process.poll() is not None:
            raise AssertionError(f"over before it could be struck:\n{self.launch.out[-2000:]}")
        act()
        self.struck = time.monotonic()

    def notice(self, seen: Callable[[], object], within_s: float = 120.0) -> float:
        """Seconds from the fault until it is seen."""
        over = self.launch.process.poll
        wait(lambda: seen() or over() is not None, within_s)
        if not seen():
            raise AssertionError(f"the launch ended, which it must not:\n{self.launch.out[-2000:]}")
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
        whole = undisturbed(self.seed, self.algorithm, self.folder.parent)
        return Row(
            self.fault, happened, None if self.noticed is None else round(self.noticed, 1),
            decided(folder) == whole, int(epochs.get("retrained", {}).get("value", 0)), self.left[0],
            round(self.left[1], 1), self.n_launches, [e["worker"] for e in self.lost()],
            round(last["time_s"], 1), self.launch.code,
        )  # fmt: skip


_WHOLE: dict[tuple[int, str], Any] = {}


def undisturbed(seed: int, algorithm: str, folder: Path) -> Any:
    if (seed, algorithm) not in _WHOLE:
        runs = folder / f"whole-{algorithm}-{seed}" / "runs"
        words = (f"algorithm={algorithm}", *SEARCH, f"seed={seed}", "backend=inline")
        one = Launch(0, *words, runs=runs)
        out = one.until()
        assert one.code == 0, out
        _WHOLE[seed, algorithm] = decided(journals_in(one.runs)[0].parent)
    return _WHOLE[seed, algorithm]


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
    case.strike(hosts[0].power_off)
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
    case.strike(victim.power_off)
    case.notice(lambda: launch.process.poll() is not None)
    others = [host for host in case.cluster.hosts if host is not victim]
    case.end(*others)
    case.start(slots={"n1": 1, "n2": 1, "n4": 1})
    case.end(*others)
    return case.row("mpirun lost its daemon and ended all ranks; resubmitted without the host")


# --- clocks, names, PIDs ---------------------------------------------------------------------------


def _faked(host: str, clock: str) -> list[str]:
    """Words before the suite's: on that host its wall clock is off (libfaketime)."""
    script = (
        f'if [ "$(hostname)" = {host} ]; then export LD_PRELOAD={FAKETIME} {clock} NO_FAKE_STAT=1 '
        'FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1; fi; exec "$@"'
    )
    return ["sh", "-c", script, "sh"]


def clock_ahead(case: Case) -> Row:
    """n3's wall clock is 1 h ahead: nothing follows from it."""
    return _clock(case, "n3", "FAKETIME=+3600")


def clock_back(case: Case) -> Row:
    """n3's wall clock jumps back by 1 h while it trains: nothing follows from it."""
    return _clock(case, "n3", "", jump=True)


def clock_ahead_rank0(case: Case) -> Row:
    """Rank 0's wall clock is 1 h ahead of its workers': nothing follows from it (no job end is stated)."""
    return _clock(case, "n1", "FAKETIME=+3600")


def clock_back_rank0(case: Case) -> Row:
    """Rank 0's wall clock jumps back by 1 h: nothing follows from it, times in the journal go on."""
    return _clock(case, "n1", "", jump=True)


def _clock(case: Case, host: str, fake: str, jump: bool = False) -> Row:
    case.hosts()
    offset = case.folder / "shared" / "offset"
    offset.write_text("+0\n")
    words = fake or f"FAKETIME_TIMESTAMP_FILE={offset} FAKETIME_CACHE_DURATION=1"
    launch = case.start(prefix=_faked(host, words))
    if jump:
        case.strike(lambda: offset.write_text("-3600\n"))
    case.end()
    times = [t for line in launch.events("epoch") for t in line["time_s"]]
    began = [line for line in launch.events() if "time_s" in line]
    lines = [line["time_s"][-1] if isinstance(line["time_s"], list) else line["time_s"] for line in began]
    assert lines == sorted(lines) and 0 <= min(times) and max(times) < 600, "times in the journal jump"
    return case.row(f"nothing; {len(case.lost())} workers lost")


def same_name(case: Case) -> Row:
    """n2 and n3 have one host name: each is a machine of its own all the same."""
    case.hosts(hostnames=["n1", "node", "node", "n4"])
    launch = case.start()
    case.end()
    nodes = [line["facts"]["node"] for line in launch.events("joined")]
    assert len(set(nodes)) == 3, nodes
    return case.row("the run went on; three workers on three nodes in the journal")


def own_pids(case: Case) -> Row:
    """A worker on rank 0's host has PIDs of its own and stops answering: it is given up, rank 0 lives."""
    case.hosts()
    script = (
        'if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then exec unshare --pid --fork --mount-proc "$@"; fi; '
        'exec "$@"'
    )
    # Open MPI's own shared memory does not work between PID namespaces.
    launch = case.start(
        "backend.report_timeout_s=6", prefix=["sh", "-c", script, "sh"],
        slots={"n1": 2, "n2": 1, "n3": 1}, OMPI_MCA_btl="tcp,self",
    )  # fmt: skip
    case.strike(lambda: launch.kill(1, signal.SIGSTOP))
    case.notice(case.lost)
    case.end()
    return case.row(f"{case.lost()[0]['message']}; rank 0 and the others lived")


# --- the shared folder -------------------------------------------------------------------------------


def read_only(case: Case) -> Row:
    """The shared folder becomes read-only on n3: its worker is lost, the run goes on."""
    return _disk(case, lambda n3, _: n3.freeze(True))


def full(case: Case) -> Row:
    """The shared folder becomes full on n3 alone (a quota): its worker is lost, the run goes on."""

    def fill(n3: Host, shared: str) -> None:
        script = (
            "mkdir /tmp/over && mount -t tmpfs -o size=64k none /tmp/over && "
            "mkdir /tmp/over/up /tmp/over/work && mount -t overlay -o "
            f"lowerdir={shared},upperdir=/tmp/over/up,workdir=/tmp/over/work overlay {shared}; "
            "dd if=/dev/zero of=/tmp/over/filler bs=1k; true"
        )
        n3.run("sh", "-c", script)

    return _disk(case, fill)


def swapped(case: Case) -> Row:
    """Another file system takes the shared folder's place on n3: the run goes on."""
    return _disk(case, lambda n3, shared: n3.run("mount", "-t", "tmpfs", "none", shared), lost=False)


def dead_mount(case: Case) -> Row:
    """n3's client of the shared folder dies (ENOTCONN): its worker is lost, the run goes on."""
    hosts = case.hosts()
    hosts[2].remount()
    return _disk(case, lambda n3, shared: n3.run("killall", "-9", "bindfs"), made=True)


def _disk(
    case: Case, act: Callable[[Host, str], object], lost: bool = True, made: bool = False
) -> Row:
    n3 = (case.cluster.hosts if made else case.hosts())[2]
    case.start()
    case.strike(lambda: act(n3, str(case.cluster.folder)))
    if lost:
        case.notice(case.lost)
    case.end()
    said = case.lost()[0]["message"] if case.lost() else "nobody was lost"
    return case.row(said)


def full_for_all(case: Case) -> Row:
    """The shared folder is full for everybody: the run stops and says so; with space it goes on."""
    shared = case.folder / "shared"
    shared.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(shared)], check=True)
    case.undo.callback(subprocess.run, ["umount", "-l", str(shared)])
    case.hosts()
    launch = case.start()
    filler = shared / "filler"

    def fill() -> None:
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as out:
            while True:
                out.write(bytes(1024))

    case.strike(fill)
    case.notice(lambda: launch.process.poll() is not None)
    case.end()
    assert "No space left on device" in launch.out, launch.out
    filler.unlink()
    case.start()
    case.end()
    return case.row("the run stopped with the reason; resubmitted with space")


def late_files(case: Case) -> Row:
    """What one host writes the others see a second late (attributes cached as by NFS): the run goes on."""
    for host in case.hosts():
        host.remount("-o", "attr_timeout=1,entry_timeout=1,negative_timeout=1")
    case.start()
    case.end()
    return case.row(f"the run went on; {len(case.lost())} workers lost")


# --- two at once -------------------------------------------------------------------------------------


def two_at_once(case: Case) -> Row:
    """The same line is submitted twice at once, from two hosts: one runs, one is refused."""
    case.hosts()
    return _two(case)


def two_at_once_no_locks(case: Case) -> Row:
    """The same, where locks do not reach other hosts: the pulse of the first refuses the second."""
    for host in case.hosts():
        host.remount()
    return _two(case)


def _two(case: Case) -> Row:
    one = case.start(slots={"n1": 1, "n2": 1}, sleep_s=0.15)
    case.strike(lambda: None, share=0.05)
    two = case.second(one, sleep_s=0.15)
    two.until()
    case.noticed = time.monotonic() - case.struck
    assert two.code not in (0, None) and "another run is in it" in two.out, (two.code, two.out)
    case.launch = one
    case.end()
    return case.row("the second was refused: another run is in it")


def requeued_while_it_runs(case: Case) -> Row:
    """No locks between hosts; rank 0 is stopped, its successor takes over after 30 s; woken, the old one
    ends itself and has written nothing.
    """
    for host in case.hosts():
        host.remount()
    one = case.start(slots={"n1": 1, "n2": 1})
    case.strike(lambda: one.kill(0, signal.SIGSTOP))
    two = case.second(one, sleep_s=0.15)
    n = one.n_epochs()
    wait(lambda: one.n_epochs() > n, 200)
    taken = time.monotonic() - case.struck
    woken = time.monotonic()
    one.kill(0, signal.SIGCONT)
    wait(lambda: one.process.poll() is not None, 120)
    case.noticed = time.monotonic() - woken
    assert "another run has taken the folder" in one.out, one.out
    two.until()
    case.launch = two
    two.runs = one.runs
    case.end()
    return case.row(f"taken over after {taken:.0f} s; the old one, woken, ended itself")


FAULTS: dict[str, Callable[[Case], Row]] = {
    f.__name__: f
    for f in (
        link_2s, link_20s, link_lost, link_late, link_lost_mpirun, delay_200ms, loss_5, rate_1mbit,
        rank0_cut, rank0_off, worker_off, clock_ahead, clock_back, clock_ahead_rank0, clock_back_rank0,
        same_name, own_pids, read_only, full, swapped, dead_mount, full_for_all, late_files,
        two_at_once, two_at_once_no_locks, requeued_while_it_runs,
    )
}  # fmt: skip


NEEDS = {
    "bindfs": ("dead_mount", "late_files", "two_at_once_no_locks", "requeued_while_it_runs"),
    "faketime": ("clock_ahead", "clock_back", "clock_ahead_rank0", "clock_back_rank0"),
}


def absent(name: str) -> str:
    """What this fault needs and the machine does not have; empty: nothing."""
    for program, faults in NEEDS.items():
        if name in faults and shutil.which(program) is None:
            return f"{program} is absent (Debian has it)"
    return ""


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
    if why := host_why_not():
        sys.exit(f"faults: {why}.")
    bad = 0
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for name in given.names or FAULTS:
            if why := absent(name):
                print(f"{name}: skipped: {why}", flush=True)
                continue
            try:
                row = run(name, Path(folder), given.seed)
            except Exception as error:
                bad += 1
                print(f"{name}: {type(error).__name__}: {error}", flush=True)
                continue
            bad += not row.equal or row.orphans > 0
            print(json.dumps(asdict(row)), flush=True)
            if given.out:
                with open(given.out, "a") as out:
                    out.write(json.dumps(asdict(row)) + "\n")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
