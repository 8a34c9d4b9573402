"""The run folder: can it be written, how long is an fsync, what kind of file system, how full."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from suite.doctor.findings import Finding, fail, ok, warn
from suite.launch.plan import bytes_for_people

NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "afs", "fuse.glusterfs", "ceph")
PARALLEL = ("lustre", "gpfs", "beegfs", "panfs", "wekafs")
MEMORY = ("tmpfs", "ramfs", "overlay")
SLOW_S = 0.05
"""A journal is synced about once a second and at each decision."""


def checks(folder: Path, first_of_node: bool) -> Iterator[Finding]:
    """All of this file for the folder that holds runs (made if it is not there)."""
    written = writable(folder)
    yield written
    if first_of_node and written.status != "fail":
        yield fsync(folder)
        yield kind(folder)


def writable(folder: Path) -> Finding:
    name = "run folder"
    probe = folder / f".suite-doctor-{os.uname().nodename}-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"suite")
        read = probe.read_bytes()
        probe.unlink()
    except OSError as error:
        return fail(
            name, f"SUITE_RUNS={folder}: cannot be written ({error.strerror})",
            "let SUITE_RUNS name a folder of yours on a shared file system (apptainer: --bind it)",
        )  # fmt: skip
    if read != b"suite":
        return fail(
            name, f"SUITE_RUNS={folder}: other bytes came back than were written",
            "take another file system, and tell the site",
        )  # fmt: skip
    return ok(name, f"{folder}: writable")


def fsync(folder: Path, n: int = 9) -> Finding:
    """The median of n appends with fsync, and the longest."""
    name, path = "fsync", folder / f".suite-doctor-sync-{os.getpid()}"
    took: list[float] = []
    try:
        with open(path, "wb") as file:
            for _ in range(n):
                start = time.perf_counter()
                file.write(b"x" * 140)  # a journal's line
                file.flush()
                os.fsync(file.fileno())
                took.append(time.perf_counter() - start)
        path.unlink()
    except OSError as error:
        return fail(name, f"{error.strerror}", "free space or quota there, or another folder")
    median = statistics.median(took)
    times = f"median {1000 * median:.2f} ms, longest {1000 * max(took):.2f} ms (n = {n})"
    if median > SLOW_S:
        return warn(
            name, times,
            f"above {1000 * SLOW_S:g} ms each decision waits for it: let SUITE_RUNS lie on a "
            "faster file system",
        )  # fmt: skip
    return ok(name, times)


def kind(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> Finding:
    """The file system's type: network ones may not lock, in memory nothing survives the node."""
    name, what = "file system", type_of(folder, mounts)
    if what in NETWORK:
        return warn(
            name, f"{what}: flock may be missing or local to a node: two runs could take a folder",
            "begin one run a folder, or let SUITE_RUNS lie on a parallel or local file system",
        )  # fmt: skip
    if what == "lustre":
        options = _mount(folder, mounts)[1].split(",")
        if "flock" not in options:
            return warn(
                name, "lustre, mounted without flock (localflock locks within a node only)",
                "begin one run a folder, or ask the site for flock",
            )  # fmt: skip
    if what in MEMORY:
        return warn(
            name, f"{what}: nothing in it survives the node or the container",
            "let SUITE_RUNS name a folder on a disk",
        )  # fmt: skip
    return ok(name, f"{what}{' (parallel)' * (what in PARALLEL)}")


def type_of(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    return _mount(folder, mounts)[0]


def _mount(folder: Path, mounts: Path) -> tuple[str, str]:
    """Type and options of the mount that holds the folder."""
    best, mount = -1, ("unknown", "")
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return mount
    whole = folder.resolve()
    for line in lines:
        _, at, what, options, *_ = line.split(" ")
        at = at.replace("\\040", " ")
        # Not shorter: of two mounts at one place the later one hides the other.
        if len(at) >= best and whole.is_relative_to(at):
            best, mount = len(at), (what, options)
    return mount


def space(folder: Path, n_bytes: float, n_inodes: int) -> Finding:
    """Free space and inodes against the plan; quotas cannot be seen from here."""
    name = "disk space"
    while not os.access(folder, os.F_OK):  # exists() raises beneath a folder of another user
        folder = folder.parent
    stat = os.statvfs(folder)
    free, inodes = stat.f_bavail * stat.f_frsize, stat.f_favail
    room = f"at most {bytes_for_people(n_bytes)} in {n_inodes} files planned, {bytes_for_people(free)} free"
    # Some file systems (btrfs, some network ones) have no fixed number of inodes and say 0.
    short = stat.f_files > 0 and inodes < n_inodes
    if free < n_bytes or short:
        return fail(
            name, f"{room}{f', {inodes} inodes free' if short else ''}",
            "free some, let SUITE_RUNS or backend.checkpoints name another file system, lower "
            "max_epochs, or backend.checkpoint=none",
        )  # fmt: skip
    if free < 2 * n_bytes:
        return warn(name, room, "less than twice the plan: others write there, too; free some")
    return ok(name, f"{room} (quotas not seen)")
