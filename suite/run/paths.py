"""The files that come with the suite: `conf/` and `results_schema/`, in a checkout or in a wheel."""

from __future__ import annotations

import importlib.resources
from pathlib import Path


def shipped(name: str) -> Path:
    """The folder `name` ("conf", "results_schema"): inside the installed package, else beside it.

    A wheel holds these folders in `suite/`; a checkout (or a copy of it, as in an image) beside `suite/`.
    """
    package = Path(str(importlib.resources.files("suite")))
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


def checkout() -> Path:
    """The folder that holds `suite/`: the clone where this is one, else the environment's packages."""
    return Path(str(importlib.resources.files("suite"))).parent


CONF = shipped("conf")
SCHEMAS = shipped("results_schema")
