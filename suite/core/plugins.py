"""From a YAML leaf (`_target_` and constructor arguments) to an object, and no further than the
suite's own code.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Mapping
from typing import Any

from suite.core.errors import ConfigError, unknown_name

OWN = ("suite.", "models.")


def allowed_prefixes() -> tuple[str, ...]:
    """`suite.`, `models.`, and the packages that the environment's SUITE_PLUGINS names
    (comma-separated).
    """
    named = os.environ.get("SUITE_PLUGINS", "")
    return OWN + tuple(f"{name.strip()}." for name in named.split(",") if name.strip())


def find(path: str, what: str) -> Any:
    """The class that a dotted path names.

    Raises ConfigError where it is outside the allowed packages or missing.
    """
    if not path.startswith(allowed_prefixes()):
        raise ConfigError(
            f"{what}._target_={path}: must begin with {' or '.join(allowed_prefixes())}; "
            "name its package in the environment's SUITE_PLUGINS to admit it."
        )
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{what}._target_={path}: cannot be imported ({error}).") from error
    # A module's own imports (subprocess.Popen, say) are reachable through it and are not its own.
    if not inspect.isclass(found) or not f"{found.__module__}.".startswith(allowed_prefixes()):
        raise ConfigError(
            f"{what}._target_={path}: must name a class that is defined in "
            f"{' or '.join(allowed_prefixes())}; what it merely imports does not count."
        )
    return found


def make(spec: Mapping[str, Any], what: str, **extra: Any) -> Any:
    """Call the class of `spec["_target_"]` with the other keys as arguments.

    `extra` arguments are added where the constructor takes them. Raises ConfigError for an unknown
    or missing one.
    """
    if "_target_" not in spec:
        raise ConfigError(f"{what}: has no _target_; name one of the group's YAML files.")
    cls = find(str(spec["_target_"]), what)
    known = inspect.signature(cls).parameters
    arguments = {key: value for key, value in spec.items() if key != "_target_"}
    for name in arguments:
        if name not in known:
            raise unknown_name(what, name, known)
    arguments |= {
        key: value for key, value in extra.items() if key in known and key not in arguments
    }
    for name, parameter in known.items():
        if (
            parameter.default is parameter.empty
            and name not in arguments
            and parameter.kind is not parameter.VAR_KEYWORD
        ):
            raise ConfigError(f"{what}.{name}: missing; {cls.__name__} needs it.")
    return cls(**arguments)
