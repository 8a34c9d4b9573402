"""What would go wrong here, and the remedy: one page of checks, before a run.

    swiftbench doctor experiment=quickstart             alone, on a login node
    mpirun -n 3 swiftbench doctor model=cifar10_cnn     by the line that starts the run: all ranks are asked
    swiftbench doctor model=mlpf --data delphes         and a data set's checksums

Take the line that starts the run, with `doctor` in place of `run`: then one page is printed for all ranks.

Exit code: 0; 1: a check failed; 2: wrong arguments.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from suite.backends import launcher
from suite.backends.mpi import library
from suite.backends.mpi.watch import Watch
from suite.core.command import argument_parser, run_command
from suite.core.errors import ConfigError, SuiteError
from suite.core.plugins import make
from suite.core.run_settings import RunSettings
from suite.core.target import Target
from suite.doctor import disk, findings, gpu, host, job, mpi, world
from suite.doctor.findings import Finding, fail
from suite.launch.runs import Runs
from suite.run.identity import node_identity
from suite.worker.settings import WorkerSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code. Under a launcher it does not return but leaves with it."""
    options, overrides = parse(sys.argv[1:] if arguments is None else arguments)
    return run_command("suite.doctor", lambda: _checked(options, overrides))


def _checked(options: argparse.Namespace, overrides: Sequence[str]) -> int:
    if launcher.launched():
        launched(options, overrides)
    report = [*alone(options, overrides)]
    say(options, report, "one process, no MPI launch")
    return findings.code(report)


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argument_parser("suite.doctor", __doc__)
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="as for the run: experiment=..., model=...",
    )
    parser.add_argument("--multirun", "-m", action="store_true", help="as for the run: a sweep")
    parser.add_argument(
        "--config-dir", "-cd", metavar="DIR", help="as for the run: more YAML files"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON document, by results_schema/doctor.schema.json",
    )
    parser.add_argument("--data", nargs="+", default=[], metavar="NAME", action="extend",
                        help="data sets whose checksums are verified")  # fmt: skip
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="workers of the run, for its time (default: those of this launch)",
    )
    parser.add_argument("--timeout", type=float, default=180.0, metavar="S",
                        help="most seconds ranks are waited for (default %(default)g)")  # fmt: skip
    options = parser.parse_intermixed_args(arguments)
    # Of --data a b model=x the last is no data set: overrides have a sign of equality.
    overrides = [*options.overrides, *(name for name in options.data if "=" in name)]
    options.data = [name for name in options.data if "=" not in name]
    if options.config_dir:
        overrides = ["--config-dir", options.config_dir, *overrides]
    if options.multirun:
        overrides = ["--multirun", *overrides]
    return options, overrides


def configured(overrides: Sequence[str]) -> tuple[Runs | None, list[Finding]]:
    """The runs, or None and why."""
    try:
        runs = Runs(overrides)
        for combination in runs.combinations:
            RunSettings.of(combination.config)
        return runs, []
    except SuiteError as error:
        return None, [
            fail(
                "configuration",
                str(error),
                "correct the command line, or the YAML",
            )
        ]


def _first(runs: Runs | None) -> RunSettings | None:
    return RunSettings.of(runs.combinations[0].config) if runs is not None else None


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
    runs, wrong = configured(overrides)
    yield from wrong
    first = _first(runs)
    device, _ = _devices(first)
    yield from local(world.Look(device, str(_runs()), _framework(first), True)).findings
    if runs is not None:
        yield from job.checks(runs, _runs(), options.workers or 1, options.data)


def local(look: world.Look) -> world.Seen:
    """What one process sees of itself and its node."""
    findings = [*host.checks(look.first), *disk.checks(Path(look.runs), look.first)]
    seen = gpu.Visible.here()
    findings.append(gpu.visible(seen, look.device))
    if look.framework:
        findings.append(gpu.build(look.framework, seen, look.device))
    return world.Seen(tuple(findings), seen)


