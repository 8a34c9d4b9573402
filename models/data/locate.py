"""Where data sets and caches lie, and the checks of the arguments data, split and limit of a target."""

from __future__ import annotations

import importlib
import os
import shlex
from pathlib import Path
from typing import Any, Literal

from suite.core.errors import ConfigError, DataError, check_integer, unknown_name

DataChoice = Literal["auto", "real", "stand_in"]
"""real, the default of all targets: the data set or nothing; stand_in: a generated set; auto: real if all
files exist, else the stand-in."""
Split = Literal["fixed", "published"]
"""fixed: validation and test are disjoint; published: the split of the published study."""


def data_folder(folder: str | None, dataset: str) -> Path | None:
    """`<root>/<dataset>`; the root is `folder`, or else the environment's SUITE_DATA."""
    root = folder or os.environ.get("SUITE_DATA")
    return Path(root) / dataset if root else None


def cache_folder() -> Path:
    """The folder for files that can be made again.

    It is SUITE_CACHE, else swiftbench in XDG_CACHE_HOME, else in ~/.cache. Raises ConfigError where there is
    no home folder.
    """
    if named := os.environ.get("SUITE_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "swiftbench"
    except RuntimeError:
        raise ConfigError(
            "HOME: is not set and this user has no home folder; set SUITE_CACHE to a folder for files that "
            "can be made again."
        ) from None


def reader(dataset: str) -> Any:
    """The module models.data.<dataset>, which reads the data set (`present`, `load`)."""
    return importlib.import_module(f"models.data.{dataset}")


def choose(data: DataChoice, dataset: str, folder: Path | None) -> str:
    """Returns "real" or "stand-in". Looks whether the files of the data set exist; reads none.

    Raises DataError where data=real and they do not, ConfigError for an unknown `data`.
    """
    is_staged = folder is not None and reader(dataset).present(folder)
    return real_or_stand_in(
        data,
        is_staged,
        f"{dataset} is not complete in {folder or 'SUITE_DATA (unset)'}; "
        f"{fetch_line(dataset, folder)}",
    )


def fetch_line(dataset: str, folder: Path | None) -> str:
    """The command that stages a data set, for an error. folder: where it was looked for."""
    if folder is None:
        return f"fetch it: swiftbench fetch {dataset} --to DIR, then export SUITE_DATA=DIR"
    return f"fetch it: swiftbench fetch {dataset} --to {shlex.quote(str(folder.parent))}"


def real_or_stand_in(data: DataChoice, is_staged: bool, missing: str) -> str:
    """Returns "real" or "stand-in". missing: what is not there, and the remedy, for the error.

    Raises DataError where data=real and the data are not staged, ConfigError for an unknown `data`.
    """
    if data not in ("auto", "real", "stand_in"):
        raise unknown_name("data", data, ("auto", "real", "stand_in"))
    if data == "real" and not is_staged:
        raise DataError(
            f"data=real: {missing}; or train on generated data, which are NOT the data set: "
            "model.data=stand_in."
        )
    return "real" if is_staged and data != "stand_in" else "stand-in"


def check_split(split: Split, published: bool, limit: int | None, examples: str) -> Split:
    """Returns the split in force: "published" if `published`, else `split`.

    limit: at most so many training examples, None: all. examples: what they are, in the plural.
    Raises ConfigError for an unknown split or a limit below 8.
    """
    if split not in ("fixed", "published"):
        raise unknown_name("split", split, ("fixed", "published"))
    if limit is not None:
        check_integer("limit", limit, 8, f"({examples}), or null for all")
    return "published" if published else split
