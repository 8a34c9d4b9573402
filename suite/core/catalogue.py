"""The catalogue of published curve tables (conf/curve_tables.yaml), typed. Pure: text in, entries out.

An entry gives the task (`task=NAME`: the table, its epochs and a budget), the model (`model=NAME_table`),
where the table is published, and what `swiftbench fetch curves` must end in.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from suite.core.errors import ConfigError, unknown_name
from suite.core.printable import printable

_FILE = "curve_tables.yaml"
_COMMIT, _SHA256 = re.compile(r"[0-9a-f]{40}"), re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Published:
    """What the publisher has. path: of the file in the repository; or, with `n_files`, the shell pattern of
    the files that the table is made from.

    sha256: of the file; of several, of their list as sha256sum prints it, sorted by path.
    n_bytes: of the file; of several, of all together.
    """

    path: str
    sha256: str
    n_bytes: int
    n_files: int | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One table. max_epochs: its R; n_epochs: what Hyperband trains at eta = 2 with that R.

    epoch: what one step of its axis is. unit: of the metric's values, "1" for a number. sha256: of the CSV.
    scales_from: `cells`: the columns' own ranges, which `scales` repeats for readers (the tables that were
    here before the catalogue are searched as they always were); `catalogue`: as `scales` states.
    metric, mode, curve, train_s, trailing_zeros: as in suite.core.table_description.
    """

    name: str
    family: str
    about: str
    data: Literal["recorded", "surrogate"]
    licence: str
    repository: str
    commit: str | None
    published: Published
    file: str
    sha256: str
    rows: int
    configurations: int
    failed: int
    epoch: str
    max_epochs: int
    n_epochs: int
    metric: str
    mode: Literal["min", "max"]
    unit: str
    scales: Mapping[str, Any]
    scales_from: Literal["cells", "catalogue"]
    curve: Mapping[str, Any]
    train_s: Mapping[str, Any] | None
    trailing_zeros: Literal["failed", "values"]
    folders: tuple[str, ...]

    @property
    def model(self) -> str:
        return f"{self.name}_table"

    @property
    def kind(self) -> str:
        """RECORDED or SURROGATE."""
        return self.data.upper()

    @property
    def source(self) -> str:
        return f"https://github.com/{self.repository}"

    @property
    def address(self) -> str:
        """Where the published file is downloaded; of several files, the archive of their commit."""
        if self.published.n_files is None:
            return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{self.published.path}"
        return f"https://codeload.github.com/{self.repository}/tar.gz/{self.commit}"

    @property
    def is_converted(self) -> bool:
        """Whether the CSV is made from what is published, and is not that file itself."""
        return self.sha256 != self.published.sha256

    def leaf(self, root: str) -> dict[str, Any]:
        """The table as a model's YAML names it. root: the folder that SUITE_DATA names."""
        folders = [f"{root}/{folder}" for folder in self.folders]
        return {
            "_target_": "models.recorded_curves.Table",
            "folder": folders if len(folders) > 1 else folders[0],
            "repeats": "draw",
            "description": self.description(),
        }

    def description(self) -> dict[str, Any]:
        """The table as a model's YAML describes it."""
        described: dict[str, Any] = {
            "file": self.file,
            "sha256": self.sha256,
            "hyperparameters": list(self.scales),
            "curve": dict(self.curve),
            **({"train_s": dict(self.train_s)} if self.train_s else {}),
            "metric": self.metric,
            "mode": self.mode,
        }
        if self.scales_from == "catalogue":
            described |= {"rows": self.rows, "scales": dict(self.scales)}
        if self.unit != "1":
            described["unit"] = self.unit
        if self.trailing_zeros != "failed":
            described["trailing_zeros"] = self.trailing_zeros
        if self.data != "recorded":
            described["data"] = self.data
        return described | {"licence": self.licence, "source": self.source}


@functools.lru_cache(2)
def parse(text: str) -> Mapping[str, Entry]:
    """Task -> its entry, in the file's order. A table's keys override those of its family.

    Raises ConfigError by file, family, table and key.
    """
    entries: dict[str, Entry] = {}
    for family, shared in _families(text).items():
        if not isinstance(shared, Mapping) or not isinstance(shared.get("tables"), Mapping):
            raise ConfigError(f"{_FILE}: {printable(family)}: must be a family with `tables`.")
        for name, own in shared["tables"].items():
            where = f"{_FILE}: {printable(name)}"
            if name in entries:
                raise ConfigError(f"{where}: stands twice; name one of them anew.")
            if not isinstance(own, Mapping | None):
                raise ConfigError(f"{where}: must hold the keys of its own, as {{file: x.csv}}.")
            values = {k: v for k, v in shared.items() if k != "tables"} | dict(own or {})
            entries[name] = _entry(where, {"name": name, "family": family, **values})
    return entries


def _families(text: str) -> Mapping[Any, Any]:
    """The file's mapping. Raises ConfigError, with the line where the file is no YAML."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        families = yaml.load(text, Loader=loader)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        reason = printable(getattr(error, "problem", None) or error, most=200)
        raise ConfigError(f"{_FILE}:{line} is not YAML ({reason}); correct the file.") from None
    except RecursionError:
        raise ConfigError(f"{_FILE}: nests too deeply; write it flat.") from None
    if not isinstance(families, Mapping):
        raise ConfigError(f"{_FILE}: must hold families with their `tables`.")
    return families


def _entry(where: str, values: Mapping[str, Any]) -> Entry:
    # Imported here: whoever makes no table needs no msgspec.
    from suite.core import settings
    from suite.core.table_scales import Scale

    defaults = {"file": f"{values['name']}.csv", "commit": None, "train_s": None, "unit": "1",
                "scales_from": "catalogue", "trailing_zeros": "values",
                "folders": ["curves", "bank"]}  # fmt: skip
    given = {**defaults, **values}
    if isinstance(published := given.get("published"), Mapping):
        given["published"] = {"n_files": None, **published}
    try:
        entry = settings.parse(Entry, given)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{where}: nests too deeply; write its keys flat.") from None
    if not entry.scales:
        raise ConfigError(
            f"{where}: scales: missing; name the scale of each hyperparameter, {{lr: log}}."
        )
    for name, scale in entry.scales.items():
        Scale.of(f"{where}: scales.{name}", scale)
    digests = {"sha256": entry.sha256, "published.sha256": entry.published.sha256}
    for key, digest in digests.items():
        if not _SHA256.fullmatch(digest):
            raise ConfigError(
                f"{where}: {key}={printable(digest, most=80)}: must be 64 hexadecimal digits."
            )
    if entry.commit is not None and not _COMMIT.fullmatch(entry.commit):
        raise ConfigError(
            f"{where}: commit={printable(entry.commit, most=80)}: must be 40 hexadecimal digits."
        )
    return entry


def chosen(entries: Mapping[str, Entry], family: str | None) -> list[Entry]:
    """The tables of a family, None: all. Raises ConfigError for an unknown one."""
    families = list(dict.fromkeys(entry.family for entry in entries.values()))
    if family is not None and family not in families:
        raise unknown_name("--family", family, families)
    return [entry for entry in entries.values() if family in (None, entry.family)]
