"""The files of a store's folder: a data base that MLflow of this version reads, and no links.

A store may come from somebody else or be cut by a full disk. It is looked at before MLflow opens it, for
MLflow would try a file that it cannot open ten times, and bring the tables of another version up to date.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import stat
from pathlib import Path

from suite.files import UnsafeFileError, open_regular
from suite.track.contract import StoreError

DATABASE = "mlflow.db"
_COMPANIONS = ("-journal", "-wal", "-shm")
_MAGIC = b"SQLite format 3\0"
_ELSEWHERE = "restore a copy of it, or name another folder (--store, SUITE_STORE)"


def check_database(folder: Path, name: str) -> None:
    """Raise StoreError where the folder's data base is not one of MLflow's, of the version installed here.

    name: of the store, for errors. What SQLite keeps beside the data base must be no links either: it
    would write through them.
    """
    path = folder / DATABASE
    for beside in _COMPANIONS:
        _check_plain(path.with_name(DATABASE + beside), name)
    if not _first_bytes(path, name).startswith(_MAGIC):
        raise StoreError(
            f"store={name}: {DATABASE}: is not a data base of SQLite; move it away, or name another folder "
            "(--store, SUITE_STORE)."
        )
    # SQLite itself finds that a file is cut.
    _check_revision(_revision(path, name), name)


def experiments_of_runs(folder: Path) -> dict[str, str]:
    """Ids, by their names, of the experiments that hold searches of the suite; the first hundred."""
    query = (
        "SELECT DISTINCT e.name, e.experiment_id FROM experiments e JOIN runs r USING (experiment_id) JOIN "
        "tags t ON t.run_uuid = r.run_uuid WHERE t.key = 'suite.kind' AND t.value = 'run' AND "
        "e.lifecycle_stage = 'active' ORDER BY e.experiment_id LIMIT 100"
    )
    try:
        with contextlib.closing(sqlite3.connect(folder / DATABASE, timeout=20.0)) as data:
            return {str(name): str(number) for name, number in data.execute(query)}
    except sqlite3.Error:
        return {}  # MLflow says what is wrong


def _first_bytes(path: Path, name: str) -> bytes:
    """The file's first bytes. Raises StoreError where it is no file that can be read."""
    try:
        with open_regular(path, below=path.parent) as file:
            return file.read(len(_MAGIC))
    except OSError as error:
        raise StoreError(f"store={name}: {DATABASE}: {error.strerror}; {_ELSEWHERE}.") from None
    except UnsafeFileError as error:
        raise StoreError(f"store={name}: {error}") from None


def _check_plain(path: Path, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise StoreError(
                f"store={name}: {path.name}: is a link or no regular file, which SQLite would write through; "
                "remove it."
            )


def _revision(path: Path, name: str) -> str:
    """The revision of the tables, as Alembic keeps it."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=20.0)) as data:
            found = data.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.Error as error:
        if "no such table" in str(error):
            raise StoreError(
                f"store={name}: {DATABASE}: holds no tables of MLflow; name another folder "
                "(--store, SUITE_STORE)."
            ) from None
        raise StoreError(f"store={name}: {DATABASE}: {error}; {_ELSEWHERE}.") from None
    return str(found[0][0]) if len(found) == 1 else ""


def _check_revision(revision: str, name: str) -> None:
    import mlflow
    from alembic.script import ScriptDirectory

    folder = Path(str(mlflow.__file__)).parent / "store" / "db_migrations"
    (head,) = ScriptDirectory(str(folder)).get_heads()
    if revision == head:
        return
    known = re.fullmatch(r"[0-9a-f]{1,40}", revision) and list(
        (folder / "versions").glob(f"{revision}_*.py")
    )
    if known:
        raise StoreError(
            f"store={name}: {DATABASE}: its tables are of an older MLflow than {mlflow.__version__}; "
            f"copy it, then run in that folder: python -m mlflow db upgrade sqlite:///{DATABASE}"
        )
    raise StoreError(
        f"store={name}: {DATABASE}: its tables are not of MLflow {mlflow.__version__}, but of a newer one or "
        "none; install the MLflow that wrote it, or name another folder (--store, SUITE_STORE)."
    )
