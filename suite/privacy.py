"""Floor 4: strings that leave the machine: without paths, user and host names, and secrets.

The journal holds no secrets (suite.run.secrets), but a configuration may name folders, and messages
of errors, which other people's code words, name hosts and homes. A journal stays with its run; what
is made from it (records, MLflow, reports) travels, and is cleaned here.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import os
import re
import socket
from collections.abc import Callable, Mapping
from typing import Any

from suite.run.secrets import secret_values

_END = r"\s'\"`,;:()\[\]{}<>|="
_PATH = re.compile(rf"(?<![\w.:/>~-])/(?:[^/{_END}]+/)+([^/{_END}]*)")
_HOME = re.compile(rf"(?<![\w.:/>~-])~[\w.-]*/[^{_END}]*")
_COMMON = (
    "admin",
    "build",
    "localhost",
    "main",
    "node",
    "nobody",
    "root",
    "runner",
    "suite",
    "test",
)
"""Names that say nothing about a person or a machine, and that other words consist of."""


def clean(node: Any) -> Any:
    """A copy of a string, or of mappings and lists of strings, without names of people and places.

    An absolute path becomes `<path>` (with its last part where that looks like a file's name), this
    machine's host and user names become `<host>` and `<user>`, and a secret's value in the
    environment becomes `<secret>`.
    """
    return cleaner()(node)


def cleaner() -> Callable[[Any], Any]:
    """`clean`, for many calls: it looks at the machine and the environment once."""
    return functools.partial(_walk, words=_words())


def _walk(node: Any, words: list[tuple[re.Pattern[str], str]]) -> Any:
    if isinstance(node, str):
        return _text(node, words)
    if isinstance(node, Mapping):
        return {_text(str(key), words): _walk(value, words) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_walk(value, words) for value in node]
    return node


def _text(text: str, words: list[tuple[re.Pattern[str], str]]) -> str:
    for pattern, instead in words:
        text = pattern.sub(instead, text)
    if "/" in text:
        text = _HOME.sub("<path>", _PATH.sub(_shorten, text))
    return text


def _shorten(match: re.Match[str]) -> str:
    return f"<path>/{match[1]}" if "." in match[1].strip(".") else "<path>"


def _words() -> list[tuple[re.Pattern[str], str]]:
    """What to look for and what to put in its place, longest first; secrets inside of words too."""
    secrets = set(secret_values())
    users = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME")}
    with contextlib.suppress(OSError, KeyError):  # a number without a name, as in many containers
        users.add(getpass.getuser())
    host = socket.gethostname()
    named = dict.fromkeys(users, "<user>") | {host: "<host>", host.split(".")[0]: "<host>"}
    found = [(value, re.escape(value), "<secret>") for value in secrets]
    found += [
        (name, rf"(?<!\w){re.escape(name)}(?!\w)", instead)
        for name, instead in named.items()
        if len(name) >= 4 and name.lower() not in _COMMON
    ]
    found.sort(key=lambda item: (-len(item[0]), item))
    return [(re.compile(pattern), instead) for _, pattern, instead in found]
