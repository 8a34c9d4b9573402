"""Floor 5, wiring: from a resolved configuration to a finished run."""

from __future__ import annotations

import datetime
import inspect
import math
import os
import signal
import threading
import traceback
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite import __version__, energy, facts
from suite.backends import devices
from suite.backends.ask import Forecaster
from suite.checkpoints import Checkpoints, open_checkpoints
from suite.core.errors import (
    ConfigError,
    JournalError,
    PausedError,
    SuiteError,
    unknown_name,
)
from suite.core.plugins import make
from suite.core.predictor import Predictor, check_features
from suite.core.scheduler import Scheduler
from suite.core.searcher import Searcher
from suite.core.target import Target
from suite.progress import Progress
from suite.run import journal as journals
from suite.run.conductor import Conductor
from suite.run.driver import Backend, Driver, reopen
from suite.run.journal import Journal
from suite.run.limit import Limit
from suite.schedulers.virtual_cluster import VirtualCluster

Config = Mapping[str, Any]

_KINDS = ("auto", "inline", "mpi", "simulate")


@dataclass(frozen=True)
class Outcome:
    """How a run ended. status: completed, failed, interrupted, paused; folder: its run folder."""

    status: str
    reason: str
    folder: Path
    label: str


@dataclass(frozen=True)
class Parts:
    """The objects that a configuration names."""

    scheduler: Scheduler
    target: Target
    conductor: Conductor


def assemble(config: Config) -> Parts:
    """Make and check every part. Raises ConfigError; imports no framework."""
    searcher = make(config["searcher"], "searcher")
    if not isinstance(searcher, Searcher):
        raise ConfigError(
            f"searcher._target_={config['searcher']['_target_']}: must be a Searcher."
        )
    scheduler = _scheduler(config, searcher)
    target = make(config["model"], "model")
    if not isinstance(target, Target):
        raise ConfigError(f"model._target_={config['model']['_target_']}: must be a Target.")
    predictor = config["predictor"]
    check_features(predictor.get("features"))
    if predictor.get("_target_"):  # a wrong argument is found now, not at the first decision
        made = make({k: v for k, v in predictor.items() if k != "features"}, "predictor")
        if not isinstance(made, Predictor):
            raise ConfigError(f"predictor._target_={predictor['_target_']}: must be a Predictor.")
        made.check()
        if scheduler.needs_std and "return_std" not in inspect.signature(made.predict).parameters:
            raise ConfigError(
                f"predictor={type(made).__name__}: {type(scheduler).__name__} needs standard "
                "deviations, predict(X, return_std=True); use predictor=loo_svr."
            )
    elif "features" in config["scheduler"]:
        raise ConfigError(
            f"predictor=none: {type(scheduler).__name__} needs one; use predictor=svr or "
            "predictor=qsvr."
        )
    n_trials, rows = scheduler.plan().n_trials, target.space.rows
    if rows is not None and n_trials > len(rows):
        raise ConfigError(
            f"max_epochs={scheduler.max_epochs}: the scheduler asks for {n_trials} configurations, "
            f"the table has {len(rows)}; lower max_epochs (or n_trials), or take a larger table."
        )
    conductor = Conductor(
        scheduler, searcher, target.space,
        seed=_integer(config, "seed", 0),
        max_attempts=_integer(config, "max_attempts", 1),
        min_workers=_integer(config, "min_workers", 1),
        resident_trials=_integer(config["backend"], "resident_trials", 1, "backend."),
        score=bool(config["score_test"]),
    )  # fmt: skip
    return Parts(scheduler, target, conductor)


def _scheduler(config: Config, searcher: Searcher) -> Scheduler:
    """The scheduler; on a virtual cluster where overlap is logical."""
    overlap, settings = config["overlap"], config["scheduler"]
    if not (isinstance(overlap, bool) or overlap == "logical"):
        raise ConfigError(f"overlap={overlap}: must be true, false or logical.")
    if overlap == "logical" and "overlap" in settings:
        settings = {**settings, "overlap": True}  # on the logical clock
    scheduler = make(settings, "scheduler")
    if not isinstance(scheduler, Scheduler):
        raise ConfigError(f"scheduler._target_={settings['_target_']}: must be a Scheduler.")
    if overlap != "logical":
        return scheduler
    return VirtualCluster(
        scheduler,
        config["nominal_workers"],
        ahead=not searcher.adaptive,
        speculate=bool(config["speculate"]),
    )


