"""Composing: Hydra's loader over our files, and the plain, checked configuration that it gives."""

from __future__ import annotations

import copy
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError, unknown_name
from suite.core.settings import shown
from suite.launch import words as typed_words
from suite.launch.checks import check_folder, check_plain
from suite.launch.compose.interpolations import bounded_interpolations
from suite.launch.compose.refusals import refusals
from suite.launch.compose.reseed import reseed, set_number
from suite.launch.compose.sources import catalogued, checked_files, once_read
from suite.launch.epoch_seconds import hours_of_trainings
from suite.launch.hydra_rules import check_node
from suite.launch.keys import check_keys
from suite.launch.names import KnownAlgorithm, Triple, algorithm_name
from suite.launch.options import Options
from suite.run.paths import CONF

Plain = dict[str, Any]
_COMMON = re.compile(r"\bcommon\.(\w+)")
GROUPS = ("scheduler", "predictor", "searcher", "model", "task", "backend")
"""The choices that a configuration and its journal keep, beside the algorithm's name."""
_NOT_OF_A_RUN = ("hydra", "algorithm_name", "reference")
"""What is composed and decides nothing; `reference`: what an experiment should give (compare reads it)."""
NEEDED = ("scheduler", "predictor", "searcher", "model", "backend", "tracking")
"""Groups of which a run needs one file each."""
CHOSEN = (*NEEDED, "task", "algorithm", "experiment")
"""All groups of which a file is chosen."""
_NO_SETTINGS = ("algorithm_name",)
_MAX_NODES, _MAX_CHARACTERS = 100_000, 10_000_000
"""Values of a configuration and the characters of its texts, with each interpolation written out."""


def compose(
    overrides: Sequence[str], config_dir: str | Path | None = None, *, any_names: bool = False
) -> Plain:
    """The one configuration that these overrides give; what an experiment sweeps is left aside.

    config_dir: a folder of more YAML files, as --config-dir names it. any_names: whether ++ may add settings
    that nothing has, for their values alone.
    Raises ConfigError where an override is wrong.
    """
    loader = Loader(config_dir)
    with refusals():
        return loader.plain(loader.load(list(overrides), any_names=any_names))


def hydra_page(arguments: Sequence[str], options: Options) -> None:
    """Print the page that --cfg, --info and the like ask for. Hydra may leave by SystemExit."""
    import hydra

    # Hydra's own command would read any file.
    with refusals():
        loader = Loader(options.config_dir)
        loader.load(options.overrides, sweep=options.multirun)
    sys.argv = ["suite", *arguments]
    hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(_nothing)()


def _nothing(_: Any) -> None:
    """What Hydra's own command would run; it is asked for a page alone."""


