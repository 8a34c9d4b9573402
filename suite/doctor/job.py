"""The configured run: its plan against disk and time, its data, and the QPU it asks for."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite import launch
from suite.cli import CONF
from suite.core.errors import ConfigError, SuiteError
from suite.doctor import disk
from suite.doctor.findings import Finding, fail, ok, skip, warn
from suite.doctor.process import ask, last_line, python
from suite.run.limit import end_time_s

STAGE = """
import json, sys
from suite.core.plugins import make
target = make(json.load(sys.stdin), "model")
target.stage("cpu")
print(json.dumps(dict(target.provenance), default=str))
"""


@dataclass(frozen=True)
class Job:
    """config: the first run's; n_runs: of the sweep; n_trials: the largest run's; lengths: for each
    algorithm its runs, their epochs, and the epochs of its longest trial.
    """

    config: Mapping[str, Any]
    n_runs: int
    n_trials: int
    lengths: tuple[tuple[int, int, int], ...]
    checkpoint_bytes: int
    epoch_s: float

    @property
    def n_epochs(self) -> int:
        """Of all runs, at most."""
        return sum(n * epochs for n, epochs, _ in self.lengths)

    def makespan_s(self, n_workers: int) -> float:
        """As `suite plan` predicts it; the runs of a sweep follow each other."""
        rounds = sum(n * max(epochs / n_workers, longest) for n, epochs, longest in self.lengths)
        return rounds * self.epoch_s


def compose(overrides: Sequence[str]) -> list[dict[str, Any]]:
    """The runs that these overrides name, one configuration for each algorithm of a sweep, with
    `_n` for how many runs each stands.

    Raises ConfigError.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            whole = hydra.compose("config", list(overrides), return_hydra_config=True)
            given = {o.split("=")[0] for o in overrides}
            swept = {
                k: str(v).split(",")
                for k, v in (whole.hydra.sweeper.params or {}).items()
                if k not in given
            }
            algorithms = [f"algorithm={a.strip()}" for a in swept.pop("algorithm", [])]
            n_each = 1
            for values in swept.values():
                n_each *= len(values)
            found = []
            for extra in algorithms or [""]:
                choice = hydra.compose("config", [*overrides, *([extra] if extra else [])])
                plain = OmegaConf.to_container(choice, resolve=True, throw_on_missing=True)
                assert isinstance(plain, dict)
                most = (plain["n_seeds"] or {}).get(plain["algorithm_name"], n_each)
                found.append({str(k): v for k, v in plain.items()} | {"_n": min(n_each, most)})
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(str(error).splitlines()[0]) from None
    return found


def plan(configs: Sequence[Mapping[str, Any]]) -> Job:
    """What all runs together need. Raises ConfigError for what could not be run."""
    n_trials, lengths = 0, []
    for config in configs:
        parts = launch.assemble(config)
        planned = parts.scheduler.plan()
        n_trials = max(n_trials, planned.n_trials)
        longest = max(b.rungs[-1].to_epoch for b in planned.brackets)
        lengths.append((config["_n"], planned.n_epochs, longest))
    target = parts.target
    n_runs = sum(n for n, _, _ in lengths)
    return Job(
        configs[0], n_runs, n_trials, tuple(lengths), target.checkpoint_bytes, target.epoch_s
    )


def checks(
    configs: Sequence[Mapping[str, Any]], runs: Path, n_workers: int, data: Sequence[str]
) -> Iterator[Finding]:
    """All of this file, for configurations that `compose` gave."""
    settings = configs[0]["backend"]
    try:
        job = plan(configs)
    except SuiteError as error:
        yield fail("configuration", str(error).splitlines()[0], "mend the YAML or the overrides")
        return
    name = f"{job.config['name']}: {job.n_runs} run{'s' * (job.n_runs > 1)}, at most "
    yield ok("configuration", f"{name}{job.n_epochs} epochs of {job.n_trials} trials at once")
    if settings["kind"] == "simulate":
        yield skip("disk space", "backend=simulate keeps no checkpoints")
        yield skip("time limit", "backend=simulate: time is made up")
    else:
        folder = Path(settings["checkpoints"] or runs)
        yield planned_space(job, folder)
        yield time_limit(job, n_workers, settings["pause_before_s"])
    yield from data_sets(job, data)
    for config in configs:
        found = qpu(config["predictor"])
        if found.status != "skip" or config is configs[-1]:
            yield found
            break


