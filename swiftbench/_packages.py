"""The check that `suite` and `models` are swiftbench's own and not a user's packages of those names."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_HOME = Path(__file__).resolve().parent.parent


def check(*names: str) -> None:
    """Raise ImportError where another package hides one of ours, with its path and the remedy."""
    for name in names:
        where = _location(name)
        if where is None:
            raise ImportError(
                f"swiftbench: the package {name} is missing beside {_HOME / 'swiftbench'}; "
                "install swiftbench again."
            )
        if where.resolve().parent != _HOME:
            raise ImportError(
                f"swiftbench: {name}={where}: hides swiftbench's own package {_HOME / name}. Start from "
                "another folder, take that one off PYTHONPATH, set PYTHONSAFEPATH=1 (which keeps the "
                f"working folder off the path), or rename your {name}."
            )


def _location(name: str) -> Path | None:
    """The package's folder or the module's file that `import name` would take; None: there is none."""
    loaded = sys.modules.get(name)
    spec = loaded.__spec__ if loaded is not None else importlib.util.find_spec(name)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin) if spec.origin else None
