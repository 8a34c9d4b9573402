"""GPUs of one rank, the framework's build, and who would share one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.doctor.findings import Finding, fail, ok, skip, warn
from suite.doctor.process import last_line, python
from suite.worker import devices

PROBE = {
    "torch": """
import json, torch
print(json.dumps({"version": torch.__version__, "build": torch.version.cuda or torch.version.hip,
                  "n_gpus": torch.cuda.device_count() if torch.cuda.is_available() else 0}))
""",
    "tensorflow": """
import json, os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
info = tf.sysconfig.get_build_info()
print(json.dumps({"version": tf.__version__,
                  "build": info.get("cuda_version") or ("rocm" * info.get("is_rocm_build", 0)),
                  "n_gpus": len(tf.config.list_physical_devices("GPU"))}))
""",
}
"""Run in a process of their own: the doctor imports no framework."""


@dataclass(frozen=True)
class Visible:
    """What one rank sees. names: what it may use; driver: whether a driver is loaded here; hidden_by: the
    variable, with its value, that hides GPUs.
    """

    names: tuple[str, ...]
    driver: bool
    hidden_by: str = ""

    @classmethod
    def here(cls) -> Visible:
        driver = devices.KFD.exists() or devices.NVIDIA.exists() or Path("/dev/dxg").exists()
        return cls(tuple(devices.visible_gpus()), driver, devices.hidden_by())


def visible(seen: Visible, device: str) -> Finding:
    """GPU visible to this rank, by variables and driver, against backend.device."""
    name = "gpu"
    if device == "cpu":
        return ok(name, "backend.device=cpu: none is used")
    if seen.names and not seen.driver:
        return fail(
            name,
            f"{','.join(seen.names)} named by the environment, but no driver is here",
            "apptainer exec needs --nv (or --rocm); with the fake GPUs of a test cluster "
            "backend.device=cpu",
        )
    why = f" ({seen.hidden_by})" if seen.hidden_by else ""
    if not seen.names and device == "cuda":
        return fail(
            name, f"backend.device=cuda: no GPU is visible{why}",
            "ask for GPUs (--gres=gpu:N a node), apptainer --nv or --rocm, or backend.device=cpu",
        )  # fmt: skip
    if not seen.names:
        if seen.driver:
            by = f" by {seen.hidden_by}" if seen.hidden_by else ""
            hidden = f"none visible (a driver is here: GPUs are hidden{by})"
            return warn(name, f"{hidden}; workers take the processor",
                        "ask for GPUs (--gres=gpu:N a node), or backend.device=cpu")  # fmt: skip
        return ok(name, f"none{why}; workers take the processor")
    if seen.hidden_by:
        return warn(
            name, f"{len(seen.names)} visible ({','.join(seen.names)}) of {seen.hidden_by}: a list ends at "
            "the first word that names no GPU, and names each once",
            "correct the variable where the job is started",
        )  # fmt: skip
    return ok(name, f"{len(seen.names)} visible ({','.join(seen.names)})")


def build(framework: str, seen: Visible, device: str, timeout_s: float = 120) -> Finding:
    """Whether the target's framework imports here, and its build fits the GPUs."""
    name = "framework"
    if framework not in PROBE:
        return skip(name, f"{framework}: no GPU build to look at")
    code, answer, error = python(PROBE[framework], timeout_s=timeout_s)
    if code != 0:
        return fail(
            name, f"{framework} does not import: {last_line(error)}",
            f"install {framework} into this environment or take the {framework} image",
        )  # fmt: skip
    try:
        facts: dict[str, Any] = json.loads(answer.splitlines()[-1])
    except (ValueError, IndexError):
        return fail(name, f"{framework}: no answer", "import it by hand and read its messages")
    return fits(framework, facts, seen, device)


def fits(framework: str, facts: Mapping[str, Any], seen: Visible, device: str) -> Finding:
    """The verdict on what the probe said: version, build (CUDA or ROCm version), n_gpus."""
    name = "framework"
    version = f"{framework} {facts['version']}, {facts['build'] or 'CPU'} build"
    if device == "cpu" or not seen.names:
        return ok(name, version)
    if not facts["build"]:
        return fail(
            name, f"{version}, with GPUs visible ({','.join(seen.names)})",
            f"install {framework}'s CUDA or ROCm build (image: --build-arg device=cuda), or "
            "backend.device=cpu",
        )  # fmt: skip
    if not facts["n_gpus"]:
        return fail(
            name, f"{version} sees none of the GPUs named ({','.join(seen.names)})",
            "the driver is older than the build needs, or of the other vendor: take a build for "
            "the driver's version (nvidia-smi names it)",
        )  # fmt: skip
    return ok(name, f"{version}, sees {facts['n_gpus']}")


def shared(places: Mapping[int, tuple[str, Visible]], device: str, share_gpus: bool) -> Finding:
    """Two workers on one GPU: by the rule that workers follow, for all ranks.

    places: rank -> (node, what it sees); rank 0 takes no GPU. device, share_gpus: the backend's.
    """
    name = "gpu per worker"
    if device == "cpu":
        return ok(name, "backend.device=cpu")
    workers = sorted(rank for rank in places if rank > 0)
    before: dict[str, int] = {}
    without: list[tuple[int, str, int, int]] = []
    for rank in workers:
        node, seen = places[rank]
        index = before[node] = before.get(node, -1) + 1
        if seen.names and index >= len(seen.names):
            without.append((rank, node, index, len(seen.names)))
    if without:
        rank, node, index, n = without[0]
        counts = (
            f"{len(without)} workers without one of their own, first rank {rank}: worker {index} "
            f"(from 0) of its node {node}, {n} visible there"
        )
        if share_gpus:
            return ok(name, f"{counts}; backend.share_gpus=true")
        return fail(
            name, counts,
            "start as many workers a node as it has GPUs (one rank more on the first node), ask "
            "for GPUs per node (--gres=gpu:N, not per task), or backend.share_gpus=true",
        )  # fmt: skip
    if not any(places[rank][1].names for rank in workers):
        return skip(name, "no GPU visible to a worker")
    blind = [rank for rank in workers if not places[rank][1].names]
    if blind:
        return warn(
            name, f"ranks {', '.join(map(str, blind))} see none, others do",
            "ask for the same --gres on every node",
        )  # fmt: skip
    return ok(name, f"one each for {len(workers)} workers")
