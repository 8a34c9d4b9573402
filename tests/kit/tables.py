"""Where the files of published curve tables are, for tests that need them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kit.driving import DATA
from suite.core.catalogue import Entry


def staged(entry: Entry) -> Path | None:
    """A table's file; None where it is not here. In CI, with SUITE_DATA, all but those of metaqnn must be."""
    paths = [DATA / folder / entry.file for folder in entry.folders]
    if path := next((path for path in paths if path.exists()), None):
        return path
    if os.environ.get("CI") == "true" and entry.family != "baker":
        pytest.fail(f"{entry.file} is not below {DATA}, where the tables were promised")
    return None


def needed(entry: Entry) -> Path:
    """A table's file; the test is skipped where it is not here."""
    if (path := staged(entry)) is None:
        pytest.skip(f"{entry.file} is not below {DATA}: set SUITE_DATA")
    return path
