"""Where MLPF's events come from: a staged Delphes set, a staged stand-in, or the generator; splits.

hardware, versions, n, number: see models/mlpf/__init__.py; lineage: the Delphes set of Pata et al. (Zenodo
4559324), 100 events a file; a stand-in made by Pythia 8 has the same schema and file format. Events of
another experiment come by a Format of their own (models/mlpf/clic_events.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from models.data.locate import (
    DataChoice,
    cache_folder,
    data_folder,
    fetch_line,
    real_or_stand_in,
)
from models.mlpf.architecture import N_CLASSES
from models.mlpf.event_formats import DELPHES, PATTERN, Format, locked
from suite.core.errors import ConfigError, DataError
from suite.files import read_json, write_whole

# Every bin_size divides it, so that all configurations share one padding.
ROUND = 128
# The split belongs to the target: every run is evaluated on the same events.
SPLIT_SEED = 2024
# Version of the cached arrays.
FORMAT = 2
PARTS = ("train", "valid", "test")
# Columns of a target that physics.event_view reads: class, pt, eta, sin phi, cos phi, energy.
PARTICLE = [0, 2, 3, 4, 5, 6]
# With so many files or more, each file belongs to one split.
BY_FILE = 10
PILEUPS = (0, 20, 140)
# models.data.pythia writes it beside its files.
MANIFEST = "stand_in.json"
REAL_PATTERN = "tev14_pythia8_ttbar_*.pkl.bz2"


@dataclass(frozen=True, slots=True)
class Events:
    """Events laid end to end: X float32 (elements, width of the Format), y float32 (elements, 7); event e is
    rows first[e] .. first[e] + n[e] - 1.
    """

    X: Any
    y: Any
    first: Any
    n: Any
    cand: Any = None
    """float32 (elements, 7), candidates of a rule-based particle flow; None: not kept, or there are none."""

    def candidates(self) -> list[Any] | None:
        """Of each event, as physics.event_view takes them; None where there are none."""
        if self.cand is None:
            return None
        return [self.cand[f : f + n][:, PARTICLE] for f, n in zip(self.first, self.n, strict=True)]

    def groups(self, bin_size: int, most: int) -> list[Any]:
        """Event numbers in order, cut so that a group has about `most` slots."""
        ends = np.cumsum(-(-self.n // bin_size) * bin_size)
        part = ends // most
        return np.split(np.arange(len(self.n)), np.flatnonzero(np.diff(part)) + 1)


class Source(NamedTuple):
    """data: "real" or "stand-in"; files: those found, none: the generator writes them."""

    data: str
    name: str
    pileup: int
    files: tuple[Path, ...]
    format: Format = DELPHES


class Staged(NamedTuple):
    train: Events
    valid: Events
    test: Events
    pad: int
    provenance: dict[str, str | int | bool]


def find(data: DataChoice, folder: str | None, pileup: int) -> Source:
    """Which files are there; reads none.

    Raises DataError where data=real is not staged, ConfigError for an argument out of range.
    """
    if pileup not in PILEUPS:
        raise ConfigError(f"pileup={pileup}: must be one of {', '.join(map(str, PILEUPS))}.")
    delphes = data_folder(folder, "delphes")
    real = tuple(sorted(delphes.glob(REAL_PATTERN))) if delphes else ()
    if delphes and (delphes / MANIFEST).exists():  # generated ones have the same names
        real = ()
    kind = real_or_stand_in(
        data,
        bool(real),
        f"no {REAL_PATTERN} in {delphes or 'SUITE_DATA (unset)'}; {fetch_line('delphes', delphes)}",
    )
    if kind == "real":
        return Source(kind, "delphes", 200, real)
    name = f"delphes_standin_pu{pileup}"
    staged = data_folder(folder, name)
    return Source(kind, name, pileup, tuple(sorted(staged.glob(PATTERN))) if staged else ())


# --- staging --------------------------------------------------------------------------------------


def stage(source: Source, split: str, limit: int | None, n_events: int, pad: int | None) -> Staged:
    """Read and split. limit: at most so many training events and a quarter of it to validate and to
    test. n_events: how many the generator writes where no files are staged. pad: None takes the
    largest event of the set, rounded up; of events larger than a given one none is cut: they are
    left out and counted.

    Raises DataError where a file is missing or damaged, or a split has no event.
    """
    files = source.files
    if not files:
        n = n_events if limit is None else limit + 2 * (limit // 4)
        files = source.format.generate(source.pileup, n)
    parts, read = _read_once(source.format, files, split, limit)
    parts[2], rule_based = _with_candidates(parts[2], source)
    largest = max(int(part.n.max(initial=0)) for part in parts)
    pad = pad or max(-(-largest // ROUND), 1) * ROUND
    too_large = sum(int((part.n > pad).sum()) for part in parts[: 2 if split == "published" else 3])
    if too_large:
        fits = [part.n <= pad for part in parts]
        parts = [
            Events(p.X, p.y, p.first[k], p.n[k], p.cand) for p, k in zip(parts, fits, strict=True)
        ]
    for part, what in zip(parts, ("train", "validate", "test"), strict=True):
        if len(part.n) == 0:
            raise DataError(
                f"{source.name}: no event of at most pad={pad} elements is left to {what}; "
                "raise pad or stage more events."
            )
    provenance: dict[str, str | int | bool] = {
        "name": source.name,
        "stand_in": source.data != "real",
        "split": split,
        "n_train": len(parts[0].n),
        "n_valid": len(parts[1].n),
        "n_test": len(parts[2].n),
        "pad": pad,
        "n_too_large": too_large,
        "n_files": len(files),
        "rule_based": rule_based,
        **read,
    }
    return Staged(parts[0], parts[1], parts[2], pad, provenance)


def _with_candidates(test: Events, source: Source) -> tuple[Events, str]:
    """The test events with the set's candidates, or in a stand-in without any (of earlier revisions) ours;
    and whose they are.
    """
    of_the_set, ours = source.format.rule_based
    if source.data == "real":
        return (test, of_the_set) if test.cand.any() else (replace(test, cand=None), "none")
    if not test.cand.any():
        each = [
            source.format.candidates(test.X[f : f + n])
            for f, n in zip(test.first, test.n, strict=True)
        ]
        test = replace(test, cand=np.concatenate([np.zeros((0, 7)), *each]).astype(np.float32))
    return test, ours


def _read_once(
    form: Format, files: Sequence[Path], split: str, limit: int | None
) -> tuple[list[Events], dict[str, Any]]:
    """Train, validation and test events, and digests and counts.

    Without a limit they are kept in the cache folder as plain arrays and mapped from there: 50,000
    events at pile-up 200 are 23 GB in 500 bz2 files, to unpack which would cost every worker the
    better part of an hour, and a node one copy a worker.
    """
    if limit is not None:
        facts: dict[str, Any] = {"n_damaged": 0}
        read = [_Packer().take(part) for part in _parts(form, files, split, limit, facts)]
        # Candidates of the test events alone are ever read.
        facts |= {"sha256": _together(p.sha256 for p in read)}
        return [p.events(form, with_candidates=p is read[2]) for p in read], facts
    stamps = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    key = hashlib.sha256(repr((FORMAT, SPLIT_SEED, split, stamps, *form.tag)).encode()).hexdigest()[
        :16
    ]
    folder = cache_folder() / "mlpf" / key
    with locked(folder):
        if not (folder / "facts.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            facts, digests = {"n_damaged": 0}, []
            for name, part in zip(PARTS, _parts(form, files, split, None, facts), strict=True):
                with contextlib.ExitStack() as stack:
                    opened = [
                        stack.enter_context(open(folder / f"{name}.{field}", "wb"))
                        for field, _ in _fields(form, name)
                    ]
                    packer = _Packer(*opened).take(part)
                np.save(folder / f"{name}_n.npy", np.array(packer.n, np.int64))
                digests.append(packer.sha256)
            text = json.dumps(facts | {"sha256": _together(digests)})
            # Last: its presence says that the rest is whole.
            write_whole(folder / "facts.json", text)
    parts = []
    for name in PARTS:
        n = np.load(folder / f"{name}_n.npy", allow_pickle=False)
        arrays = [
            np.memmap(folder / f"{name}.{field}", "<f4", "r", shape=(int(n.sum()), width))
            if len(n)
            else np.zeros((0, width), np.float32)
            for field, width in _fields(form, name)
        ]
        parts.append(Events(arrays[0], arrays[1], np.cumsum(n) - n, n, *arrays[2:]))
    return parts, read_json(folder / "facts.json", max_bytes=1 << 20)


def _fields(form: Format, part: str) -> Sequence[tuple[str, int]]:
    """The arrays that are kept of a part: candidates of the test events alone."""
    return form.fields[: 3 if part == "test" else 2]


class _Packer:
    """Takes events one by one, so that a large set is in memory once, and into files not at all."""

    def __init__(self, *files: IO[bytes]) -> None:
        """files: X, y and, where candidates are to be kept, theirs; none: all in memory."""
        self.files: Any = files or tuple(io.BytesIO() for _ in range(3))
        self.n: list[int] = []
        self._digests = hashlib.sha256(), hashlib.sha256()

    def take(self, events: Iterable[tuple[Any, ...]]) -> _Packer:
        """X, y and, optionally, candidates of each event; what is trained on makes the digest."""
        for arrays in events:
            packed = [np.ascontiguousarray(array, "<f4").tobytes() for array in arrays]
            for data, file in zip(packed, self.files, strict=False):
                file.write(data)
            for data, digest in zip(packed, self._digests, strict=False):
                digest.update(data)
            self.n.append(len(arrays[0]))
        return self

    @property
    def sha256(self) -> str:
        sizes = hashlib.sha256(np.array(self.n, "<i8").tobytes())
        return _together(d.hexdigest() for d in (*self._digests, sizes))

    def events(self, form: Format, with_candidates: bool = False) -> Events:
        """Only without files."""
        n = np.array(self.n, np.int64)
        X, y, cand = (
            np.frombuffer(file.getbuffer(), "<f4").reshape(-1, width)
            for file, (_, width) in zip(self.files, form.fields, strict=True)
        )
        return Events(X, y, np.cumsum(n) - n, n, cand if with_candidates else None)


def join(events: Iterable[tuple[Any, ...]]) -> Events:
    """(n, 12) and (n, 7) of each event, end to end."""
    return _Packer().take(events).events(DELPHES)


def _together(digests: Iterable[str]) -> str:
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def _parts(
    form: Format, files: Sequence[Path], split: str, limit: int | None, facts: dict[str, Any]
) -> list[Iterable[tuple[Any, ...]]]:
    """The three splits' events; `facts` gets what they were cut by, and counts as they are read."""
    wanted = (None,) * 3 if limit is None else (limit, limit // 4, limit // 4)
    kinds = form.kinds(files)
    by_file = all(len(kind) >= BY_FILE for kind in kinds)
    parts: list[Iterable[tuple[Any, ...]]]
    if by_file:
        cuts = [_cut(len(kind), split) for kind in kinds]
        chosen = [
            [[kind[k] for k in cut[part]] for kind, cut in zip(kinds, cuts, strict=True)]
            for part in range(3)
        ]
        names = [[f.name for kind in part for f in kind] for part in chosen]
        parts = [
            islice(_events(form, part, facts), w) for part, w in zip(chosen, wanted, strict=True)
        ]
    else:
        total = None if limit is None else limit + 2 * (limit // 4)
        pool = list(islice(_events(form, kinds, facts), total))
        rows = [part[:w] for part, w in zip(_cut(len(pool), split), wanted, strict=True)]
        if limit is not None and split == "fixed":  # a rehearsal's share of them is larger
            order = np.random.default_rng(SPLIT_SEED).permutation(len(pool))
            quarter = min(limit // 4, len(pool) // 6)
            rows = [order[2 * quarter :], order[:quarter], order[quarter : 2 * quarter]]
        names = [[str(k) for k in part] for part in rows]
        parts = [[pool[k] for k in part] for part in rows]
    facts["split_by"] = "file" if by_file else "event"
    facts["split_sha256"] = hashlib.sha256(json.dumps([names, limit]).encode()).hexdigest()
    return parts


def _cut(n: int, split: str) -> list[Any]:
    """Numbers of train, validation and test: 80, 10, 10 % of a shuffle; as published, the first
    80 % in order, and the rest both to validate and to test.
    """
    if split == "published":
        rest = np.arange(n)[n - n // 5 :]
        return [np.arange(n - n // 5), rest, rest]
    order = np.random.default_rng(SPLIT_SEED).permutation(n)
    held = max(n // 10, 1)
    return [order[2 * held :], order[:held], order[held : 2 * held]]


def _events(
    form: Format, kinds: Sequence[Sequence[Path]], facts: dict[str, Any]
) -> Iterator[tuple[Any, ...]]:
    """(X, y, candidates) of the files' events in order, of several kinds one of each in turn; the damaged
    ones (NaN, a kind of element or a class that there is not, or nothing in them) are counted.
    """

    def of(files: Sequence[Path]) -> Iterator[tuple[Any, ...]]:
        for file in files:
            for X, y, cand in form.read(file):
                if len(X) > 0 and np.isfinite(X).all() and np.isfinite(y).all() and _named(X, y):
                    yield X, y, cand
                else:
                    facts["n_damaged"] += 1

    for row in zip_longest(*map(of, kinds)):
        yield from (event for event in row if event is not None)


def _named(X: Any, y: Any) -> bool:
    """Is each element a tower or a track (1, 2), and each target of a class that there is?"""
    return bool(np.isin(X[:, 0], (1, 2)).all() and np.isin(y[:, 0], range(N_CLASSES)).all())
