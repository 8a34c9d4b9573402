"""The line that submits a plan to PBS, Grid Engine or HTCondor. Submits nothing.

As sbatch.py is for Slurm: `read_site` asks the system's script in batch/, which alone knows the rules of a
site file; `line` is a pure function. Geometry: nodes x workers a node + 1 ranks, the first node having one
more.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.core.errors import ConfigError
from suite.launch import sbatch
from suite.launch.plan import Load

_KEYS = ("QUEUE", "ACCOUNT", "GPUS_PER_NODE", "CPUS_PER_NODE", "MAX_TIME", "PE", "SUBMIT_ARGS")


@dataclass(frozen=True)
class Site:
    """What batch/sites/<name>.sh says, as far as a line needs it; gpus 0: trained on CPUs."""

    name: str
    queue: str = ""
    account: str = "none"
    gpus: int = 0
    cpus: int = 0
    max_time: str = ""
    pe: str = ""
    submit_args: str = ""


@dataclass(frozen=True)
class Wanted:
    """What a job asks for. ranks: that train, a node. overrides: as the run's command line has them."""

    nodes: int
    ranks: int
    seconds: int
    overrides: Sequence[str]


def read_site(system: str, name: str, root: Path) -> Site:
    """The site file `name` of the clone `root`, checked. Raises ConfigError with its message."""
    said = sbatch.asked(root, f"batch/{system}.sh", "batch/sites", name, _KEYS)
    queue, account, gpus, cpus, max_time, pe, submit_args = said
    return Site(name, queue, account, int(gpus), int(cpus), max_time, pe, submit_args)


def line(
    system: str, loads: Sequence[Load], site: Site, nodes: int, overrides: Sequence[str], *,
    workers: int | None = None, environment: Mapping[str, str] | None = None, ends_with_job: bool = False,
    ranks_per_trial: int = 1, over_nodes: bool = False,
) -> str:  # fmt: skip
    """The command that submits these runs, one after the other, from the clone's folder; see sbatch.line.

    Raises ConfigError for a system that is none, and for what the system or the site cannot give.
    """
    per_node = sbatch.ranks_of_node(site.gpus, workers, ranks_per_trial, over_nodes)
    n_workers = sbatch.workers_of(nodes, per_node, ranks_per_trial)
    seconds = sbatch.wanted_s(loads, n_workers, site.max_time, ends_with_job)
    wanted = Wanted(nodes, per_node, seconds, overrides)
    given = {"SUITE_SITE": site.name, **(environment or {})}
    if site.gpus and per_node != site.gpus:
        given["SUITE_WORKERS_PER_NODE"] = str(per_node)
    if system == "pbs":
        given["SUITE_WORDS"] = shlex.join(overrides)
    variables = [f"{k}={shlex.quote(v)}" for k, v in given.items()]
    return " ".join([*variables, *_LINES[system](site, wanted)])


def _pbs(site: Site, wanted: Wanted) -> list[str]:
    def chunk(nodes: int, ranks: int) -> str:
        gpus = f":ngpus={site.gpus}" if site.gpus else ""
        return f"{nodes}:ncpus={max(site.cpus, ranks)}:mpiprocs={ranks}{gpus}"

    # The first node has a rank more, which decides.
    chunks = [chunk(1, wanted.ranks + 1)]
    if wanted.nodes > 1:
        chunks.append(chunk(wanted.nodes - 1, wanted.ranks))
    return [
        "qsub", *_options(site, "-A"), "-l", f"select={'+'.join(chunks)}",
        "-l", f"walltime={sbatch.clock(wanted.seconds)}", "batch/pbs.sh",
    ]  # fmt: skip


def _gridengine(site: Site, wanted: Wanted) -> list[str]:
    if not site.pe:
        raise ConfigError(
            f"SITE_PE=: site {site.name} names no parallel environment; qconf -spl lists them, set one "
            "in its file."
        )
    # With GPUs every node has as many slots: such environments give a node a fixed number.
    slots = wanted.nodes * wanted.ranks + (wanted.nodes if site.gpus else 1)
    return [
        "qsub", *_options(site, "-P"), "-pe", shlex.quote(site.pe), str(slots),
        "-l", f"h_rt={sbatch.clock(wanted.seconds)}", "batch/gridengine.sh",
        *map(shlex.quote, wanted.overrides),
    ]  # fmt: skip


def _htcondor(site: Site, wanted: Wanted) -> list[str]:
    if wanted.nodes > 1:
        raise ConfigError(
            f"nodes={wanted.nodes}: a job of batch/htcondor.sub has one machine; leave it out, and name its "
            "workers (workers=N)."
        )
    words = [f"ranks={wanted.ranks + 1}", f"walltime={wanted.seconds}"]
    if site.gpus:
        words.append(f"gpus={site.gpus}")
    if site.account != "none":
        words.append(f"group={shlex.quote(site.account)}")
    said = " ".join(map(_quoted, wanted.overrides)).replace('"', '""')
    return [
        "condor_submit", *shlex.split(site.submit_args), *words, f"words={shlex.quote(said)}",
        "batch/htcondor.sub",
    ]  # fmt: skip


def _quoted(word: str) -> str:
    """One of HTCondor's arguments, within the double quotes of all of them."""
    is_plain = word and not any(mark in word for mark in " \t'")
    return word if is_plain else "'" + word.replace("'", "''") + "'"


def _options(site: Site, account: str) -> list[str]:
    words = ["-q", shlex.quote(site.queue)] if site.queue else []
    if site.account != "none":
        words += [account, shlex.quote(site.account)]
    return [*words, *map(shlex.quote, shlex.split(site.submit_args))]


_LINES: Mapping[str, Callable[[Site, Wanted], list[str]]] = {
    "pbs": _pbs,
    "gridengine": _gridengine,
    "htcondor": _htcondor,
}
SYSTEMS = tuple(_LINES)
