"""Floor 4: an MLflow store as the importer needs it: a folder with one writer, or a server.

A folder holds mlflow.db (SQLite) and, beside it, artifacts/ as plain files. No absolute path stands
in the data base, so the folder can be copied to another machine and looked at there.
MLflow is imported inside functions: it costs two seconds and 200 MiB.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError

DATABASE, ARTIFACTS, LOCK = "mlflow.db", "artifacts", "import.lock"
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}
_PROXY = "mlflow-artifacts:/"  # a server resolves it against its --artifacts-destination
_MOST_METRICS, _MOST_OTHERS = 800, 100  # of one log_batch: MLflow takes 1000 things in all
_LONGEST = {"param": 6000, "tag": 5000}
_REFUSED = re.compile(r"[^\w\-. /:]")

Row = tuple[str, float, int, int]
"""metric, value, time [ms since 1970], step"""


class Store:
    """`folder` (made where it is not there), or the `uri` of an MLflow server. Opened when used."""

    def __init__(self, folder: Path | None, uri: str | None = None) -> None:
        os.environ.update(ENVIRONMENT)
        self.folder, self.uri = folder, uri
        self._tracking: Any = None

    @property
    def name(self) -> str:
        """As short as it can be said from here."""
        if self.folder is None:
            return str(self.uri)
        with contextlib.suppress(ValueError):
            return str(self.folder.relative_to(Path.cwd()))
        return str(self.folder)

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
            handle = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(
                f"store={self.name}: {error.strerror}; name a folder that can be written "
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

    @property
    def tracking(self) -> Any:
        """MLflow's AbstractStore: what its client wraps, and the same for files and servers."""
        if self._tracking is None:
            self._tracking = self._server() if self.folder is None else self.prepare()
        return self._tracking

    def _server(self) -> Any:
        from mlflow.store.tracking import rest_store
        from mlflow.utils import credentials

        rest: Any = rest_store.RestStore
        credentials_of: Any = credentials.get_default_host_creds
        return rest(lambda: credentials_of(self.uri))

    def prepare(self) -> Any:
        """Open the data base; a new one is built beside, so that a kill leaves no half schema."""
        from mlflow.store.tracking import sqlalchemy_store

        sql: Any = sqlalchemy_store.SqlAlchemyStore
        assert self.folder is not None
        final, beside = self.folder / DATABASE, self.folder / f".{DATABASE}.part"
        if not final.exists():
            beside.unlink(missing_ok=True)
            print(f"store {self.name}: making it ...", flush=True)
            sql(f"sqlite:///{beside}", _PROXY).engine.dispose()
            beside.rename(final)
        return sql(f"sqlite:///{final}", _PROXY)

    # --- what the importer does -------------------------------------------------------------------

    def experiment(self, name: str) -> str:
        """Its id; made where it is not there. Raises ConfigError where it was deleted."""
        found = self.tracking.get_experiment_by_name(name)
        if found is None:
            return str(self.tracking.create_experiment(name))
        if found.lifecycle_stage != "active":
            raise ConfigError(
                f"experiment={name}: was deleted; restore it, or use another --store."
            )
        return str(found.experiment_id)

    def search(self, experiment: str, tags: Mapping[str, str]) -> Iterator[Any]:
        """MLflow's runs that have these tags."""
        from mlflow.entities import ViewType

        where = " AND ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        token = None
        while True:
            page = self.tracking.search_runs(
                [experiment], where, ViewType.ACTIVE_ONLY, max_results=1000, page_token=token
            )
            yield from page
            if not (token := page.token):
                return

    def create(self, experiment: str, name: str, start_ms: int, tags: Mapping[str, Any]) -> Any:
        fixed = {"mlflow.user": "suite", "mlflow.source.name": "suite"}
        return self.tracking.create_run(
            experiment, "suite", start_ms, _tags({**fixed, **tags}), run_name=name
        )

    def log(
        self,
        mlflow_id: str,
        rows: Sequence[Row] = (),
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        """Rows that are there already are ignored; tags are set anew; None values are left out."""
        from mlflow.entities import Metric

        metrics = [Metric(_key(key), value, ms, step) for key, value, ms, step in rows]
        settings, labels = _params(params or {}), _tags(tags or {})
        while metrics or settings or labels:
            self.tracking.log_batch(
                mlflow_id,
                metrics[:_MOST_METRICS],
                settings[:_MOST_OTHERS],
                labels[:_MOST_OTHERS],
            )
            del metrics[:_MOST_METRICS], settings[:_MOST_OTHERS], labels[:_MOST_OTHERS]

    def end(self, mlflow_id: str, state: str, end_ms: int) -> None:
        """state: FINISHED, FAILED, KILLED, or RUNNING."""
        from mlflow.entities import RunStatus

        status = RunStatus.from_string(state)
        self.tracking.update_run_info(
            mlflow_id, status, None if state == "RUNNING" else end_ms, None
        )

    def attach(self, run: Any, name: str, text: str) -> None:
        """Text as an artifact of one of MLflow's runs."""
        if self.folder is None:
            from mlflow import MlflowClient

            MlflowClient(self.uri).log_text(run.info.run_id, text, name)
            return
        place = run.info.artifact_uri.removeprefix(_PROXY).strip("/")
        folder = self.folder / ARTIFACTS / place
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / f".{name}.part"
        beside.write_text(text, encoding="utf-8")
        beside.rename(folder / name)

    def ui_command(self, arguments: Sequence[str]) -> list[str]:
        """MLflow's arguments for its UI on this folder, for this machine only; later ones win."""
        assert self.folder is not None
        return [
            *("ui", "--backend-store-uri", f"sqlite:///{self.folder / DATABASE}"),
            *("--artifacts-destination", str(self.folder / ARTIFACTS)),
            *("--host", "127.0.0.1", "--workers", "1", *arguments),
        ]


def _key(name: str) -> str:
    return _REFUSED.sub("_", name)[:250]


def _params(values: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(_key(k), str(v)[: _LONGEST["param"]]) for k, v in values.items() if v is not None]


def _tags(values: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import RunTag

    return [RunTag(_key(k), str(v)[: _LONGEST["tag"]]) for k, v in values.items() if v is not None]
