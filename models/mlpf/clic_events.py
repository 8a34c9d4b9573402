"""CLIC's events for MLPF: prepared EDM4HEP sets where they are staged, or Pythia 8 e+e- events.

hardware, versions, n, number: docs/clic.md; lineage: models/data/clic.py says whose format it is. Columns 0
to 5 of a track and of a cluster are the same quantities (upstream made them so, for the skip connections) and
stay as they are, as those of Delphes do. The others have units from 1 / mm to mm: OURS is to divide each by a
scale, and to cut it at MOST, so that one badly fitted track does not decide an event.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from models.data import clic
from models.data.locate import DataChoice, data_folder, real_or_stand_in
from models.mlpf.event_formats import Format, made_once
from models.mlpf.events import MANIFEST, Source
from suite.core.errors import DataError

PATTERN = "*.parquet"
FIRST_SCALED = 6
MOST = 10.0
# Of columns 6 on, in the units of the format.
TRACK_SCALES = (20.0, 20.0, 1e-6, 1e-6, 100.0, 1.0, 1.0, 1e-3, 1.0, 10.0, 1.0)
CLUSTER_SCALES = (1e3, 1e3, 1e3, 1.0, 10.0, 10.0, 10.0, 100.0, 100.0, 100.0, 100.0)
VERSION = "clic 1"
"""Of the arrays in the cache."""


def inputs(X: Any) -> Any:
    """X (n, 17) of models/data/clic.py as the network takes it."""
    X = np.array(X, float)
    scales = np.where(X[:, :1] == clic.IS_TRACK, TRACK_SCALES, CLUSTER_SCALES)
    X[:, FIRST_SCALED:] = np.clip(X[:, FIRST_SCALED:] / scales, -MOST, MOST)
    return X


def _read(path: Path) -> Iterator[tuple[Any, Any, Any]]:
    for X, y, cand in clic.read(path):
        yield inputs(X), y, cand


def generated(_: int, n_events: int) -> tuple[Path, ...]:
    """Files of `n_events` e+e- events in the cache folder, made there by the first who asks.

    Raises DataError where the generator is not installed.
    """
    from models.data import pythia_ee

    folder = made_once(
        f"clic_standin_{n_events}",
        "no CLIC events are staged",
        "clic",
        lambda to: pythia_ee.write(to, n_events),
    )
    return tuple(sorted(folder.glob(PATTERN)))


def _without(_: Any) -> Any:
    raise DataError(
        "clic_standin: holds no candidates; make it again: swiftbench pythia --collider ee."
    )


def _kind(path: Path) -> str:
    """The process: a file's name without its number."""
    return re.sub(r"_?\d*\.parquet$", "", path.name)


CLIC = Format(
    len(clic.CLUSTER),
    _read,
    generated,
    _without,
    ("ycand of the set (Pandora)", "ours, simple (models/data/rule_based.py)"),
    _kind,
    (VERSION,),
)


def find(data: DataChoice, folder: str | None) -> Source:
    """Which files are there, in `clic/` or a folder in it for each process; reads none.

    Raises DataError where data=real is not staged.
    """
    staged = data_folder(folder, "clic")
    real = _files(staged)
    if staged and (staged / MANIFEST).exists():  # generated ones have the same format
        real = ()
    kind = real_or_stand_in(
        data,
        bool(real),
        f"no {PATTERN} in {staged or 'SUITE_DATA (unset)'} or a folder in it; nothing fetches them: prepare "
        "them from EDM4HEP files as docs/clic.md says",
    )
    if kind == "real":
        return Source(kind, "clic", 0, real, CLIC)
    return Source(kind, "clic_standin", 0, _files(data_folder(folder, "clic_standin")), CLIC)


def _files(folder: Path | None) -> tuple[Path, ...]:
    if folder is None:
        return ()
    return tuple(sorted([*folder.glob(PATTERN), *folder.glob(f"*/{PATTERN}")]))
