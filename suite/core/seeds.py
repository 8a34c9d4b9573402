"""Addressed random streams: named, never consumed, so that no order of calls changes them."""

from __future__ import annotations

import hashlib

import numpy as np


def stream_seed(seed: int, purpose: str, *ids: object) -> int:
    """A 63-bit integer that is a function of (seed, purpose, ids) on every machine and Python.

    Python's own `hash` of a string differs from process to process; SHA-256 does not.
    """
    text = "\x1f".join([str(int(seed)), purpose, *(str(i) for i in ids)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def stream(seed: int, purpose: str, *ids: object) -> np.random.Generator:
    """A numpy Generator for (seed, purpose, ids), e.g. `stream(seed, "config", trial_id)`."""
    return np.random.default_rng(stream_seed(seed, purpose, *ids))
