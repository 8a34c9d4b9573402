"""Floor 4: strings that leave the machine: without paths, user and host names, and secrets.

The journal holds no secrets (suite.run.secrets), but a configuration may name folders, and messages
of errors, which other people's code words, name hosts and homes. A journal stays with its run; what
is made from it (records, MLflow, reports) travels, and is cleaned here.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import re
import socket
from collections.abc import Callable, Mapping
from typing import Any

from suite.run.secrets import secret_values

_END = r"\s'\"`,;:()\[\]{}<>|="
_PART = rf"[^/{_END}]"
_PATH = re.compile(  # absolute, or below somebody's home wherever that stands; not a/b, not a URL
    rf"(?:(?<![\w.~/-])|(?<=file://))/(?:{_PART}+/)+({_PART}*)"
    rf"|(?:/home|/users|/Users|/root|~[\w.-]*)(?:/{_PART}*)*/({_PART}*)"
)
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

_Names = list[tuple[re.Pattern[str], str]]


def clean(node: Any) -> Any:
    """A copy of a string, or of mappings and lists of strings, without names of people and places.

    An absolute path becomes `<path>` (with its last part where that looks like a file's name), this
    machine's host and user names become `<host>` and `<user>`, and a secret's value in the
    environment becomes `<secret>`.
    """
    return cleaner()(node)


def cleaner() -> Callable[[Any], Any]:
    """`clean`, for many calls: it looks at the machine and the environment once."""
    secrets = sorted(secret_values(), key=lambda value: (-len(value), value))
    return functools.partial(_walk, secrets=secrets, names=_names())


def _walk(node: Any, secrets: list[str], names: _Names) -> Any:
    if isinstance(node, str):
        return _text(node, secrets, names)
    if isinstance(node, Mapping):
        pairs = node.items()
        return {_text(str(k), secrets, names): _walk(v, secrets, names) for k, v in pairs}
    if isinstance(node, list | tuple):
        return [_walk(value, secrets, names) for value in node]
    return node


def _text(text: str, secrets: list[str], names: _Names) -> str:
    for value in secrets:
        text = text.replace(value, "<secret>")
    if "/" in text:
        text = _PATH.sub(_shorten, text)  # before names, which may be parts of it
    for pattern, instead in names:
        text = pattern.sub(instead, text)
    return text


def _shorten(match: re.Match[str]) -> str:
    last = match[1] or match[2] or ""
    return f"<path>/{last}" if "." in last.strip(".") else "<path>"


def _names() -> _Names:
    """This machine's and this user's names, longest first, and what stands in their place."""
    users = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME")}
    with contextlib.suppress(KeyError):  # a number without a name, as in many containers
        users.add(pwd.getpwuid(os.getuid()).pw_name)
    host = socket.gethostname()
    named = dict.fromkeys(users, "<user>") | {host: "<host>", host.split(".")[0]: "<host>"}
    telling = [name for name in named if len(name) >= 4 and name.lower() not in _COMMON]
    telling.sort(key=lambda name: (-len(name), name))
    return [(re.compile(rf"(?<!\w){re.escape(name)}(?!\w)"), named[name]) for name in telling]
