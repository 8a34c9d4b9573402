"""The configured run: its plan against disk and time, its data, and the QPU it asks for."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError, SuiteError
from suite.core.printable import hours
from suite.core.run_settings import RunSettings
from suite.doctor import disk
from suite.doctor.findings import Finding, fail, ok, skip, warn
from suite.doctor.process import ask, last_line, python
from suite.launch.plan import Load, Planned, makespan_s, planned
from suite.launch.runs import Runs
from suite.run import batch
from suite.run.secrets import redact

STAGE = """
import json, sys
import suite.run  # hands SUITE_PLUGINS over
from suite.core.target import make_target
target = make_target(json.load(sys.stdin))
target.stage("cpu")
print(json.dumps({"data": target.data, **target.provenance}, default=str))
"""


@dataclass(frozen=True)
class Job:
    """All runs of a command line. settings: of the first; n_trials: of the largest run."""

    settings: RunSettings
    n_trials: int
    loads: tuple[Load, ...]
    checkpoint_bytes: int
    epoch_s: float
    simulated: bool

    @classmethod
    def of(cls, plans: Sequence[Planned]) -> Job:
        """What all runs together need. Raises ConfigError where n_seeds leaves none."""
        if not plans:
            raise ConfigError("n_seeds: leaves no run of this sweep; raise it.")
        return cls(
            plans[0].settings,
            max(plan.parts.scheduler.plan().n_trials for plan in plans),
            tuple(plan.load for plan in plans),
            max(plan.parts.target.checkpoint_bytes for plan in plans),
            max(plan.load.epoch_s for plan in plans),
            all(plan.parts.backend.simulated for plan in plans),
        )

    @property
    def n_runs(self) -> int:
        return sum(load.n_runs for load in self.loads)

    @property
    def n_epochs(self) -> int:
        """Of all runs, at most."""
        return sum(load.n_runs * load.n_epochs for load in self.loads)

    def makespan_s(self, n_workers: int) -> float:
        """As `suite plan` predicts it; the runs of a sweep follow each other."""
        return makespan_s(self.loads, n_workers)


def checks(composed: Runs, runs: Path, n_workers: int, data: Sequence[str]) -> Iterator[Finding]:
    """All of this file, for the runs that a command line names; runs: the folder they are written to."""
    try:
        plans = planned(composed)
        job = Job.of(plans)
    except SuiteError as error:
        yield fail(
            "configuration",
            str(error).splitlines()[0],
            "correct the command line, or the YAML",
        )
        return
    backend = plans[0].parts.backend
    name = f"{job.settings.name}: {job.n_runs} run{'s' * (job.n_runs > 1)}, at most "
    yield ok("configuration", f"{name}{job.n_epochs} epochs of {job.n_trials} trials at once")
    if job.simulated:
        yield skip("disk space", "backend=simulate keeps no checkpoints")
        yield skip("time limit", "backend=simulate: time is made up")
    else:
        folder = Path(backend.checkpoints or runs)
        yield (
            planned_space(job, folder)
            if backend.checkpoint == "job"
            else skip("disk space", "backend.checkpoint=none")
        )
        yield time_limit(job, n_workers, backend.pause_before_s)
    yield from data_sets(job, data)
    findings = [qpu(plan.settings.predictor) for plan in plans]
    yield next((finding for finding in findings if finding.status != "skip"), findings[-1])


def planned_space(job: Job, folder: Path) -> Finding:
    """As `suite plan` says it: four checkpoints a trial while it runs, a winner for each run."""
    kept = 1 if job.settings.keep_checkpoints == "winner" else job.n_trials * 4
    n_files = job.n_trials * 4 + kept * (job.n_runs - 1)
    journals = 200 * job.n_epochs
    n_bytes = n_files * job.checkpoint_bytes + journals
    return disk.space(folder, n_bytes, n_files + job.n_trials + 4 * job.n_runs)


def time_limit(job: Job, n_workers: int, before_s: float, now_s: float | None = None) -> Finding:
    """The job's end against one epoch (fail) and the predicted makespan (warn: it pauses)."""
    name = "time limit"
    try:
        end_s = batch.end_time_s()
    except ConfigError as error:
        return fail(name, str(error), "set it to seconds since 1970")
    needed_s = job.makespan_s(n_workers)
    predicted = (
        f"about {hours(needed_s)} predicted on {n_workers} worker{'s' * (n_workers > 1)} "
        f"at {job.epoch_s:g} s an epoch"
    )
    if end_s is None:
        return skip(name, f"no end time is set ({', '.join(batch.END_TIMES)}); {predicted}")
    left_s = end_s - (time.time() if now_s is None else now_s) - before_s
    left = f"{hours(max(left_s, 0))} left (less backend.pause_before_s={before_s:g})"
    if left_s < job.epoch_s:
        return fail(
            name, f"{left}: shorter than one epoch of {job.epoch_s:g} s",
            "ask for more time (--time), or lower backend.pause_before_s",
        )  # fmt: skip
    if left_s < needed_s:
        return warn(
            name, f"{left}; {predicted}",
            f"it pauses and needs about {needed_s / left_s + 1:.0f} submissions with "
            "resume=auto and one SUITE_STAMP; or ask for more time or workers",
        )  # fmt: skip
    return ok(name, f"{left}; {predicted}")


