"""Where the published curve tables are: `swiftbench fetch curves`, by the catalogue (conf/curve_tables.yaml).

An address holds a commit, so that it always gives the same bytes; their SHA-256 was computed from that
commit. To add a table, add it to the catalogue: `task=`, `fetch curves` and the text of a missing table's
error follow.
"""

from __future__ import annotations

from collections.abc import Iterator

from suite.core.catalogue import Entry
from suite.files import published_tables

DATA_SET = "curves"
"""Name of the data set, and of its folder below the data root."""


def copied() -> Iterator[Entry]:
    """The tables whose CSV is the published file itself."""
    return (entry for entry in published_tables().values() if not entry.is_converted)


def by_file(file: str) -> Entry | None:
    """The table of a CSV's name; None where the catalogue has none."""
    return next((entry for entry in published_tables().values() if entry.file == file), None)


def is_published(file: str) -> bool:
    """Whether `fetch curves` brings the table."""
    return by_file(file) is not None


def command(file: str) -> str:
    """The command that brings a published table, without its --to."""
    entry = by_file(file)
    if entry is not None and entry.is_converted:
        return f"swiftbench fetch {DATA_SET} --family {entry.family} --only {file}"
    return f"swiftbench fetch {DATA_SET} --only {file}"
