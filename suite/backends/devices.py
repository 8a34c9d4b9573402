"""Worker to device: what must be said before a framework is imported."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from suite.core.errors import ConfigError

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def limit_threads(n: int) -> None:
    """Give this process `n` threads for its numerics. Raises ConfigError for n < 1."""
    if n < 1:
        raise ConfigError(f"backend.threads={n}: must be an integer >= 1.")
    for name in _THREADS:
        os.environ[name] = str(n)
    if (
        "torch" in sys.modules
    ):  # imported already (tests, notebooks): the environment is no longer read
        sys.modules["torch"].set_num_threads(n)


def pin(device: str, local_index: int) -> str:
    """The device of the `local_index`-th worker of its node: "cpu" or "cuda:0" with one GPU left
    visible.

    device: "auto" (a GPU where the node has one), "cpu" or "cuda". Workers beyond the number of
    GPUs share them.
    Raises ConfigError for another word, or "cuda" without a GPU.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"backend.device={device}: must be auto, cpu or cuda.")
    gpus = [] if device == "cpu" else visible_gpus()
    if not gpus:
        if device == "cuda":
            raise ConfigError(
                "backend.device=cuda: no GPU is visible; use backend.device=cpu or ask for one."
            )
        return "cpu"
    os.environ["CUDA_VISIBLE_DEVICES"] = gpus[local_index % len(gpus)]
    # What makes matrix products repeatable on one kind of GPU; read when CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return "cuda:0"


def visible_gpus() -> list[str]:
    """Identifiers that CUDA_VISIBLE_DEVICES would take; what the launcher set already counts."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in named.split(",") if name.strip() and name.strip() != "-1"]
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [str(i) for i, line in enumerate(listed.splitlines()) if line.startswith("GPU ")]
