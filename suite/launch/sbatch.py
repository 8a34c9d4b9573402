"""The line that submits a plan to Slurm. Prints nothing, submits nothing.

`read_site` asks slurm/common.sh, which alone knows the rules of a site file; `line` is a pure
function of a plan, a site and a number of nodes. Geometry: nodes x GPUs a node + 1 ranks, a worker
for each GPU and rank 0 without one on the first node; Slurm is asked for one task a node more than
GPUs, so that the first node has room for both. GPUs are asked for per node, never per task: every
worker sees its node's GPUs and takes its own. With backend.ranks_per_trial=k a worker is k ranks, each
with a GPU.
"""

from __future__ import annotations

import math
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.core.errors import ConfigError, check_integer
from suite.launch.plan import Load, makespan_s

_PAUSE_S, _START_S, _MARGIN = 180, 300, 1.25
"""Slurm's signal may come 60 s before the 120 s asked for; to start and load; plans err."""
_OF_SCRIPT_S = 3600
"""What slurm/run.sbatch asks for by itself."""


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
    partition, account, gpus, gres, cpus, max_time = asked(
        root, "slurm/common.sh", "slurm/sites", name, keys
    )
    return Site(name, partition, account, int(gpus), gres, int(cpus), max_time)


def asked(root: Path, script: str, sites: str, name: str, keys: Sequence[str]) -> list[str]:
    """Values of SITE_<key> in the site file `name`, as the system's script reads it. Raises ConfigError."""
    if name and not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(
            f"SUITE_SITE={name}: must be the name of a file in {sites}/ (without .sh); name one."
        )
    shown = " ".join(f'"$SITE_{key}"' for key in keys)
    text = f'root=$1 SUITE_SITE=$2; . "$root/{script}"; load_site; printf "%s\\n" {shown}'
    done = subprocess.run(
        ["bash", "-euc", text, "bash", str(root), name], capture_output=True, text=True
    )
    if done.returncode:
        raise ConfigError(re.sub(r"^\w+: ", "", done.stderr.strip()))
    return done.stdout.splitlines()


def ranks(nodes: int, workers: int) -> int:
    """MPI ranks of `nodes` nodes on which so many ranks train each: one more, which decides."""
    return check_integer("nodes", nodes, 1) * check_integer("workers", workers, 1) + 1


def ranks_of_node(gpus: int, workers: int | None, ranks_per_trial: int, over_nodes: bool) -> int:
    """Ranks of a node that train: of so many workers; None: of as many as its GPUs, or one without any.

    over_nodes: trials may span nodes (backend.group_interface): a rank for each GPU, or one.
    Raises ConfigError for fewer workers than one.
    """
    if workers is None and over_nodes:
        return max(gpus, 1)
    a_node = check_integer("workers", workers or workers_of_node(gpus, ranks_per_trial), 1)
    return a_node * ranks_per_trial


def workers_of_node(gpus: int, ranks_per_trial: int) -> int:
    """A worker for each GPU, or for each ranks_per_trial of them; one where a node has none.

    Raises ConfigError where a node has fewer GPUs than that.
    """
    if 0 < gpus < ranks_per_trial:
        raise ConfigError(
            f"backend.ranks_per_trial={ranks_per_trial}: SITE_GPUS_PER_NODE={gpus}, and the ranks of a "
            f"trial are on one node with a GPU each; use {gpus} or fewer, let groups span nodes "
            "(backend.group_interface=NAME), or say workers=N and backend.share_gpus=true."
        )
    return max(gpus // ranks_per_trial, 1)


def workers_of(nodes: int, per_node: int, ranks_per_trial: int) -> int:
    """Groups of so many ranks on these nodes. Raises ConfigError where the ranks are fewer."""
    n = ranks(nodes, per_node) - 1
    if n < ranks_per_trial:
        raise ConfigError(
            f"backend.ranks_per_trial={ranks_per_trial}: nodes={nodes} with {per_node} ranks each have "
            f"fewer; use {n} or fewer, or more nodes."
        )
    return n // ranks_per_trial


def seconds(loads: Sequence[Load], n_workers: int) -> int:
    """Wall clock to ask for: the predicted makespan of all runs with a margin, start and pause (once)."""
    return math.ceil(makespan_s(loads, n_workers) * _MARGIN + _START_S + _PAUSE_S)


def wanted_s(loads: Sequence[Load], n_workers: int, max_time: str, ends_with_job: bool) -> int:
    """Wall clock to ask for at a site whose longest job is `max_time`, empty: there is none.

    Raises ConfigError where that cannot hold one epoch.
    """
    # A search that ends with its job takes all that it is given.
    wanted = _OF_SCRIPT_S if ends_with_job else seconds(loads, n_workers)
    if not max_time:
        return wanted
    most, epoch_s = _parse(max_time), max(load.epoch_s for load in loads)
    if most < epoch_s + _START_S + _PAUSE_S:
        raise ConfigError(
            f"SITE_MAX_TIME={max_time}: start, one epoch ({epoch_s:g} s) and the pause "
            f"take {epoch_s + _START_S + _PAUSE_S:g} s; take a partition with longer jobs."
        )
    # The job pauses, requeues itself and continues.
    return most if ends_with_job else min(wanted, most)


def line(
    loads: Sequence[Load],
    site: Site,
    nodes: int,
    overrides: Sequence[str],
    *,
    workers: int | None = None,
    environment: Mapping[str, str] | None = None,
    ends_with_job: bool = False,
    ranks_per_trial: int = 1,
    over_nodes: bool = False,
) -> str:
    """The command that submits these runs, one after the other, from the clone's folder.

    nodes: to ask for. workers: a node, where that is not its number of GPUs over ranks_per_trial (of
    backend). over_nodes: trials may span nodes (backend.group_interface). overrides: as the run's command
    line has them. environment: SUITE_IMAGE, SUITE_DATA and the like, put before the command.
    ends_with_job: budget.end=job: the site's longest job, or an hour.
    Raises ConfigError where the site's longest job cannot hold one epoch, or a node no worker.
    """
    per_node = ranks_of_node(site.gpus, workers, ranks_per_trial, over_nodes)
    n_workers = workers_of(nodes, per_node, ranks_per_trial)
    wanted = wanted_s(loads, n_workers, site.max_time, ends_with_job)
    words = [
        f"{k}={shlex.quote(v)}" for k, v in {"SUITE_SITE": site.name, **(environment or {})}.items()
    ]
    if (workers or ranks_per_trial > 1) and per_node != site.gpus:
        words.append(f"SUITE_WORKERS_PER_NODE={per_node}")
    words += ["sbatch", f"--nodes={nodes}", f"--ntasks-per-node={per_node + 1}"]
    if site.cpus:
        words.append(f"--cpus-per-task={max(site.cpus // (per_node + 1), 1)}")
    if site.gpus:
        words.append(f"--gres={site.gres}:{site.gpus}")
    if site.partition:
        words.append(f"--partition={site.partition}")
    if site.account != "none":
        words.append(f"--account={site.account}")
    words += [f"--time={clock(wanted)}", "slurm/run.sbatch"]
    return " ".join([*words, *map(shlex.quote, overrides)])


def clock(s: int) -> str:
    """Seconds as batch systems write them, rounded up to minutes: 26 h are 26:00:00."""
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
            f"SITE_MAX_TIME={text}: must be D-HH:MM:SS; correct the site file."
        ) from None