def run(config: Config, folder: Path, *, resume: bool = False) -> Outcome:
    """One run in `folder`, to its end; never raises for what goes wrong inside it (see Outcome)."""
    label = f"{config['algorithm_name']} seed {config['seed']}"
    driver: Driver | None = None
    progress: Progress | None = None
    meter: energy.JobMeter | None = None
    try:
        parts = assemble(config)
        sign = -1.0 if parts.target.mode == "max" else 1.0
        progress = Progress(label, parts.scheduler.plan().n_epochs, sign, parts.target.metric)
        if resume:
            driver = reopen(folder, parts.conductor, [progress], facts.restart())
        else:
            _check_overlap(config, folder)
            # The journal exists before MPI is touched: a folder that is taken costs nothing.
            driver = Driver(parts.conductor, Journal(folder, _header(config, parts)), [progress])
        if parts.conductor.shutdown is None:  # else the run lacked only its closing line
            backend = _backend(config, parts, folder)
            if "SLURM_JOB_ID" in os.environ and config["backend"]["kind"] != "simulate":
                meter = energy.JobMeter(timeout_s=3)
            with _signals():
                backend.run(driver)
        shutdown = parts.conductor.shutdown
        assert shutdown is not None
        status, reason = shutdown.status, shutdown.reason
    except KeyboardInterrupt:
        status, reason = "interrupted", "stopped by a signal; resume=<run folder> goes on."
    except PausedError as error:
        status, reason = "paused", f"{error}; the same line with resume=auto goes on."
    except SuiteError as error:
        status, reason = "failed", str(error)
    except Exception as error:
        traceback.print_exc()
        status, reason = "failed", f"{type(error).__name__}: {error}"
    if progress is not None:
        progress.close()
    if driver is not None:
        try:
            # A signal leaves a quarter of a second: no question to the batch system then.
            said = meter.reading() if meter is not None and status != "interrupted" else None
            driver.close("interrupted" if status == "paused" else status, reason, said)
        except SuiteError as error:  # the disk is full: what stands in the journal is whole
            status, reason = "failed", str(error)
        _tidy(config, folder, driver, status)
    return Outcome(status, reason, folder, label)


def _backend(config: Config, parts: Parts, folder: Path) -> Backend:
    """The backend that the configuration names, ready to run."""
    settings = config["backend"]
    kind = settings["kind"]
    if kind not in _KINDS:
        raise unknown_name("backend.kind", kind, _KINDS)
    forecaster = Forecaster(config["predictor"], config["seed"], folder=folder)
    limit = Limit(settings.get("pause_before_s", 120.0))
    mpi = kind == "mpi" or (kind == "auto" and launched())
    k = settings.get("ranks_per_trial", 1)
    if not mpi and k != 1:
        raise ConfigError(
            f"backend.ranks_per_trial={k}: needs the mpi backend ("
            f"{'a simulated worker' if kind == 'simulate' else 'this launch'} is one rank); "
            "use 1, or mpirun -n RANKS python -m suite ... backend=mpi."
        )
    if kind == "simulate":
        from suite.backends.simulate import Simulate, cluster

        max_epochs = parts.scheduler.max_epochs
        return Simulate(parts.target, cluster(settings), forecaster, config["seed"], max_epochs)
    limit.check(parts.target.epoch_s)
    if mpi:
        from suite.backends.mpi import MPIBackend

        return MPIBackend(
            config["model"], parts.target, settings, _checkpoint_folder(config, folder),
            forecaster, limit,
        )  # fmt: skip
    from suite.backends.inline import Inline
    from suite.worker import Worker

    threads = _integer(settings, "threads", 1, "backend.")
    devices.limit_threads(threads)
    device = devices.pin(settings["device"], 0)
    forecaster.warm_up()
    worker = Worker(
        parts.target,
        open_checkpoints(settings, _checkpoint_folder(config, folder)),
        resident_trials=settings["resident_trials"],
        checkpoint_every_s=settings["checkpoint_every_s"],
    )
    said = facts.worker(device, "node0", threads)
    return Inline(
        worker, forecaster, device=device, facts=said, limit=limit,
        meter=lambda: energy.Meter(device),
    )  # fmt: skip


def launched() -> bool:
    """Whether a launcher started this process as one rank of several."""
    if int(os.environ.get("OMPI_COMM_WORLD_SIZE") or os.environ.get("PMI_SIZE") or 1) > 1:
        return True
    if "PMIX_RANK" in os.environ and int(os.environ.get("SLURM_NTASKS") or 2) > 1:
        return True
    return "SLURM_STEP_ID" in os.environ and int(os.environ.get("SLURM_NTASKS") or 1) > 1


def rank() -> int:
    """This process's rank by the launcher's variables; 0 where there is none."""
    for name in ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"):
        if name in os.environ:
            return int(os.environ[name]) if launched() else 0
    return 0


def _checkpoint_folder(config: Config, folder: Path) -> Path:
    named = config["backend"]["checkpoints"]
    return Path(named) / folder.name if named else folder / "checkpoints"


def _tidy(config: Config, folder: Path, driver: Driver, status: str) -> None:
    """After the end: checkpoints that nobody needs, and the record.

    What fails here must not take a sweep's other runs with it.
    """
    try:
        if status == "completed" and config["keep_checkpoints"] == "winner":
            winner = driver.conductor.winner
            Checkpoints(_checkpoint_folder(config, folder)).drop_all_but(winner)
        from suite import records

        records.write(folder)
    except Exception as error:
        print(f"{folder.name}: {type(error).__name__}: {error}", flush=True)


