"""Simulated clusters as conf/backend/simulate.yaml describes them, with changes."""

from __future__ import annotations

from functools import cache
from typing import Any

from kit.driving import compose
from suite.backends.simulate import Simulate
from suite.core.plugins import make


@cache
def _leaf() -> dict[str, Any]:
    return dict(compose("backend=simulate")["backend"])


def cluster(**changes: Any) -> Simulate:
    """The simulated cluster of conf/, with these settings instead."""
    made = make({**_leaf(), **changes}, "backend")
    assert isinstance(made, Simulate)
    return made
