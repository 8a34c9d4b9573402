"""Floor 5, wiring: the command line. Only rank 0 comes here, and only here is Hydra known."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from suite import facts, launch, sbatch
from suite.core.errors import ConfigError, SuiteError
from suite.launch import Outcome
from suite.run import journal as journals
from suite.run.limit import PAUSED, Limit

CONF = facts.ROOT / "conf"
INTERRUPTED = 130
_ANEW = ("backend", "tracking", "report", "resume", "min_workers", "compare_across_overlap")


def main(arguments: list[str]) -> int:
    """Run, sweep, plan or resume; returns the exit code: 0, 1 (a run failed, or bad input), 75
    (paused: the job's time ends), 130 (interrupted).
    """
    try:
        if arguments[:1] == ["plan"]:
            return _plan(arguments[1:])
        named = [a.removeprefix("resume=") for a in arguments if a.startswith("resume=")]
        if named and named[-1] not in ("", "null", "auto"):
            return _resume(Path(named[-1]), [a for a in arguments if not a.startswith("resume=")])
        return _run(arguments)
    except SuiteError as error:
        print(f"suite: {error}", file=sys.stderr)
        return 1


def _run(arguments: list[str]) -> int:
    import hydra
    from hydra.core.hydra_config import HydraConfig

    outcomes: list[Outcome] = []
    last: dict[str, Any] = {}

    def task(config: Any) -> None:
        plain = _plain(config)
        last.update(plain)
        if outcomes and outcomes[-1].status in ("interrupted", "paused"):
            return  # Ctrl-C ends the sweep, not only one of its runs
        most = (plain["n_seeds"] or {}).get(plain["algorithm_name"])
        if most is not None and plain["seed"] >= most:
            return  # an expensive algorithm of a sweep runs fewer seeds
        folder = Path(HydraConfig.get().runtime.output_dir)
        outcome = (_go_on if plain["resume"] == "auto" else launch.run)(plain, folder)
        outcomes.append(outcome)
        print(
            f"{outcome.label}: {outcome.status}{': ' + outcome.reason if outcome.reason else ''}",
            flush=True,
        )

    sys.argv = ["suite", *arguments]
    hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)()
    return _finish(outcomes, last) if outcomes else 0


def _go_on(config: dict[str, Any], folder: Path) -> Outcome:
    """resume=auto: begin, or go on with what the folder holds; what is completed is left alone."""
    path = folder / journals.NAME
    label = f"{config['algorithm_name']} seed {config['seed']}"
    if why := Limit(0.0).due():
        return Outcome("paused", why, folder, label)
    if not path.exists():
        return launch.run(config, folder)
    if b"\n" not in path.read_bytes()[:1_000_000]:  # cut before its first line was whole
        path.unlink()
        return launch.run(config, folder)
    header, lines, _ = journals.read(path)
    if lines and lines[-1].get("event") == "closed" and lines[-1].get("status") == "completed":
        return Outcome("completed", "before", folder, label)
    was = header["config"]
    for key, value in config.items():
        if key not in (*_ANEW, "name") and was.get(key) != value:
            reason = (
                f"{key}={value}: the run in {shown(folder)} was begun with {was.get(key)}; "
                "resume=auto goes on with equal settings: restore it, or name another folder "
                "(SUITE_STAMP)."
            )
            return Outcome("failed", reason, folder, label)
    return launch.run({**was, **{key: config[key] for key in _ANEW}}, folder, resume=True)


def _resume(folder: Path, overrides: list[str]) -> int:
    """Go on with a run by its own configuration; only backend settings may be given anew."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    for override in overrides:
        if not override.startswith(("backend", "tracking", "report=", "min_workers=")):
            raise ConfigError(
                f"{override}: cannot change on resume, the journal's own configuration counts; "
                "only backend..., tracking..., report and min_workers can."
            )
    header = journals.read(folder / journals.NAME)[0]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        fresh = OmegaConf.to_container(compose("config", overrides), resolve=True)
    assert isinstance(fresh, dict)
    config = {**header["config"], "tracking": fresh["tracking"], "compare_across_overlap": True}
    config["report"] = fresh["report"]
    if any(override.startswith("backend") for override in overrides):
        config["backend"] = fresh["backend"]
    config["min_workers"] = fresh["min_workers"]
    outcome = launch.run(config, folder, resume=True)
    print(
        f"{outcome.label}: {outcome.status}{': ' + outcome.reason if outcome.reason else ''}",
        flush=True,
    )
    return _finish([outcome], config)


def _plan(overrides: list[str]) -> int:
    """Print what would be trained; for a sweep, each algorithm once and the sweep's total.

    With --sbatch: only the line that submits it, for site=NAME (SUITE_SITE) and nodes=N.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException

    overrides, submit = [o for o in overrides if o != "--sbatch"], "--sbatch" in overrides
    site = _taken(overrides, "site", os.environ.get("SUITE_SITE", ""))
    n_given = int(_taken(overrides, "workers", "0", number=True))
    n_nodes = int(_taken(overrides, "nodes", "1", number=True))
    n_workers = n_given or 1
    with initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            whole = compose("config", overrides, return_hydra_config=True)
            swept = {k: str(v).split(",") for k, v in (whole.hydra.sweeper.params or {}).items()}
            given = {o.split("=")[0] for o in overrides}
            swept = {k: v for k, v in swept.items() if k not in given}
            algorithms = swept.pop("algorithm", [])
            choices = [[*overrides, f"algorithm={name.strip()}"] for name in algorithms] or [
                overrides
            ]
            configs = [_plain(compose("config", choice)) for choice in choices]
            plans = [launch.plan(config, n_workers) for config in configs]
        except HydraException as error:
            print(f"suite: {error}", file=sys.stderr)
            return 1
    n_each = math.prod(len(values) for values in swept.values()) if swept or algorithms else 0
    if submit:
        # A sweep's runs follow each other: as if the largest came so many times.
        n_runs = max(n_each, 1) * len(plans)
        parts = max(map(launch.assemble, configs), key=lambda p: p.scheduler.plan().n_epochs)
        passed = {k: os.environ[k] for k in ("SUITE_IMAGE", "SUITE_DATA") if os.environ.get(k)}
        print(
            sbatch.line(
                parts.scheduler.plan(), parts.target.epoch_s, sbatch.read_site(site, facts.ROOT),
                n_nodes, overrides, workers=n_given or None, n_runs=n_runs, environment=passed,
            )
        )  # fmt: skip
        return 0
    print("\n\n".join(text for text, _ in plans))
    if n_each:
        what = ", ".join(f"{key}={','.join(values)}" for key, values in swept.items())
        total = n_each * sum(n_epochs for _, n_epochs in plans)
        print(f"\nsweep       {len(plans) * n_each} runs ({what}), at most {total} epochs")
    return 0


def _taken(overrides: list[str], name: str, default: str, number: bool = False) -> str:
    """The last `name=value` of the overrides, which it leaves without it."""
    for override in [o for o in overrides if o.startswith(f"{name}=")]:
        overrides.remove(override)
        default = override.removeprefix(f"{name}=")
        if number and (not default.isdigit() or int(default) == 0):
            raise ConfigError(f"{override}: must be an integer >= 1.")
    return default


def _plain(config: Any) -> dict[str, Any]:
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _finish(outcomes: list[Outcome], config: dict[str, Any]) -> int:
    """After the last run: the report, the import into MLflow, and the verdict."""
    # A run that its configuration stopped has left nothing to report.
    folders = [outcome.folder for outcome in outcomes if (outcome.folder / journals.NAME).exists()]
    paused = any(outcome.status == "paused" for outcome in outcomes)
    interrupted = paused or any(outcome.status == "interrupted" for outcome in outcomes)
    if folders and not interrupted:
        if config["report"]:
            _report(folders)
        if config["tracking"]["when"] == "after":
            _track(folders, str(config["tracking"]["store"]))
    failed = [outcome for outcome in outcomes if outcome.status != "completed"]
    if failed and len(outcomes) > 1:  # a single run's end was just printed
        print(f"{len(failed)} of {len(outcomes)} runs did not complete:", file=sys.stderr)
        same: dict[tuple[str, str], list[Outcome]] = {}
        for outcome in failed:
            same.setdefault((outcome.status, outcome.reason), []).append(outcome)
        for outcome, *more in same.values():
            others = f" and {len(more)} more" if more else ""
            where = shown(outcome.folder)
            said = f"{outcome.label}{others}: {outcome.status}: {outcome.reason} ({where})"
            print(f"  {said}", file=sys.stderr)
    if interrupted:
        return PAUSED if paused else INTERRUPTED
    return 1 if failed else 0


def _report(folders: list[Path]) -> None:
    from suite import report

    out = report.write(folders, None)
    print(report.summary(folders))
    print(f"report: {shown(out / 'report.html')}")


def _track(folders: list[Path], store: str) -> None:
    """Import in a process of its own: rank 0 never imports mlflow, and its launcher's variables
    stay behind.
    """
    launcher = ("OMPI_", "PMI_", "PMIX_", "PRTE_", "SLURM_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(launcher)}
    command = [sys.executable, "-m", "suite.track", "--store", store, *map(str, folders)]
    done = subprocess.run(command, env=environment, close_fds=False)
    if done.returncode:
        print(
            f"tracking: exit {done.returncode}; python -m suite.track RUN_FOLDERS imports again.",
            file=sys.stderr,
        )


def shown(path: Path) -> str:
    """A path as short as it can be said from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