@contextmanager
def beside_hydra() -> Iterator[None]:
    """Leave Hydra's globals as they are: a script that composes may be a program of Hydra's itself."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.utils import JobRuntime
    from hydra.version import VersionBase

    held = [
        (HydraConfig.instance(), "cfg"),
        (JobRuntime.instance(), "conf"),
        (VersionBase.instance(), "version_base"),
    ]
    before = [copy.copy(getattr(home, name)) for home, name in held]
    try:
        yield
    finally:
        for (home, name), value in zip(held, before, strict=True):
            setattr(home, name, value)


class Loader:
    """Hydra's loader over conf/, the folder of --config-dir and the search path."""

    def __init__(self, config_dir: str | Path | None = None) -> None:
        from hydra import version
        from hydra._internal.config_loader_impl import ConfigLoaderImpl
        from hydra._internal.core_plugins.file_config_source import FileConfigSource
        from hydra._internal.sources_registry import SourcesRegistry
        from hydra._internal.utils import create_config_search_path
        from hydra.core.config_search_path import SearchPathQuery
        from hydra.core.utils import JobRuntime, setup_globals
        from hydra.plugins.config_source import ConfigSource

        version.setbase("1.3")
        setup_globals()
        JobRuntime.instance().set("name", "suite")
        path = create_config_search_path(str(CONF))
        # Hydra's plug-ins are registered by now, and its own reader of files among them.
        SourcesRegistry.instance().types["file"] = checked_files(FileConfigSource)
        SourcesRegistry.instance().types["tables"] = catalogued(ConfigSource)
        if config_dir is not None:
            folder = Path(config_dir).absolute()
            if not folder.is_dir():
                raise ConfigError(f"--config-dir={config_dir}: no such folder; name one.")
            path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
        # Behind the others: a file of that name comes first. Hydra's own schemas must be the last.
        path.prepend("catalogue", "tables://curve_tables", SearchPathQuery(provider="schema"))
        self._impl = once_read(ConfigLoaderImpl)(config_search_path=path)
        self._given: list[str] = []
        self._common: set[str] | None = None

    def load(
        self, overrides: Sequence[str], *, sweep: bool = False, any_names: bool = False
    ) -> Any:
        """Compose conf/config.yaml with its `hydra` node. sweep: what is swept keeps its default."""
        from hydra.errors import ConfigCompositionException
        from hydra.types import RunMode
        from omegaconf import OmegaConf

        mode = RunMode.MULTIRUN if sweep else RunMode.RUN

        def composed(words: list[str]) -> Any:
            self._given = words
            try:
                loaded = self._impl.load_configuration(
                    "config", words, mode, validate_sweep_overrides=not sweep
                )
            except ConfigCompositionException:
                # Hydra's advice is to add what is unknown: say what is known instead.
                choices = [word for word in words if _is_choice(word)]
                if choices != words:
                    self._check_keys(words, composed(choices))
                raise
            check_node(OmegaConf.to_container(loaded.hydra, resolve=False))
            if not any_names:
                self._check_keys([word for word in words if word[0] == "+"], loaded)
            return loaded

        typed_words.check_words(overrides)
        typed_words.check_choices(overrides, self._is_group)
        first = composed(list(overrides))
        words = typed_words.as_typed(overrides, lambda group: _leaf(first, group))
        return first if words == list(overrides) else composed(words)

    def _check_keys(self, words: Sequence[str], composed: Any) -> None:
        from omegaconf import OmegaConf

        if words:
            config: Any = OmegaConf.to_container(composed, resolve=False)
            own = {
                key: value for key, value in config.items() if key not in ("hydra", *_NO_SETTINGS)
            }
            check_keys(words, own, CHOSEN, self._common_names())

    def _is_group(self, name: str) -> bool:
        """Whether Hydra would look for a file: of ours, or of a group in the folder of --config-dir."""
        return name in CHOSEN or bool(self._impl.repository.group_exists(name))

    def parsed(self, overrides: Sequence[str]) -> list[Any]:
        from hydra.core.override_parser.overrides_parser import OverridesParser

        typed_words.check_words(overrides)
        return OverridesParser.create(config_loader=self._impl).parse_overrides(list(overrides))

    def is_sweep(self, composed: Any) -> bool:
        """Whether a configuration says itself that it is one of several (hydra.mode)."""
        from hydra.types import RunMode

        return bool(composed.hydra.mode == RunMode.MULTIRUN)

    def expanded(self, master: Any) -> list[list[str]]:
        """The overrides of each run of the sweep, expanded by Hydra: the last axis runs fastest."""
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
        from omegaconf import OmegaConf

        # Not resolved: ${budget.n_trials} is that of each run's own task.
        sweeper = OmegaConf.to_container(master.hydra.sweeper, resolve=False)
        params = sweeper.get("params") if isinstance(sweeper, dict) else None
        if params is not None and not isinstance(params, dict):
            raise ConfigError(
                "hydra.sweeper.params: must hold names with values (seed: range(10))."
            )
        words = [f"{key}={value}" for key, value in (params or {}).items()]
        words += list(master.hydra.overrides.task)
        axes = {override.get_key_element(): override for override in self.parsed(words)}
        typed_words.check_sweep("sweep", math.prod(map(_n_values, axes.values())))
        return BasicSweeper.split_arguments(list(axes.values()), None)[0]

    def job(self, master: Any, job: Sequence[str], number: int) -> Any:
        """The configuration of one run of a sweep. job: its overrides; number: in the sweep's order."""
        from omegaconf import OmegaConf

        composed = self.load([*master.hydra.overrides.hydra, *job])
        set_number(composed, number)
        # One ${now:} for all.
        OmegaConf.copy_cache(from_config=master, to_config=composed)
        return composed

    def reseeded(self, composed: Any, job: Sequence[str], number: int, seed: int) -> Any:
        """As `job`, of a run that differs from that of `composed` in its seed alone. Changes `composed`."""
        self._given = [*composed.hydra.overrides.hydra, *job]
        reseed(composed, self.parsed(job), number, seed)
        return composed

    def folder(self, composed: Any, *keys: str, root: Path | None = None) -> Path:
        """The run's folder by the settings `keys`. Raises ConfigError where it cannot be made.

        root: a folder in place of the one that the first key names; the run's must lie in it.
        """
        from hydra.core.hydra_config import HydraConfig
        from omegaconf import OmegaConf

        # For ${hydra:...} in the folder's name.
        HydraConfig.instance().set_config(composed)
        parts = [str(OmegaConf.select(composed, key)) for key in keys]
        folder = Path(*([root, *parts[1:]] if root is not None else parts)).absolute()
        if root is not None and (".." in folder.parts or not folder.is_relative_to(root)):
            raise ConfigError(f"{keys[-1]}={parts[-1]}: must name a folder inside of {root}.")
        check_folder(folder)
        return folder

    def sweeps(self, overrides: Sequence[str]) -> bool:
        """Whether one of the overrides names several values."""
        return any(override.is_sweep_override() for override in self.parsed(overrides))

    def plain(self, composed: Any) -> Plain:
        """The configuration as plain dicts and lists, resolved, with its `choices`.

        The derived name is set as `algorithm_name`, so that folders can be named by it.
        """
        from omegaconf import open_dict

        chosen = composed.hydra.runtime.choices
        for group in NEEDED:
            if _leaf(composed, group) is None or not isinstance(chosen.get(group), str):
                raise unknown_name(group, shown(chosen.get(group)), self._options(group))
        # An optional group: Hydra takes an unknown name for none.
        if (task := chosen.get("task")) is not None and task not in self._options("task"):
            raise unknown_name("task", task, self._options("task"))
        given = composed.get("algorithm_name")
        name = self._name(composed)
        if given not in (None, name):
            raise ConfigError(
                f"algorithm_name={given}: this run's scheduler, predictor and searcher are those of "
                f"{name}; leave algorithm_name out, names are derived."
            )
        with open_dict(composed):
            composed.algorithm_name = name
        resolve = _Resolved()
        with bounded_interpolations(in_all=True):
            _put_hours(composed, resolve)
            plain: Plain = {
                key: resolve(composed[key]) for key in composed if key not in _NOT_OF_A_RUN
            }
        plain["choices"] = {"algorithm": name, **{g: chosen.get(g) for g in GROUPS}}
        check_plain(plain)
        if missing := {"name", "seed", "n_seeds", "common"} - set(plain):
            raise ConfigError(f"{min(missing)}: missing; name it on the command line.")
        common = plain["common"]
        for key in common if isinstance(common, dict) else ():
            if key not in self._common_names():
                raise unknown_name("common", key, self._common_names())
        return plain

    def _common_names(self) -> set[str]:
        """The keys of `common` that some YAML file reads. Another one would change nothing, in silence."""
        from omegaconf import OmegaConf

        if self._common is None:
            files = self._files()
            texts = [
                OmegaConf.to_yaml(files.load_config(f"{group}/{option}").config)
                for group in ("scheduler", "predictor", "searcher", "model")
                for option in files.get_group_options(group)
            ]
            self._common = {name for text in texts for name in _COMMON.findall(text)}
        return self._common

    def _name(self, composed: Any) -> str:
        """The algorithm's name, by what was chosen."""
        chosen = composed.hydra.runtime.choices
        repository = self._files()
        for group in ("scheduler", "predictor", "searcher", "model"):
            self._check_target(repository, composed, group, chosen.get(group))
        default = _defaults(repository, "config")
        triple = Triple.of(chosen)

        def known(name: str) -> KnownAlgorithm:
            loaded = repository.load_config(f"algorithm/{name}")
            further = {k: v for k, v in loaded.config.items_ex(resolve=False)
                       if k not in ("algorithm_name", "defaults")}  # fmt: skip
            triple = Triple.of({**default, **_defaults(repository, f"algorithm/{name}")})
            return KnownAlgorithm(name, triple, lambda: _holds(composed, further))

        return algorithm_name(triple, chosen.get("algorithm"), self._options("algorithm"), known)

    def _options(self, group: str) -> list[str]:
        return list(self._files().get_group_options(group))

    def _files(self) -> Any:
        """The YAML files of the search path that the present overrides name."""
        return self._impl._parse_overrides_and_create_caching_repo("config", self._given)[1]

    def _check_target(self, repository: Any, composed: Any, group: str, choice: str) -> None:
        """Refuse a class that is not that of the chosen file: its name would lie."""
        loaded = repository.load_config(f"{group}/{choice}")
        own = loaded.config.get("_target_") if loaded is not None else None
        used = composed[group].get("_target_")
        if own is not None and used != own:
            raise ConfigError(
                f"{group}._target_={used}: is not the class of {group}={choice} ({own}), by which the run "
                f"is named; write a YAML file of its own into {group}/."
            )