def _header(config: Config, parts: Parts) -> dict[str, Any]:
    scheduler, target, searcher = parts.scheduler, parts.target, parts.conductor.searcher
    # What a searcher is shown depends on the order of arrival, but for a virtual cluster.
    repeats = scheduler.deterministic and (config["overlap"] == "logical" or not searcher.adaptive)
    settings = {
        k: v
        for k, v in config.items()
        if k not in ("resume", "report", "tracking", "compare_across_overlap")
    }
    return {
        "run_id": uuid.uuid4().hex,
        "suite_version": __version__,
        "date_utc": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "experiment": config["name"],
        "algorithm": config["algorithm_name"],
        "model": str(config["model"]["_target_"]).split(".")[-2],
        "seed": config["seed"],
        "n_workers": _n_workers(config["backend"]),
        "overlap": config["overlap"],
        "reproducible": "whole run" if repeats else "prefix only",
        "max_epochs": scheduler.max_epochs,
        **({"reference": dict(known)} if (known := target.reference(scheduler.max_epochs)) else {}),
        "target": {
            "metric": target.metric,
            "mode": target.mode,
            "data": target.data,
            "framework": target.framework,
        },
        "config": settings,
        "versions": facts.versions(),
        "git": facts.git(),
        "host": facts.host(),
        **({"image": image} if (image := facts.image()) else {}),
    }


def _n_workers(settings: Config) -> int:
    """Workers asked for: groups, where several ranks train a trial (fewer where a node's ranks
    leave some over).
    """
    if settings["kind"] == "simulate":
        return int(settings["workers"])
    if not launched() or settings["kind"] == "inline":
        return 1
    k = settings.get("ranks_per_trial", 1)
    return (world_size() - 1) // (k if isinstance(k, int) and k > 0 else 1)


def world_size() -> int:
    """Ranks that the launcher says it started."""
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS"):
        if name in os.environ:
            return int(os.environ[name])
    return 1


def _check_overlap(config: Config, folder: Path) -> None:
    """Runs of one experiment (one sweep's folder) must agree in `overlap`, or the comparison
    compares two things.
    """
    if config["compare_across_overlap"]:
        return
    for path in sorted(folder.parent.glob(f"*/{journals.NAME}")):
        try:
            other = journals.read_header(path).get("overlap")
        except JournalError:
            continue  # the report will say which one cannot be read
        if other is not None and bool(other) != bool(config["overlap"]):  # logical overlaps too
            raise ConfigError(
                f"overlap={config['overlap']}: run {path.parent.name} of this experiment has "
                f"overlap={other}; "
                "use the same, or compare_across_overlap=true."
            )


def _integer(config: Config, name: str, least: int, prefix: str = "") -> int:
    value = config[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{prefix}{name}={value}: must be an integer >= {least}.")
    return value


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM (mpirun's answer to Ctrl-C, or the batch system's) ends a run as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def plan(config: Config, n_workers: int) -> tuple[str, int]:
    """What would be trained, for people: brackets, rungs, epochs, decisions, disk, hours; and the
    epochs alone.
    """
    parts = assemble(config)
    planned, target = parts.scheduler.plan(), parts.target
    lines = [
        f"{config['algorithm_name']} on {config['model']['_target_'].split('.')[-2]} "
        f"({target.data} data), "
        f"max_epochs {parts.scheduler.max_epochs}, overlap {_overlap_said(config, parts)}",
        "",
        "bracket  rungs: trials x epochs in total (decision point)",
    ]
    n_decisions = 0
    for bracket in planned.brackets:
        rungs = []
        for rung in bracket.rungs:
            point = f" ({rung.decision_epoch})" if rung.decision_epoch else ""
            n_decisions += 1 + bool(rung.decision_epoch)
            rungs.append(f"{rung.n_trials} x {rung.to_epoch}{point}")
        lines.append(f"{bracket.s:7d}  {', '.join(rungs)}")
    points = any(rung.decision_epoch for b in planned.brackets for rung in b.rungs)
    bound = "at most " if planned.upper_bound or points else ""
    n_files = planned.n_trials * 4  # two of earlier jobs, two of the present one
    hours = planned.n_epochs * target.epoch_s / 3600
    longest = max(b.rungs[-1].to_epoch for b in planned.brackets) * target.epoch_s / 3600
    wall = max(hours / n_workers, longest)
    lines += [
        "",
        f"trials      {planned.n_trials}",
        f"epochs      {bound}{planned.n_epochs}",
        f"decisions   {n_decisions} (rungs and decision points)",
        f"disk        at most {_bytes(n_files * target.checkpoint_bytes)} in "
        f"{n_files + planned.n_trials} inodes "
        f"while it runs ({_bytes(target.checkpoint_bytes)} a checkpoint, at most four a trial)",
        f"hours       {bound}{hours:.3g} of training at {target.epoch_s:g} s an epoch; "
        f"{wall:.3g} or more on {n_workers} worker{'s' if n_workers > 1 else ''}",
    ]
    return "\n".join(lines), planned.n_epochs


def _overlap_said(config: Config, parts: Parts) -> str:
    scheduler = parts.scheduler
    if isinstance(scheduler, VirtualCluster):
        return f"logical ({scheduler.nominal_workers} nominal workers)"
    return str(config["overlap"]).lower()


def _bytes(n: float) -> str:
    power = min(int(math.log(max(n, 1), 1024)), 4)
    return f"{n / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
