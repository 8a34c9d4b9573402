"""What must never reach a file or a terminal: found by its name, in the environment, and in URLs."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from suite.core.errors import ConfigError
from suite.run.paths import CONF

HIDDEN = "<secret>"
_NAME = re.compile(
    # PGPASSWORD, sshpass: also inside of a word.
    r"password|passwd|passphrase|sshpass"
    r"|(?:^|[^a-z])(?:token|jwt|pass|pat|secrets?|api_?key|credentials?|cookie|access_?key|private_?key)"
    r"(?:$|[^a-z])"
    # Of *_KEY and *_PWD the last word counts; PWD itself is a folder.
    r"|[^a-z](?:key|pwd)$"
)
_URL_USER = re.compile(
    # A password may hold an @, and by mistake a / or #; a port followed by a path is none.
    r"(?<=://)([^/?#\s@:'\"<>]+:(?!\d+/)[^\s'\"<>]*|[^/?#\s@'\"<>]+)@"
)
_URL_KEY = re.compile(
    r"(?<=[?&;])([\w.-]*(?:token|key|password|passwd|secret|signature|sig|pwd)=)([^&;#\s'\"<>]+)",
    re.I,
)
_WHOLE = 8
"""Values of so many characters are looked for anywhere; shorter ones, as a word of their own only."""
_SHORTEST = 4
"""Shorter values are digits and syllables of every text, and no secret."""
_SSH = ("git", "hg", "svn", "ssh")
"""Users in addresses of public servers; no password."""


def names_secret(key: str) -> bool:
    """Whether a key is called like a secret: API_TOKEN, apiToken, PGPASSWORD, DB_PASS; not n_tokens."""
    snake = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", key)
    return _NAME.search(snake.lower()) is not None


def secret_values() -> dict[str, str]:
    """Secret value -> the environment's variable that holds it, in each form in which it may be written.

    These are the values of variables that are called like a secret, and what stands before the @ of a URL in
    any variable (HTTPS_PROXY, MLFLOW_TRACKING_URI). The path of an existing file is no secret.
    """
    found: dict[str, str] = {}
    for name, value in os.environ.items():
        if names_secret(name) and not _is_file(value):
            for form in _forms(value.strip()):
                found.setdefault(form, name)
        for user in _URL_USER.findall(value):
            _, colon, password = user.partition(":")
            for form in _forms(password if colon else user):
                # A user's name alone, without a password, may be a token; a short one is a name.
                if colon or len(user) >= _WHOLE:
                    found.setdefault(form, name)
    return {value: name for value, name in found.items() if len(value) >= _SHORTEST}


def redact(text: str) -> str:
    """The text with <secret> for every secret value of the environment, and for passwords in URLs."""
    for value in sorted(secret_values(), key=len, reverse=True):
        if len(value) >= _WHOLE:
            text = text.replace(value, HIDDEN)
        elif value in text:
            text = _as_word(value).sub(HIDDEN, text)
    if "://" in text:
        text = _URL_USER.sub(f"{HIDDEN}@", text)
        text = _URL_KEY.sub(rf"\1{HIDDEN}", text)
    return text


def check_secrets(header: Mapping[str, Any]) -> None:
    """Raise ConfigError if anything in a header looks like a secret, by key or by value.

    Short values are looked for in configurations alone (`check_configuration`): a header also holds dates
    and versions, which a short value may equal by chance.
    """
    _check(header, {v: k for v, k in secret_values().items() if len(v) >= _WHOLE})


def check_configuration(config: Mapping[str, Any]) -> None:
    """Raise ConfigError if anything that was configured looks like a secret; before anything is written.

    A short value that is also a word of conf/ ("auto", say) is not looked for: it would stop every run.
    """
    values = secret_values()
    _check(config, {v: k for v, k in values.items() if len(v) >= _WHOLE or v not in _words()})


def check_text(name: str, text: str) -> None:
    """The same for one text, a folder's name say. name: how the error calls it."""
    check_configuration({name: text})


def _check(header: Mapping[str, Any], values: Mapping[str, str]) -> None:
    for at, key, node in _leaves(header, ""):
        if key is not None and names_secret(key) and _may_be_secret(node):
            raise ConfigError(
                f"{redact(at)}: looks like a secret; the configuration is journaled. "
                "Pass it by the environment."
            )
        text = node if isinstance(node, str) else str(node) if _is_number(node) else ""
        for value, name in values.items():
            if value in text and (len(value) >= _WHOLE or _as_word(value).search(text)):
                raise ConfigError(
                    f"{redact(at)}: holds the value of the environment's {name}; "
                    "the configuration is journaled. Leave it out."
                )
        if "://" in text and (user := _URL_USER.search(text)) and user[1] not in _SSH:
            raise ConfigError(
                f"{redact(at)}: holds a URL with a user or password before the @; the configuration is "
                "journaled. Pass them by the environment (of MLflow: MLFLOW_TRACKING_USERNAME, "
                "MLFLOW_TRACKING_PASSWORD)."
            )
        if "://" in text and _URL_KEY.search(text):
            raise ConfigError(
                f"{redact(at)}: holds a URL with a token; the configuration is journaled. "
                "Pass it by the environment."
            )


def _leaves(node: Any, at: str) -> Iterator[tuple[str, str | None, Any]]:
    """(dotted place, key or None, value) of all leaves, and of the keys themselves."""
    todo: list[tuple[str, str | None, Any]] = [(at, None, node)]
    while todo:
        at, key, node = todo.pop()
        if isinstance(node, Mapping):
            for inner, value in node.items():
                yield (at or str(inner), None, str(inner))
                todo.append((f"{at}.{inner}" if at else str(inner), str(inner), value))
        elif isinstance(node, list | tuple):
            todo += [(at, key, value) for value in node]
        else:
            yield at, key, node


def _may_be_secret(node: Any) -> bool:
    return bool(node) if isinstance(node, str) else _is_number(node) and len(str(node)) >= _SHORTEST


def _is_number(node: Any) -> bool:
    return isinstance(node, int | float) and not isinstance(node, bool)


def _forms(value: str) -> list[str]:
    """A value as it stands, in a URL and in JSON."""
    return list(
        dict.fromkeys((value, unquote(value), quote(value, safe=""), json.dumps(value)[1:-1]))
    )


def _as_word(value: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(value)}(?!\w)")


def _is_file(value: str) -> bool:
    try:
        return value.startswith(("/", "~")) and Path(value).expanduser().exists()
    except (ValueError, RuntimeError, OSError):
        return False


@functools.cache
def _words() -> frozenset[str]:
    """The words of the suite's own YAML files, and those that mean nothing."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(CONF.rglob("*.yaml"))]
    return frozenset(word for text in texts for word in re.findall(r"\w+", text)) | {"true", "none"}
