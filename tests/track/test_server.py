"""A real tracking server: MLflow on PostgreSQL, two importers at once, a server that goes away in between."""

import os
import subprocess
import sys
import time
from collections import Counter

import pytest

from kit.postgres import Server, postgres, programs
from kit.simulated import Played
from suite.results.fold import load_run
from suite.track import importer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        programs() is None, reason="initdb=absent: no PostgreSQL here (apt install postgresql)"
    ),
]


@pytest.fixture(scope="module")
def database():
    pytest.importorskip("pg8000", reason="pg8000=absent: pip install pg8000")
    with postgres() as address:
        yield address


@pytest.fixture
def server(database, tmp_path):
    server = Server(database, tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def folders(tmp_path, no_fsync):
    for name, seed in (("a", 1), ("b", 2)):
        Played(tmp_path / "runs" / name, seed=seed, p_loss=0.02, run_id=name, model=name).play()
    return [tmp_path / "runs" / name for name in ("a", "b")]


def importing(server, folders):
    """An importer in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "suite.track", "--uri", server.uri, *map(str, folders)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"},
    )  # fmt: skip


def rows(database, query):
    import sqlalchemy

    engine = sqlalchemy.create_engine(database)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]
    finally:
        engine.dispose()


def held(read):
    """What a store holds of each run, by the runs' own ids and the trials' numbers."""
    who = (
        "FROM {} x JOIN runs r ON r.run_uuid = x.run_uuid AND r.lifecycle_stage = 'active' "
        "JOIN tags i ON i.run_uuid = r.run_uuid AND i.key = 'suite.run_id' "
        "LEFT JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'suite.trial_id'"
    )
    what = {
        "metrics": "x.key, x.value, x.timestamp, x.step",
        "latest_metrics": "x.key, x.value, x.timestamp, x.step",
        "params": "x.key, x.value",
        "tags": "x.key",
    }
    return {
        table: Counter(read(f"SELECT i.value, t.value, r.status, {columns} {who.format(table)}"))
        for table, columns in what.items()
    }


def test_nothing_is_doubled_or_lost_by_two_importers_and_a_server_that_goes_away(
    server, database, folders, store
):
    # Two importers of the same runs, and the server killed while they write.
    both = [importing(server, folders) for _ in range(2)]
    deadline = time.monotonic() + 240
    while rows(database, "SELECT count(*) FROM runs")[0][0] < 4:
        assert time.monotonic() < deadline
        assert all(one.poll() is None for one in both)
        time.sleep(0.02)
    server.kill()
    said = [one.communicate(timeout=120)[0] for one in both]
    assert [one.returncode for one in both] == [1, 1], said
    for words in said:
        assert "does not answer (" in words and "then import again" in words
        assert "Traceback" not in words
    n_before = rows(database, "SELECT count(*) FROM runs")[0][0]
    assert 4 <= n_before < sum(1 + len(load_run(folder).trials) for folder in folders)

    server.start()
    both = [importing(server, folders) for _ in range(2)]
    said = [one.communicate(timeout=240)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    # Each run was written by one of them, and the other found nothing new.
    assert sum(words.count("nothing new") for words in said) == 2
    assert f"{server.uri}/#/experiments/" in said[0]

    for folder in folders:
        importer.import_run(folder, store)
    local = held(lambda query: [tuple(row) for row in _local(store, query)])
    assert held(lambda query: rows(database, query)) == local
    n_runs = sum(1 + len(load_run(folder).trials) for folder in folders)
    active = "SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'"
    assert rows(database, active) == [(n_runs,)]


def _local(store, query):
    with store.tracking.engine.connect() as connection:
        return list(connection.exec_driver_sql(query))
