"""The target of a stranger's run, made by the checker's own YAML file of that name.

A journal's leaf names a class and its arguments. The class must be the one that the checker's file names, and
of the arguments only numbers, booleans and short words are taken from the journal: paths and descriptions of
files are the checker's own. So no file is opened because a submission names it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from suite.check.stated import Stated
from suite.core import moved
from suite.core.errors import SuiteError
from suite.core.printable import printable
from suite.core.run_settings import Leaf
from suite.launch.compose import compose

_WORD = re.compile(r"[A-Za-z0-9_.+-]{1,40}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


def own_leaf(stated: Stated) -> tuple[Leaf | None, str]:
    """(the leaf, "") or (None, why the checker's installation has no such target)."""
    choices, theirs = stated.choices, stated.model
    task, model = choices.get("task"), choices.get("model")
    group, name = ("task", task) if task is not None else ("model", model)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return None, f"{group}={printable(name, most=60)}: names no target of this installation"
    try:
        own = _composed(f"{group}={name}")
    except SuiteError as error:
        return None, f"{group}={name}: no target of this installation: {error}"
    target = moved.current(str(theirs.get("_target_")))
    if own.get("_target_") != target:
        return None, f"{group}={name}: is {own.get('_target_')} here, and {target} in the journal"
    leaf = {}
    for key in (*own, *(key for key in theirs if key not in own)):
        if key not in own:
            return (
                None,
                f"{group}={name}: {printable(key, most=60)}: no argument of this installation's file",
            )
        try:
            leaf[key] = _taken(
                own[key],
                moved.current(theirs[key]) if key == "_target_" else theirs.get(key, own[key]),
            )
        except ValueError as error:
            return None, f"{group}={name}: {printable(key, most=60)}: {error}"
    return leaf, ""


def _taken(own: Any, theirs: Any) -> Any:
    """The value to make the target with. Raises ValueError where theirs may not be taken, and is not ours."""
    if theirs == own:
        return own
    if isinstance(own, str) and ("/" in own or own.startswith(("~", "."))):
        return own
    if theirs is None or isinstance(theirs, bool | int | float):
        return theirs
    if isinstance(theirs, str) and _WORD.fullmatch(theirs) and not isinstance(own, Mapping | list):
        return theirs
    if isinstance(own, list) and isinstance(theirs, list) and any("/" in str(one) for one in own):
        return own
    if isinstance(own, Mapping) and isinstance(theirs, Mapping) and own.keys() == theirs.keys():
        return {key: _taken(value, theirs[key]) for key, value in own.items()}
    raise ValueError(
        f"is {printable(theirs, most=60)}, here {printable(own, most=60)}; not taken from a journal"
    )


@functools.lru_cache(maxsize=64)
def _composed(word: str) -> dict[str, Any]:
    return dict(compose((word,))["model"])


def is_unchanged(stated: Stated) -> bool:
    """Whether the journal's leaf is that of the checker's file, but for paths: the same data and net."""
    leaf, _ = own_leaf(stated)
    choices = stated.choices
    word = f"task={choices['task']}" if choices.get("task") else f"model={choices.get('model')}"
    if leaf is None:
        return False
    # Values that are held lie in the same space: its epochs are as the file says.
    return {**leaf, "fixed": None} == {**_composed(word), "fixed": None}
