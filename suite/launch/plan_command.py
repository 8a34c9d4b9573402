"""`swiftbench plan`: what a command line would train, on how many workers, for how long."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from suite.core.errors import ConfigError
from suite.launch import sbatch
from suite.launch.plan import Planned, page, planned
from suite.launch.runs import Runs
from suite.run.paths import checkout


def plan(arguments: Sequence[str]) -> int:
    """Print what would be trained: each plan once, and a sweep's total. Returns the exit code.

    Words of its own: workers=N, nodes=N, site=NAME (SUITE_SITE), epoch_s=S, --measure; with --sbatch only the
    line that submits the runs is printed. Raises ConfigError.
    """
    words = [word for word in arguments if word not in ("--sbatch", "--measure")]
    site = _taken(words, "site") or os.environ.get("SUITE_SITE", "")
    n_workers, n_nodes = _count(words, "workers"), _count(words, "nodes")
    epoch_s = _seconds(words)
    runs = Runs(words)
    plans = planned(runs)
    if epoch_s is not None:
        plans = [each.with_epoch_s(epoch_s, f"as given (epoch_s={epoch_s:g})") for each in plans]
    elif "--measure" in arguments:
        plans = _measured(plans)
    if "--sbatch" in arguments:
        passed = {k: os.environ[k] for k in ("SUITE_IMAGE", "SUITE_DATA") if os.environ.get(k)}
        loads = [each.load for each in plans]
        where = sbatch.read_site(site, checkout())
        with_job = any(each.settings.budget.end == "job" for each in plans)
        said = sbatch.line(
            loads, where, n_nodes or 1, words,
            workers=n_workers, environment=passed, ends_with_job=with_job,
        )  # fmt: skip
        print(said)
        return 0
    if n_nodes is not None:
        n_workers = n_nodes * (n_workers or _a_node(site))
    print(page(plans, n_workers, sweep=runs.is_sweep))
    return 0


def _a_node(site: str) -> int:
    """Workers of a node: one for each GPU that the site states, else one."""
    return max(sbatch.read_site(site, checkout()).gpus, 1) if site else 1


def _measured(plans: Sequence[Planned]) -> list[Planned]:
    """With seconds that are measured here, once for each model."""
    from suite.launch.measure import measured_epoch_s

    known: dict[str, tuple[float, str]] = {}
    measured = []
    for each in plans:
        if each.parts.backend.simulated:
            raise ConfigError("--measure: backend=simulate trains nothing; leave it out.")
        leaf = repr(each.settings.model)
        if leaf not in known:
            known[leaf] = measured_epoch_s(each)
        measured.append(each.with_epoch_s(*known[leaf]))
    return measured


def _taken(words: list[str], name: str) -> str:
    """Take every `name=value` out of the words; the last value, empty for none."""
    found = [word for word in words if word.startswith(f"{name}=")]
    words[:] = [word for word in words if word not in found]
    return found[-1].removeprefix(f"{name}=") if found else ""


def _count(words: list[str], name: str) -> int | None:
    given = [word for word in words if word.startswith(f"{name}=")]
    text = _taken(words, name)
    if given and (not text.isdecimal() or not text.isascii() or int(text) == 0):
        raise ConfigError(f"{given[-1]}: must be an integer >= 1.")
    return int(text) if given else None


def _seconds(words: list[str]) -> float | None:
    given = [word for word in words if word.startswith("epoch_s=")]
    text = _taken(words, "epoch_s")
    if not given:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise ConfigError(f"{given[-1]}: must be a number of seconds > 0.")
    return seconds
