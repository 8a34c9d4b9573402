"""A run into the store's own data base in one transaction, through MLflow's models of its tables.

MLflow's client commits three times a trial or more: of a search with thousands of trials, nearly all of
the time is spent waiting for the disk. Here a search is one commit. The rows are those that the client writes
(`tests/track/test_bulk.py` compares every table); a column that is not known here means another MLflow, and
the client is taken.
"""

from __future__ import annotations

import contextlib
import math
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from suite.track.about import DataSet
from suite.track.contract import StoreError, TrackingError
from suite.track.names import LONGEST_PARAM, LONGEST_TAG, mlflow_name, texts
from suite.track.rows import Row
from suite.track.sink import CONTEXT, USER, Stored, data_set_columns, first_tags, title

# Rows that are kept before they are sent; the transaction ends later.
_MOST_ROWS = 20_000
_LARGEST = 1.7976931348623157e308
_KNOWN = {
    "runs": "run_uuid name source_type source_name entry_point_name user_id status start_time end_time "
    "deleted_time source_version lifecycle_stage artifact_uri experiment_id",
    "tags": "key value run_uuid",
    "params": "key value run_uuid",
    "metrics": "key value timestamp step is_nan run_uuid",
    "latest_metrics": "key value timestamp step is_nan run_uuid",
    "datasets": "dataset_uuid experiment_id name digest dataset_source_type dataset_source dataset_schema "
    "dataset_profile",
    "inputs": "input_uuid source_type source_id destination_type destination_id step",
    "input_tags": "input_uuid name value",
}
_OF_RUNS = ("runs", "tags", "params", "metrics", "latest_metrics")
_Key = tuple[str, str]


def unknown_columns() -> list[str]:
    """Columns of the installed MLflow's tables for runs that this module does not fill, or does not find."""
    return [
        f"{name}.{column}"
        for name, table in _tables().items()
        for column in sorted(set(_KNOWN[name].split()) ^ {column.name for column in table.columns})
    ]


def _tables() -> dict[str, Any]:
    from mlflow.store.tracking.dbmodels import models

    classes: Any = (
        models.SqlRun, models.SqlTag, models.SqlParam, models.SqlMetric, models.SqlLatestMetric,
        models.SqlDataset, models.SqlInput, models.SqlInputTag,
    )  # fmt: skip
    return {model.__tablename__: model.__table__ for model in classes}


@contextlib.contextmanager
def transaction(engine: Any, name: str) -> Iterator[Any]:
    """A connection whose rows are all there afterwards, or none. name: of the store, for errors.

    Raises StoreError where the data base cannot be read or written.
    """
    import sqlalchemy.exc

    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
            connection.exec_driver_sql("PRAGMA busy_timeout = 20000")
            # A transaction that SQLAlchemy began for these is in the way of the next word.
            connection.commit()
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise
    except sqlalchemy.exc.IntegrityError as error:
        raise TrackingError(f"store={name}: mlflow.db refuses a row: {error.orig}.") from None
    except sqlalchemy.exc.DBAPIError as error:
        raise StoreError(f"store={name}: {why(error.orig)}") from None


def why(error: object) -> str:
    """What SQLite said, and the remedy."""
    message = str(error)
    if "locked" in message or "busy" in message:
        remedy = "another program writes to it; import again when it has ended"
    elif "full" in message or "space" in message:
        remedy = "make room and import again; nothing of this run was written"
    elif any(word in message for word in ("readonly", "Read-only", "unable to open", "denied")):
        remedy = "name a folder that can be written (--store, SUITE_STORE)"
    else:
        remedy = "restore a copy of it, or name another folder (--store, SUITE_STORE)"
    return f"mlflow.db: {message}; {remedy}."


