"""Runs by MLflow's client interface: servers, and folders whose tables are not known here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from suite.track.about import DataSet
from suite.track.address import without_credentials
from suite.track.contract import StoreError
from suite.track.names import LONGEST_PARAM, LONGEST_TAG, mlflow_name, texts
from suite.track.rows import Row
from suite.track.sink import CONTEXT, USER, Stored, data_set_columns, first_tags, title

# Of one log_batch: MLflow takes 1000 things in all.
_MOST_METRICS, _MOST_OTHERS = 800, 100
# How MLflow's client begins what it says of a server that does not answer.
_NO_ANSWER = "API request to http"


class Client:
    """A Sink over MLflow's AbstractStore. attach: writes an artifact."""

    def __init__(
        self, tracking: Any, name: str, attach: Callable[[Stored, str, bytes], None]
    ) -> None:
        self._tracking, self._name, self._attach = tracking, name, attach
        # Runs made here that have no end: whether they hold data.
        self._open: dict[str, bool] = {}

    def stored(self, experiment: str, tags: Mapping[str, str]) -> list[Stored]:
        from mlflow.entities import ViewType

        where = " AND ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        token, runs = None, []
        with answering(self._name):
            while True:
                page = self._tracking.search_runs(
                    [experiment], where, ViewType.ACTIVE_ONLY, max_results=1000, page_token=token
                )
                runs += [_stored(run) for run in page]
                if not (token := page.token):
                    return runs

    def create(self, experiment: str, name: str, start_ms: int, tags: Mapping[str, Any]) -> Stored:
        with answering(self._name):
            run = self._tracking.create_run(
                experiment, USER, start_ms, _tags(first_tags(tags)), run_name=title(name)
            )
        self._open[run.info.run_id] = False
        return _stored(run)

    def log(
        self,
        identity: str,
        rows: Sequence[Row] = (),
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        from mlflow.entities import Metric, Param

        metrics = [
            Metric(mlflow_name(key), value, time_ms, step) for key, value, time_ms, step in rows
        ]
        settings = [Param(*pair) for pair in texts(params or {}, LONGEST_PARAM).items()]
        labels = _tags(tags or {})
        while metrics or settings or labels:
            with answering(self._name):
                self._tracking.log_batch(
                    identity,
                    metrics[:_MOST_METRICS],
                    settings[:_MOST_OTHERS],
                    labels[:_MOST_OTHERS],
                )
            del metrics[:_MOST_METRICS], settings[:_MOST_OTHERS], labels[:_MOST_OTHERS]
            if identity in self._open:
                self._open[identity] = True

    def end(self, identity: str, state: str, end_ms: int) -> None:
        from mlflow.entities import RunStatus

        ended = None if state == "RUNNING" else end_ms
        with answering(self._name):
            self._tracking.update_run_info(identity, RunStatus.from_string(state), ended, None)
        self._open.pop(identity, None)

    def use(self, experiment: str, identity: str, data: DataSet) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        whole = Dataset(**data_set_columns(data))
        with answering(self._name):
            self._tracking.log_inputs(identity, [DatasetInput(whole, [InputTag(*CONTEXT)])])

    def attach(self, run: Stored, name: str, content: bytes) -> None:
        with answering(self._name):
            self._attach(run, name, content)

    def give_up(self) -> None:
        """After an error: of the runs made here, no empty one stays, and none is called running.

        The next import finds the others and adds what is missing.
        """
        from mlflow.entities import RunStatus

        for identity, has_data in self._open.items():
            with contextlib.suppress(Exception):
                if has_data:
                    killed = RunStatus.from_string("KILLED")
                    self._tracking.update_run_info(identity, killed, None, None)
                else:
                    self._tracking.delete_run(identity)
        self._open.clear()


@contextlib.contextmanager
def answering(name: str) -> Iterator[None]:
    """Around calls of a server: one that does not answer is a StoreError. name: the server's address."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        message = without_credentials(str(error))
        if not message.startswith(_NO_ANSWER):
            raise
        raise StoreError(
            f"uri={name}: does not answer ({_cause(message)}); see that the server runs and can be reached "
            "from here, then import again."
        ) from None


def _cause(message: str) -> str:
    """The innermost reason of an error of requests, which wraps it several times."""
    for word, cause in (
        ("refused", "connection refused"),
        ("Name or service not known", "no such host"),
        ("name resolution", "no such host"),
        ("timed out", "time-out"),
        ("timeout", "time-out"),
        ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted here"),
    ):
        if word in message:
            return cause
    return message.partition("Caused by ")[2][:200] or message[:200]


def _stored(run: Any) -> Stored:
    return Stored(run.info.run_id, run.info.status, run.data.tags, run.info.artifact_uri)


def _tags(values: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import RunTag

    return [RunTag(*pair) for pair in texts(values, LONGEST_TAG).items()]
