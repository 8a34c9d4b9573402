"""Floor 4: what readers see of a run: frozen dataclasses, made from the journal by projection.

Times are seconds since the run began (`_s`, on the journal's own clock, which a resumed run
continues); objectives are minimised, and `RunView.value()` turns one into the metric's own
direction.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from suite.core import types as t
from suite.core.metric import Metric
from suite.results.header import RunHeader
from suite.results.workers import (
    Energy,
    HandedBack,
    Usage,
    WorkerView,
    _joined,
    energy,
    handed_back,
    usage,
)
from suite.run.reported_curve import ReportCounts

Status = Literal["completed", "failed", "interrupted", "unfinished"]
"""Of a run: what its closing line says; `unfinished` without one (it runs still, or was killed)."""

TrialStatus = Literal["finished", "stopped", "cut", "diverged", "given up", "open"]
"""finished: trained for max_epochs; stopped: by a prediction, at `stopped_at`; cut: not promoted by
the scheduler; open: the search is not over, so nobody knows."""

Outcome = Literal["finished", "failed", "lost", "cut", "running"]
"""failed: the worker said so; lost: it is gone; cut: meanwhile the run ended or was resumed."""


@dataclass(frozen=True, slots=True)
class EpochView:
    """One point of a learning curve. `epoch` counts from 1; `metrics` in their own direction."""

    epoch: int
    objective: float
    metrics: Mapping[str, float]
    train_s: float
    eval_s: float
    time_s: float
    worker: int
    job_id: int


@dataclass(frozen=True, slots=True)
class TrialView:
    """One configuration and its fate. len(epochs) == epochs trained; `reason`: why given up."""

    trial_id: int
    config: Mapping[str, Any]
    seed: int
    bracket: int | None
    epochs: tuple[EpochView, ...]
    status: TrialStatus
    stopped_at: int | None
    reason: str | None

    @property
    def curve(self) -> t.Curve:
        """Objective (minimised) after epoch 1, 2, ..."""
        return tuple(point.objective for point in self.epochs)


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as rank 0 saw it, from sending it (`start_s`) to its end (`end_s`; None: it runs).

    kind: "train", or "score" (the winner on the test split). train_s, eval_s: sums over its epoch
    reports. busy_s: the worker's own clock, from receipt to answer; it, restore_s and checkpoint_s
    are None where the job did not finish, and for scores.
    """

    job_id: int
    kind: Literal["train", "score"]
    worker: int
    trial_id: int
    from_epoch: int
    to_epoch: int
    start_s: float
    end_s: float | None
    outcome: Outcome
    n_epochs: int
    train_s: float
    eval_s: float
    restore_s: float | None
    checkpoint_s: float | None
    busy_s: float | None
    message: str | None


@dataclass(frozen=True, slots=True)
class ForecastView:
    """An answer of the predictor: fitted on n rows, extrapolated m; values None: see `message`."""

    key: str
    n: int
    m: int
    asked_s: float
    time_s: float
    fit_s: float
    predict_s: float
    sampler: str | None
    sampler_info: dict[str, Any] | None
    values: tuple[float | None, ...] | None
    message: str | None

    @property
    def failed(self) -> bool:
        return self.values is None

    @property
    def predictor_s(self) -> float:
        return self.fit_s + self.predict_s


@dataclass(frozen=True, slots=True)
class Incumbent:
    """Best objective so far (minimised) once `n_epochs` epochs were trained in all, at `time_s`."""

    n_epochs: int
    time_s: float
    best: float
    trial_id: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Overhead:
    """Seconds of workers that trained and evaluated nothing new.

    other_s: of finished jobs, outside of training, evaluation, restore and checkpoint; dispatch_s:
    between rank 0's sending and the worker's beginning, and back; retrained_s: training and
    evaluation of epochs that were known.
    """

    restore_s: float
    checkpoint_s: float
    other_s: float
    dispatch_s: float
    retrained_s: float

    @property
    def total_s(self) -> float:
        return (
            self.restore_s + self.checkpoint_s + self.other_s + self.dispatch_s + self.retrained_s
        )


@dataclass(slots=True)
class RunCounts(ReportCounts):
    """What a run trained, more than once too, and how often it was started.

    n_epochs, n_retrained, n_differences, max_difference: see ReportCounts. n_ahead: epochs beyond
    what a decision gave their trial; they stand in no curve. retrained_s: seconds spent on epochs
    that were known. n_resumes: resumes in the journal. n_restarts: restarts reported by the batch
    system, None if unknown.
    """

    n_ahead: int = 0
    retrained_s: float = 0.0
    n_resumes: int = 0
    n_restarts: int | None = None


