"""A worker's device: the variables that must be set before a framework is imported."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# The drivers of AMD's and NVIDIA's GPUs.
KFD, NVIDIA = Path("/dev/kfd"), Path("/dev/nvidiactl")


def limit_threads(n: int) -> None:
    """Give this process `n` threads for its numerics. Raises ConfigError for n < 1."""
    if n < 1:
        raise ConfigError(f"backend.threads={n}: must be an integer >= 1.")
    for name in THREADS:
        os.environ[name] = str(n)
    if (
        "torch" in sys.modules
    ):  # imported already (tests, notebooks): the environment is no longer read
        sys.modules["torch"].set_num_threads(n)


def pin(device: str, local_index: int, share: bool = False) -> str:
    """The device of the `local_index`-th worker of its node: "cpu" or "cuda:0" with one GPU left
    visible (torch calls AMD's GPUs cuda, too).

    device: "auto" (a GPU where the node has one), "cpu" or "cuda". share: workers beyond the
    number of GPUs share them. May be called again: the GPUs that were visible before the first
    call count.
    Raises ConfigError for another word, "cuda" without a GPU, or, unless `share`, a worker for whom
    none is left.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"backend.device={device}: must be auto, cpu or cuda.")
    gpus = [] if device == "cpu" else visible_gpus()
    if not gpus:
        if device == "cuda":
            hides = f" ({hides} names none)" if (hides := hidden_by()) else ""
            raise ConfigError(
                f"backend.device=cuda: no GPU is visible{hides}; use backend.device=cpu or ask for one."
            )
        return "cpu"
    if local_index >= len(gpus) and not share:
        raise ConfigError(
            f"backend.share_gpus=false: worker {local_index} (from 0) of this node, {len(gpus)} "
            f"GPU{'s' * (len(gpus) > 1)} visible; each worker needs one: set "
            "backend.share_gpus=true or start fewer workers (under Slurm ask for GPUs per node, "
            "--gres=gpu:N, not per task)."
        )
    name = "HIP_VISIBLE_DEVICES" if amd() else "CUDA_VISIBLE_DEVICES"
    chosen = gpus[local_index % len(gpus)]
    os.environ[name] = chosen
    if amd() and "CUDA_VISIBLE_DEVICES" in os.environ:
        # HIP and torch read this one, too: both must agree.
        os.environ["CUDA_VISIBLE_DEVICES"] = chosen
    _pinned.update(name=name, chosen=chosen, gpus=gpus)
    # What makes matrix products repeatable on one kind of GPU; read when CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return "cuda:0"


_pinned: dict[str, Any] = {}
"""What `pin` narrowed: a worker that serves a sweep is pinned once a model."""


def amd() -> bool:
    """Whether the node's GPUs are AMD's: by their driver, else by the variables' names.

    Slurm sets CUDA_ and ROCR_VISIBLE_DEVICES alike on every kind of GPU unless told otherwise.
    """
    if KFD.exists() or NVIDIA.exists():
        return KFD.exists() and not NVIDIA.exists()
    named = {x for x in ("CUDA", "HIP", "ROCR") if f"{x}_VISIBLE_DEVICES" in os.environ}
    return bool(named) and "CUDA" not in named


def visible_gpus() -> list[str]:
    """Identifiers that CUDA_VISIBLE_DEVICES (AMD: HIP_VISIBLE_DEVICES) would take; what the
    launcher set already counts.

    ROCR_VISIBLE_DEVICES is read by the layer below HIP, which numbers what is left from 0 (Source:
    AMD, "GPU isolation techniques").
    """
    if _pinned and os.environ.get(_pinned["name"]) == _pinned["chosen"]:
        return list(_pinned["gpus"])
    if not amd():
        named = _named("CUDA_VISIBLE_DEVICES")
        return named if named is not None else _listed(["nvidia-smi", "-L"], r"GPU \d+: ")
    named, below = _named("HIP_VISIBLE_DEVICES"), _named("ROCR_VISIBLE_DEVICES")
    if named is None and below is None:
        named = _named("CUDA_VISIBLE_DEVICES")
    if below is not None:
        left = [str(i) for i in range(len(below))]
        # An index beyond what ROCR leaves is none; identifiers (GPU-...) cannot be counted.
        return left if named is None else [x for x in named if not x.isdecimal() or x in left]
    return (
        named if named is not None else _listed(["rocm-smi", "--showid"], r"GPU\[\d+\].*Device ID")
    )


def hidden_by() -> str:
    """The variable, with its value, that leaves no GPU visible or fewer than it lists; empty if none does."""
    variables = ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES") if amd() else ()
    for variable in (*variables, "CUDA_VISIBLE_DEVICES"):
        value = os.environ.get(variable)
        if value is None:
            continue
        n_words = sum(bool(word.strip()) for word in value.split(","))
        if len(identifiers(value)) < max(n_words, 1):
            return f"{variable}={value[:80]}"
    return ""


# An index; a GPU's or a MIG instance's UUID, which may be cut short. ASCII alone: int() reads other digits.
_INDEX = re.compile(r"[0-9]{1,4}")
_UUID = re.compile(r"(GPU|MIG)-[0-9A-Za-z][0-9A-Za-z/_-]{0,127}")


def identifiers(value: str) -> list[str]:
    """The GPUs that a *_VISIBLE_DEVICES variable names: each once, up to the first word that names none.

    So CUDA reads it (Source: NVIDIA, CUDA C++ Programming Guide, "CUDA Environment Variables"). Words that
    name none: -1, NoDevFiles (Slurm's, where no GPU was asked for), none, void.

    >>> identifiers("0, GPU-8a5c,-1,2"), identifiers("NoDevFiles"), identifiers("0,0,00")
    (['0', 'GPU-8a5c'], [], ['0'])
    """
    named: list[str] = []
    for word in (word.strip() for word in value.split(",")):
        # An empty word between commas is no word.
        if not word:
            continue
        if _INDEX.fullmatch(word):
            word = str(int(word))
        elif not _UUID.fullmatch(word):
            break
        if not any(_is_same(word, other) for other in named):
            named.append(word)
    return named


def _is_same(one: str, other: str) -> bool:
    """Whether two identifiers mean, or may mean, one GPU: a UUID and its beginning do."""
    one, other = one.lower(), other.lower()
    if one[0].isdecimal() or other[0].isdecimal() or "/" in one + other:
        return one == other
    return one.startswith(other) or other.startswith(one)


def _named(variable: str) -> list[str] | None:
    """The identifiers that a variable holds; None: not set."""
    value = os.environ.get(variable)
    return None if value is None else identifiers(value)


def _listed(command: list[str], pattern: str) -> list[str]:
    """As many indices as lines of the tool's answer begin with `pattern`; [] without the tool."""
    if shutil.which(command[0]) is None:
        return []
    try:
        listing = subprocess.run(command, capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    n = sum(re.match(pattern, line) is not None for line in listing.splitlines())
    return [str(i) for i in range(n)]
