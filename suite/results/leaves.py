"""The leaves of nested settings, by their dotted names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(node: Any, at: str = "", *, lists: bool = False) -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of every leaf; an empty mapping is a leaf. lists: their items are leaves too.

    >>> dict(leaves({"a": {"b": 1}, "c": [2]}))
    {'a.b': 1, 'c': [2]}
    """
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from leaves(value, f"{at}.{key}" if at else str(key), lists=lists)
    elif lists and isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from leaves(value, f"{at}[{i}]", lists=True)
    elif at:
        yield at, node
