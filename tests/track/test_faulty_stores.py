"""Stores that are damaged, a stranger's or oddly named, and servers that do not answer."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kit.simulated import Played
from suite.core.errors import ConfigError
from suite.track import __main__ as track
from suite.track import importer
from suite.track.contract import StoreError, TrackingError
from suite.track.mlflow_store import Store


@pytest.fixture
def run(tmp_path, no_fsync) -> Path:
    Played(tmp_path / "run").play()
    return tmp_path / "run"


def sql(store: Path, *statements: str) -> list[tuple[Any, ...]]:
    data = sqlite3.connect(store / "mlflow.db")
    with data:
        found = [data.execute(statement).fetchall() for statement in statements][-1]
    data.close()
    return found


# --- the data base --------------------------------------------------------------------------------


def garbage(store: Path) -> None:
    (store / "mlflow.db").write_bytes(b"hello " * 5000)


def empty(store: Path) -> None:
    (store / "mlflow.db").write_bytes(b"")


def cut(store: Path) -> None:
    os.truncate(store / "mlflow.db", (store / "mlflow.db").stat().st_size // 2)


def cut_by_a_page(store: Path) -> None:
    os.truncate(store / "mlflow.db", (store / "mlflow.db").stat().st_size - 4096)


def a_folder(store: Path) -> None:
    (store / "mlflow.db").unlink()
    (store / "mlflow.db").mkdir()


def a_pipe(store: Path) -> None:
    (store / "mlflow.db").unlink()
    os.mkfifo(store / "mlflow.db")


def a_link(store: Path) -> None:
    (store / "mlflow.db").rename(store / "other.db")
    (store / "mlflow.db").symlink_to("other.db")


def a_dangling_link(store: Path) -> None:
    (store / "mlflow.db").unlink()
    (store / "mlflow.db").symlink_to(store.parent / "victim")


def a_link_beside(store: Path) -> None:
    (store.parent / "victim").write_bytes(b"\0 of somebody")
    (store / "mlflow.db-journal").symlink_to(store.parent / "victim")


def of_another_program(store: Path) -> None:
    (store / "mlflow.db").unlink()
    sql(store, "CREATE TABLE recipes (name TEXT)")


def older(store: Path) -> None:
    sql(
        store,
        "UPDATE alembic_version SET version_num = '451aebb31d03'",
        "DROP TABLE latest_metrics",
    )


def newer(store: Path) -> None:
    sql(store, "UPDATE alembic_version SET version_num = 'ffffffffffff'")


def no_revision(store: Path) -> None:
    sql(store, "DELETE FROM alembic_version")


def odd_revision(store: Path) -> None:
    sql(store, "UPDATE alembic_version SET version_num = '../*'")


FAULTS = {
    garbage: "is not a data base of SQLite; move it away, or name another folder (--store, SUITE_STORE).",
    empty: "is not a data base of SQLite",
    cut: "database disk image is malformed; restore a copy of it, or name another folder",
    cut_by_a_page: "database disk image is malformed",
    a_folder: "mlflow.db: is a folder, a pipe or a device",
    a_pipe: "mlflow.db: is a",
    a_link: "mlflow.db: is a link or a pipe",
    a_dangling_link: "mlflow.db: is a link or a pipe",
    a_link_beside: "mlflow.db-journal: is a link or no regular file, which SQLite would write through",
    of_another_program: "holds no tables of MLflow; name another folder",
    older: "its tables are of an older MLflow than",
    newer: "but of a newer one or none; install the MLflow that wrote it",
    no_revision: "but of a newer one or none",
    odd_revision: "but of a newer one or none",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_data_base_that_is_none_of_this_mlflow_is_named_and_left_as_it_is(
    fault, made, tmp_path, run, capsys
):
    store = tmp_path / "store"
    shutil.copytree(made, store)
    fault(store)
    before = {path.name: path.read_bytes() for path in store.iterdir() if path.is_file()}
    began = time.monotonic()
    for arguments in (
        [str(run), str(run.parent), "--store", str(store)],
        ["--ui", "--store", str(store)],
    ):
        assert track.main(arguments) == 1
        printed = capsys.readouterr()
        assert printed.err.startswith(f"track: store={store}: ") and FAULTS[fault] in printed.err
        assert len(printed.err.splitlines()) == 1 and "look at it" not in printed.out
    # MLflow alone tries for 100 s.
    assert time.monotonic() - began < 60
    after = {path.name: path.read_bytes() for path in store.iterdir() if path.is_file()}
    assert after == before | {"import.lock": b""}
    assert (
        not (tmp_path / "victim").exists()
        or (tmp_path / "victim").read_bytes() == b"\0 of somebody"
    )


@pytest.mark.parametrize(
    "name", ["a?b", "a#b", "a%41b", "a b'c\"d", "\u00e9\u4e2d", "-a", "a\nb", "a=b;c&d"]
)
def test_a_folder_of_any_name_holds_its_store_and_nothing_is_made_beside(name, made, tmp_path, run):
    home = tmp_path / "home"
    home.mkdir()
    shutil.copytree(made, home / name)
    store = Store(home / name)
    assert importer.import_all([run], store) == (1, 0)
    store.tracking.engine.dispose()
    assert [path.name for path in home.iterdir()] == [name]
    assert sorted(path.name for path in (home / name).iterdir()) == [
        "artifacts",
        "import.lock",
        "mlflow.db",
    ]
    assert sql(home / name, "SELECT count(*) FROM tags WHERE value = 'run'") == [(1,)]


def test_a_new_store_in_an_oddly_named_folder_is_built_there(tmp_path, run):
    store = Store(tmp_path / "home" / "a?b%41")
    assert importer.import_all([run], store) == (1, 0)
    store.tracking.engine.dispose()
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["a?b%41"]
    left = sorted(path.name for path in store.folder.iterdir())
    assert left == ["artifacts", "import.lock", "mlflow.db"]


def test_what_a_killed_process_left_of_a_new_store_is_removed(tmp_path, made, monkeypatch):
    (tmp_path / "store").mkdir()
    for name in (
        ".mlflow.db.part",
        ".mlflow.db.0123abcd.part",
        ".mlflow.db.0123abcd.part-journal",
        "mine.part",
    ):
        (tmp_path / "store" / name).touch()
    store = Store(tmp_path / "store")
    monkeypatch.setattr(
        "suite.track.mlflow_store.write_whole",
        lambda path, *_, **__: shutil.copy(made / "mlflow.db", path),
    )
    store.prepare().engine.dispose()
    assert sorted(path.name for path in store.folder.iterdir()) == ["mine.part", "mlflow.db"]


def test_a_lock_that_is_a_link_is_refused(tmp_path, run, capsys):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "import.lock").symlink_to(tmp_path / "victim")
    assert track.main([str(run), "--store", str(tmp_path / "store")]) == 1
    assert "import.lock: is a link" in capsys.readouterr().err
    assert (tmp_path / "victim").read_text() == "mine"


# --- artifacts ------------------------------------------------------------------------------------


def test_artifacts_that_are_a_link_are_refused_and_nothing_is_imported(
    store, tmp_path, run, capsys
):
    (tmp_path / "victim").mkdir()
    (store.folder / "artifacts").symlink_to(tmp_path / "victim")
    assert importer.import_all([run], store) == (0, 1)
    assert "artifacts is a link or no folder" in capsys.readouterr().err
    assert list((tmp_path / "victim").iterdir()) == []
    assert sql(store.folder, "SELECT count(*) FROM runs") == [(0,)]


@pytest.mark.parametrize(
    "uri",
    [
        "mlflow-artifacts:/../../x",
        "mlflow-artifacts:/1/../2",
        "/etc",
        "file:///etc",
        "mlflow-artifacts://h/1",
        "",
    ],
)
def test_a_place_of_artifacts_outside_of_the_store_is_refused(uri, store, tmp_path, run, capsys):
    experiment = store.experiment("suite/table_target")
    sql(
        store.folder,
        f"UPDATE experiments SET artifact_location = '{uri}' WHERE experiment_id = {experiment}",
    )
    assert importer.import_all([run], store) == (0, 1)
    printed = capsys.readouterr().err
    assert "artifact_uri=" in printed and "delete that run in the UI" in printed
    assert sql(store.folder, "SELECT count(*) FROM runs") == [(0,)]
    assert not list(tmp_path.rglob("record.json"))


def test_a_strangers_mark_of_what_was_imported_is_no_number_of_ours(store, run, capsys):
    importer.import_run(run, store)
    for mark in (
        "x",
        "1 2 3",
        "99999999999999999999 " + "0" * 64 + " 1.0",
        "5 " + "0" * 64 + " 1.0",
    ):
        sql(store.folder, f"UPDATE tags SET value = '{mark}' WHERE key = 'suite.imported'")
        assert importer.import_all([run], store) == (0, 1)
        assert "the store holds another journal of this run" in capsys.readouterr().err


# --- the data base fails while it is written ------------------------------------------------------


def test_a_full_disk_is_named_once_and_leaves_no_run(store, tmp_path, run, capsys):
    for name in ("a", "b"):
        shutil.copytree(run, tmp_path / "runs" / name)
    sql(store.folder, "INSERT INTO experiments (name, lifecycle_stage, artifact_location, workspace) "
        "VALUES ('suite/table_target', 'active', 'mlflow-artifacts:/1', 'default')")  # fmt: skip
    from sqlalchemy import event

    def few_pages(connection: Any, _record: Any, _proxy: Any) -> None:
        n_pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {n_pages + 2}")

    event.listen(store.tracking.engine, "checkout", few_pages)
    with pytest.raises(StoreError, match="disk is full; make room and import again"):
        importer.import_all([tmp_path / "runs"], store)
    assert sql(store.folder, "SELECT count(*) FROM runs") == [(0,)]


# --- servers --------------------------------------------------------------------------------------


@pytest.fixture
def silent() -> Any:
    """The port of a server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield server.getsockname()[1]


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_server_that_refuses_is_named_once_for_all_runs(tmp_path, run, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name in ("a", "b", "c"):
        shutil.copytree(run, tmp_path / "runs" / name)
    port = closed_port()
    assert track.main([str(tmp_path / "runs"), "--uri", f"http://127.0.0.1:{port}"]) == 1
    printed = capsys.readouterr()
    assert printed.err == (
        f"track: uri=http://127.0.0.1:{port}: does not answer (connection refused); see that the server "
        "runs and can be reached from here, then import again.\n"
    )
    assert "look at it" not in printed.out


def test_a_server_that_never_answers_is_named_once(silent, run, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    assert track.main([str(run), "--uri", f"http://127.0.0.1:{silent}"]) == 1
    assert "does not answer (time-out)" in capsys.readouterr().err


def test_the_limits_of_the_first_call_are_below_twenty_seconds(monkeypatch):
    from suite.track import environment

    for name in list(os.environ):
        if name.startswith("MLFLOW_HTTP"):
            monkeypatch.delenv(name)
    environment.prepare()
    with environment.first_call():
        timeout_s, n_retries = (
            int(os.environ[f"MLFLOW_HTTP_REQUEST_{name}"]) for name in ("TIMEOUT", "MAX_RETRIES")
        )
        assert timeout_s * (1 + n_retries) + 2 <= environment.FIRST_CALL_S
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "30"
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "300")
    environment.prepare()
    with environment.first_call():
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "300"


# --- arguments and the environment ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--uri", ""], "uri=: must be http://HOST:PORT"),
        (["--store", ""], "store=: must be a folder"),
        (["--store", "a\0b"], "must be a folder's name"),
        (["--store", "~nobody-of-this-name/x"], "there is no such user or folder"),
        (["--uri", "http://me:se/cret@host"], "must hold no user or password"),
        (["--uri", "http://me:se@cret@host"], "must hold no user or password"),
        (["--uri", "me:secret@host:5000"], "must hold no user or password"),
        (["--uri", "http://host/?a=b"], "must be http://HOST:PORT"),
        (["--uri", "http://ho st"], "must be http://HOST:PORT"),
    ],
)
def test_an_argument_that_names_no_store_is_refused_and_no_folder_is_made(
    arguments, why, tmp_path, run, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert track.main([str(run), *arguments]) == 1
    printed = capsys.readouterr()
    assert why in printed.err and "cret" not in printed.err + printed.out
    assert not (tmp_path / "store").exists() and "look at it" not in printed.out


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "abc"),
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "secret-71"),
        ("MLFLOW_ENABLE_WORKSPACES", "perhaps"),
        ("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "\u00b2"),
    ],
)
def test_a_variable_that_mlflow_cannot_read_is_named_without_its_value(
    name, value, store, run, capsys, monkeypatch
):
    monkeypatch.setenv(name, value)
    assert track.main([str(run), "--store", str(store.folder)]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"track: {name}: must be ") and value not in printed


