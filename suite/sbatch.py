"""Floor 5, wiring: the line that submits a plan to Slurm. Prints nothing, submits nothing.

`read_site` asks slurm/common.sh, which alone knows the rules of a site file; `line` is a pure
function of a plan, a site and a number of nodes. Geometry: nodes x GPUs a node + 1 ranks, a worker
for each GPU and rank 0 without one on the first node; Slurm is asked for one task a node more than
GPUs, so that the first node has room for both. GPUs are asked for per node, never per task: every
worker sees its node's GPUs and takes its own.
"""

from __future__ import annotations

import math
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.core.brackets import Plan
from suite.core.errors import ConfigError, check_integer

_PAUSE_S, _START_S, _MARGIN = 180, 300, 1.25
"""Slurm's signal may come 60 s before the 120 s asked for; to start and load; plans err."""


@dataclass(frozen=True)
class Site:
    """What slurm/sites/<name>.sh says, as far as sbatch needs it; gpus 0: trained on CPUs."""

    name: str
    partition: str = ""
    account: str = "none"
    gpus: int = 0
    gres: str = "gpu"
    cpus: int = 0
    max_time: str = ""


def read_site(name: str, root: Path) -> Site:
    """The site file `name` of the clone `root`, checked. Raises ConfigError with its message."""
    keys = ("PARTITION", "ACCOUNT", "GPUS_PER_NODE", "GRES", "CPUS_PER_NODE", "MAX_TIME")
    shown = " ".join(f'"$SITE_{key}"' for key in keys)
    script = f'root=$1 SUITE_SITE=$2; . "$root/slurm/common.sh"; load_site; printf "%s\\n" {shown}'
    done = subprocess.run(
        ["bash", "-euc", script, "bash", str(root), name], capture_output=True, text=True
    )
    if done.returncode:
        raise ConfigError(done.stderr.strip().removeprefix("slurm: "))
    partition, account, gpus, gres, cpus, max_time = done.stdout.splitlines()
    return Site(name, partition, account, int(gpus), gres, int(cpus), max_time)


def ranks(nodes: int, workers: int) -> int:
    """MPI ranks of `nodes` nodes with `workers` workers each: one more, which decides."""
    return check_integer("nodes", nodes, 1) * check_integer("workers", workers, 1) + 1


def seconds(plan: Plan, epoch_s: float, n_workers: int) -> int:
    """Wall clock to ask for: the predicted makespan of `plan` with a margin, start and pause.

    epoch_s: seconds an epoch. A bracket's longest trial cannot be divided among workers.
    """
    longest = max(bracket.rungs[-1].to_epoch for bracket in plan.brackets)
    makespan = max(plan.n_epochs * epoch_s / n_workers, longest * epoch_s)
    return math.ceil(makespan * _MARGIN + _START_S + _PAUSE_S)


def line(
    plan: Plan,
    epoch_s: float,
    site: Site,
    nodes: int,
    overrides: Sequence[str],
    *,
    workers: int | None = None,
    n_runs: int = 1,
    environment: Mapping[str, str] | None = None,
) -> str:
    """The command that submits this plan from the clone's folder.

    nodes: to ask for. workers: a node, where that is not its number of GPUs. overrides: of the
    run. n_runs: of a sweep, one after the other, each with such a plan. environment: SUITE_IMAGE,
    SUITE_DATA and the like, put before the command.
    Raises ConfigError where the site's longest job cannot hold one epoch.
    """
    per_node = check_integer("workers", workers or site.gpus or 1, 1)
    n_workers = ranks(nodes, per_node) - 1
    runs = check_integer("n_runs", n_runs, 1)
    wanted = seconds(plan, epoch_s * runs, n_workers)  # start and pause come once
    if site.max_time:
        most = _parse(site.max_time)
        if most < epoch_s + _START_S + _PAUSE_S:
            raise ConfigError(
                f"SITE_MAX_TIME={site.max_time}: start, one epoch ({epoch_s:g} s) and the pause "
                f"take {epoch_s + _START_S + _PAUSE_S:g} s; take a partition with longer jobs."
            )
        wanted = min(wanted, most)  # the job pauses, requeues itself and goes on
    words = [
        f"{k}={shlex.quote(v)}" for k, v in {"SUITE_SITE": site.name, **(environment or {})}.items()
    ]
    if workers and workers != site.gpus:
        words.append(f"SUITE_WORKERS_PER_NODE={workers}")
    words += ["sbatch", f"--nodes={nodes}", f"--ntasks-per-node={per_node + 1}"]
    if site.cpus:
        words.append(f"--cpus-per-task={max(site.cpus // (per_node + 1), 1)}")
    if site.gpus:
        words.append(f"--gres={site.gres}:{site.gpus}")
    if site.partition:
        words.append(f"--partition={site.partition}")
    if site.account != "none":
        words.append(f"--account={site.account}")
    words += [f"--time={_clock(wanted)}", "slurm/run.sbatch"]
    return " ".join([*words, *map(shlex.quote, overrides)])


def _clock(s: int) -> str:
    """Seconds as Slurm writes them, rounded up to minutes: 26 h are 26:00:00."""
    minutes = math.ceil(s / 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:00"


def _parse(text: str) -> int:
    """Slurm's time in seconds: [days-]hours:minutes:seconds, minutes:seconds or minutes."""
    days, _, clock = text.rpartition("-")
    try:
        parts = [int(part) for part in clock.split(":")]
        if days:
            parts = [*parts, 0, 0][:3]
        elif len(parts) < 3:
            parts = [0, *parts, 0][:3]
        hours, minutes, rest = parts
        return int(days or 0) * 86400 + hours * 3600 + minutes * 60 + rest
    except ValueError:
        raise ConfigError(
            f"SITE_MAX_TIME={text}: must be Slurm's D-HH:MM:SS; correct the site file."
        ) from None
