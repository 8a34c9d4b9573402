"""One transaction a run leaves in every table what MLflow's own client leaves there."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.simulated import Played, swift
from suite.results.fold import load_run
from suite.track import bulk, importer
from suite.track.about import DataSet
from suite.track.mlflow_store import Store
from suite.track.rows import Row

CLOCKS = {"experiments": ("creation_time", "last_update_time")}


@pytest.fixture
def stores(made, tmp_path) -> Iterator[dict[str, Store]]:
    """One that is written in transactions, one by the client."""
    stores = {}
    for way in ("bulk", "client"):
        shutil.copytree(made, tmp_path / way)
        stores[way] = Store(tmp_path / way)
        stores[way]._bulk = way == "bulk"
    yield stores
    for store in stores.values():
        store.tracking.engine.dispose()


def tables(store: Store) -> dict[str, Counter[tuple[Any, ...]]]:
    """Every table of the data base; MLflow's random numbers of runs by what the runs are."""
    with sqlite3.connect(f"file:{store.folder / 'mlflow.db'}?mode=ro", uri=True) as data:
        names = [
            name for (name,) in data.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        runs = dict(data.execute(
            "SELECT r.run_uuid, r.experiment_id || ' ' || r.start_time || ' ' || r.name FROM runs r"
        ))  # fmt: skip
        assert len(set(runs.values())) == len(runs)
        runs |= dict(data.execute("SELECT dataset_uuid, name || ' ' || digest FROM datasets"))
        runs |= dict(data.execute(
            "SELECT i.input_uuid, 'of ' || r.name FROM inputs i JOIN runs r ON r.run_uuid = i.destination_id"
        ))  # fmt: skip
        dumped = {}
        for name in names:
            cursor = data.execute(f'SELECT * FROM "{name}"')
            columns = [column for column, *_ in cursor.description]
            dumped[name] = Counter(
                tuple(
                    "" if column in CLOCKS.get(name, ()) else _named(value, runs)
                    for column, value in zip(columns, row, strict=True)
                )
                for row in cursor
            )
    return dumped


def _named(value: Any, runs: dict[str, str]) -> Any:
    if not isinstance(value, str):
        return value
    if value in runs:
        return runs[value]
    *before, last = value.removesuffix("/artifacts").rpartition("/")
    return f"{''.join(before)}{runs[last]}/artifacts" if last in runs else value


def both_import(folder: Path, stores: dict[str, Store]) -> None:
    rows = {way: importer.import_run(folder, store).n_rows for way, store in stores.items()}
    assert rows["bulk"] == rows["client"]
    assert tables(stores["bulk"]) == tables(stores["client"])


def test_every_table_holds_the_same_rows_by_both_ways_as_a_journal_grows(
    stores, tmp_path, no_fsync
):
    Played(tmp_path / "run", seed=1, p_loss=0.02, p_fail=0.05, p_cut=0.02).play()
    lines = (tmp_path / "run" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "growing").mkdir()
    for n_lines in (1, len(lines) // 2, len(lines)):
        (tmp_path / "growing" / "journal.jsonl").write_bytes(b"".join(lines[:n_lines]))
        both_import(tmp_path / "growing", stores)
    n_trials = len(load_run(tmp_path / "growing").trials)
    assert sum(tables(stores["bulk"])["runs"].values()) == 1 + n_trials
    both_import(tmp_path / "growing", stores)


def test_what_one_way_began_the_other_continues(stores, tmp_path, no_fsync):
    Played(tmp_path / "run", seed=2).play()
    lines = (tmp_path / "run" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "growing").mkdir()
    for n_lines in (len(lines) // 2, len(lines)):
        (tmp_path / "growing" / "journal.jsonl").write_bytes(b"".join(lines[:n_lines]))
        both_import(tmp_path / "growing", stores)
        for store in stores.values():
            store._bulk = not store._bulk


def test_odd_values_and_names_are_stored_alike(stores):
    """NaN and infinity, text that is no UTF-8, rows that are there already, later rows of an earlier step."""
    batches = [
        [
            Row("a@b", float("nan"), 5, 1),
            Row("a#b", float("inf"), 5, 1),
            Row("c", -float("inf"), 5, 1),
        ],
        [Row("c", 2.0, 5, 3), Row("c", 2.0, 5, 3), Row("c", 1.0, 5, 3), Row("c", 9.0, 9, 2)],
        [Row("c", 2.0, 5, 3), Row("c", 3.0, 6, 3), Row("c", 8.0, 9, 2)],
    ]
    for store in stores.values():
        experiment = store.experiment("suite/odd")
        with store.writing() as sink:
            run = sink.create(experiment, "r" * 300, 1, {"suite.kind": "x", "none": None})
            for rows in batches:
                sink.log(run.identity, rows)
            sink.log(
                run.identity, (), {"p\ud800": "\ud800\0", "q" * 300: "v" * 9000}, {"t": "v" * 9000}
            )
            sink.log(run.identity, (), {"p\ud800": "\ud800\0"}, {"t": "anew"})
            sink.end(run.identity, "RUNNING", 7)
            sink.end(run.identity, "KILLED", 8)
        # What comes in another transaction, and is older, is not the latest either.
        with store.writing() as sink:
            sink.log(run.identity, [Row("c", 7.0, 9, 1), Row("d", 1.0, 1, 1)])
    assert tables(stores["bulk"]) == tables(stores["client"])
    latest = tables(stores["bulk"])["latest_metrics"]
    assert {row[:2] for row in latest} >= {("c", 3.0)}


def test_data_sets_and_files_are_stored_alike(stores):
    """One data set of two runs is one row; saying it again changes nothing."""
    data = DataSet("digits", "ab" * 32, "https://example.org", {"n_train": 3})
    for store in stores.values():
        experiment = store.experiment("suite/data")
        for _ in range(2):
            with store.writing() as sink:
                tags = {"suite.kind": "run"}
                runs = sink.stored(experiment, tags)
                runs = runs or [sink.create(experiment, f"run {i}", i, tags) for i in range(2)]
                for run in runs:
                    sink.use(experiment, run.identity, data)
                    sink.attach(run, "report/a.png", b"\x89PNG\xff")
        files = store.folder.rglob("a.png")
        assert [path.read_bytes() for path in files] == [b"\x89PNG\xff"] * 2
    found = tables(stores["bulk"])
    assert found == tables(stores["client"])
    assert [sum(found[name].values()) for name in ("datasets", "inputs", "input_tags")] == [1, 2, 2]


def test_an_error_within_a_run_leaves_nothing_of_it(stores, tmp_path, no_fsync, monkeypatch):
    Played(tmp_path / "run").play()
    before = tables(stores["bulk"])
    monkeypatch.setattr(bulk.Bulk, "attach", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        importer.import_run(tmp_path / "run", stores["bulk"])
    after = tables(stores["bulk"])
    assert {name for name in before if before[name] != after[name]} <= {
        "experiments",
        "sqlite_sequence",
    }


def test_tables_that_are_not_known_are_written_by_the_client_and_that_is_said(
    stores, tmp_path, no_fsync, monkeypatch, capsys
):
    Played(tmp_path / "run").play()
    monkeypatch.setitem(bulk._KNOWN, "runs", bulk._KNOWN["runs"] + " a_new_column")
    stores["bulk"]._bulk = None
    importer.import_run(tmp_path / "run", stores["bulk"])
    assert (
        "(runs.a_new_column); importing by its client, which is slower" in capsys.readouterr().out
    )
    importer.import_run(tmp_path / "run", stores["client"])
    assert tables(stores["bulk"]) == tables(stores["client"])


def test_the_installed_mlflow_has_the_tables_that_are_known():
    """Where this fails, MLflow has changed: compare with its client, then name the new columns."""
    assert bulk.unknown_columns() == []


def test_a_run_is_one_commit(stores, tmp_path, no_fsync):
    from sqlalchemy import event

    Played(tmp_path / "run", swift, seed=1).play()
    store, commits = stores["bulk"], []
    store.experiment("suite/table_target")
    event.listen(store.tracking.engine, "commit", lambda connection: commits.append(1))
    importer.import_run(tmp_path / "run", store)
    # MLflow's own look at the experiment, the settings of the connection, the rows.
    assert len(commits) <= 3
