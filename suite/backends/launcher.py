"""What the launcher (mpirun, mpiexec, srun) states of this process; only this file reads its variables.

A variable may hold anything: a shell, a module or another launcher may have set it. A number that is none
counts as not set; no value raises.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from suite.core.errors import ConfigError
from suite.run.batch import whole_number

PREFIXES = ("OMPI_", "PMI_", "PMIX_", "PRTE_", "MPI_LOCAL", "SLURM_")
"""Prefixes of variables that give a process its rank; a child process must not inherit them."""
WANTED_SIZE = "SUITE_WORLD_SIZE"
"""Ranks that the batch script asked for."""
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS")
_RANKS = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID")
_LOCAL_RANK = "OMPI_COMM_WORLD_LOCAL_RANK"
# Open MPI's mpirun; Hydra, MPICH's mpiexec.
_LOCAL_SIZES = ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS")
# Flags of command lines that train nothing.
_FLAGS = frozenset(
    (
        "-h",
        "--help",
        "--hydra-help",
        "--version",
        "-c",
        "--cfg",
        "-i",
        "--info",
        "-sc",
        "--shell-completion",
    )
)
_WITH_VALUE = frozenset(("-cd", "--config-dir", "-c", "--cfg", "-p", "--package", "-i", "--info"))
_WITHOUT_WORKERS = frozenset(("inline", "simulate"))


def launched() -> bool:
    """Whether a launcher started this process as one rank of several."""
    ompi, pmi, slurm = (whole_number(os.environ.get(name)) for name in _SIZES)
    if (ompi or pmi or 1) > 1:
        return True
    if "PMIX_RANK" in os.environ and (slurm or 2) > 1:
        return True
    return "SLURM_STEP_ID" in os.environ and (slurm or 1) > 1


def rank() -> int:
    """This process's rank by the launcher's variables; 0 where there is none."""
    if not launched():
        return 0
    ranks = (whole_number(os.environ.get(name)) for name in _RANKS)
    return next((number for number in ranks if number is not None), 0)


def world_size() -> int:
    """Number of ranks that the launcher started; 1 where it does not state one."""
    sizes = (whole_number(os.environ.get(name)) for name in _SIZES)
    return next((number for number in sizes if number), 1)


def local_rank() -> int | None:
    """Which rank of its host this process is, 0, 1, ...; None where Open MPI does not state it."""
    return whole_number(os.environ.get(_LOCAL_RANK))


def ranks_per_core() -> float:
    """Ranks of this launch for each core of this host, 1 at least: above 1 they wait for each other's cores.

    1 where the launcher does not state how many share the host (srun).
    """
    sizes = (whole_number(os.environ.get(name)) for name in _LOCAL_SIZES)
    n = next((number for number in sizes if number), 1)
    # Not those that this process is bound to, which may be one of many.
    return max(1.0, n / (os.cpu_count() or 1))


def wanted_size(environment: Mapping[str, str]) -> int | None:
    """Ranks that the batch script asked for; None: it states nothing.

    Raises ConfigError for a value that is no number of ranks: the script's author can mend it.
    """
    if not (text := environment.get(WANTED_SIZE, "").strip()):
        return None
    number = whole_number(text)
    if not number:
        raise ConfigError(f"{WANTED_SIZE}={text}: must be an integer >= 1.")
    return number


def plan_at(arguments: Sequence[str]) -> int | None:
    """Where the word `plan` stands; None where it does not, or as an option's value (--config-dir plan)."""
    before = ("", *arguments)
    found = (
        i for i, word in enumerate(arguments) if word == "plan" and before[i] not in _WITH_VALUE
    )
    return next(found, None)


def needs_workers(arguments: list[str]) -> bool:
    """Whether this command line may train on workers. Every rank of a launch comes to the same answer.

    False only where the words alone are sure of it: a page, or a backend without ranks.
    """
    if plan_at(arguments) is not None or not _FLAGS.isdisjoint(
        w.partition("=")[0] for w in arguments
    ):
        return False
    chosen = [word.removeprefix("backend=") for word in arguments if word.startswith("backend=")]
    return not chosen or not _WITHOUT_WORKERS.issuperset(chosen[-1].split(","))


