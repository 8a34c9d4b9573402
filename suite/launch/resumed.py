"""The settings of a run that is continued: what its journal says, and what the command line says anew.

A run folder may come from somebody else. Its journal says what is trained. Which folders, devices and
services outside of the run folder are used, only the command line says: `resume=` refuses those of the
journal until they are given anew.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError, JournalError
from suite.core.moved import begun_with
from suite.core.printable import printable
from suite.core.run_settings import RunSettings
from suite.core.settings import shown
from suite.launch.compose import compose
from suite.run import journal as journals
from suite.run.budget import LIMITS, amount, in_force, limits_of

FROM_COMMAND_LINE = (
    "backend", "tracking", "report", "resume", "min_workers", "compare_across_overlap", "n_jobs",
)  # fmt: skip
"""What a continued run takes from the command line, and not from its journal. With `resume=`, the backend
only where one is named there: a simulated run stays one."""
OF_THE_MACHINE = ("checkpoints", "device")
"""Of the journal's backend, what is this machine's: the command line's, or its default."""
FOLDERS = ("cache", "checkpoints", "recording", "store")
"""Settings that name a folder or a file, wherever they stand; another is taken for one if it is absolute."""
SERVICES = ("qpu",)
"""Values by which a service is called on the user's account; options beside one go with it."""
_CHANGEABLE = ("backend", "tracking", "report=", "min_workers=", "n_jobs=")
_LEAVES = ("model", "predictor", "scheduler", "searcher", "backend")
_CHOICES = ("scheduler", "predictor", "searcher", "model", "task")


@dataclass(frozen=True)
class OutsideSetting:
    """A setting of a journal by which the run would act outside of its folder."""

    key: str
    value: Any

    def word(self) -> str:
        """As the command line gives it."""
        return f"{self.key}={_written(self.value)}"


def begun_settings(header: Mapping[str, Any], fresh: RunSettings) -> RunSettings:
    """The settings by which a journal's run was begun, but FROM_COMMAND_LINE of `fresh`.

    For resume=auto, whose command line names all settings and is compared with them.
    Raises ConfigError where they are not settings of this version, JournalError where there are none.
    """
    anew = {name: getattr(fresh, name) for name in FROM_COMMAND_LINE}
    return RunSettings.of({**_begun(header), **anew})


def resumed_settings(folder: Path, words: Sequence[str]) -> RunSettings:
    """The settings of `resume=folder words`: the journal's, but for what the command line says.

    Raises ConfigError for a word that cannot be changed, and for settings of the journal that act outside
    of the run folder and are not given anew, with the words that give them; JournalError for no journal.
    """
    path = folder / journals.NAME
    _check_budget(path, [word for word in words if _is_budget(word)])
    return settings_of(journals.read_header(path), folder, words)


def _check_budget(path: Path, words: Sequence[str]) -> None:
    """Raise ConfigError for a budget that is not larger than the run's, or that it cannot have."""
    if not words:
        return
    header, lines, _ = journals.read(path)
    given = compose([f"++{word.lstrip('+')}" for word in words])
    had, now = in_force(journals.settings(header), lines), limits_of(given["budget"])
    for key, name in LIMITS.items():
        if not any(_key(word) == name for word in words):
            continue
        said = f"{name}={_value(given, name)}"
        if key not in had:
            raise ConfigError(f"{said}: the run was begun without {name}; leave it out.")
        if now.get(key, 0) <= had[key]:
            raise ConfigError(
                f"{said}: must be larger than {amount(key, had[key])}, which the run has; give more, or "
                "leave it out to continue with that."
            )


def settings_of(header: Mapping[str, Any], folder: Path, words: Sequence[str]) -> RunSettings:
    """As `resumed_settings`, by a journal's header: also by that which a run that is not begun would have."""
    before = _begun(header)
    outside = list(outside_settings(before, folder))
    of_leaves = [word for word in words if any(_gives(word, found.key) for found in outside)]
    of_leaves = [word for word in of_leaves if not word.startswith("backend")]
    for word in words:
        if word not in of_leaves and not word.startswith(_CHANGEABLE) and not _is_budget(word):
            raise ConfigError(
                f"{printable(word)}: cannot change on resume, the journal's own configuration counts; "
                "only backend..., tracking..., report, min_workers and n_jobs can, and budget.hours, "
                "node_hours and all_epochs where they were given, to larger ones (not budget.price: a run "
                "that it has ended is over)."
            )
    others = [word for word in words if word not in of_leaves]
    fresh = RunSettings.of({**_composed(others), "compare_across_overlap": True, "resume": None})
    anew = {name: getattr(fresh, name) for name in FROM_COMMAND_LINE}
    named = {_key(word) for word in words if word.startswith("backend")}
    if named <= {f"backend.{name}" for name in OF_THE_MACHINE}:
        anew["backend"] = _moved_here(before, fresh, named)
    else:
        # Another backend: of the journal's own, only the weights are still asked for.
        outside = [o for o in outside if o.key == "backend.checkpoints" or o.key[:8] != "backend."]
    _refuse([o for o in outside if not any(_gives(word, o.key) for word in words)], header)
    for name in LIMITS.values():
        if any(_key(word) == name for word in words):
            _put(before, name, getattr(fresh.budget, name.partition(".")[2]))
    if of_leaves:
        given = compose([f"++{word.lstrip('+')}" for word in of_leaves], any_names=True)
        for word in of_leaves:
            _put(before, _key(word), _value(given, _key(word)))
    return RunSettings.of({**before, **anew})


