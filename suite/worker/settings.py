"""The worker's settings: those that every leaf of conf/backend has in common."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal, Self, get_type_hints

from msgspec import Meta

from suite.core.settings import checked
from suite.worker.checkpoints import CheckpointPlace

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """Settings of conf/backend/auto.yaml, which has their defaults; times in seconds.

    threads: of a worker, set before a framework is imported; curves are equal for equal threads.
    device: auto (a GPU each where there is one), cpu or cuda. resident_trials: trials that a worker keeps
    in memory. checkpoint: job (one at each job's end, and within it every checkpoint_every_s), or none (a
    trial lives as long as it is resident). checkpoints: a folder that runs share, each in a
    folder of its run_id; None: inside the run folder.
    report_timeout_s: a busy worker that is silent for longer is given up. pause_before_s: before the end
    of the batch job trials are checkpointed and the run pauses. ranks_per_trial: neighbouring ranks of one
    node that train one trial together. group_interface: of the network between nodes, over which the ranks of
    a trial may be on several. share_gpus: whether more workers than GPUs on a node share them.
    join_timeout_s: time to import the framework and load the data. agreement: what becomes of a worker
    whose data set, code or versions are not those of the run, or of a run that is resumed on other data:
    refuse, or record (it trains, and the journal and the record name the difference). shrink_job: whether
    Slurm is asked to take nodes out of the job of which all workers were released.

    Raises ConfigError for a setting of another type or outside its bounds.
    """

    threads: Count
    device: Literal["auto", "cpu", "cuda"]
    resident_trials: Count
    checkpoint: Literal["job", "none"]
    checkpoint_every_s: Seconds
    checkpoints: str | None
    report_timeout_s: Seconds
    pause_before_s: Annotated[float, Meta(ge=0)]
    ranks_per_trial: Count
    group_interface: Annotated[str, Meta(min_length=1, max_length=15)] | None
    share_gpus: bool
    join_timeout_s: Seconds
    agreement: Literal["refuse", "record"]
    shrink_job: bool

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self), include_extras=True)
        for field in fields(self):
            value = checked(getattr(self, field.name), hints[field.name], f"backend.{field.name}")
            object.__setattr__(self, field.name, value)

    @classmethod
    def of(cls, settings: WorkerSettings) -> Self:
        """The fields of `cls` out of `settings`, which may have more."""
        return cls(**{field.name: getattr(settings, field.name) for field in fields(cls)})

    def checkpoint_place(self, run_folder: Path, run_id: str) -> CheckpointPlace:
        """Where the run's checkpoints are, or would be. Raises ConfigError for a run_id that is no name."""
        return CheckpointPlace.of(run_folder, self.checkpoints, run_id)
