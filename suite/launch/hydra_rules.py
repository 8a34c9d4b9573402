"""What may be said to Hydra: files that are not the suite's own name folders, and an experiment its sweep.

Hydra's node reaches further than a configuration: it sets the environment, calls programs, adds folders and
loads plug-ins. The suite does not start runs by Hydra, so none of it is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from suite.core.errors import ConfigError

FROM_FILES = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
"""What a file may say to Hydra: where runs lie."""
OF_EXPERIMENTS = ("hydra.mode", "hydra.sweeper.params")
"""And an experiment's file beside: that it is a sweep, and of what."""
REFUSED = (
    "hydra.job.env_set", "hydra.job.env_copy", "hydra.callbacks", "hydra.searchpath", "hydra.launcher",
    "hydra.sweeper",
)  # fmt: skip
"""What reaches beyond the configuration: the environment, other programs, other folders, plug-ins."""
_PACKAGE = re.compile(r"#\s*@package\s+(\S+)")
_OWN_GROUP = re.compile(r"(?:^|[\s/@.])hydra(?:[/@.:]|$)")
_OWN = {
    "hydra.launcher": {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"},
    "hydra.sweeper": {"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"},
}


def check_node(node: Any) -> None:
    """Refuse what Hydra's composed node says beyond the configuration, whoever said it.

    node: as plain mappings. Raises ConfigError by name.
    """
    chosen = node["runtime"]["choices"]
    for kind in ("hydra/launcher", "hydra/sweeper"):
        if chosen.get(kind) != "basic":
            raise ConfigError(f"{kind}={chosen.get(kind)}: must be basic; runs follow each other.")
    for name in REFUSED:
        value: Any = node
        for key in name.split(".")[1:]:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, Mapping):
            value = {k: v for k, v in value.items() if k not in ("max_batch_size", "params")}
        if value not in (None, {}, [], _OWN.get(name)):
            raise ConfigError(f"{name}: is not taken; runs are not started by Hydra. Leave it out.")


def check_override(word: str) -> None:
    """Refuse an override of the command line, or of a sweep, by its name alone: before Hydra obeys it."""
    key = word.lstrip("+~").partition("=")[0].partition("@")[0]
    for name in ("hydra", *REFUSED):
        if key == name or (
            name != "hydra"
            and (key.startswith(f"{name}.") and not key.startswith("hydra.sweeper.params"))
        ):
            raise ConfigError(f"{key}: is not taken; runs are not started by Hydra. Leave it out.")


def check_file(config: Mapping[str, Any], text: str, place: str) -> None:
    """Refuse what a file that is not the suite's own may not say to Hydra.

    config: the file's content as plain mappings. text: the file. place: as in `experiment/mine`.
    Raises ConfigError by file and name.
    """
    header = _PACKAGE.search(text)
    package = header[1].removeprefix("_global_").strip(".") if header else ""
    if place.startswith("hydra/"):
        package = place.replace("/", ".")
    names = [".".join(filter(None, [package, *keys])) for keys in _paths(config)]
    allowed = FROM_FILES + (OF_EXPERIMENTS if place.startswith("experiment/") else ())
    for name in names:
        is_allowed = any(name == each or name.startswith(f"{each}.") for each in allowed)
        if name.split(".")[0] == "hydra" and not is_allowed:
            raise ConfigError(
                f"{place}.yaml: {name}: is not taken from a file; a file may name {', '.join(allowed)}. "
                "Name the rest on the command line."
            )
    defaults = config.get("defaults")
    for entry in defaults if isinstance(defaults, list) else ():
        pairs = entry.items() if isinstance(entry, Mapping) else [(entry,)]
        words = [str(word) for pair in pairs for word in pair]
        if any(_OWN_GROUP.search(word) for word in words):
            raise ConfigError(
                f"{place}.yaml: defaults: {' '.join(words)}: Hydra's own groups are not taken from a file; "
                "remove the entry."
            )


def _paths(node: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The keys that lead to each leaf."""
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from _paths(value, (*before, str(key)))
    elif before:
        yield before