def stated_sizes(environment: Mapping[str, str]) -> dict[str, str]:
    """Every number of ranks that a variable states: variable -> its text."""
    stated = {name: environment.get(name, "").strip() for name in (WANTED_SIZE, *_SIZES)}
    if "OMPI_COMM_WORLD_SIZE" in environment:
        # Within a batch job mpirun -n may start fewer tasks than Slurm gave, on purpose.
        del stated["SLURM_NTASKS"]
    return {name: text for name, text in stated.items() if text}


def slurm_tasks(environment: Mapping[str, str]) -> int | None:
    """Tasks that Slurm gave; None where it states no number."""
    return whole_number(environment.get("SLURM_NTASKS"))


def version_text(environment: Mapping[str, str]) -> str:
    """The launcher's version by its variables; empty if unknown."""
    if "OMPI_COMM_WORLD_SIZE" in environment and "PRTE_LAUNCHED" in environment:
        return f"mpirun (Open MPI) {environment.get('OMPI_VERSION') or '5.0'}"
    if "OMPI_COMM_WORLD_SIZE" in environment and "SLURM_STEP_ID" not in environment:
        return f"mpirun (Open MPI) {environment.get('OMPI_VERSION') or '4.0'}"
    # Hydra also starts Intel's MPI: its version is not MPICH's.
    return ""


def offers_pmix(environment: Mapping[str, str]) -> bool:
    return "PMIX_RANK" in environment


def offers_pmi(environment: Mapping[str, str]) -> bool:
    """PMI-1 or PMI-2."""
    return "PMI_RANK" in environment or "PMI_FD" in environment


def descriptors(environment: Mapping[str, str]) -> tuple[int, ...]:
    """Open files that a process needs to take this rank's place: Hydra (MPICH's mpiexec) is met by one."""
    number = whole_number(environment.get("PMI_FD"))
    return () if number is None else (number,)


def survives_faults(environment: Mapping[str, str]) -> bool:
    """Whether mpirun was started with --with-ft ulfm."""
    return environment.get("OMPI_MCA_mpi_ft_enable") in ("1", "true")


def why_nodes_stay(environment: Mapping[str, str]) -> str:
    """Why a node must not leave the batch job while the run goes on; empty: it may, once its ranks have ended
    MPI.
    """
    if "PRTE_LAUNCHED" in environment:
        return "mpirun ends a run that loses a node; start it by srun (SITE_MPI=pmix)"
    if not offers_pmix(environment):
        return "only Open MPI under srun was seen to outlive a node that leaves (SITE_MPI=pmix)"
    if environment.get("OMPI_MCA_async_mpi_finalize") not in ("1", "true"):
        return (
            "a rank cannot end before the others; export OMPI_MCA_async_mpi_finalize=1 before srun"
        )
    return ""


def owns_terminal() -> bool:
    """Whether the terminal may be the launcher's: mpirun gives its ranks one even where its own output
    goes to a file.
    """
    return "OMPI_COMM_WORLD_SIZE" in os.environ


def child_environment() -> dict[str, str]:
    """The environment for a child that must not take this rank's place in the world."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIXES)}
    root = {k: v for k, v in os.environ.items() if k.startswith("OMPI_ALLOW_RUN_AS_ROOT")}
    return kept | root


def node_labels(nodes: Mapping[int, str]) -> dict[int, str]:
    """rank -> an opaque label of its node, in order of rank: names stay out of what is written.

    nodes: rank -> what names its machine (suite.run.identity).
    """
    names = list(dict.fromkeys(nodes[rank] for rank in sorted(nodes)))
    return {rank: f"node{names.index(node)}" for rank, node in nodes.items()}


def write_verdict(code: int) -> None:
    """The exit code into the file that SUITE_VERDICT names: mpirun may report another rank's."""
    if path := os.environ.get("SUITE_VERDICT"):
        with contextlib.suppress(OSError):
            Path(path).write_text(f"{code}\n")


def write_process_id() -> None:
    """This process's id beside the verdict: a batch script sees by it that rank 0 is lost."""
    if path := os.environ.get("SUITE_VERDICT"):
        with contextlib.suppress(OSError):
            Path(f"{path}.pid").write_text(f"{os.getpid()}\n")
