"""Trials, jobs, decisions, events, commands: frozen dataclasses that travel between the floors.

Units: times in seconds (`_s`), epochs are totals trained (1-based), objectives are always
minimised. `time_s` is seconds since the run began, stamped by the backend on rank 0; a resumed run
continues its clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Curve = tuple[float, ...]
"""Objective after epoch 1, 2, ...; always minimised; len(curve) == epochs trained."""

Config = dict[str, Any]
"""One point of a space: hyperparameter name -> value."""

Rows = tuple[tuple[float, ...], ...]
"""A matrix as nested tuples: what a decision carries, so that it can be compared and journaled
exactly.
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration and the curve it has so far.

    `seed` addresses every random choice of its training. failed: it diverged or was given up.
    """

    trial_id: int
    config: Config
    seed: int
    curve: Curve = ()
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """Train trial `trial_id` from `from_epoch` to `to_epoch`, both totals.

    A retried job has a new job_id.
    """

    job_id: int
    trial_id: int
    from_epoch: int
    to_epoch: int
    config: Config
    seed: int


# --- decisions: what a scheduler asks for


@dataclass(frozen=True, slots=True)
class Train:
    """Train this trial until its curve holds `to_epoch` epochs."""

    trial_id: int
    to_epoch: int


@dataclass(frozen=True, slots=True)
class Predict:
    """Fit a predictor on X[n, n_features], y[n] and extrapolate X_new[m, n_features]; answered by a
    Forecast.

    `key` names bracket, rung and epoch and carries a digest of X and y, so that an answer cannot
    meet another question. `with_std`: each value is wanted with its standard deviation; a predictor
    that has none cannot answer.
    """

    key: str
    X: Rows
    y: tuple[float, ...]
    X_new: Rows
    with_std: bool = False


@dataclass(frozen=True, slots=True)
class Propose:
    """Draw this trial's configuration now, from what has been seen; it is trained later."""

    trial_id: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to hand out until something is told."""


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing will ever be handed out again."""


WAIT = Wait()
DONE = Done()
Decision = Train | Predict | Propose | Wait | Done


# --- events: what happened

FailureReason = Literal["diverged", "trial", "checkpoint", "storage", "contract", "retry"]
"""Why a job ended early: `diverged` and `trial` give the trial up, `checkpoint` restarts it from an older
checkpoint, `storage` (a full disk) and `contract` (a target that never gives its metric) stop the run,
`retry` sends it to another worker.
"""

EndStatus = Literal["completed", "failed"]
"""How a search ends."""


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker is ready. `facts` is a description of its host and device for the record, without
    names of people.
    """

    kind: ClassVar[str] = "joined"
    worker: int
    time_s: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One epoch of one job: its objective (minimised, finite), metrics, and seconds of training and
    evaluation.
    """

    kind: ClassVar[str] = "epoch"
    worker: int
    job_id: int
    epoch: int
    objective: float
    metrics: Mapping[str, float]
    train_s: float
    eval_s: float
    time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class EpochBatch:
    """Several EpochReports of one job at once, from `epoch` on: what a simulation hands up.

    It is journaled as they would be; a reader cannot tell the difference. Lists run over epochs.
    `ends_s`, one longer than the others: when each epoch began and the last one ended, since
    `origin_s`; seconds of an epoch are made of it where they are written.
    """

    kind: ClassVar[str] = "epoch"
    worker: int
    job_id: int
    epoch: int
    objectives: Sequence[float]
    metric: str
    values: Sequence[float]
    origin_s: float
    ends_s: Sequence[float]
    time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """A checkpoint of `epoch` is on disk: a lost job restarts from there."""

    kind: ClassVar[str] = "checkpointed"
    worker: int
    job_id: int
    epoch: int
    time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class JobFinished:
    """The job reached its `to_epoch`.

    Seconds: restore (load, or build), checkpoint (save), busy (the whole job). energy_j: of the
    worker's device since the worker joined, where its meter could be read.
    """

    kind: ClassVar[str] = "finished"
    worker: int
    job_id: int
    restore_s: float = 0.0
    checkpoint_s: float = 0.0
    busy_s: float = 0.0
    time_s: float = 0.0
    energy_j: float | None = None


