"""The files that come with the suite: `conf/` and `results_schema/`, in a checkout or in a wheel."""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from pathlib import Path

from suite.core import catalogue


def shipped(name: str) -> Path:
    """The folder `name` ("conf", "results_schema"): inside the installed package, else beside it.

    A wheel holds these folders in `suite/`; a checkout (or a copy of it, as in an image) beside `suite/`.
    """
    package = Path(str(importlib.resources.files("suite")))
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


def published_tables() -> Mapping[str, catalogue.Entry]:
    """Task -> the curve table of the catalogue. Raises ConfigError for a fault of the catalogue."""
    return catalogue.parse((shipped("conf") / "curve_tables.yaml").read_text(encoding="utf-8"))
