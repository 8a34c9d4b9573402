"""A folder of runs that is continued as a whole: the runs it holds, and those still to be begun."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError, JournalError, close_name
from suite.core.printable import printable
from suite.launch.ending import short
from suite.launch.options import parsed_options
from suite.launch.runs import Runs, header_of
from suite.results.find import find_runs
from suite.run import journal as journals

_OWN = ("resume=", "hydra.sweep.dir=", "hydra.run.dir=", "site=")
"""Words of the first command that say where runs lie, or how they begin."""


@dataclass(frozen=True)
class Remaining:
    """A run of a sweep's folder. header: as a journal would begin, of a run that is not begun; else None."""

    folder: Path
    header: dict[str, Any] | None = None


class SweepFolder:
    """The runs at or below a folder, and those that its sweep's command line names beside them.

    command: the words that began the sweep, as the journal of one of its runs keeps them; empty where none
    does. Raises ConfigError where there is no run.
    """

    def __init__(self, folder: Path, config_dir: str | None = None) -> None:
        self.folder = folder
        self._begun = find_runs([folder]) if folder.is_dir() else []
        if not self._begun:
            raise ConfigError(_nothing(folder))
        self.command = _command(self._begun)
        self._runs: Runs | None = None
        if self.command:
            runs = Runs(self._words(config_dir), root=folder.resolve())
            self._runs = runs if runs.is_sweep else None

    def _words(self, config_dir: str | None) -> list[str]:
        """The sweep's command line, with the --config-dir that is given now: it says what is trained."""
        options = parsed_options(self.command)
        if options.config_dir is not None and config_dir is None:
            again = f"resume={short(self.folder)}"
            raise ConfigError(
                f"{again}: the sweep was begun with --config-dir; give it again: {again} --config-dir DIR"
            )
        given = ["--config-dir", config_dir] if config_dir else []
        given += ["--multirun"] if options.multirun else []
        return given + [word for word in options.overrides if not word.startswith(_OWN)]

    @property
    def is_known(self) -> bool:
        """Whether it is known which runs the sweep has."""
        return self._runs is not None

    def __iter__(self) -> Iterator[Remaining]:
        """Each run in the sweep's order; then runs of the folder that its command line does not name."""
        met = set()
        for run in self._runs or ():
            path = run.folder / journals.NAME
            met.add(run.folder.resolve())
            if not os.path.lexists(path) or journals.is_cut_short(path):
                yield Remaining(run.folder, header_of(run.config))
            else:
                yield Remaining(run.folder)
        yield from (Remaining(folder) for folder in self._begun if folder.resolve() not in met)


def _command(folders: Sequence[Path]) -> list[str]:
    """The words that began the runs, as the first journal says that keeps them; empty for none."""
    for folder in folders:
        try:
            words = journals.read_header(folder / journals.NAME).get("command")
        except JournalError:
            continue
        if isinstance(words, list) and words and all(isinstance(word, str) for word in words):
            return words
    return []


def _nothing(folder: Path) -> str:
    above = folder.parent
    if folder.is_dir():
        return (
            f"resume={printable(short(folder))}: holds no {journals.NAME}, nor does a folder below it; "
            "name the folder of a run or of a sweep."
        )
    siblings = sorted(each.name for each in above.iterdir()) if above.is_dir() else []
    hint = close_name(folder.name, siblings, least=0.8)
    return f"resume={printable(short(folder))}: no such folder; name the folder of a run or of a sweep.{hint}"
