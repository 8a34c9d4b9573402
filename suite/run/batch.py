"""What the batch system states of this job; only this file reads its variables.

The job scripts of slurm/ and batch/ state it for every system under the same names (SUITE_END_TIME,
SUITE_JOB_*). Slurm's own are read where those are not set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from suite.core.errors import ConfigError

END_TIMES = ("SUITE_END_TIME", "SLURM_JOB_END_TIME")
"""Variables that may hold the job's end, in seconds since 1970; the first that is set counts."""
_WHOLE = re.compile(r"[0-9]{1,9}")
# Twelve digits are enough for some 30,000 years.
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]*)?")


def whole_number(text: str | None) -> int | None:
    """The number that an environment variable holds; None where it holds none, whatever else it holds.

    Only ASCII digits count, nine at most: int() also takes signs, underscores and the digits of other
    scripts, and str.isdigit() takes superscripts, which int() refuses.
    """
    return int(text) if text is not None and _WHOLE.fullmatch(text := text.strip()) else None


def job_id(environment: Mapping[str, str] | None = None) -> str:
    """The batch system's number of this job; empty outside of one."""
    environment = os.environ if environment is None else environment
    own = environment.get("SUITE_JOB_ID", "").strip()
    return slurm_job_id(environment) if whole_number(own) is None else own


def slurm_job_id(environment: Mapping[str, str] | None = None) -> str:
    """Slurm's number of this job, for Slurm's commands; empty outside of one."""
    text = (os.environ if environment is None else environment).get("SLURM_JOB_ID", "").strip()
    return "" if whole_number(text) is None else text


def end_time_s(environment: Mapping[str, str] | None = None) -> float | None:
    """Seconds since 1970 at which the job ends; None if unknown.

    Raises ConfigError for a value that is no such number: a run that ignored it would not pause.
    """
    environment = os.environ if environment is None else environment
    for name in END_TIMES:
        if text := environment.get(name, "").strip():
            if not _SECONDS.fullmatch(text):
                raise ConfigError(
                    f"{name}={text}: must be seconds since 1970, e.g. of date +%s; mend it, or set "
                    f"{END_TIMES[0]}."
                )
            return float(text)
    return None


def n_cores() -> int | None:
    """Cores of this node that the job has; None outside of one, or where the system does not say.

    Where a site does not bind jobs to their cores, a process could use all of the node.
    """
    return _first("SUITE_JOB_CORES", "SLURM_CPUS_ON_NODE") if job_id() else None


def restarts() -> dict[str, int]:
    """How often the batch system has started this job again; empty if unknown."""
    n = _first("SUITE_JOB_RESTARTS", "SLURM_RESTART_COUNT")
    return {} if n is None else {"restart_count": n}


def _first(*names: str) -> int | None:
    """The number of the first variable that holds one."""
    found = (whole_number(os.environ.get(name)) for name in names)
    return next((number for number in found if number is not None), None)
