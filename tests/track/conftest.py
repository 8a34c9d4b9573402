"""What the tests of tracking share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from suite.track.mlflow_store import Store


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A store without runs: making one takes a second, on a busy machine twenty."""
    store = Store(tmp_path_factory.mktemp("made") / "store")
    with store.lock():
        store.prepare().engine.dispose()
    return store.folder


@pytest.fixture
def store(made, tmp_path) -> Iterator[Store]:
    shutil.copytree(made, tmp_path / "store")
    store = Store(tmp_path / "store")
    yield store
    if store._tracking is not None:
        store._tracking.engine.dispose()
