"""Hydra's reader of files and its loader as the suite wants them: checked, with the catalogue, read once."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

from suite.files.yaml_files import read_yaml
from suite.launch import tables
from suite.launch.hydra_rules import check_file


def checked_files(base: Any) -> Any:
    """Hydra's reader of files, which reads what `yaml_files` has checked."""

    class CheckedFiles(base):  # type: ignore[misc]
        def is_config(self, config_path: str) -> bool:
            # A pipe or a link to nothing is one too: it is refused by name, and not called unknown.
            return os.path.lexists(self._file(config_path))

        def load_config(self, config_path: str) -> Any:
            from hydra.plugins.config_source import ConfigResult, ConfigSource
            from omegaconf import OmegaConf

            text = read_yaml(self._file(config_path))
            config = OmegaConf.create(text) if text.strip() else OmegaConf.create()
            if self.provider != "main":
                plain: Any = OmegaConf.to_container(config, resolve=False)
                check_file(plain, text, config_path.removesuffix(".yaml"))
            return ConfigResult(
                config=config,
                path=f"{self.scheme()}://{self.path}",
                provider=self.provider,
                header=ConfigSource._get_header_dict(text[:512]),
            )

        def _file(self, config_path: str) -> Path:
            return Path(self.path) / str(self._normalize_file_name(config_path))

    return CheckedFiles


def catalogued(base: Any) -> Any:
    """A source of the files that the catalogue of curve tables stands for. base: Hydra's ConfigSource."""

    class Catalogued(base):  # type: ignore[misc]
        @staticmethod
        def scheme() -> str:
            return "tables"

        def available(self) -> bool:
            return True

        def is_group(self, config_path: str) -> bool:
            return config_path in ("", *tables.GROUPS)

        def is_config(self, config_path: str) -> bool:
            return tables.text(config_path.removesuffix(".yaml")) is not None

        def list(self, config_path: str, results_filter: Any) -> list[str]:
            return tables.names(config_path)

        def load_config(self, config_path: str) -> Any:
            from hydra.plugins.config_source import ConfigResult
            from omegaconf import OmegaConf

            text = tables.text(config_path.removesuffix(".yaml")) or ""
            return ConfigResult(
                config=OmegaConf.create(text),
                path=self.full_path(),
                provider=self.provider,
                header=self._get_header_dict(text),
            )

    return Catalogued


def once_read(base: Any) -> Any:
    """Hydra's loader, which reads and parses each YAML file once and not once for each run of a sweep."""

    class OnceRead(base):  # type: ignore[misc]
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self._repositories: dict[tuple[str, ...], Any] = {}

        def _parse_overrides_and_create_caching_repo(
            self, config_name: str | None, overrides: list[str]
        ) -> tuple[list[Any], Any]:
            from hydra.core.override_parser.overrides_parser import OverridesParser

            key = tuple(word for word in overrides if word.startswith("hydra.searchpath="))
            if key not in self._repositories:
                parsed, repository = super()._parse_overrides_and_create_caching_repo(
                    config_name, overrides
                )
                self._repositories[key] = repository
                return parsed, repository
            return OverridesParser.create().parse_overrides(overrides), self._repositories[key]

        def _load_single_config(self, default: Any, repo: Any) -> Any:
            # Composing takes nodes over without copying them.
            loaded = copy.copy(super()._load_single_config(default, repo))
            loaded.config = copy.deepcopy(loaded.config)
            return loaded

    return OnceRead
