"""What must never reach a file: found by a key's name, and by the environment's secret values."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from suite.core.errors import ConfigError

_NAME = re.compile(
    r"(?:^|[^a-z])"
    r"(?:token|password|passwd|passphrase|secret|api_?key|credentials?|private_?key)"
    r"(?:$|[^a-z])"
)
_SHORTEST = 8  # shorter values would be found in innocent words


def names_secret(key: str) -> bool:
    """Whether a key is called like a secret: API_TOKEN, apiToken; not tokenizer, n_tokens."""
    snake = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", key)
    return _NAME.search(snake.lower()) is not None


def secret_values() -> dict[str, str]:
    """Value -> name of the environment's variables that are called like a secret."""
    return {v: k for k, v in os.environ.items() if names_secret(k) and len(v) >= _SHORTEST}


def redact(text: str) -> str:
    """The text with every secret value of the environment replaced by <secret>."""
    for value in sorted(secret_values(), key=len, reverse=True):
        text = text.replace(value, "<secret>")
    return text


def check_secrets(header: Mapping[str, Any]) -> None:
    """Raise ConfigError if anything in the header looks like a secret, by key or by value."""
    _check(header, "", secret_values())


def _check(node: Any, at: str, values: Mapping[str, str]) -> None:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if names_secret(str(key)) and isinstance(value, str) and value:
                raise ConfigError(
                    f"{at}{key}: looks like a secret; the configuration is journaled. "
                    "Pass it by the environment."
                )
            _check(value, f"{at}{key}.", values)
    elif isinstance(node, list | tuple):
        for value in node:
            _check(value, at, values)
    elif isinstance(node, str):
        for value, name in values.items():
            if value in node:
                raise ConfigError(
                    f"{at.rstrip('.')}: holds the value of the environment's {name}; "
                    "the configuration is journaled. Leave it out."
                )
