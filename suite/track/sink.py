"""Where the importer writes: MLflow's client, or one transaction in the store's own data base."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from suite.track.about import DataSet, profile_text
from suite.track.names import LONGEST_NAME, text
from suite.track.rows import Row

USER = "suite"
_FIXED_TAGS = {"mlflow.user": USER, "mlflow.source.name": USER}


class Stored(NamedTuple):
    """A run that the store holds. state: RUNNING, FINISHED, FAILED or KILLED."""

    identity: str
    state: str
    tags: Mapping[str, str]
    artifact_uri: str


class Sink(Protocol):
    """What an import does to a store. Both kinds leave the same rows in every table."""

    def stored(self, experiment: str, tags: Mapping[str, str]) -> list[Stored]:
        """The runs of an experiment that have these tags; those that were deleted are not among them."""

    def create(
        self, experiment: str, name: str, start_ms: int, tags: Mapping[str, Any]
    ) -> Stored: ...

    def log(
        self,
        identity: str,
        rows: Sequence[Row] = (),
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        """Rows that are there already are ignored; tags are set anew; None values are left out."""

    def end(self, identity: str, state: str, end_ms: int) -> None:
        """state: FINISHED, FAILED, KILLED, or RUNNING."""

    def use(self, experiment: str, identity: str, data: DataSet) -> None:
        """Say what a run was trained on; once said, nothing changes."""

    def attach(self, run: Stored, name: str, content: bytes) -> None:
        """A file as an artifact of a run; name: its path there."""


def first_tags(tags: Mapping[str, Any]) -> dict[str, Any]:
    """The tags that a run is made with."""
    return {**_FIXED_TAGS, **tags}


def title(name: str) -> str:
    """A run's name as MLflow takes it."""
    return text(name, LONGEST_NAME)


def data_set_columns(data: DataSet) -> dict[str, str]:
    """A data set as MLflow's tables and entities call its parts, bounded as they are."""
    return {
        "name": text(data.name, 500),
        "digest": text(data.digest, 36),
        "source_type": "swiftbench",
        "source": text(json.dumps({"origin": data.source}), 60_000),
        "profile": text(profile_text(data), 60_000),
    }


CONTEXT = ("mlflow.data.context", "training")
