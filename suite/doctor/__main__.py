"""python -m suite.doctor [hydra overrides] [--json] [--data NAME ...] [--workers N]

Alone on a login node, or by the very line that starts the run (mpirun, srun, apptainer exec): then
rank 0 prints one page for all ranks. Exit code 0, or 1 where a check failed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from suite import launch
from suite.core.errors import ConfigError, SuiteError
from suite.doctor import disk, findings, gpu, host, job, mpi, world
from suite.doctor.findings import Finding, fail


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code. Under a launcher it does not return but leaves with it."""
    options, overrides = parse(sys.argv[1:] if arguments is None else arguments)
    if launch.launched():
        launched(options, overrides)
    report = [*alone(options, overrides)]
    say(options, report, "one process, no MPI launch")
    return findings.code(report)


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="python -m suite.doctor", description="Checks before a run: one page with remedies.",
        epilog="Start it by the line that starts the run, with suite.doctor for suite.",
    )  # fmt: skip
    parser.add_argument("overrides", nargs="*", help="as for the run: experiment=..., model=...")
    parser.add_argument("--json", action="store_true", help="by results_schema/doctor.schema.json")
    parser.add_argument("--data", nargs="+", default=[], metavar="NAME", action="extend",
                        help="data sets whose checksums are verified")  # fmt: skip
    parser.add_argument("--workers", type=int, metavar="N", help="of the run, for the makespan")
    parser.add_argument("--timeout", type=float, default=180.0, metavar="S",
                        help="most seconds ranks are waited for (default %(default)g)")  # fmt: skip
    options = parser.parse_intermixed_args(arguments)
    # Of --data a b model=x the last is no data set: overrides have a sign of equality.
    overrides = [*options.overrides, *(name for name in options.data if "=" in name)]
    options.data = [name for name in options.data if "=" not in name]
    return options, overrides


def configured(overrides: Sequence[str]) -> tuple[list[dict[str, Any]], list[Finding]]:
    """The configurations, or none and why."""
    try:
        return job.compose(overrides), []
    except SuiteError as error:
        return [], [fail("configuration", str(error), "mend the YAML or the overrides")]


def alone(options: argparse.Namespace, overrides: Sequence[str]) -> Iterator[Finding]:
    """Every check that one process can do."""
    finding, own = mpi.at_rest()
    yield finding
    try:
        if (step := mpi.step()) is not None:
            yield step
    except ConfigError as error:
        yield fail("world size", str(error), "set it to the number of ranks")
    if own:
        yield findings.skip("pmi", "no launcher to look at")
        yield findings.skip("ulfm", "is switched on by the launch: mpirun --with-ft ulfm")
    configs, wrong = configured(overrides)
    yield from wrong
    backend = configs[0]["backend"] if configs else {"device": "auto"}
    framework = _framework(configs)
    yield from local(world.Look(backend, str(_runs()), framework, True)).findings
    if configs:
        yield from job.checks(configs, _runs(), options.workers or 1, options.data)


def local(look: world.Look) -> world.Seen:
    """What one process sees of itself and its node."""
    found = [*host.checks(look.first), *disk.checks(Path(look.runs), look.first)]
    device = look.settings["device"]
    seen = gpu.Visible.here()
    found.append(gpu.visible(seen, device))
    if look.framework:
        found.append(gpu.build(look.framework, seen, device))
    return world.Seen(tuple(found), seen)