def data_sets(job: Job, named: Sequence[str]) -> Iterator[Finding]:
    """Those named by --data: checksums; else the target's, by staging it in another process."""
    for name in named:
        command = [sys.executable, "-m", "models.data.fetch", name, "--verify"]
        code, answer, error = ask(command, 1800)
        if code == 0:
            yield ok(f"data {name}", last_line(answer))
        else:
            yield fail(
                f"data {name}", last_line(error).removesuffix("."),
                f"swiftbench fetch {name} --to $SUITE_DATA on a machine with a network "
                "(slurm/stage_data.sh); bind the folder into the image",
            )  # fmt: skip
    if named:
        return
    code, answer, error = python(STAGE, timeout_s=120, stdin=json.dumps(job.settings.model))
    if code is None:
        yield warn("data", error, "name the sets by --data NAME, or stage beforehand")
    elif code:
        yield fail(
            "data", last_line(error),
            "stage it (swiftbench fetch NAME), set SUITE_DATA, bind it into the image",
        )  # fmt: skip
    else:
        known = json.loads(answer.splitlines()[-1])
        digest = str(known.get("sha256") or "")[:12]
        staged = f"{known.get('name', 'staged')}{f', sha256 {digest}' * bool(digest)}"
        if known.get("stand_in"):
            yield warn(
                "data", f"STAND-IN, not the data set {staged}; loads",
                "for results on the data set itself fetch it and take model.data=real",
            )  # fmt: skip
        elif known.get("data") == "surrogate":
            yield warn(
                "data", "SURROGATE, what a model of recorded curves wrote; loads",
                "for trainings that happened take a recorded table (swiftbench curves list)",
            )  # fmt: skip
        else:
            yield ok("data", f"{staged}; loads")


def qpu(predictor: Mapping[str, Any]) -> Finding:
    """The token's presence and one connection, only where a predictor's sampler is the QPU."""
    name = "qpu"
    if "qpu" not in (predictor.get("sampler"), predictor.get("fallback")):
        return skip(name, "no predictor asks for sampler=qpu")
    from suite.annealing.errors import SamplerError, TokenError
    from suite.annealing.sapi import connect

    options = predictor.get("sampler_options") or {}
    try:
        child = connect(options.get("region"), options.get("solver"), deadline_s=20)
        reached = str(child.solver.id if hasattr(child.solver, "id") else child.solver.name)
        child.client.close()
    except TokenError as error:
        return fail(name, _first_line(error), "export DWAVE_API_TOKEN in the job's environment")
    except SamplerError as error:
        return fail(
            name, _first_line(error),
            "compute nodes often have no route out: DWAVE_API_PROXY, another region or solver, or "
            "predictor.fallback=simulated",
        )  # fmt: skip
    except SuiteError as error:
        return fail(name, _first_line(error), "mend predictor.sampler_options")
    return ok(name, f"token set, solver {reached} answers")


def _first_line(error: Exception) -> str:
    """The message's first line; a library may have put the token into it."""
    return redact(str(error).splitlines()[0] if str(error) else type(error).__name__)
