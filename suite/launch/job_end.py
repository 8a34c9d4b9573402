"""budget.end=job: whether this process is in a batch job with time left, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence

from suite.backends.contract import Backend
from suite.core.errors import ConfigError
from suite.core.run_settings import RunSettings
from suite.launch.assemble import made_backend
from suite.run.job_end import JobEnd


def job_end_of(settings: RunSettings, backend: Backend) -> JobEnd | None:
    """The end of this job; None where the run does not end with it.

    Raises ConfigError outside of a job, in one that has no time left, and where time is made up.
    """
    if settings.budget.end != "job":
        return None
    if backend.simulated:
        raise ConfigError(
            "budget.end=job: simulated time ends with no batch job; use budget.hours or budget.node_hours."
        )
    return JobEnd(backend.pause_before_s)


def check_job_end(all_settings: Sequence[RunSettings], n_runs: int) -> None:
    """Raise ConfigError for what `job_end_of` refuses, and for a sweep, whose first run would take all."""
    for settings in all_settings:
        if settings.budget.end == "job" and n_runs > 1:
            raise ConfigError(
                f"budget.end=job: of {n_runs} runs the first would train until the job ends; give each run a "
                "job of its own (slurm/sweep.sbatch), or budget.hours."
            )
        job_end_of(settings, made_backend(settings))