@dataclass(frozen=True, slots=True)
class JournalRead:
    """The part of the journal that was read. sha256: of its whole lines."""

    n_lines: int
    n_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class RunView:
    """A run, read. `header`: the journal's first line, cleaned and parsed; `trials`: in the order met.

    anytime: one point an improvement, in the journal's order, and a last one where the run ended (so far);
    by_time: the same in the order of time, which differs where a simulated job tells its epochs together at
    its end. winner: lowest
    objective at max_epochs once the search is over, else None; where a budget ended the run before any
    trial had max_epochs, the lowest at a trial's last epoch, if that has a checkpoint. test_value: the
    winner's, in the metric's own direction. job_energy: the batch system's answer at each close.
    allocations: the batch jobs of a run that ends with its job, and where that end moved.
    measured: figures that the searcher and the scheduler took of themselves. limits: of time, in
    milliseconds, as in force at the journal's end (suite.run.budget.LIMITS). doubts: a sentence on each
    thing that does not fit, in the journal or in the record beside it; every reader says them
    (suite.results.doubts).
    """

    folder: Path
    header: RunHeader
    status: Status
    reason: str
    trials: Mapping[int, TrialView]
    jobs: tuple[JobView, ...]
    forecasts: tuple[ForecastView, ...]
    workers: tuple[WorkerView, ...]
    anytime: tuple[Incumbent, ...]
    by_time: tuple[Incumbent, ...]
    winner: int | None
    test_value: float | None
    test_metrics: Mapping[str, float]
    time_s: float
    counts: RunCounts
    journal: JournalRead
    job_energy: tuple[Mapping[str, Any], ...] = ()
    allocations: tuple[t.Allocation, ...] = ()
    measured: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    @property
    def n_epochs(self) -> int:
        """Epochs trained, each counted once."""
        return self.counts.n_epochs

    @property
    def wall_s(self) -> float:
        """Seconds from the run's begin to its last line, less those between a cut and a resume."""
        return self.time_s

    @property
    def mode(self) -> str:
        return self.header.metric.mode

    @property
    def metric(self) -> str:
        return self.header.metric.name

    def value(self, objective: float) -> float:
        """An objective (minimised) in the metric's own direction."""
        return Metric(self.metric, self.mode).value(objective)

    @property
    def best(self) -> Incumbent | None:
        """The lowest objective of any epoch of any trial."""
        return self.anytime[-1] if self.anytime else None

    @property
    def began(self) -> datetime.datetime:
        """The header's date, which all `time_s` count from."""
        return self.header.began

    @property
    def predictor_s(self) -> float:
        return sum(forecast.predictor_s for forecast in self.forecasts)

    @property
    def warm_up_s(self) -> float | None:
        """Seconds of all workers before they joined. None: none said (earlier journals, made-up time)."""
        said = [worker.warm_up_s for worker in self.workers if worker.warm_up_s is not None]
        return sum(said) if said else None

    @property
    def busy_s(self) -> float:
        return sum(worker.busy_s for worker in self.workers)

    @property
    def idle_share(self) -> float | None:
        """Share of the workers' time, joining to leaving, without a job; None where none joined."""
        total = sum(worker.left_s - worker.joined_s for worker in self.workers)
        return sum(worker.idle_s for worker in self.workers) / total if total > 0 else None

    @property
    def usage(self) -> Usage:
        return usage(self.workers, self.time_s)

    @property
    def handed_back(self) -> HandedBack:
        return handed_back(self.workers, self.time_s)

    @property
    def energy(self) -> Energy:
        """What the workers' meters counted; else what the batch system says of the job."""
        found = energy(self.workers, self.time_s)
        said = [x for x in self.job_energy if x.get("joules") is not None]
        if found.joules is not None or not said:
            whys = [found.why, *(x.get("why") for x in self.job_energy)]
            return replace(found, why=_joined(whys)) if found.joules is None else found
        joules = sum(float(x["joules"]) for x in said)
        words = [_joined(x.get(key) for x in said) for key in ("source", "scope", "excludes")]
        return Energy(joules, words[0] or "slurm", words[1], words[2])

    @property
    def overhead(self) -> Overhead:
        done = [job for job in self.jobs if job.busy_s is not None]
        restore = sum(job.restore_s or 0.0 for job in done)
        checkpoint = sum(job.checkpoint_s or 0.0 for job in done)
        busy = sum(job.busy_s or 0.0 for job in done)
        seen = sum((job.end_s or 0.0) - job.start_s for job in done)
        other = busy - sum(job.train_s + job.eval_s for job in done) - restore - checkpoint
        return Overhead(
            restore, checkpoint, max(other, 0.0), max(seen - busy, 0.0), self.counts.retrained_s
        )
