"""Docstrings as Markdown: their words are text, examples are code, Source and the like are paragraphs."""

from __future__ import annotations

import re
from typing import Any

import griffe

_NEW_PARAGRAPH = re.compile(r"\n\n+|\n(?=(?:Source|Deviation|Raises|Shapes|Attributes)[: ])")


def as_markdown(text: str, *, examples: bool = True) -> str:
    """A docstring. examples: with its doctests."""
    blocks = []
    for block in _NEW_PARAGRAPH.split(text.strip()):
        prose, mark, code = block.partition(">>>")
        if prose.strip():
            blocks.append(escaped(" ".join(prose.split())))
        if mark and examples:
            blocks.append(f"```python\n{mark}{code}\n```")
    return "\n\n".join(blocks)


def escaped(text: str) -> str:
    """Text as Markdown that shows it: no emphasis, no tags, no columns. What is in backquotes stays."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([*_<>|\[\]{}])", r"\\\1", part)
        for part in parts
    )


class Docstrings(griffe.Extension):
    """For mkdocstrings: each docstring that it shows goes through `as_markdown`."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Once, when all of a package is read."""
        _to_markdown(pkg)


def _to_markdown(obj: griffe.Object) -> None:
    if obj.docstring is not None:
        obj.docstring.value = as_markdown(obj.docstring.value)
    for member in obj.members.values():
        if isinstance(member, griffe.Object):
            _to_markdown(member)
