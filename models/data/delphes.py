"""Events in the format of the published Delphes set: one bz2 pickle of 100 events a file.

hardware: 1 thread of a 2-core x86-64 virtual machine; versions: numpy 2.4; n: see
tests/benchmarks/pythia_events.py; lineage: Pata et al. 2021 (Eur. Phys. J. C 81:381), data set
Zenodo 4559324. A file holds {"X", "ygen", "ycand"}: of each event float64 arrays (N, 12), (N, 7),
(N, 7) of equal N; row i of ygen is the target of element i, a zero row is no target.

X of a tower: 1, ET, eta, sin phi, cos phi, E, Eem, Ehad, 0, 0, 0, 0. X of a track: 2, pT, eta,
sin phi, cos phi, p, eta, sin phi and cos phi at the calorimeter, charge, is muon, is electron (of
the truth). y: class, charge, pT, eta, sin phi, cos phi, E; classes: 0 none, 1 charged hadron, 2
neutral hadron, 3 photon, 4 electron, 5 muon. Energies and momenta in GeV.

ycand has the same columns: the particles of a rule-based particle flow, of Delphes in the published set, of
models/data/rule_based.py in a stand-in (zeros in files of revisions before it).

ygen is all the truth there is: what left no kept element, neutral hadrons below 9 GeV and neutrinos
are not in it. Jets and missing energy of ygen are those of the visible particles (so the best that
a model of these elements can reach), not the generator's.
"""

from __future__ import annotations

import bz2
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from models.data import array_pickle
from suite.core.errors import DataError
from suite.files import UnsafeFileError, open_regular, write_whole

Event = tuple[Any, Any]
"""X (N, 12) and y (N, 7), float64."""

X_COLUMNS, Y_COLUMNS = 12, 7
CLASSES = ("none", "charged hadron", "neutral hadron", "photon", "electron", "muon")
MAX_BYTES = 1 << 31
"""Of an unpacked file. 100 events at pile-up 200 are 110 MB; a bz2 bomb is far more."""

MAX_EVENTS = 100_000
"""Of a file; the published ones hold 100."""


def read(path: Path) -> list[Event]:
    """The events of one file, in order, without its candidates; see read_whole."""
    return [(X, y) for X, y, _ in read_whole(path)]


def read_whole(path: Path) -> list[tuple[Any, Any, Any]]:
    """X, y and candidates of the events of one file, in order; each has at least no wrong shape: NaN and
    empty events are the caller's to count.

    Pickles come from outside: only arrays in dicts and lists are admitted, and no code runs.
    Raises DataError naming the file and the remedy.
    """
    try:
        with open_regular(path) as packed, bz2.open(packed) as file:
            data = _bounded(file)
    except (OSError, EOFError, ValueError, UnsafeFileError) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch it again.") from None
    if len(data) > MAX_BYTES:
        raise DataError(f"{path}: unpacks to more than {MAX_BYTES} bytes; fetch it again.")
    try:
        return _events(array_pickle.load(data))
    except DataError as error:
        raise DataError(f"{path}: {str(error).rstrip('.')}; fetch it again.") from None


def _bounded(file: IO[bytes]) -> bytes:
    """The whole file; of one that is too large a byte more than MAX_BYTES."""
    blocks, left = [], MAX_BYTES + 1
    # In blocks: one read of so many bytes would reserve them, whatever the file holds.
    while left and (block := file.read(min(left, 1 << 22))):
        blocks.append(block)
        left -= len(block)
    return b"".join(blocks)


def _events(content: Any) -> list[tuple[Any, Any, Any]]:
    """The events of a file's content. Raises DataError without its name."""
    if not isinstance(content, dict) or not all(
        isinstance(content.get(name), list) for name in ("X", "ygen", "ycand")
    ):
        raise DataError("must hold the lists X, ygen and ycand.")
    n = {name: len(content[name]) for name in ("X", "ygen", "ycand")}
    if len(set(n.values())) != 1 or n["X"] > MAX_EVENTS:
        raise DataError(f"X, ygen and ycand hold {n} events: must be equal, at most {MAX_EVENTS}.")
    left = MAX_BYTES
    events = []
    for number, arrays in enumerate(
        zip(content["X"], content["ygen"], content["ycand"], strict=True)
    ):
        X, y, cand = (_array(number, array) for array in arrays)
        shapes = [X.shape, y.shape, cand.shape]
        rows = len(X) if X.ndim else 0
        if shapes != [(rows, X_COLUMNS), (rows, Y_COLUMNS), (rows, Y_COLUMNS)]:
            raise DataError(
                f"event {number}: shapes {shapes}, must be (N, {X_COLUMNS}), (N, {Y_COLUMNS}) and "
                f"(N, {Y_COLUMNS})."
            )
        # One array of the file may be named by many events.
        left -= X.nbytes + y.nbytes + cand.nbytes
        if left < 0:
            raise DataError(f"holds more than {MAX_BYTES} bytes of events.")
        X, y, cand = (np.asarray(array, dtype=float) for array in (X, y, cand))
        events.append((X, y, cand))
    return events


def _array(number: int, value: Any) -> Any:
    if not isinstance(value, array_pickle.Array):
        raise DataError(
            f"event {number}: holds {type(value).__name__}, must be an array of floats."
        )
    array = value.numpy()
    if array.dtype.kind != "f":
        raise DataError(f"event {number}: holds an array of {array.dtype}, must be floats.")
    return array


def write(path: Path, events: Sequence[Event], candidates: Sequence[Any] | None = None) -> None:
    """The events as one file of that format, beside and renamed. candidates: (N, 7) of each, None: zeros."""
    if candidates is None:
        candidates = [np.zeros_like(y) for _, y in events]
    content = {
        "X": [np.asarray(X, dtype=float) for X, _ in events],
        "ygen": [np.asarray(y, dtype=float) for _, y in events],
        "ycand": [np.asarray(cand, dtype=float) for cand in candidates],
    }
    packed = bz2.compress(pickle.dumps(content, protocol=4))
    write_whole(path, packed)


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
