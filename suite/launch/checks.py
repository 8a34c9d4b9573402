"""What a composed configuration must be before anything is made of it: plain, bounded, without secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError
from suite.core.printable import printable
from suite.core.settings import check_numbers, shown
from suite.run.secrets import check_configuration, check_text

MAX_DEPTH = 32
MAX_NAME_BYTES = 200
"""Of a run's name: a folder's name has at most 255 bytes."""
_MAX_PART_BYTES, _MAX_PATH_BYTES = 255, 4096


def check_plain(config: Mapping[str, Any]) -> None:
    """Raise ConfigError where a configuration cannot be journaled, or its name cannot be a folder's."""
    _check_node(config, "", 0)
    check_numbers(config, "")
    if isinstance(name := config.get("name"), str):
        check_name(name)
    check_configuration(config)


def check_name(name: str) -> None:
    """Raise ConfigError where a run's name cannot be the name of one folder."""
    rules = (
        (not name.strip(), "must not be empty"),
        (name in (".", ".."), "must be the name of a folder, not . or .."),
        ("/" in name, "must not hold a /: it names one folder below SUITE_RUNS"),
        (not name.isprintable(), "must not hold control characters"),
        (name != name.strip(), "must not begin or end with a space"),
        (len(name.encode()) > MAX_NAME_BYTES, f"must be at most {MAX_NAME_BYTES} bytes long"),
    )
    for broken, rule in rules:
        if broken:
            raise ConfigError(f"name={printable(_cut(name))}: {rule}; name another.")


def check_folder(folder: Path) -> None:
    """Raise ConfigError where a run's folder cannot be made, before anything is trained.

    Nothing is made here: two runs may ask at once.
    """
    text = str(folder)
    check_text("the run folder's name", text)
    if not text.isprintable():
        raise ConfigError(
            f"run folder {printable(_cut(text))}: must not hold control characters; name another."
        )
    for part in folder.parts:
        if (n := len(os.fsencode(part))) > _MAX_PART_BYTES:
            raise ConfigError(
                f"run folder {_cut(part)}: {n} bytes, must be at most {_MAX_PART_BYTES}; "
                "shorten name or SUITE_STAMP."
            )
    if (n := len(os.fsencode(text))) > _MAX_PATH_BYTES:
        raise ConfigError(
            f"run folder {_cut(text)}: a path of {n} bytes, must be at most {_MAX_PATH_BYTES}; "
            "shorten SUITE_RUNS."
        )
    above = folder
    while not os.path.lexists(above):
        above = above.parent
    if not above.is_dir():
        raise ConfigError(f"{_root()}: {above} is no folder; name another folder in SUITE_RUNS.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{_root()}: {above} cannot be written; name another folder in SUITE_RUNS."
        )


def _root() -> str:
    return f"SUITE_RUNS={os.environ.get('SUITE_RUNS') or 'runs'}"


def _check_node(node: Any, at: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ConfigError(f"{_cut(at)}: nests deeper than {MAX_DEPTH} levels; flatten it.")
    if isinstance(node, Mapping):
        for key, value in node.items():
            if not isinstance(key, str):
                raise ConfigError(
                    f"{at}: the key {shown(key)} is no text; YAML reads it as another type: quote it."
                )
            _check_text(key, at)
            _check_node(value, f"{at}.{key}" if at else key, depth + 1)
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            _check_node(value, f"{at}[{i}]", depth + 1)
    elif isinstance(node, str):
        _check_text(node, at)
    elif not (node is None or isinstance(node, bool | int | float)):
        raise ConfigError(
            f"{at}: is a {type(node).__name__}; must be text, a number, true, false or null."
        )


def _check_text(text: str, at: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{at}: its character {error.start + 1} is not UTF-8; write it in UTF-8."
        ) from None
    if "\0" in text:
        raise ConfigError(f"{at}: holds a zero byte; remove it.")


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
