"""`swiftbench curves list`: the catalogue of published tables, and which of them are here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from suite.core.catalogue import Entry, chosen
from suite.files import UnsafeFileError, published_tables, read_bytes

MAX_BYTES = 256 * 2**20
HEAD = ("table", "family", "kind", "rows", "R", "metric", "", "licence", "here")


def listed(root: Path, family: str | None = None) -> list[dict[str, Any]]:
    """Each table as plain JSON. root: the folder that SUITE_DATA names.

    here: whether the file of the table's SHA-256 is there. Raises ConfigError for an unknown family.
    """
    return [_facts(entry, root) for entry in chosen(published_tables(), family)]


def lines(tables: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The tables as columns, then where their files lie."""
    rows = [HEAD]
    rows += [
        (
            one["task"], one["family"], one["kind"], str(one["rows"]), str(one["max_epochs"]),
            one["metric"], one["mode"], one["licence"], one["here"],
        )
        for one in tables
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:>{w}}" if i in (3, 4) else f"{cell:{w}}"
                 for i, (cell, w) in enumerate(zip(row, widths, strict=True)))  # fmt: skip
        yield "  ".join(cells).rstrip()
    n_here = sum(one["here"] == "yes" for one in tables)
    yield f"{len(tables)} tables, {n_here} of them here; use one: task=NAME backend=simulate"


def _facts(entry: Entry, root: Path) -> dict[str, Any]:
    return {
        "task": entry.name,
        "model": entry.model,
        "about": entry.about,
        "family": entry.family,
        "kind": entry.kind,
        "rows": entry.rows,
        "configurations": entry.configurations,
        "failed": entry.failed,
        "max_epochs": entry.max_epochs,
        "epoch": entry.epoch,
        "hyperband_epochs": entry.n_epochs,
        "metric": entry.metric,
        "mode": entry.mode,
        "unit": entry.unit,
        "seconds": entry.train_s is not None,
        "scales": dict(entry.scales),
        "licence": entry.licence,
        "source": entry.source,
        "commit": entry.commit,
        "address": entry.address,
        "path": entry.published.path,
        "published_sha256": entry.published.sha256,
        "file": entry.file,
        "sha256": entry.sha256,
        "here": _here(entry, root),
    }


def _here(entry: Entry, root: Path) -> str:
    """yes, no, or another version: a file of that name with another digest."""
    for folder in entry.folders:
        try:
            data = read_bytes(root / folder / entry.file, below=root, max_bytes=MAX_BYTES)
        except (OSError, UnsafeFileError):
            continue
        same = hashlib.sha256(data).hexdigest() == entry.sha256
        return "yes" if same else "another version"
    return "no"