class Bulk:
    """A Sink over a connection that is in a transaction. attach: writes an artifact."""

    def __init__(self, connection: Any, attach: Callable[[Stored, str, bytes], None]) -> None:
        self._connection, self._attach = connection, attach
        self._table = _tables()
        self._runs: list[dict[str, Any]] = []
        self._tags: dict[_Key, str] = {}
        self._params: dict[_Key, str] = {}
        self._metrics: list[dict[str, Any]] = []
        self._latest: dict[_Key, dict[str, Any]] = {}
        self._ends: dict[str, tuple[str, int | None]] = {}
        self._locations: dict[str, str] = {}
        self._files: list[tuple[Stored, str, bytes]] = []

    def stored(self, experiment: str, tags: Mapping[str, str]) -> list[Stored]:
        import sqlalchemy as sa

        self._flush()
        runs, labels = self._table["runs"].c, self._table["tags"].c
        wanted = sa.select(runs.run_uuid).where(
            runs.experiment_id == int(experiment), runs.lifecycle_stage == "active"
        )
        for key, value in tags.items():
            having = sa.select(labels.run_uuid).where(labels.key == key, labels.value == value)
            wanted = wanted.where(runs.run_uuid.in_(having))
        having_all = sa.select(labels.run_uuid, labels.key, labels.value).where(
            labels.run_uuid.in_(wanted)
        )
        tags_of: dict[str, dict[str, str]] = {}
        for identity, key, value in self._connection.execute(having_all):
            tags_of.setdefault(identity, {})[key] = value
        facts = sa.select(runs.run_uuid, runs.status, runs.artifact_uri).where(
            runs.run_uuid.in_(wanted)
        )
        # As MLflow's search orders them.
        facts = facts.order_by(runs.start_time.desc(), runs.run_uuid)
        return [
            Stored(identity, state, tags_of.get(identity, {}), uri)
            for identity, state, uri in self._connection.execute(facts)
        ]

    def create(self, experiment: str, name: str, start_ms: int, tags: Mapping[str, Any]) -> Stored:
        from mlflow.utils.uri import append_to_uri_path

        identity, shown = uuid.uuid4().hex, title(name)
        append: Any = append_to_uri_path
        uri = append(self._location(experiment), identity, "artifacts")
        self._runs.append({
            "run_uuid": identity, "name": shown, "artifact_uri": uri, "experiment_id": int(experiment),
            "source_type": "UNKNOWN", "source_name": "", "entry_point_name": "", "source_version": "",
            "user_id": USER, "status": "RUNNING", "start_time": start_ms, "end_time": None,
            "deleted_time": None, "lifecycle_stage": "active",
        })  # fmt: skip
        self._set_tags(identity, {**first_tags(tags), "mlflow.runName": shown})
        return Stored(identity, "RUNNING", texts(first_tags(tags), LONGEST_TAG), uri)

    def log(
        self,
        identity: str,
        rows: Sequence[Row] = (),
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        for key, value in texts(params or {}, LONGEST_PARAM).items():
            self._params[identity, key] = value
        for row in rows:
            self._add(identity, row)
        self._set_tags(identity, tags or {})
        if len(self._metrics) + len(self._tags) + len(self._params) > _MOST_ROWS:
            self._flush()

    def end(self, identity: str, state: str, end_ms: int) -> None:
        self._ends[identity] = (state, None if state == "RUNNING" else end_ms)

    def use(self, experiment: str, identity: str, data: DataSet) -> None:
        import sqlalchemy as sa

        # A row of `inputs` names runs that must be there.
        self._flush()
        columns = data_set_columns(data)
        data_sets, inputs = self._table["datasets"], self._table["inputs"]
        same = sa.select(data_sets.c.dataset_uuid).where(
            data_sets.c.experiment_id == int(experiment), data_sets.c.name == columns["name"],
            data_sets.c.digest == columns["digest"],
        )  # fmt: skip
        source = self._connection.execute(same).scalar()
        if source is None:
            source = uuid.uuid4().hex
            named = {
                k if k in ("name", "digest") else f"dataset_{k}": v for k, v in columns.items()
            }
            row = {"dataset_uuid": source, "experiment_id": int(experiment), **named}
            self._send(sa.insert(data_sets), [row])
        ends = {"source_type": "DATASET", "source_id": source, "destination_type": "RUN"}
        ends["destination_id"] = identity
        known = sa.select(inputs.c.input_uuid).filter_by(**ends)
        if self._connection.execute(known).scalar() is None:
            tie = uuid.uuid4().hex
            self._send(sa.insert(inputs), [{"input_uuid": tie, **ends}])
            label = dict(zip(("name", "value"), CONTEXT, strict=True))
            self._send(sa.insert(self._table["input_tags"]), [{"input_uuid": tie, **label}])

    def attach(self, run: Stored, name: str, content: bytes) -> None:
        self._files.append((run, name, content))

    def finish(self) -> None:
        """Send all rows, then write the artifacts; the transaction is committed by its owner."""
        self._flush()
        for run, name, content in self._files:
            self._attach(run, name, content)

    # --- rows -------------------------------------------------------------------------------------

    def _location(self, experiment: str) -> str:
        """Where the artifacts of an experiment are."""
        import sqlalchemy as sa
        from mlflow.store.tracking.dbmodels.models import SqlExperiment

        if experiment not in self._locations:
            columns: Any = SqlExperiment.__table__.c
            location = sa.select(columns.artifact_location)
            location = location.where(columns.experiment_id == int(experiment))
            self._locations[experiment] = str(self._connection.execute(location).scalar_one())
        return self._locations[experiment]

    def _set_tags(self, identity: str, tags: Mapping[str, Any]) -> None:
        for key, value in texts(tags, LONGEST_TAG).items():
            self._tags[identity, key] = value

    def _add(self, identity: str, row: Row) -> None:
        is_nan, value = _stored_value(row.value)
        key = mlflow_name(row.metric)
        metric = {
            "run_uuid": identity, "key": key, "value": value, "is_nan": is_nan,
            "timestamp": row.time_ms, "step": row.step,
        }  # fmt: skip
        self._metrics.append(metric)
        last = self._latest.get((identity, key))
        if last is None or _age(metric) > _age(last):
            self._latest[identity, key] = metric

    def _flush(self) -> None:
        import sqlalchemy as sa
        from sqlalchemy.dialects.sqlite import insert

        runs, tags, params, metrics, latest = (self._table[name] for name in _OF_RUNS)
        self._send(sa.insert(runs), self._runs)
        new_tag = insert(tags)
        self._send(
            new_tag.on_conflict_do_update(
                index_elements=["key", "run_uuid"], set_={"value": new_tag.excluded.value}
            ),
            _pairs(self._tags),
        )
        # Parameters cannot be changed.
        self._send(insert(params).on_conflict_do_nothing(), _pairs(self._params))
        self._send(insert(metrics).on_conflict_do_nothing(), self._metrics)
        newest = insert(latest)
        new = newest.excluded
        self._send(
            newest.on_conflict_do_update(
                index_elements=["key", "run_uuid"],
                set_={name: new[name] for name in ("value", "timestamp", "step", "is_nan")},
                where=sa.tuple_(new.step, new.timestamp, new.value)
                > sa.tuple_(latest.c.step, latest.c.timestamp, latest.c.value),
            ),
            list(self._latest.values()),
        )
        ended = (
            sa.update(runs)
            .where(runs.c.run_uuid == sa.bindparam("of_run"))
            .values(
                status=sa.bindparam("state"),
                end_time=sa.func.coalesce(sa.bindparam("ended"), runs.c.end_time),
            )
        )
        ends = [
            {"of_run": run, "state": state, "ended": end_ms}
            for run, (state, end_ms) in self._ends.items()
        ]
        self._send(ended, ends)
        for sent in (self._runs, self._metrics):
            sent.clear()
        for named in (self._tags, self._params, self._latest, self._ends):
            named.clear()

    def _send(self, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self._connection.execute(statement, rows)


def _pairs(named: Mapping[_Key, str]) -> list[dict[str, str]]:
    return [
        {"run_uuid": identity, "key": key, "value": value}
        for (identity, key), value in named.items()
    ]


def _stored_value(value: float) -> tuple[bool, float]:
    """As MLflow stores it: (whether it is NaN, a finite number)."""
    if math.isnan(value):
        return True, 0.0
    return False, max(-_LARGEST, min(_LARGEST, value))


def _age(metric: Mapping[str, Any]) -> tuple[int, int, float]:
    return metric["step"], metric["timestamp"], metric["value"]