@dataclass(frozen=True, slots=True)
class JobFailed:
    """The job ended early, for one of the reasons of `FailureReason`."""

    kind: ClassVar[str] = "failed"
    worker: int
    job_id: int
    reason: FailureReason
    message: str
    time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """A worker died, went silent, or left; it never comes back."""

    kind: ClassVar[str] = "lost"
    worker: int
    message: str
    time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """The answer to a Predict: one value for each row of X_new (None where the predictor gave no
    finite number); `stds` likewise, where the question was `with_std`.

    sampler: what annealed, for annealed predictors; sampler_info: what of it can be counted (calls,
    reads, chain breaks, device seconds, a fallback and why), where this answer needed a new fit.
    """

    kind: ClassVar[str] = "forecast"
    key: str
    values: tuple[float | None, ...]
    fit_s: float
    predict_s: float
    sampler: str | None = None
    time_s: float = 0.0
    stds: tuple[float | None, ...] | None = None
    sampler_info: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ForecastFailed:
    """The predictor raised: the scheduler continues without a forecast (and trains what it would have
    cut).
    """

    kind: ClassVar[str] = "forecast_failed"
    key: str
    reason: str
    message: str
    time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Resumed:
    """A new process took the journal over: every worker is gone.

    Jobs in flight return to the queue in job order. `settings`: what of the conductor's settings is
    another from here on. `process`: code, versions, revision and image of the new process.
    """

    kind: ClassVar[str] = "resumed"
    time_s: float = 0.0
    settings: Mapping[str, int] = field(default_factory=dict)
    process: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """The winner on the test split, after the search ended.

    `test_value` is in the target's own unit and direction.
    """

    kind: ClassVar[str] = "scored"
    worker: int
    job_id: int
    test_value: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Allocation:
    """Where the run ends with its batch job (budget.end=job): when that is, for the process that trains now.

    end_ms: on the run's clock, margin_ms before the job's own end. job: the batch system's number, empty
    where it states none. Comes before any worker, and again where the end was measured to take longer.
    """

    kind: ClassVar[str] = "allocation"
    end_ms: int
    margin_ms: int
    job: str = ""
    time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class BudgetUsed:
    """A budget of the run is used up: no job begins any more, those that train end with their epoch.

    limit: the conductor's setting that is reached, or who asked for the end (suite.run.budget.ENDS).
    """

    kind: ClassVar[str] = "budget_used"
    limit: str
    time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class JobStopped:
    """After BudgetUsed: the job ended with an epoch before its last; its checkpoint was written before."""

    kind: ClassVar[str] = "job_stopped"
    worker: int
    job_id: int
    time_s: float = 0.0


Event = (
    WorkerJoined
    | EpochReport
    | EpochBatch
    | Checkpointed
    | JobFinished
    | JobFailed
    | WorkerLost
    | Forecast
    | ForecastFailed
    | Resumed
    | Scored
    | Allocation
    | BudgetUsed
    | JobStopped
)
EVENTS: dict[str, type] = {
    cls.kind: cls
    for cls in (
        WorkerJoined, EpochReport, Checkpointed, JobFinished, JobFailed,
        WorkerLost, Forecast, ForecastFailed, Resumed, Scored, Allocation, BudgetUsed, JobStopped,
    )
}  # fmt: skip


# --- commands: what the backend shall do


@dataclass(frozen=True, slots=True)
class Start:
    """Send the job to the worker.

    The job's trial has a valid checkpoint at `job.from_epoch` (0: start afresh).
    """

    worker: int
    job: Job


@dataclass(frozen=True, slots=True)
class Ask:
    """Fit and predict beside the loop; the answer comes back as a Forecast or a ForecastFailed."""

    request: Predict


@dataclass(frozen=True, slots=True)
class Score:
    """Evaluate the trial's checkpoint at `job.to_epoch` (== from_epoch) on the test split; answered
    by Scored.
    """

    worker: int
    job: Job


@dataclass(frozen=True, slots=True)
class Release:
    """The worker is not needed until the search ends: it gets no job any more, and its node may go."""

    worker: int


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The run is over."""

    status: EndStatus
    reason: str = ""


Command = Start | Ask | Score | Release | Shutdown