class _Resolved:
    """Nodes as plain dicts and lists, interpolations resolved; counted, for they may refer to each other."""

    def __init__(self) -> None:
        self._n = self._n_characters = 0

    def __call__(self, node: Any) -> Any:
        from omegaconf import OmegaConf

        self._n += 1
        self._n_characters += len(node) if isinstance(node, str) else 0
        if self._n > _MAX_NODES or self._n_characters > _MAX_CHARACTERS:
            raise ConfigError(
                f"configuration: more than {_MAX_NODES} values, or {_MAX_CHARACTERS} characters, with each "
                "interpolation written out; shorten it."
            )
        if OmegaConf.is_dict(node):
            return {key: self(node[key]) for key in node} if not node._is_none() else None
        if OmegaConf.is_list(node):
            return [self(node[i]) for i in range(len(node))] if not node._is_none() else None
        return node


def _put_hours(composed: Any, resolve: _Resolved) -> None:
    """budget.hours, where they are given in trainings. Again of a configuration that has them already."""
    budget = resolve(composed.get("budget"))
    trainings = budget.get("trainings") if isinstance(budget, dict) else None
    if trainings is None:
        return
    parts = [resolve(composed[group]) for group in ("model", "backend")]
    hours = hours_of_trainings(trainings, resolve(composed["max_epochs"]), *parts)
    if budget.get("hours") not in (None, hours):
        raise ConfigError(
            f"budget.hours={budget['hours']}, budget.trainings={trainings}: the second sets the first, here "
            f"{hours:g}; leave one out."
        )
    composed.budget.hours = hours


