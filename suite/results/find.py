"""Run folders below the folders that a command names. The one place that looks for them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from suite.core.errors import ConfigError
from suite.core.printable import printable
from suite.run.journal import NAME

DEPTH = 32
"""Folders below a named one that are looked into; a sweep's runs lie three deep."""


def find_runs(folders: Iterable[Path]) -> list[Path]:
    """Every run folder at or below `folders`, each once, run 10 after run 9. Empty where none is.

    A named folder may be a link; no link below it is followed, for it may lead to other people's trees, or
    round in circles. What cannot be opened, or lies deeper than DEPTH, is passed over.
    """
    runs: dict[Path, None] = {}
    for folder in folders:
        start = folder.parent if folder.name == NAME else folder
        waiting = [(start, 0)]
        while waiting:
            path, depth = waiting.pop()
            is_run, below = _listed(path)
            if is_run:
                # A run folder holds checkpoints, and no other runs.
                runs.setdefault(path.resolve())
            elif depth < DEPTH:
                names = sorted(below, key=natural, reverse=True)
                waiting += [(path / name, depth + 1) for name in names]
    return list(runs)


def find_files(folder: Path, name: str) -> list[Path]:
    """The files of a name below a folder, in order. Runs may tidy there meanwhile, which ends a glob."""
    found = [Path(at) / name for at, _, names in os.walk(folder) if name in names]
    return sorted(found)


def _listed(path: Path) -> tuple[bool, list[str]]:
    """Whether a folder holds a journal, of whatever kind of file, and the folders in it."""
    below: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.name)
                elif entry.name == NAME:
                    return True, []
    except OSError:
        pass
    return False, below


def require_runs(folders: Sequence[Path]) -> list[Path]:
    """Like `find_runs`, but raises ConfigError where there is no run."""
    runs = find_runs(folders)
    if not runs:
        named = printable(", ".join(map(str, folders)))
        raise ConfigError(
            f"folders={named or 'none'}: no {NAME} at or below them; name run folders, or runs/."
        )
    return runs


def common_parent(folders: Sequence[Path]) -> Path:
    """The deepest folder that holds them all; of one folder, itself."""
    paths = [(folder.parent if folder.name == NAME else folder).resolve() for folder in folders]
    return Path(os.path.commonpath(paths))


def natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key that puts run 10 after run 9."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