def _composed(words: Sequence[str]) -> Mapping[str, Any]:
    """What conf/ says of these words, to be read only: a sweep's runs share few of them, and to compose one
    takes a tenth of a second.
    """
    variables = sorted(item for item in os.environ.items() if item[0].startswith("SUITE_"))
    return _composed_once(tuple(words), tuple(variables))


@functools.lru_cache(maxsize=256)
def _composed_once(
    words: tuple[str, ...], variables: tuple[tuple[str, str], ...]
) -> Mapping[str, Any]:
    """variables: by which YAML files name folders."""
    return compose(words)


def outside_settings(config: Mapping[str, Any], folder: Path) -> Iterator[OutsideSetting]:
    """The settings of a journal's configuration that act outside of its run folder."""
    for name in _LEAVES:
        yield from _found(config.get(name), name, name, folder)


def _found(value: Any, name: str, key: str, folder: Path) -> Iterator[OutsideSetting]:
    if isinstance(value, Mapping):
        calls = any(isinstance(v, str) and v in SERVICES for v in value.values())
        for inner, setting in value.items():
            if calls and setting and str(inner).endswith("options"):
                yield OutsideSetting(f"{key}.{inner}", setting)
            else:
                yield from _found(setting, inner, f"{key}.{inner}", folder)
    elif isinstance(value, list | tuple):
        # The command line gives a list as a whole.
        if any(True for item in value for _ in _found(item, name, key, folder)):
            yield OutsideSetting(key, value)
    elif isinstance(value, str) and (value in SERVICES or _is_outside(name, value, folder)):
        yield OutsideSetting(key, value)


def _is_outside(name: str, value: str, folder: Path) -> bool:
    is_path = name in FOLDERS or value.startswith(("/", "~")) or ".." in value.split("/")
    if not is_path or not value:
        return False
    try:
        path = os.path.realpath(Path(value).expanduser())
    except (ValueError, RuntimeError):
        # A zero byte, or no such user: no path at all.
        return True
    return not Path(path).is_relative_to(os.path.realpath(folder))


def _moved_here(before: Mapping[str, Any], fresh: RunSettings, named: set[str]) -> Any:
    """The journal's backend on this machine. named: what the command line says of the backend."""
    kept = before.get("backend")
    if not isinstance(kept, Mapping):
        return kept
    # Without a word, the weights lie where the journal says: in the run folder, or this was refused.
    here = [n for n in OF_THE_MACHINE if f"backend.{n}" in named or n != "checkpoints"]
    return {**kept, **{name: fresh.backend[name] for name in here if name in kept}}


def _refuse(outside: Sequence[OutsideSetting], header: Mapping[str, Any]) -> None:
    """Raise ConfigError for settings that this machine's conf/ does not name of itself."""
    if not outside:
        return
    own = _defaults(header)
    left = [
        found
        for found in outside
        if found.value in SERVICES or _value(own, found.key) != found.value
    ]
    if left:
        again = " ".join(shlex.quote(found.word()) for found in left)
        verb = "stands" if len(left) == 1 else "stand"
        raise ConfigError(
            f"{printable(', '.join(found.word() for found in left), most=400)}: {verb} in the run's journal, "
            "outside of the run folder; resume= takes folders and services from the command line alone. "
            f"Look at it, then add what is right: {printable(again, most=800)}"
        )


def _defaults(header: Mapping[str, Any]) -> Mapping[str, Any]:
    """What this machine's conf/ says of the journal's choices; empty where it does not know them."""
    chosen = header.get("choices") or {"model": header.get("model")}
    words = [
        f"{group}={chosen[group]}"
        for group in _CHOICES
        if isinstance(chosen.get(group), str) and re.fullmatch(r"\w+", chosen[group])
    ]
    try:
        return _composed(words)
    except ConfigError:
        return {}


def _begun(header: Mapping[str, Any]) -> dict[str, Any]:
    for name in ("config", "choices"):
        if not isinstance(header.get(name, {} if name == "choices" else None), Mapping):
            raise JournalError(
                f"{journals.NAME}: line 1: {name}={printable(header.get(name), most=60)}: must be a mapping; "
                "the journal is not continued. Restore it from a copy."
            )
    return begun_with(header)


def _is_budget(word: str) -> bool:
    return _key(word) in LIMITS.values()


def _key(word: str) -> str:
    return word.lstrip("+").partition("=")[0]


def _gives(word: str, key: str) -> bool:
    """Whether a word of the command line gives the setting `key`, or a group that it stands in."""
    given = _key(word)
    return key == given or ("." in given and key.startswith(f"{given}."))


def _value(config: Mapping[str, Any], key: str) -> Any:
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _put(config: dict[str, Any], key: str, value: Any) -> None:
    *outer, last = key.split(".")
    for part in outer:
        config[part] = dict(config[part])
        config = config[part]
    config[last] = value


def _written(value: Any) -> str:
    """A value in the command line's grammar."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_written, value)) + "]"
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z_/.~][\w/.~-]*", value):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return shown(value)