def launched(options: argparse.Namespace, overrides: Sequence[str]) -> NoReturn:
    """One rank of several: rank 0 prints for all."""
    rank, wanted = launcher.rank(), launcher.world_size()

    def last_words() -> None:
        if rank == 0:
            late = fail(
                "mpi", f"rank 0 of {wanted} hangs: in MPI_Init, a message or MPI_Finalize",
                "mpi4py's library and the launcher do not fit (srun --mpi=...), or nodes do not "
                "reach each other (OMPI_MCA_btl_tcp_if_include, PRTE_MCA_if_include)",
            )  # fmt: skip
            say(options, [late], f"{wanted} ranks asked for")
            launcher.write_verdict(1)

    watch = Watch(world.START_S, last_words)
    try:
        MPI = library.load()
    except Exception as error:  # no library, or another ABI's: ImportError, RuntimeError
        watch.done()
        if rank == 0:
            reason = f"mpi4py loads no MPI library: {str(error).splitlines()[0]}"
            say(options, [fail("mpi", reason, "load the MPI module that the launcher is of")],
                f"{wanted} ranks asked for")  # fmt: skip
        _leave(1, rank)
    comm = MPI.COMM_WORLD
    size = mpi.size(comm.Get_size(), os.environ)
    version = MPI.Get_library_version()
    own, major = mpi.flavour(version)
    early = [
        mpi.agree(version, launcher.version_text(os.environ)), size,
        mpi.pmi(own, os.environ), mpi.ulfm(own, major, os.environ),
    ]  # fmt: skip
    if size.status == "fail":  # N worlds of one rank each: nobody to talk to
        watch.done()
        if rank == 0:
            say(options, early, f"{wanted} ranks asked for, a world of {comm.Get_size()}")
        else:
            # Rank 0 may not be there: a shell inside of a task has the variables of that task.
            print(f"suite.doctor: rank {rank}: {size.value}; rank 0 says more", file=sys.stderr)
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
    launcher.write_verdict(code)
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
    places = {0: node_identity(), **ranks.gather("hello", min(30.0, options.timeout))}
    nodes = launcher.node_labels(places)
    runs, wrong = configured(overrides)
    settings = _first(runs)
    device, share_gpus = _devices(settings)
    framework = _framework(settings)
    first = world.firsts(nodes, list(nodes))
    first_worker = world.firsts(nodes, ranks.others())

    def look(rank: int) -> world.Look:
        mine = framework if rank in first_worker else ""
        return world.Look(device, str(_runs()), mine, rank in first)

    for rank in ranks.others():
        ranks.send(rank, "look", look(rank))
    # Rank 0 takes no GPU and imports no framework.
    by_rank = {0: local(world.Look("cpu", str(_runs()), "", True)).findings}
    by_rank[0] = tuple(f for f in by_rank[0] if f.check != "gpu")
    of_job: list[Finding] = []
    if runs is not None:
        n_workers = options.workers or max(ranks.size - 1, 1)
        of_job = [*job.checks(runs, _runs(), n_workers, options.data)]
    seen = ranks.gather("found", options.timeout)
    by_rank |= {rank: of_rank.findings for rank, of_rank in seen.items()}
    placed = {rank: (nodes[rank], of_rank.gpus) for rank, of_rank in seen.items()}
    shared = [gpu.shared(placed, device, share_gpus)]
    skew = ranks.skew()
    report = [
        *early, ranks.answers(), skew, *findings.merge(by_rank), *shared, *wrong, *of_job
    ]  # fmt: skip
    n_nodes = len(set(nodes.values()))
    return report, f"{ranks.size} ranks on {n_nodes} node{'s' * (n_nodes > 1)}"


def say(options: argparse.Namespace, report: Sequence[Finding], context: str) -> None:
    text = findings.document if options.json else findings.page
    print(text(report, context), flush=True)


def _framework(settings: RunSettings | None) -> str:
    """The target's; empty where it cannot be made (job.checks says why)."""
    try:
        return str(make(settings.model, "model", Target).framework) if settings is not None else ""
    except SuiteError:
        return ""


def _devices(settings: RunSettings | None) -> tuple[str, bool]:
    """The backend's device, and whether its workers share GPUs; auto and no where it cannot be made."""
    backend: WorkerSettings | None = None
    try:
        if settings is not None:
            backend = make(settings.backend, "backend", WorkerSettings)
    except SuiteError:
        backend = None
    return (backend.device, backend.share_gpus) if backend is not None else ("auto", False)


def _runs() -> Path:
    return Path(os.environ.get("SUITE_RUNS") or "runs").absolute()


def _leave(code: int, rank: int) -> NoReturn:
    if rank == 0:
        launcher.write_verdict(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
