"""Whether another project's package is here, in a version that its adapter was written for."""

from __future__ import annotations

import importlib.metadata

from suite.core.errors import ConfigError
from suite.core.extras import need


def check_package(module: str, distribution: str, extra: str, least: str, below: str) -> None:
    """Raise ConfigError unless the package is installed and least <= its version < below. Imports nothing."""
    need(module)
    version = importlib.metadata.version(distribution)
    if not _parts(least) <= _parts(version) < _parts(below):
        raise ConfigError(
            f"{distribution}={version}: must be at least {least} and below {below}, for which its adapter "
            f"was written; pip install 'swiftbench[{extra}]'."
        )


def _parts(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: of 5.0.0rc1 those of 5.0.

    >>> _parts("5.10.0rc1")
    (5, 10)
    """
    parts = []
    for part in version.split("."):
        if not part.isdigit():
            break
        parts.append(int(part))
    return tuple(parts)
