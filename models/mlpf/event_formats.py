"""One experiment's events: how its files are read, made where there are none, and kept in the cache.

hardware, versions, n, number: see models/mlpf/__init__.py; lineage: the Delphes set of Pata et al. (Zenodo
4559324). Another experiment has a Format of its own (models/mlpf/clic_events.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.data import delphes, rule_based
from models.data.locate import cache_folder
from suite.core.errors import DataError
from suite.files import open_lock_file

PATTERN = "*.pkl.bz2"


@dataclass(frozen=True, slots=True)
class Format:
    """One experiment's events. width: numbers of an element; read: X, y and candidates of a file's events;
    generate: files of (pileup, number of events), made in the cache; candidates: of X, for a stand-in's file
    without any; rule_based: whose a real set's are, and a stand-in's; kind: of a file, by which a set of
    several kinds is split kind by kind; tag: of cached arrays, where X is not as Delphes has it.
    """

    width: int
    read: Callable[[Path], Iterable[tuple[Any, Any, Any]]]
    generate: Callable[[int, int], tuple[Path, ...]]
    candidates: Callable[[Any], Any]
    rule_based: tuple[str, str]
    kind: Callable[[Path], str] = lambda _: ""
    tag: tuple[str, ...] = ()

    def kinds(self, files: Sequence[Path]) -> list[list[Path]]:
        names = sorted({self.kind(file) for file in files})
        return [[file for file in files if self.kind(file) == name] for name in names]

    @property
    def fields(self) -> tuple[tuple[str, int], ...]:
        """Names and widths of the arrays."""
        return ("X", self.width), ("y", 7), ("cand", 7)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time; the lock falls with the process that holds it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(open_lock_file(folder.with_name(f"{folder.name}.lock")), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def generated(pileup: int, n_events: int) -> tuple[Path, ...]:
    """Files of `n_events` Pythia events in the cache folder, made there by the first who asks.

    Raises DataError where the generator is not installed.
    """
    from models.data import pythia

    folder = made_once(
        f"delphes_standin_pu{pileup}_{n_events}",
        f"pileup={pileup}: no events are staged",
        "delphes",
        lambda to: pythia.write(to, n_events, pileup=pileup),
    )
    return tuple(sorted(folder.glob(PATTERN)))


def made_once(name: str, absent: str, data_set: str, make: Callable[[Path], object]) -> Path:
    """The folder of that name in the cache, filled by the first who asks.

    absent, data_set: for the error where the generator is not installed, a DataError.
    """
    folder = cache_folder() / name
    with locked(folder):
        if not (folder / "complete").exists():
            if importlib.util.find_spec("pythia8mc") is None:
                raise DataError(
                    f"{absent} and the generator is not installed; install the extra `hep` (pythia8mc), or "
                    f"stage {data_set} or a stand-in."
                )
            make(folder)
            (folder / "complete").touch()
    return folder


def _read(path: Path) -> Iterable[tuple[Any, Any, Any]]:
    return delphes.read_whole(path)


DELPHES = Format(
    delphes.X_COLUMNS,
    _read,
    generated,
    rule_based.candidates,
    ("ycand of the set", "ours, simple (models/data/rule_based.py)"),
)
