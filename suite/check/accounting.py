"""What the batch system counted, against what the runs say.

slurm/accounting.txt is what `sacct -X -n -P -o JobIDRaw,ElapsedRaw,NNodes,ConsumedEnergyRaw -j JOBS`
prints: a line a job. It comes from the submitter, like everything else; a signature, or the site, vouches
for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.check.findings import Finding, failed, passed, unprovable
from suite.check.run import CheckedRun
from suite.core.errors import DataError, SuiteError
from suite.files import read_text
from suite.launch.slurm_energy import consumed
from suite.submit import package

SLACK = 0.02
"""Share by which sums may differ: clocks, rounding to seconds."""
LEAST = 0.5
"""Share of the allocated node-hours that the runs account for at least; below, something is left out."""
FIELDS = ("JobIDRaw", "ElapsedRaw", "NNodes", "ConsumedEnergyRaw")


@dataclass(frozen=True)
class Job:
    seconds: float
    nodes: int
    joules: float


def accounting(folder: Path, runs: Sequence[CheckedRun]) -> Finding:
    """The rule `accounting`. Simulated runs take no node and are left out."""
    rule = "accounting"
    try:
        text = read_text(folder / package.ACCOUNTING, max_bytes=2**20, below=folder)
        jobs = parse(text)
    except (FileNotFoundError, NotADirectoryError):
        return unprovable(
            rule, f"no {package.ACCOUNTING}: nodes, seconds and joules are the runs' own word"
        )
    except SuiteError as error:
        return failed(rule, error)
    views = [run.view for run in runs if run.view is not None and not run.view.header.simulated]
    node_s = [view.usage.node_s for view in views]
    allocated_s = sum(job.seconds * job.nodes for job in jobs)
    used_s = sum(value for value in node_s if value is not None)
    if used_s > allocated_s * (1 + SLACK) + 1:
        return failed(
            rule,
            f"{used_s / 3600:.4f} node-hours in the runs, {allocated_s / 3600:.4f} in the jobs",
        )
    if None not in node_s and used_s < LEAST * allocated_s:
        hours = f"{used_s / 3600:.4f} of {allocated_s / 3600:.4f} node-hours"
        return failed(rule, f"{hours}, less than {LEAST:.0%}: nodes, seconds or runs are left out")
    joules = sum(view.energy.joules or 0.0 for view in views)
    counted = sum(job.joules for job in jobs)
    if counted and joules > counted * (1 + SLACK):
        return failed(rule, f"{joules:.0f} J in the runs, {counted:.0f} J in the jobs")
    return passed(
        rule, f"{used_s / 3600:.4f} of {allocated_s / 3600:.4f} node-hours, {len(jobs)} jobs"
    )


def parse(text: str) -> list[Job]:
    """The jobs of sacct's lines. Raises DataError for a line that is not like it.

    >>> parse("17|60|2|1200")
    [Job(seconds=60.0, nodes=2, joules=1200.0)]
    """
    jobs = []
    for number, line in enumerate(filter(None, map(str.strip, text.splitlines())), start=1):
        cells = line.split("|")
        known = len(cells) == len(FIELDS) and all(
            cell.isascii() and cell.isdigit() and len(cell) <= 12 for cell in cells[1:3]
        )
        if not known:
            raise DataError(
                f"{package.ACCOUNTING}: line {number}: must be {'|'.join(FIELDS)} (sacct -X -n -P)."
            )
        jobs.append(Job(float(cells[1]), int(cells[2]), consumed([cells[3]])))
    if not jobs:
        raise DataError(f"{package.ACCOUNTING}: holds no job.")
    return jobs
