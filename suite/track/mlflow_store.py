"""An MLflow store as the importer needs it: a folder with one writer, or a server.

A folder holds mlflow.db (SQLite) and, beside it, artifacts/ as plain files. No absolute path stands
in the data base, so the folder can be copied to another machine and looked at there.
MLflow is imported inside functions: it costs two seconds and 200 MiB.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError
from suite.core.printable import printable
from suite.files import UnsafeFileError, open_lock_file, remove_files, write_whole
from suite.track import environment
from suite.track.address import VARIABLE, address, server_of_environment, without_credentials
from suite.track.bulk import Bulk, transaction, unknown_columns, why
from suite.track.client import Client, answering
from suite.track.contract import StoreError, TrackingError
from suite.track.database import DATABASE, check_database
from suite.track.sink import Sink, Stored

ARTIFACTS, LOCK = "artifacts", "import.lock"
# A server resolves it against its --artifacts-destination.
_PROXY = "mlflow-artifacts:/"
_PLACE = re.compile(r"/?[0-9]{1,20}/[0-9a-f]{32}/artifacts")
_PARTS = re.compile(
    rf"\.{re.escape(DATABASE)}\.[0-9a-f]{{8}}\.part(-journal)?|\.{re.escape(DATABASE)}\.part"
)
_FOLDERS: dict[tuple[int, int], int] = {}


class Store:
    """`folder` (made where it is not there), or the `uri` of an MLflow server. Opened when used.

    experiments: ids, by their names, of those that were imported into.

    A user and password in `uri` go to MLflow by this process's environment and are kept nowhere else.
    Raises ConfigError where `uri` is no server's address.
    """

    def __init__(self, folder: Path | None, uri: str | None = None) -> None:
        environment.prepare()
        self.folder, self.uri = folder, uri
        if folder is None:
            server = address(str(uri), "uri")
            self.uri = server.uri
            os.environ.update(server.credentials)
            if named := server_of_environment():
                os.environ[VARIABLE] = without_credentials(named)
        self.experiments: dict[str, str] = {}
        self._tracking: Any = None
        self._bulk: bool | None = None

    @property
    def name(self) -> str:
        """The server's address, or the folder: relative to the working directory if it lies below it."""
        if self.folder is None:
            return str(self.uri)
        with contextlib.suppress(ValueError, OSError):
            return printable(self.folder.relative_to(Path.cwd()))
        return printable(self.folder)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for writing; waits, and says so, where another importer does.

        Raises ConfigError where the folder cannot be written or locked.
        """
        if self.folder is None:
            yield
            return
        handle = self._locked(self.folder)
        try:
            yield
        finally:
            os.close(handle)

    def _locked(self, folder: Path) -> int:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = open_lock_file(folder / LOCK, below=folder)
        except (OSError, UnsafeFileError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigError(
                f"store={self.name}: {reason}; name a folder that can be written "
                "(--store, SUITE_STORE)."
            ) from None
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"store {self.name}: another import writes; waiting", flush=True)
                fcntl.flock(handle, fcntl.LOCK_EX)
        except BaseException as error:
            os.close(handle)
            if not isinstance(error, OSError):
                raise
            raise ConfigError(
                f"store={self.name}: {error.strerror}: SQLite needs a file system with locks; name "
                "a folder on another one (--store, SUITE_STORE)."
            ) from None
        return handle

    # --- opening ----------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the data base, or ask the server whether it is there. Raises StoreError or ConfigError."""
        _ = self.tracking

    @property
    def tracking(self) -> Any:
        """MLflow's AbstractStore: what its client wraps, and the same for files and servers."""
        if self._tracking is None:
            self._tracking = self._server() if self.folder is None else self.prepare()
        return self._tracking

    def _server(self) -> Any:
        """A server that answered once. Raises StoreError where it does not, within about 20 s."""
        environment.check()
        from mlflow.store.tracking import rest_store
        from mlflow.utils import credentials

        rest: Any = rest_store.RestStore
        credentials_of: Any = credentials.get_default_host_creds
        server = rest(lambda: credentials_of(self.uri))
        with environment.first_call():
            error = _within(
                environment.FIRST_CALL_S, lambda: server.get_experiment_by_name("suite")
            )
        try:
            with answering(self.name):
                if error is not None:
                    raise error
        except TrackingError:
            raise
        except Exception as other:
            raise StoreError(
                f"uri={self.name}: {_first_line(other)}; see that the address is an MLflow server's and that "
                "you may use it."
            ) from None
        return server

    def prepare(self) -> Any:
        """Open the data base; a new one is built beside, so that a kill leaves no half schema.

        Raises StoreError where a file of the folder is no data base of this MLflow.
        """
        assert self.folder is not None
        environment.check()
        from mlflow.store.tracking import sqlalchemy_store

        sql: Any = sqlalchemy_store.SqlAlchemyStore
        folder, name = self.folder, self.name

        def make(beside: Path) -> None:
            sql(_sqlite(folder, beside.name), _PROXY).engine.dispose()

        try:
            if not os.path.lexists(folder / DATABASE):
                print(f"store {name}: making it ...", flush=True)
                # What killed processes left of their own.
                plain = folder.resolve()
                remove_files(plain, _PARTS, below=plain.parent)
                write_whole(folder / DATABASE, make, below=folder)
            check_database(folder, name)
            return sql(_sqlite(folder, DATABASE), _PROXY)
        except (TrackingError, ConfigError, ImportError):
            raise
        except Exception as error:
            raise StoreError(f"store={name}: {why(_first_line(error))}") from None

    @contextlib.contextmanager
    def writing(self) -> Iterator[Sink]:
        """Where one run is written, by its import alone.

        In a folder all of it is there afterwards, or nothing; of a server, what an error leaves is found
        and completed by the next import.
        """
        if self.folder is not None and self._in_bulk():
            with transaction(self.tracking.engine, self.name) as connection:
                bulk = Bulk(connection, self._attach)
                yield bulk
                bulk.finish()
            return
        client = Client(self.tracking, self.name, self._attach)
        try:
            yield client
        except BaseException as error:
            if not isinstance(error, StoreError):
                client.give_up()
            raise

    def _in_bulk(self) -> bool:
        if self._bulk is None:
            # First: it says what is wrong with a store.
            self.open()
            unknown = unknown_columns()
            self._bulk = not unknown
            if unknown:
                import mlflow

                print(
                    f"store {self.name}: the tables of MLflow {mlflow.__version__} are not known here "
                    f"({', '.join(unknown[:3])}); importing by its client, which is slower",
                    flush=True,
                )
        return self._bulk

    # --- what the importer does -------------------------------------------------------------------

    def experiment(self, name: str) -> str:
        """Its id; made where it is not there. Raises ConfigError where it was deleted."""
        with answering(self.name):
            experiment = self.tracking.get_experiment_by_name(name)
            if experiment is None:
                self.experiments[name] = str(self.tracking.create_experiment(name))
                return self.experiments[name]
        if experiment.lifecycle_stage != "active":
            raise ConfigError(
                f"experiment={name}: was deleted; restore it, or use another --store."
            )
        self.experiments[name] = str(experiment.experiment_id)
        return self.experiments[name]

    def _attach(self, run: Stored, name: str, content: bytes) -> None:
        """A file as an artifact of one of MLflow's runs."""
        if self.folder is None:
            from mlflow import MlflowClient

            with tempfile.TemporaryDirectory() as beside:
                path = Path(beside) / Path(name).name
                path.write_bytes(content)
                below = Path(name).parent.as_posix()
                MlflowClient(self.uri).log_artifact(
                    run.identity, str(path), None if below == "." else below
                )
            return
        place = run.artifact_uri.removeprefix(_PROXY)
        if place == run.artifact_uri or not _PLACE.fullmatch(place):
            raise TrackingError(
                f"store={self.name}: artifact_uri={run.artifact_uri[:200]} of run {run.identity}: must be "
                f"{_PROXY}EXPERIMENT/RUN/artifacts; delete that run in the UI, or use another --store."
            )
        path = self.folder / ARTIFACTS / place.strip("/") / name
        write_whole(path, content, below=self.folder)

    def ui_command(self, arguments: Sequence[str]) -> list[str]:
        """MLflow's arguments for its UI, started in this folder, for this machine only; later ones win."""
        return [
            *("ui", "--backend-store-uri", f"sqlite:///{DATABASE}"),
            *("--artifacts-destination", ARTIFACTS),
            *("--host", "127.0.0.1", "--workers", "1", *arguments),
        ]


def _sqlite(folder: Path, name: str) -> str:
    """SQLAlchemy's address of a file in a folder that may be called anything (`?`, `%41`, a quote).

    It goes by a descriptor of the folder, which stays open: no sign of the folder's name is in it.
    """
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    facts = os.fstat(handle)
    kept = _FOLDERS.setdefault((facts.st_dev, facts.st_ino), handle)
    if kept != handle:
        os.close(handle)
    return f"sqlite:////proc/self/fd/{kept}/{name}"


def _within(limit_s: float, call: Any) -> Exception | None:
    """The error of a call, None where it returns; TimeoutError where it takes longer than `limit_s`.

    A server that sends a byte now and then would hold it for ever.
    """
    ended: list[Exception | None] = []

    def run() -> None:
        try:
            call()
            ended.append(None)
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit_s)
    return ended[0] if ended else TimeoutError(f"no answer within {limit_s:g} s.")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
