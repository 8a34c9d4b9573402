"""Splits that are the same on every machine, and digests that name them in a record.

hardware: 1 thread of a 2-core x86-64 virtual machine; versions: numpy 2.4; n = 5; number: 5 ms for
50,000 labels; lineage: scikit-learn's train_test_split, rewritten so that the rows do not depend on
its version.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from suite.core.errors import ConfigError
from suite.core.seeds import stream


def stratified(labels: Any, n_valid: int, seed: int) -> tuple[Any, Any]:
    """Row numbers of (train, validation), sorted int64; `n_valid` rows validate.

    Every class gives its share, rounded down; the rows still missing come from the classes with the
    largest remainders.

    Raises ConfigError unless 0 < n_valid < len(labels).
    """
    labels = np.asarray(labels)
    _check(n_valid, len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    shares = counts * n_valid
    n_of = shares // len(labels)
    largest = np.argsort(-(shares % len(labels)), kind="stable")
    n_of[largest[: n_valid - n_of.sum()]] += 1
    chosen = [
        stream(seed, "stratified", label).permutation(np.flatnonzero(labels == label))[:n]
        for label, n in zip(classes.tolist(), n_of.tolist(), strict=True)
    ]
    return _sorted(np.concatenate(chosen), len(labels))


def by_group(groups: Any, n_valid: int, seed: int) -> tuple[Any, Any]:
    """Row numbers of (train, validation), sorted int64; a group's rows stay together.

    `groups` names the group of every row. Groups are taken in random order, each that still fits,
    so that at most `n_valid` rows validate.

    Raises ConfigError where no group is that small, or 0 < n_valid < len(groups) does not hold.
    """
    names, numbers, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    _check(n_valid, len(numbers))
    chosen: list[int] = []
    room = n_valid
    for group in stream(seed, "by_group").permutation(len(names)).tolist():
        if counts[group] <= room:
            chosen.append(group)
            room -= int(counts[group])
    if not chosen:
        raise ConfigError(
            f"n_valid={n_valid}: the smallest group has {counts.min()} rows; raise n_valid."
        )
    return _sorted(np.flatnonzero(np.isin(numbers, chosen)), len(numbers))


def digest(*arrays: Any) -> str:
    """SHA-256, hexadecimal, of the arrays' kinds, shapes and values in order.

    Signed integers count as 64-bit ones and byte order does not count, so a split has one name.
    """
    sha256 = hashlib.sha256()
    for given in arrays:
        array = np.asarray(given)
        kind = np.dtype("<i8") if array.dtype.kind == "i" else array.dtype.newbyteorder("<")
        array = np.ascontiguousarray(array, dtype=kind)
        sha256.update(f"{kind.str}{array.shape}".encode())
        sha256.update(array.reshape(-1).view(np.uint8).data)
    return sha256.hexdigest()


def _check(n_valid: int, n: int) -> None:
    if not 0 < n_valid < n:
        raise ConfigError(f"n_valid={n_valid}: must be between 1 and {n - 1}, the rows less one.")


def _sorted(valid: Any, n: int) -> tuple[Any, Any]:
    valid = np.sort(valid).astype(np.int64)
    return np.setdiff1d(np.arange(n), valid, assume_unique=True), valid
