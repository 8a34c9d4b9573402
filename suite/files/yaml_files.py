"""YAML files before a library reads them: bounded, plain, without doubled keys, and by file and line."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError
from suite.files import UnsafeFileError, read_text

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_NODES = 100_000
"""Of a file, each alias counted as often as it is used: ten lines of aliases of aliases make a billion."""
_DIGITS = 400
"""More would overflow a float; of more than 4300 Python makes no integer."""
_TAGS = ("!", "tag:yaml.org,2002:str")


def read_yaml(path: Path) -> str:
    """The text of a YAML file that is fit to be read: a mapping, or nothing.

    A link is followed: the user named the folder. Raises ConfigError with file and line: no regular file,
    too large, not UTF-8, not YAML, a doubled key, a tag, or nested too deeply or too often.
    """
    place = "/".join(path.parts[-2:])
    try:
        text = read_text(Path(os.path.realpath(path)), max_bytes=MAX_BYTES)
    except (UnsafeFileError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{place}: cannot be read ({reason}).") from None
    _check(text, place)
    return text


def _check(text: str, place: str) -> None:
    # Imported here: who only writes a plug-in needs no YAML.
    import yaml

    try:
        _check_events(text, place)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        reason = " ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(f"{place}: {at}: is not YAML ({reason}); correct the file.") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{place}: line {line}: holds the character {error.character!r}, which YAML does not "
            "allow; remove it."
        ) from None
    if node is not None and not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{place}: line 1: must hold names with values (name: value).")
    if node is not None:
        _count(node, place)


def _check_events(text: str, place: str) -> None:
    """Depth, tags and long numbers, before anything recursive sees the file."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        at = f"{place}: line {event.start_mark.line + 1}"
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise ConfigError(f"{at}: nests deeper than {MAX_DEPTH} levels; flatten it.")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if isinstance(event, yaml.NodeEvent) and (tag := getattr(event, "tag", None)) not in (
            None,
            *_TAGS,
        ):
            raise ConfigError(f"{at}: tag {tag}: no tags are taken; write the plain value.")
        if isinstance(event, yaml.ScalarEvent) and re.search(rf"\d{{{_DIGITS}}}", event.value):
            raise ConfigError(f"{at}: a number of more than {_DIGITS} digits; shorten it.")


def _count(root: Any, place: str) -> None:
    """Refuse doubled keys, and more than MAX_NODES nodes with every alias written out."""
    import yaml

    sizes: dict[int, int] = {}
    entered: set[int] = set()

    def size(node: Any) -> int:
        at = f"{place}: line {node.start_mark.line + 1}"
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in entered:
            raise ConfigError(f"{at}: refers to itself; write the values out.")
        entered.add(id(node))
        children: list[Any] = []
        if isinstance(node, yaml.SequenceNode):
            children = node.value
        elif isinstance(node, yaml.MappingNode):
            _check_keys(node, place)
            children = [part for pair in node.value for part in pair]
        total = 1 + sum(map(size, children))
        if total > MAX_NODES:
            raise ConfigError(
                f"{at}: has more than {MAX_NODES} values, with each alias (*name) written out; shorten it."
            )
        sizes[id(node)] = total
        return total

    size(root)


def _check_keys(node: Any, place: str) -> None:
    import yaml

    seen: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{place}: line {line}: a key must be text.")
        if key.value in seen and key.value != "<<":
            raise ConfigError(
                f"{place}: line {line}: {key.value} stands in line {seen[key.value]} already; remove one."
            )
        seen[key.value] = line
