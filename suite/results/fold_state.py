"""What a fold keeps while it goes through a journal: a trial, a job, the life of a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from suite.core import types as t
from suite.results.run_view import EpochView, Outcome
from suite.run.trials import TrialState


@dataclass(slots=True)
class Trial:
    """state: its curve, as the Conductor keeps it. epochs: the reports that the curve is made of."""

    state: TrialState
    bracket: int | None
    epochs: list[EpochView] = field(default_factory=list)


@dataclass(slots=True)
class Job:
    kind: Literal["train", "score"]
    worker: int
    job: t.Job
    start_s: float
    end_s: float | None = None
    outcome: Outcome = "running"
    n_epochs: int = 0
    train_s: float = 0.0
    eval_s: float = 0.0
    restore_s: float | None = None
    checkpoint_s: float | None = None
    busy_s: float | None = None
    message: str | None = None

    def end(self, outcome: Outcome, time_s: float, message: str | None = None) -> None:
        self.outcome, self.end_s, self.message = outcome, time_s, message


@dataclass(slots=True)
class Life:
    """One life of a worker."""

    worker: int
    joined_s: float
    facts: Mapping[str, Any]
    left_s: float | None = None
    lost: str | None = None
    released: bool = False
    # The job that it does.
    busy: int | None = None
    jobs: list[Job] = field(default_factory=list)
    readings: list[tuple[float, float]] = field(default_factory=list)
