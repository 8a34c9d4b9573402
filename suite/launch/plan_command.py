"""`swiftbench plan`: what a command line would train, on how many workers, for how long."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from suite.core.errors import ConfigError, unknown_name
from suite.launch import batch_lines, sbatch
from suite.launch.plan import Planned, page, planned
from suite.launch.runs import Runs
from suite.run.paths import checkout

_SLURM, _BATCH = "slurm", "--batch="


def plan(arguments: Sequence[str]) -> int:
    """Print what would be trained: each plan once, and a sweep's total. Returns the exit code.

    Words of its own: workers=N, nodes=N, site=NAME (SUITE_SITE), epoch_s=S, --measure; with --sbatch or
    --batch=SYSTEM only the line that submits the runs is printed. Raises ConfigError.
    """
    words = [word for word in arguments if not is_own(word)]
    site = _taken(words, "site") or os.environ.get("SUITE_SITE", "")
    n_workers, n_nodes = _count(words, "workers"), _count(words, "nodes")
    epoch_s = _seconds(words)
    runs = Runs(words)
    plans = planned(runs)
    if epoch_s is not None:
        plans = [each.with_epoch_s(epoch_s, f"as given (epoch_s={epoch_s:g})") for each in plans]
    elif "--measure" in arguments:
        plans = _measured(plans)
    if system := _system(arguments):
        print(_line(system, site, plans, n_nodes or 1, n_workers, words))
        return 0
    if n_nodes is not None:
        size, over_nodes = _groups(plans)
        per_node = sbatch.ranks_of_node(_gpus(site), n_workers, size, over_nodes)
        n_workers = sbatch.workers_of(n_nodes, per_node, size)
    print(page(plans, n_workers, sweep=runs.is_sweep))
    return 0


def is_own(word: str) -> bool:
    """Whether it is an option of `plan` alone."""
    return word in ("--sbatch", "--measure") or word.startswith(_BATCH)


def _system(arguments: Sequence[str]) -> str:
    """The batch system whose line is wanted; empty: none."""
    named = [word.removeprefix(_BATCH) for word in arguments if word.startswith(_BATCH)]
    if not named:
        return _SLURM if "--sbatch" in arguments else ""
    if named[-1] not in (_SLURM, *batch_lines.SYSTEMS):
        raise unknown_name("--batch", named[-1], (_SLURM, *batch_lines.SYSTEMS))
    return named[-1]


def _line(
    system: str,
    site: str,
    plans: Sequence[Planned],
    nodes: int,
    workers: int | None,
    words: list[str],
) -> str:
    loads = [each.load for each in plans]
    passed = {k: os.environ[k] for k in ("SUITE_IMAGE", "SUITE_DATA") if os.environ.get(k)}
    size, over_nodes = _groups(plans)
    with_job = any(each.settings.budget.end == "job" for each in plans)
    if system == _SLURM:
        return sbatch.line(
            loads, sbatch.read_site(site, checkout()), nodes, words,
            workers=workers, environment=passed, ends_with_job=with_job, ranks_per_trial=size,
            over_nodes=over_nodes,
        )  # fmt: skip
    return batch_lines.line(
        system, loads, batch_lines.read_site(system, site, checkout()), nodes, words,
        workers=workers, environment=passed, ends_with_job=with_job, ranks_per_trial=size,
        over_nodes=over_nodes,
    )  # fmt: skip


def _gpus(site: str) -> int:
    """GPUs of a node, as the site states them; none where no site is named."""
    if not site:
        return 0
    root = checkout()
    in_batch = (root / "batch" / "sites" / f"{site}.sh").exists()
    if in_batch and not (root / "slurm" / "sites" / f"{site}.sh").exists():
        # All systems of batch/ read a site's GPUs alike.
        return batch_lines.read_site("pbs", site, root).gpus
    return sbatch.read_site(site, root).gpus


def _groups(plans: Sequence[Planned]) -> tuple[int, bool]:
    """Ranks a trial of all runs, and whether these may span nodes.

    Raises ConfigError where the runs differ: a launch has groups of one size.
    """
    found = sorted({each.parts.backend.ranks_per_trial for each in plans})
    if len(found) > 1:
        raise ConfigError(
            f"backend.ranks_per_trial={', '.join(map(str, found))}: one number a launch; plan and submit "
            "these runs apart."
        )
    return (found[0] if found else 1), any(each.parts.backend.group_interface for each in plans)


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
