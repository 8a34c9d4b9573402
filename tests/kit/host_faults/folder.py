"""A shared folder that is read-only, full, gone or late, and two jobs in it at once."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable

from kit.host_faults.case import Case, Row
from kit.host_runs import wait
from kit.hosts import Host


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
    return _disk(
        case, lambda n3, shared: n3.run("mount", "-t", "tmpfs", "none", shared), lost=False
    )


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
    one = case.start(slots={"n1": 1, "n2": 1}, sleep_s=0.15)
    case.strike(lambda: one.kill(0, signal.SIGSTOP), share=0.1)
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
