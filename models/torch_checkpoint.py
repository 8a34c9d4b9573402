"""Checkpoints of torch targets: weights, optimiser state and origin; reading one runs no code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models import checkpoint


def save(path: Path, network: Any, optimizer: Any, origin: Mapping[str, Any]) -> None:
    """Write weights, optimiser state and `origin` (see checkpoint.identity) to the file `path`."""
    import torch

    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({**state, "origin": dict(origin)}, path)


def load(path: Path, network: Any, optimizer: Any, origin: Mapping[str, Any]) -> None:
    """Read what `save` wrote; runs no code from the file.

    Raises DataError for a damaged file, ConfigError for one of another configuration or version.
    """
    import torch

    with checkpoint.reading(path):
        state = torch.load(path, map_location="cpu", weights_only=True)
        written = state["origin"]
    checkpoint.check_origin(path, written, origin)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