def launched(options: argparse.Namespace, overrides: Sequence[str]) -> NoReturn:
    """One rank of several: rank 0 prints for all."""
    rank, wanted = launch.rank(), launch.world_size()

    def last_words() -> None:
        if rank == 0:
            late = fail(
                "mpi", f"rank 0 of {wanted} hangs: in MPI_Init, a message or MPI_Finalize",
                "mpi4py's library and the launcher do not fit (srun --mpi=...), or nodes do not "
                "reach each other (OMPI_MCA_btl_tcp_if_include, PRTE_MCA_if_include)",
            )  # fmt: skip
            say(options, [late], f"{wanted} ranks asked for")
            _verdict(1)

    watch = world.Watch(world.START_S, last_words)
    try:
        from mpi4py import MPI
    except Exception as error:  # no library, or another ABI's: ImportError, RuntimeError
        watch.done()
        if rank == 0:
            said = f"mpi4py loads no MPI library: {str(error).splitlines()[0]}"
            say(options, [fail("mpi", said, "load the MPI module that the launcher is of")],
                f"{wanted} ranks asked for")  # fmt: skip
        _leave(1, rank)
    comm = MPI.COMM_WORLD
    size = mpi.size(comm.Get_size(), os.environ)
    library = MPI.Get_library_version()
    own, major = mpi.flavour(library)
    early = [
        mpi.agree(library, mpi.launcher(os.environ)), size,
        mpi.pmi(own, os.environ), mpi.ulfm(own, major, os.environ),
    ]  # fmt: skip
    if size.status == "fail":  # N worlds of one rank each: nobody to talk to
        watch.done()
        if rank == 0:
            say(options, early, f"{wanted} ranks asked for, a world of {comm.Get_size()}")
        _leave(1, rank)
    watch.again(options.timeout + world.START_S)
    if (mine := comm.Get_rank()) > 0:
        world.serve(comm, local, options.timeout + world.START_S / 2)
        watch.again(20)
        MPI.Finalize()
        watch.done()
        _leave(0, mine)
    ranks = world.Ranks(comm)
    report, context = together(ranks, options, overrides, early)
    say(options, report, context)
    code = findings.code(report)
    _verdict(code)
    for other in ranks.others():
        ranks.send(other, "bye")
    if ranks.silent:
        watch.done()
        comm.Abort(1)  # a rank that hangs would hang the job
    watch.again(20)
    MPI.Finalize()
    watch.done()
    _leave(code, 0)


def together(
    ranks: world.Ranks,
    options: argparse.Namespace,
    overrides: Sequence[str],
    early: Sequence[Finding],
) -> tuple[list[Finding], str]:
    """Rank 0 of a launch: its own checks, the others', and those of the job."""
    hosts = {0: socket.gethostname(), **ranks.gather("hello", min(30.0, options.timeout))}
    nodes = world.places(hosts)
    configs, wrong = configured(overrides)
    backend = configs[0]["backend"] if configs else {"device": "auto"}
    framework = _framework(configs)
    first = world.firsts(nodes, list(nodes))
    first_worker = world.firsts(nodes, ranks.others())

    def look(rank: int) -> world.Look:
        mine = framework if rank in first_worker else ""
        return world.Look(backend, str(_runs()), mine, rank in first)

    for rank in ranks.others():
        ranks.send(rank, "look", look(rank))
    # Rank 0 takes no GPU and imports no framework.
    by_rank = {0: local(world.Look({"device": "cpu"}, str(_runs()), "", True)).findings}
    by_rank[0] = tuple(f for f in by_rank[0] if f.check != "gpu")
    of_job: list[Finding] = []
    if configs:
        n_workers = options.workers or max(ranks.size - 1, 1)
        of_job = [*job.checks(configs, _runs(), n_workers, options.data)]
    seen = ranks.gather("found", options.timeout)
    by_rank |= {rank: found.findings for rank, found in seen.items()}
    placed = {rank: (nodes[rank], found.gpus) for rank, found in seen.items()}
    shared = [gpu.shared(placed, backend)]
    skew = ranks.skew()
    report = [
        *early, ranks.answers(), skew, *findings.merge(by_rank), *shared, *wrong, *of_job
    ]  # fmt: skip
    n_nodes = len(set(nodes.values()))
    return report, f"{ranks.size} ranks on {n_nodes} node{'s' * (n_nodes > 1)}"


def say(options: argparse.Namespace, report: Sequence[Finding], context: str) -> None:
    text = findings.document if options.json else findings.page
    print(text(report, context), flush=True)


def _framework(configs: Sequence[dict[str, Any]]) -> str:
    """The target's; empty where it cannot be made (job.checks says why)."""
    from suite.core.plugins import make

    try:
        return str(make(configs[0]["model"], "model").framework) if configs else ""
    except SuiteError:
        return ""


def _runs() -> Path:
    return Path(os.environ.get("SUITE_RUNS") or "runs").absolute()


def _verdict(code: int) -> None:
    """mpirun may return another rank's exit code."""
    if named := os.environ.get("SUITE_VERDICT"):
        with contextlib.suppress(OSError):
            Path(named).write_text(f"{code}\n")


def _leave(code: int, rank: int) -> NoReturn:
    if rank == 0:
        _verdict(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
