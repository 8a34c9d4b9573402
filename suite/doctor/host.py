"""One process and its node: Python's leaks, glibc, /dev/shm, home, image, Apptainer."""

from __future__ import annotations

import os
import platform
import re
import shutil
import site
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from suite.doctor.findings import Finding, fail, ok, skip, warn
from suite.doctor.process import ask
from suite.launch.plan import bytes_for_people

APPTAINER = (1, 1)
"""The oldest that has what the definitions use (--build-arg: 1.2, only to build)."""
SHM_BYTES = 64 * 2**20
INSIDE = Path("/.singularity.d")


def checks(first_of_node: bool) -> Iterator[Finding]:
    """All of this file. first_of_node: of several ranks of a node one looks after what they
    share.
    """
    yield leaks()
    yield glibc()
    if first_of_node:
        yield shm()
        yield home()
        yield image()


def leaks() -> Finding:
    """Packages of the home folder that would shadow the image's or the environment's."""
    name = "python packages"
    folder = Path(site.getusersitepackages())
    held = sorted(p.name for p in folder.glob("*")) if _readable(folder) else []
    safe = os.environ.get("PYTHONNOUSERSITE")
    if held and site.ENABLE_USER_SITE and not safe:
        return fail(
            name,
            f"PYTHONNOUSERSITE is unset and ~/.local holds {len(held)} entries ({held[0]} ...), "
            "which come before the environment's",
            "export PYTHONNOUSERSITE=1 (apptainer: in %environment, or --env; or --no-home)",
        )
    if held and not safe:
        return warn(
            name,
            f"PYTHONNOUSERSITE is unset and ~/.local holds {len(held)} entries; this interpreter "
            "(a virtual environment) does not see them, another would",
            "export PYTHONNOUSERSITE=1",
        )
    extra = os.environ.get("PYTHONPATH", "")
    if extra:
        return warn(
            name, "PYTHONPATH is set: its packages come before the environment's",
            "unset PYTHONPATH, unless it names a plug-in of yours on purpose",
        )  # fmt: skip
    return ok(name, "none from ~/.local or PYTHONPATH")


def _readable(folder: Path) -> bool:
    # access first: beneath a folder of another user, is_dir raises.
    return os.access(folder, os.R_OK) and folder.is_dir()


def glibc() -> Finding:
    """The C library against what the installed framework was built for, and against the driver
    that --nv or --rocm brings in.
    """
    name, have = "glibc", platform.libc_ver()[1]
    if not have:
        return skip(name, f"not glibc ({platform.libc_ver()[0] or 'unknown'})")
    needs = {}
    for package in ("torch", "tensorflow", "tensorflow-cpu", "numpy", "scipy"):
        try:
            wheel = metadata.distribution(package).read_text("WHEEL") or ""
        except metadata.PackageNotFoundError:
            continue
        if tags := re.findall(r"manylinux_(\d+)_(\d+)", wheel):
            needs[package] = min((int(a), int(b)) for a, b in tags)
    mine = tuple(map(int, have.split(".")[:2]))
    for package, need in needs.items():
        if need > mine:
            return fail(
                name,
                f"{have}; {package}'s build needs {need[0]}.{need[1]}",
                "run inside an image with a newer base, or install a build for this system",
            )
    if why := _driver_refused():
        return fail(
            name,
            f"{have}; the GPU driver's library cannot be loaded: {why}",
            "the driver comes from the host and needs its glibc: take an image whose base is "
            "as new as the host's",
        )
    needed = ", ".join(f"{package} needs {a}.{b}" for package, (a, b) in needs.items())
    return ok(name, f"{have}{'; ' * bool(needed)}{needed}")


def _driver_refused() -> str:
    """What the loader says of libcuda.so.1 where it is there but too new; empty: fine or absent."""
    import ctypes

    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return str(error) if "GLIBC_" in str(error) else ""
    return ""