def planned_space(job: Job, folder: Path) -> Finding:
    """As `suite plan` says it: four checkpoints a trial while it runs, a winner for each run."""
    if job.config["backend"]["checkpoint"] == "none":
        return skip("disk space", "backend.checkpoint=none")
    kept = 1 if job.config["keep_checkpoints"] == "winner" else job.n_trials * 4
    n_files = job.n_trials * 4 + kept * (job.n_runs - 1)
    journals = 200 * job.n_epochs
    n_bytes = n_files * job.checkpoint_bytes + journals
    return disk.space(folder, n_bytes, n_files + job.n_trials + 4 * job.n_runs)


def time_limit(job: Job, n_workers: int, before_s: float, now_s: float | None = None) -> Finding:
    """The job's end against one epoch (fail) and the predicted makespan (warn: it pauses)."""
    name = "time limit"
    try:
        end_s = end_time_s()
    except ConfigError as error:
        return fail(name, str(error), "set it to seconds since 1970")
    hours = job.makespan_s(n_workers) / 3600
    predicted = (
        f"about {hours:.3g} h predicted on {n_workers} worker{'s' * (n_workers > 1)} "
        f"at {job.epoch_s:g} s an epoch"
    )
    if end_s is None:
        return skip(name, f"no end time is set (SUITE_END_TIME, SLURM_JOB_END_TIME); {predicted}")
    left_s = end_s - (time.time() if now_s is None else now_s) - before_s
    said = f"{max(left_s, 0) / 3600:.3g} h left (less backend.pause_before_s={before_s:g})"
    if left_s < job.epoch_s:
        return fail(
            name, f"{said}: shorter than one epoch of {job.epoch_s:g} s",
            "ask for more time (--time), or lower backend.pause_before_s",
        )  # fmt: skip
    if left_s < 3600 * hours:
        return warn(
            name, f"{said}; {predicted}",
            f"it pauses and needs about {3600 * hours / left_s + 1:.0f} submissions with "
            "resume=auto and one SUITE_STAMP; or ask for more time or workers",
        )  # fmt: skip
    return ok(name, f"{said}; {predicted}")


def data_sets(job: Job, named: Sequence[str]) -> Iterator[Finding]:
    """Those named by --data: checksums; else the target's, by staging it in another process."""
    for name in named:
        command = [sys.executable, "-m", "models.data.fetch", name, "--verify"]
        code, said, error = ask(command, 1800)
        if code == 0:
            yield ok(f"data {name}", last_line(said))
        else:
            yield fail(
                f"data {name}", last_line(error).removesuffix("."),
                f"python -m models.data.fetch {name} --to $SUITE_DATA on a machine with a network "
                "(slurm/stage_data.sh); bind the folder into the image",
            )  # fmt: skip
    if named:
        return
    code, said, error = python(STAGE, timeout_s=120, stdin=json.dumps(job.config["model"]))
    if code is None:
        yield warn("data", error, "name the sets by --data NAME, or stage beforehand")
    elif code:
        yield fail(
            "data", last_line(error),
            "stage it (python -m models.data.fetch NAME), set SUITE_DATA, bind it into the image",
        )  # fmt: skip
    else:
        known = json.loads(said.splitlines()[-1])
        digest = str(known.get("sha256") or "")[:12]
        stand_in = " (a stand-in)" * bool(known.get("stand_in"))
        said = f"{known.get('name', 'staged')}{stand_in}{f', sha256 {digest}' * bool(digest)}"
        yield ok("data", f"{said}; loads")


def qpu(predictor: Mapping[str, Any]) -> Finding:
    """The token's presence and one connection, only where a predictor's sampler is the QPU."""
    name = "qpu"
    if "qpu" not in (predictor.get("sampler"), predictor.get("fallback")):
        return skip(name, "no predictor asks for sampler=qpu")
    from suite.predictors.sampler_errors import SamplerError, TokenError
    from suite.predictors.sapi import connect

    options = predictor.get("sampler_options") or {}
    try:
        child = connect(options.get("region"), options.get("solver"), deadline_s=20)
        reached = str(child.solver.id if hasattr(child.solver, "id") else child.solver.name)
        child.client.close()
    except TokenError as error:
        return fail(name, _unsaid(error), "export DWAVE_API_TOKEN in the job's environment")
    except SamplerError as error:
        return fail(
            name, _unsaid(error),
            "compute nodes often have no route out: DWAVE_API_PROXY, another region or solver, or "
            "predictor.fallback=simulated",
        )  # fmt: skip
    except SuiteError as error:
        return fail(name, _unsaid(error), "mend predictor.sampler_options")
    return ok(name, f"token set, solver {reached} answers")


def _unsaid(error: Exception) -> str:
    """The message without the token, should a library ever put it there."""
    token = os.environ.get("DWAVE_API_TOKEN", "")
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    return said.replace(token, "<DWAVE_API_TOKEN>") if token else said
