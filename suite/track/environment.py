"""The environment's variables that MLflow reads: what is set for it, and what the user's own must be."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError

FIXED = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    # A server may ask for any number of seconds.
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}
# Of one call of a server. MLflow's own: 120 s, 7 retries, together 18 minutes without a word.
_LIMITS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
# Of the first call, which finds out whether a server is there: within 20 s in all.
_FIRST = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "8", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
FIRST_CALL_S = 20.0


def prepare() -> None:
    """Set what MLflow shall find. Limits that the user set stay."""
    os.environ.update(FIXED)
    for name, value in _LIMITS.items():
        os.environ.setdefault(name, value)
    try:
        Path.home()
    except RuntimeError:
        # A user number without a name and without HOME, as in some containers; MLflow asks at import.
        os.environ["HOME"] = tempfile.gettempdir()


@contextlib.contextmanager
def first_call() -> Iterator[None]:
    """Shorter limits, where the user has set none."""
    shorter = {name: _FIRST[name] for name in _FIRST if os.environ.get(name) == _LIMITS[name]}
    os.environ.update(shorter)
    try:
        yield
    finally:
        os.environ.update({name: _LIMITS[name] for name in shorter})


def check() -> None:
    """Raise ConfigError for a variable of the environment that MLflow cannot read.

    The value is not shown: it may be a password.
    """
    try:
        from mlflow import environment_variables
    except ImportError:
        raise
    except Exception as error:
        raise ConfigError(
            f"MLFLOW_...: mlflow cannot be imported with this environment ({type(error).__name__}); "
            "unset its variables that begin with MLFLOW_."
        ) from None
    for variable in _variables(vars(environment_variables)).values():
        try:
            variable.get()
        except Exception:
            kind = getattr(variable.type, "__name__", "another type")
            raise ConfigError(
                f"{variable.name}: must be of type {kind}; correct or unset it in the environment."
            ) from None


def _variables(names: Mapping[str, Any]) -> dict[str, Any]:
    """MLflow's descriptions of its variables, of those that are set."""
    described = {
        name: item
        for name, item in names.items()
        if hasattr(item, "get_raw") and hasattr(item, "type")
    }
    return {name: item for name, item in described.items() if item.name in os.environ}