def _n_values(override: Any) -> int:
    """How many values of a sweep an override names."""
    from hydra.core.override_parser.types import ChoiceSweep, RangeSweep

    value = override.value()
    if isinstance(value, RangeSweep):
        return typed_words.n_values(value.start, value.stop, value.step)
    return len(value.list) if isinstance(value, ChoiceSweep) else 1


def _is_choice(word: str) -> bool:
    """Whether a word chooses a file of a group, or is Hydra's own."""
    key = word.lstrip("+~").partition("=")[0].partition("@")[0]
    return key in CHOSEN or "/" in key or key.startswith("hydra.")


def _leaf(composed: Any, group: str) -> Mapping[str, Any] | None:
    """The node of a group, None where there is none."""
    from omegaconf import OmegaConf

    node = composed.get(group)
    return node if OmegaConf.is_dict(node) and not node._is_none() else None


def _defaults(repository: Any, name: str) -> dict[str, str]:
    """Group -> choice, of a file's list of defaults."""
    loaded = repository.load_config(name)
    return {
        entry.group.removeprefix("/"): str(entry.value)
        for entry in loaded.defaults_list
        if getattr(entry, "group", None) is not None
    }


def _holds(composed: Any, further: Mapping[str, Any]) -> bool:
    """Whether a configuration has these settings already."""
    from omegaconf import OmegaConf

    own = {key: composed[key] for key in further if key in composed}
    before = OmegaConf.to_container(OmegaConf.create(own), resolve=False)
    after = OmegaConf.to_container(OmegaConf.merge(OmegaConf.create(own), further), resolve=False)
    return bool(before == after)