def shm(path: Path = Path("/dev/shm"), least: int = SHM_BYTES) -> Finding:
    """Shared memory: MPI's messages within a node and data loaders live there."""
    name = "/dev/shm"
    try:
        stat = os.statvfs(path)
    except OSError as error:
        return fail(
            name, f"cannot be read ({error.strerror})",
            "bind it: apptainer exec --bind /dev/shm (docker: --ipc=host)",
        )  # fmt: skip
    free = stat.f_bavail * stat.f_frsize
    if free < least or not os.access(path, os.W_OK):
        state = f"{bytes_for_people(free)} free" if os.access(path, os.W_OK) else "not writable"
        return fail(
            name, f"{state}; MPI within a node needs {bytes_for_people(least)} or more",
            "remove left-overs of dead jobs there, bind the host's, or docker --shm-size=1g",
        )  # fmt: skip
    return ok(
        name, f"{bytes_for_people(free)} of {bytes_for_people(stat.f_blocks * stat.f_frsize)} free"
    )


def home() -> Finding:
    """A full home folder breaks caches, locks and logs of many programs, late."""
    name = "home folder"
    folder = Path(os.environ.get("HOME") or "/nonexistent")
    if not (os.access(folder, os.F_OK) and folder.is_dir()):
        return ok(name, "none (nothing of the suite needs one)")
    try:
        probe = folder / f".suite-doctor-{os.getpid()}"
        probe.write_bytes(b"\0" * 65536)
        probe.unlink()
    except OSError as error:
        if INSIDE.is_dir() and not os.access(folder, os.W_OK):
            return ok(name, "read-only inside the image (nothing of the suite needs it)")
        probe.unlink(missing_ok=True) if os.access(folder, os.W_OK) else None
        return fail(
            name, f"cannot be written ({error.strerror})",
            "free space or quota there, or run with --no-home and HOME on a scratch file system",
        )  # fmt: skip
    stat = os.statvfs(folder)
    if stat.f_bavail * stat.f_frsize < 100 * 2**20:
        return warn(
            name, f"{bytes_for_people(stat.f_bavail * stat.f_frsize)} free",
            "free some, or let SUITE_RUNS, TMPDIR and caches lie elsewhere",
        )  # fmt: skip
    return ok(
        name, f"writable, {bytes_for_people(stat.f_bavail * stat.f_frsize)} free (quotas not seen)"
    )


def image() -> Finding:
    """Inside: by which Apptainer and which image; outside: whether images could be run."""
    name = "apptainer"
    if INSIDE.is_dir() or os.environ.get("APPTAINER_CONTAINER"):
        if not os.environ.get("SUITE_IMAGE_DIGEST"):
            return warn(
                name, "inside an image, SUITE_IMAGE_DIGEST unset: records would not name it",
                "export APPTAINERENV_SUITE_IMAGE_DIGEST=sha256:... (the build writes the digest)",
            )  # fmt: skip
        return ok(name, f"inside image {os.environ['SUITE_IMAGE_DIGEST'][:19]}")
    program = shutil.which("apptainer") or shutil.which("singularity")
    if not program:
        return skip(name, "not inside an image, no apptainer on the PATH")
    code, answer, error = ask([program, "--version"], 20)
    match = re.search(r"(\d+)\.(\d+)(\.\d+)?", answer)
    if code != 0 or not match:
        return warn(
            name, f"{program} --version: {error or answer or 'no answer'}",
            "ask the site, or install Apptainer 1.2 or newer",
        )  # fmt: skip
    if (int(match[1]), int(match[2])) < APPTAINER and "singularity" not in answer:
        return fail(
            name, f"version {match[0]}, must be {APPTAINER[0]}.{APPTAINER[1]} or newer",
            "load a newer module, or install Apptainer 1.2 or newer",
        )  # fmt: skip
    return ok(name, f"version {match[0]}, not inside an image")
