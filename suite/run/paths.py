"""The files that come with the suite: `conf/` and `results_schema/`, in a checkout or in a wheel."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from suite.files import shipped


def checkout() -> Path:
    """The folder that holds `suite/`: the clone where this is one, else the environment's packages."""
    return Path(str(importlib.resources.files("suite"))).parent


CONF = shipped("conf")
SCHEMAS = shipped("results_schema")
