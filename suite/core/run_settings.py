"""The settings of one run: what `conf/config.yaml` holds, typed and frozen. Defaults stand in YAML alone.

The leaves (scheduler, predictor, searcher, model) are checked when their classes are made: `plugins.make`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from suite.core.settings import parse

Natural = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Epochs = Annotated[int, Meta(ge=1, le=1_000_000)]
"""Of one trial. Each epoch is a line of the journal, and curves are held in memory."""
Hours = Annotated[float, Meta(gt=0, le=1e8)]
Leaf = Mapping[str, Any]
"""A `_target_` and its constructor's arguments."""

NOT_KEPT = ("resume", "report", "tracking", "compare_across_overlap", "n_jobs")
"""Settings that a journal does not hold: they say nothing of what is decided or trained."""


@dataclass(frozen=True)
class Choices:
    """What a run is known by: its YAML files. None where an older journal does not say.

    algorithm: the derived name (suite.launch.names). task: a curve table with its epochs, None: no task.
    """

    algorithm: str
    scheduler: str | None
    predictor: str | None
    searcher: str | None
    model: str | None
    task: str | None
    backend: str | None


@dataclass(frozen=True)
class VirtualClusterSettings:
    """Of overlap=logical. nominal_workers: None: derived from the plan."""

    nominal_workers: int | None
    speculate: bool


@dataclass(frozen=True)
class ForecastSettings:
    """Of suite.schedulers.forecasting.Forecasting, whose arguments they are."""

    n_curves: int
    known_share: float
    quantile: float
    least_share: float
    refit_share: float | None


@dataclass(frozen=True)
class Budget:
    """Where schedulers end that have no end of their own; None: their own rule.

    hours: of the run's clock, over resumes, real or simulated. node_hours: of that clock, times the nodes
    whose workers are there, idle ones too. all_epochs: that were trained, of all trials. end: job: when the
    batch job ends, less a margin; in a new job the run goes on. At the first of them any run ends. trainings:
    by which hours were set, when it was composed. price: units of the metric a node-hour, at which no trial
    is worth its epochs any more. allow_short: also where no mean training ends before.
    """

    n_trials: Positive | None
    n_epochs: Positive | None
    hours: Hours | None
    node_hours: Hours | None
    all_epochs: Annotated[int, Meta(ge=1, le=1_000_000_000_000)] | None
    trainings: Hours | None
    price: Annotated[float, Meta(gt=0)] | None
    end: Literal["job"] | None
    allow_short: bool


@dataclass(frozen=True)
class RunSettings:
    """Each key of conf/config.yaml. What each means is said there."""

    name: str
    n_seeds: Mapping[str, Natural | Mapping[str, Natural]] | None
    seed: Natural
    max_epochs: Epochs
    eta: Annotated[int, Meta(ge=2)]
    common: Mapping[str, Any]
    overlap: bool | Literal["logical"]
    virtual_cluster: VirtualClusterSettings
    forecast: ForecastSettings | None
    compare_across_overlap: bool
    margin_nregret: Annotated[float, Meta(gt=0)]
    budget: Budget
    max_attempts: Positive
    min_workers: Positive
    n_jobs: Annotated[int, Meta(ge=1, le=4096)] | None
    score_test: bool
    keep_checkpoints: Literal["winner", "all"]
    report: bool
    resume: str | None
    scheduler: Leaf
    searcher: Leaf
    predictor: Leaf
    model: Leaf
    backend: Leaf
    tracking: Leaf
    choices: Choices

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> RunSettings:
        """The settings of a composed configuration. Raises ConfigError: what is wrong, by name."""
        return parse(cls, config)

    @property
    def label(self) -> str:
        """The run, in the lines that people read."""
        return f"{self.choices.algorithm} seed {self.seed} on {self.model_name}"

    @property
    def model_name(self) -> str:
        """A curve table is known by its task, another target by its YAML file."""
        return self.choices.task or self.choices.model or "unknown"