def test_nothing_is_shown_where_nothing_was_imported(made, tmp_path, capsys):
    (tmp_path / "nothing").mkdir()
    assert track.main([str(tmp_path / "nothing"), "--store", str(made)]) == 1
    assert "look at it" not in capsys.readouterr().out


def test_what_a_journal_says_cannot_move_the_cursor(made, tmp_path, run, capsys):
    path = run / "journal.jsonl"
    path.write_text(
        path.read_text().replace('"algorithm":"hyperband"', '"algorithm":"\\u001b[2Jevil\\nline"')
    )
    shutil.copytree(made, tmp_path / "store")
    assert track.main([str(run), "--store", str(tmp_path / "store")]) == 0
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err and "\\x1b[2Jevil\\nline seed 3" in printed.out


def test_a_user_without_a_home_can_import(made, tmp_path, run):
    """HOME unset and a number without a name, as in some containers: MLflow asks for a home at import."""
    shutil.copytree(made, tmp_path / "store")
    code = (
        "import os, pathlib, sys\n"
        "def home(cls): raise RuntimeError('Could not determine home directory.')\n"
        "if 'HOME' not in os.environ: pathlib.Path.home = classmethod(home)\n"
        "from suite.track import environment\n"
        "environment.prepare(); sys.exit('HOME' not in os.environ)\n"
    )
    bare = {name: value for name, value in os.environ.items() if name != "HOME"}
    assert subprocess.run([sys.executable, "-c", code], env=bare, check=False).returncode == 0


def test_errors_of_the_store_are_errors_of_tracking():
    assert issubclass(StoreError, TrackingError) and not issubclass(ConfigError, TrackingError)
