"""MPI as this process meets it: library, launcher, PMI, ULFM, size. `suite.doctor.world` talks."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping

from suite.backends import launcher
from suite.doctor.findings import Finding, fail, ok, skip, warn
from suite.doctor.process import ask, last_line, python
from suite.run.batch import whole_number

_LIBRARY = "from mpi4py import MPI; print(MPI.Get_library_version())"
_NAMES = (
    (r"Open MPI\)?,? v?(\d+)\.(\d+)", "Open MPI"),
    (r"(?:MPICH|HYDRA)\D*(\d+)\.(\d+)", "MPICH"),
    (r"Intel\(R\) MPI\D*(\d+)\.?(\d*)", "MPICH"),  # of MPICH's ABI, as are Cray's and MVAPICH's
    (r"(?:CRAY MPICH|MVAPICH)\D*(\d+)\.(\d+)", "MPICH"),
)


def flavour(text: str) -> tuple[str, int]:
    """("Open MPI", 5) of a library's or a launcher's version text; ("", 0) where unknown."""
    for pattern, name in _NAMES:
        if match := re.search(pattern, text, re.IGNORECASE):
            return name, int(match[1])
    return "", 0


def at_rest() -> tuple[Finding, str]:
    """Outside a launch: does mpi4py load a library, and is the mpirun here of its flavour?

    Also the flavour, empty where none loads.
    """
    name = "mpi"
    code, library, error = python(_LIBRARY, timeout_s=30)
    if code != 0:
        finding = fail(
            name, f"mpi4py loads no MPI library: {last_line(error)}",
            "load the site's MPI module, or ./bench setup (which brings Open MPI where there is "
            "no mpirun); runs in one process work without",
        )  # fmt: skip
        return finding, ""
    own, major = flavour(library)
    launcher = shutil.which("mpirun") or shutil.which("mpiexec")
    if launcher is None:
        remedy = "load the site's MPI module, or start by srun"
        return warn(name, f"{own} {major} by mpi4py, no mpirun on the PATH", remedy), own
    _, answer, error = ask([launcher, "--version"], 20)
    return agree(library, answer or error), own


def agree(library: str, started_by: str) -> Finding:
    """mpi4py's library and the launcher, each by its version text."""
    name = "mpi"
    (own, major), (other, started) = flavour(library), flavour(started_by)
    ours = library.splitlines()[0].split(",")[0] if library else "unknown"
    if not other:
        return ok(name, f"{ours} by mpi4py; the launcher does not say its own")
    if own != other:
        return fail(
            name, f"mpi4py's library is {ours}, the launcher is {other} {started}: other ABI",
            f"start by {own}'s mpirun, or set MPI4PY_MPIABI / the PATH so that mpi4py loads "
            f"{other}",
        )  # fmt: skip
    if major != started:
        return fail(
            name, f"mpi4py's library is {ours}, the launcher is {other} {started}: major versions "
            "differ",
            "take library and mpirun from one installation (one module, one environment)",
        )  # fmt: skip
    return ok(name, f"{ours} by mpi4py and the launcher")


def size(world: int, environment: Mapping[str, str]) -> Finding:
    """The world that MPI made against every number that somebody else says."""
    name = "world size"
    for variable, stated in launcher.stated_sizes(environment).items():
        if whole_number(stated) != world:
            alone = "each rank is a world of its own" if world == 1 else "some are missing"
            return fail(
                name, f"{variable}={stated}, but MPI made a world of {world}: {alone}",
                "srun needs --mpi=pmix with Open MPI, --mpi=pmi2 with MPICH (srun --mpi=list); "
                "mpirun must be of the flavour that the image holds",
            )  # fmt: skip
    return ok(name, f"{world} rank{'s' * (world > 1)}")


def pmi(own: str, environment: Mapping[str, str]) -> Finding:
    """By which PMI the ranks found each other, and whether the library speaks it."""
    name = "pmi"
    has_pmix, has_pmi = launcher.offers_pmix(environment), launcher.offers_pmi(environment)
    if own == "Open MPI" and not has_pmix:
        what = "PMI-1/2" if has_pmi else "none"
        return fail(
            name, f"Open MPI needs PMIx, the launcher offers {what}",
            "srun --mpi=pmix (srun --mpi=list names what there is), or mpirun of Open MPI",
        )  # fmt: skip
    if own == "MPICH" and not has_pmi:
        return fail(
            name, f"MPICH needs PMI-1/2, the launcher offers {'PMIx' if has_pmix else 'none'}",
            "srun --mpi=pmi2, or mpiexec of MPICH",
        )  # fmt: skip
    return ok(name, f"{'PMIx' if own == 'Open MPI' else 'PMI'} for {own or 'this library'}")


def ulfm(own: str, major: int, environment: Mapping[str, str]) -> Finding:
    """Whether a killed worker would be survived."""
    name = "ulfm"
    remedy = "mpirun --with-ft ulfm of Open MPI 5 or newer; without, resume after a killed worker"
    if own != "Open MPI" or major < 5:
        return warn(name, f"{own or 'this MPI'} {major or ''} has none: a killed worker ends the "
                    "job", remedy)  # fmt: skip
    if not launcher.survives_faults(environment):
        return warn(name, "available, not on: a killed worker ends the job", remedy)
    return ok(name, "on: a killed worker is survived")


def step() -> Finding | None:
    """SUITE_WORLD_SIZE and Slurm's tasks where MPI is not started: what the job asks for."""
    wanted, given = launcher.wanted_size(os.environ), launcher.slurm_tasks(os.environ)
    if wanted is None:
        reason = f"no MPI launch{f', SLURM_NTASKS={given}' * bool(given)}"
        return skip("world size", reason)
    if given and given != wanted:
        return fail(
            "world size", f"SUITE_WORLD_SIZE={wanted}, SLURM_NTASKS={given}",
            "ask for as many tasks as the run has ranks: nodes x GPUs a node + 1",
        )  # fmt: skip
    return fail(
        "world size", f"SUITE_WORLD_SIZE={wanted}, but no launcher started this process",
        "start by mpirun or srun; on a login node unset SUITE_WORLD_SIZE",
    )  # fmt: skip
