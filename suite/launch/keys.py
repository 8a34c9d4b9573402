"""Names of settings on the command line: one that no setting has is refused, with the close one."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from suite.core import plugins
from suite.core.errors import ConfigError, close_name
from suite.core.run_settings import Budget, ForecastSettings, RunSettings, VirtualClusterSettings

OF_PLAN = {
    "nodes": "a run has the nodes of its launch; plan nodes=N --sbatch prints the line that asks for them",
    "workers": "a run has the workers of its launch (mpirun -n WORKERS+1), a simulation backend.workers",
    "site": "a run takes the environment's SUITE_SITE",
    "epoch_s": "a run measures it; in a simulation it is backend.epoch_s",
}
"""Words that plan takes and a run does not -> where a run has it from."""
_NO_OWN = ("choices",)
_GROUPS_OF_SETTINGS: Mapping[str, type[Budget | ForecastSettings | VirtualClusterSettings]] = {
    "budget": Budget,
    "forecast": ForecastSettings,
    "virtual_cluster": VirtualClusterSettings,
}


def check_keys(
    words: Sequence[str], config: Mapping[str, Any], groups: Sequence[str], common: Collection[str]
) -> None:
    """Raise ConfigError for the first word whose name is that of no setting, with the close one.

    words: key=value, also with a + before. config: as composed, with its leaves. groups: of which a file is
    chosen (`model`, `task`). common: the keys of `common` that some YAML file reads.
    """
    names = [field.name for field in dataclasses.fields(RunSettings) if field.name not in _NO_OWN]
    names = list(dict.fromkeys([*names, *groups]))
    inner = {name: list(_inner(name, config, common)) for name in names}
    for word in words:
        key = word.lstrip("+").partition("=")[0]
        if "=" not in word or word[0] == "~" or key.startswith("hydra") or set("@/:") & set(key):
            continue
        top, _, below = key.partition(".")
        if top in names and (not below or below.partition(".")[0] in inner[top] or not inner[top]):
            # A choice of a group's file is Hydra's own; no key of that name need be in the result.
            if not word.startswith("+") and key not in groups:
                _check_there(word, key, config)
        else:
            raise _unknown(word, key, inner)


def _inner(name: str, config: Mapping[str, Any], common: Collection[str]) -> Iterator[str]:
    """Names of the settings of a group; none where it is no group, or may hold any name."""
    node = config.get(name)
    if name == "common":
        yield from sorted(common)
    elif kind := _GROUPS_OF_SETTINGS.get(name):
        yield from (field.name for field in dataclasses.fields(kind))
    elif isinstance(node, Mapping) and "_target_" in node:
        yield "_target_"
        if name == "predictor":
            yield "features"
        if isinstance(path := node["_target_"], str):
            try:
                yield from inspect.signature(plugins.find(path, name)).parameters
            except (ConfigError, ValueError, TypeError):
                # Whoever makes the leaf says what is wrong with its class.
                yield from (str(key) for key in node)


def _check_there(word: str, key: str, config: Mapping[str, Any]) -> None:
    """What no YAML file names is added, with a +, and not changed."""
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            raise ConfigError(f"{word}: no YAML file sets {key}; write +{word} to add it.")
        node = node[part]
    if isinstance(node, Mapping) and "{" in word:
        raise ConfigError(
            f"{word}: a group takes its settings one by one; write {key}.NAME=VALUE, with a + before it "
            "where no YAML file sets it."
        )


def _unknown(word: str, key: str, inner: Mapping[str, Sequence[str]]) -> ConfigError:
    if key in OF_PLAN:
        return ConfigError(f"{word}: is a word of plan; {OF_PLAN[key]}.")
    top, _, below = key.partition(".")
    full = {
        f"{name}.{one}": one for name, all_ in inner.items() for one in all_ if one != "_target_"
    }
    own = [name for name in full if name.startswith(f"{top}.")]
    shown = own or list(inner)
    # n_trials=5 is budget.n_trials; modle.noise is one of the model's. `common` is of sweeps: last.
    elsewhere = [name for name, one in full.items() if one == (below or key)]
    elsewhere.sort(key=lambda name: name.startswith("common."))
    hint = close_name(key, list(full) if below else shown)
    if not hint and elsewhere:
        hint = f" Did you mean {elsewhere[0]}?"
    hint = hint or close_name(top, shown)
    return ConfigError(f"{word}: unknown setting; known are {', '.join(sorted(shown))}.{hint}")
