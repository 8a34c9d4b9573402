"""Events in the format of the published Delphes set: one bz2 pickle of 100 events a file.

hardware: 1 thread of a 2-core x86-64 virtual machine; versions: numpy 2.4; n: see
tests/benchmarks/pythia_events.py; lineage: Pata et al. 2021 (Eur. Phys. J. C 81:381), data set
Zenodo 4559324. A file holds {"X", "ygen", "ycand"}: of each event float64 arrays (N, 12), (N, 7),
(N, 7) of equal N; row i of ygen is the target of element i, a zero row is no target.

X of a tower: 1, ET, eta, sin phi, cos phi, E, Eem, Ehad, 0, 0, 0, 0. X of a track: 2, pT, eta,
sin phi, cos phi, p, eta, sin phi and cos phi at the calorimeter, charge, is muon, is electron (of
the truth). y: class, charge, pT, eta, sin phi, cos phi, E; classes: 0 none, 1 charged hadron, 2
neutral hadron, 3 photon, 4 electron, 5 muon. Energies and momenta in GeV.

ygen is all the truth there is: what left no kept element, neutral hadrons below 9 GeV and neutrinos
are not in it. Jets and missing energy of ygen are those of the visible particles (so the best that
a model of these elements can reach), not the generator's.
"""

from __future__ import annotations

import bz2
import io
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from suite.core.errors import DataError

Event = tuple[Any, Any]
"""X (N, 12) and y (N, 7), float64."""

X_COLUMNS, Y_COLUMNS = 12, 7
CLASSES = ("none", "charged hadron", "neutral hadron", "photon", "electron", "muon")
MAX_BYTES = 1 << 31
"""Of an unpacked file. 100 events at pile-up 200 are 110 MB; a bz2 bomb is far more."""

# What a pickle of numpy arrays, lists and dicts needs, in numpy 1 and 2 and in protocols 2 to 5.
_ADMITTED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("_codecs", "encode"),
}


class _Arrays(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} is not an array")
        return super().find_class(module, name)


def read(path: Path) -> list[Event]:
    """The events of one file, in order; each has at least no wrong shape: NaN and empty events are
    the caller's to count.

    Pickles come from outside: only numpy arrays in dicts and lists are admitted, and no code runs.
    Raises DataError naming the file and the remedy.
    """
    try:
        with bz2.open(path) as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise DataError(f"{path}: unpacks to more than {MAX_BYTES} bytes; fetch it again.")
        found = _Arrays(io.BytesIO(data)).load()
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch it again.") from None
    except Exception as error:  # whatever a tampered pickle brings about
        raise DataError(
            f"{path}: is no file of events ({type(error).__name__}: {error}); fetch it again."
        ) from None
    if not isinstance(found, dict) or not all(
        isinstance(found.get(name), list) for name in ("X", "ygen", "ycand")
    ):
        raise DataError(f"{path}: must hold the lists X, ygen and ycand; fetch it again.")
    n = {name: len(found[name]) for name in ("X", "ygen", "ycand")}
    if len(set(n.values())) != 1:
        raise DataError(f"{path}: X, ygen and ycand hold {n} events; fetch it again.")
    for number, arrays in enumerate(zip(found["X"], found["ygen"], found["ycand"], strict=True)):
        _check(path, number, arrays)
    return [
        (np.asarray(X, dtype=float), np.asarray(y, dtype=float))
        for X, y in zip(found["X"], found["ygen"], strict=True)
    ]


def _check(path: Path, number: int, arrays: Sequence[Any]) -> None:
    shapes = [getattr(array, "shape", None) for array in arrays]
    kinds = {getattr(getattr(array, "dtype", None), "kind", "?") for array in arrays}
    rows = len(arrays[0]) if shapes[0] else 0
    if shapes != [(rows, X_COLUMNS), (rows, Y_COLUMNS), (rows, Y_COLUMNS)] or kinds != {"f"}:
        raise DataError(
            f"{path}, event {number}: shapes {shapes}, must be (N, {X_COLUMNS}), (N, {Y_COLUMNS}) "
            f"and (N, {Y_COLUMNS}) of floats; fetch it again."
        )


def write(path: Path, events: Sequence[Event]) -> None:
    """The events as one file of that format (ycand: zeros), beside and renamed."""
    content = {
        "X": [np.asarray(X, dtype=float) for X, _ in events],
        "ygen": [np.asarray(y, dtype=float) for _, y in events],
        "ycand": [np.zeros_like(y, dtype=float) for _, y in events],
    }
    part = path.with_name(f"{path.name}.part")
    with open(part, "wb") as file:
        file.write(bz2.compress(pickle.dumps(content, protocol=4)))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def pack(events: Sequence[Event], n_max: int) -> tuple[Any, Any, Any, dict[str, int]]:
    """X (events, n_max, 12) and y (events, n_max, 7) float32, zero-padded, n (events,), and counts
    of what was left out: {"too_large", "not_finite", "empty"}.

    Nothing is ever truncated: an event of more than n_max elements is left out and counted.
    Raises DataError where no event is left.
    """
    counts = {"too_large": 0, "not_finite": 0, "empty": 0}
    kept = []
    for X, y in events:
        if len(X) == 0:
            counts["empty"] += 1
        elif not (np.isfinite(X).all() and np.isfinite(y).all()):
            counts["not_finite"] += 1
        elif len(X) > n_max:
            counts["too_large"] += 1
        else:
            kept.append((X, y))
    if not kept:
        raise DataError(
            f"n_max={n_max}: no event of {len(events)} is left ({counts}); raise n_max, or stage "
            "the events again."
        )
    Xs = np.zeros((len(kept), n_max, X_COLUMNS), np.float32)
    ys = np.zeros((len(kept), n_max, Y_COLUMNS), np.float32)
    for row, (X, y) in enumerate(kept):
        Xs[row, : len(X)], ys[row, : len(y)] = X, y
    return Xs, ys, np.array([len(X) for X, _ in kept], np.int64), counts
