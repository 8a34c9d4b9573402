"""Runs as the report sees them, and the comparisons that they belong to.

Values are in the direction that people read (the journal minimises); times in seconds since a run's
begin.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError
from suite.run.journal import NAME
from suite.views import RunView

BASELINE = "hyperband"


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its view, and what tables and figures ask of it.

    place: its folder, seen from the one that all have in common; algorithm: its name here.
    """

    view: RunView
    place: str
    algorithm: str
    seed: int

    @property
    def header(self) -> Mapping[str, Any]:
        return self.view.header

    @property
    def completed(self) -> bool:
        return self.view.status == "completed"

    @property
    def sign(self) -> float:
        return self.view.value(1.0)

    @property
    def better(self) -> str:
        return "higher is better" if self.sign < 0 else "lower is better"

    @property
    def n_workers(self) -> int:
        return int(self.header.get("n_workers") or len({w.worker for w in self.view.workers}) or 1)

    @property
    def best(self) -> float | None:
        """The best validation value over all epochs of all trials."""
        return self.view.value(self.view.best.best) if self.view.best is not None else None

    @property
    def n_stopped(self) -> int:
        return sum(trial.stopped_at is not None for trial in self.view.trials.values())

    @property
    def idle(self) -> float | None:
        """Share of the workers' time, from joining to leaving, in which they had no job."""
        return self.view.idle_share

    @property
    def given_up(self) -> dict[str, str]:
        """Trials that diverged or were given up, with the reason."""
        trials = self.view.trials.items()
        return {f"trial {i}": trial.reason for i, trial in trials if trial.reason is not None}

    def part(self, name: str) -> Mapping[str, Any]:
        """One object of the header; empty where it is missing or something else."""
        found = self.header.get(name)
        return found if isinstance(found, Mapping) else {}

    @property
    def simulated(self) -> bool:
        """Whether its seconds were made up by backend=simulate."""
        backend = (self.header.get("config") or {}).get("backend") or {}
        return backend.get("kind") == "simulate"

    def target(self, name: str) -> str:
        return str(self.part("target").get(name, ""))


@dataclass(frozen=True, slots=True)
class Group:
    """One comparison: the runs of one experiment, model and task. Algorithms: the baseline first.

    task: what sets it apart from others of the same name (empty: there are none); runs: completed,
    one for each algorithm and seed; left_out: completed, but a newer one has the same seed;
    baseline: None where no such run completed.
    """

    experiment: str
    model: str
    task: str
    runs: tuple[Run, ...]
    unfinished: tuple[Run, ...]
    left_out: tuple[Run, ...]
    algorithms: tuple[str, ...]
    baseline: str | None
    warnings: tuple[str, ...] = ()

    @property
    def shown(self) -> tuple[Run, ...]:
        """The runs that labels speak of."""
        return self.runs or self.unfinished

    @property
    def first(self) -> Run:
        return self.shown[0]

    @property
    def title(self) -> str:
        return f"{self.experiment} / {self.model}" + (f" ({self.task})" if self.task else "")

    @property
    def slug(self) -> str:
        """The title as a file name, with nothing that a file system or a browser reads as more."""
        return re.sub(r"[^A-Za-z0-9_.=]+", "-", self.title).strip("-.")[:80] or "group"

    @property
    def metric(self) -> str:
        """What the objective is called on any split."""
        return self.first.target("metric").removeprefix("val_") or "objective"

    @property
    def overlap(self) -> str:
        words: dict[Any, str] = {True: "on", False: "off"}
        return "/".join(
            sorted({words.get(o := run.header.get("overlap"), str(o)) for run in self.shown})
        )

    @property
    def data(self) -> str:
        """`SYNTHETIC`, `recorded` or `stand-in`; empty for real data."""
        kinds = {run.target("data") for run in self.shown} - {"real"}
        return " and ".join(sorted("SYNTHETIC" if kind == "synthetic" else kind for kind in kinds))

    @property
    def simulated(self) -> bool:
        """Whether any run's seconds were made up."""
        return any(run.simulated for run in self.shown)

    @property
    def workers(self) -> str:
        return ", ".join(str(n) for n in sorted({run.n_workers for run in self.shown}))

    @property
    def prefix_only(self) -> list[str]:
        """Algorithms whose runs another one reproduces up to a point only."""
        found = {
            run.algorithm for run in self.shown if run.header.get("reproducible") == "prefix only"
        }
        return [name for name in self.algorithms if name in found]

    def of(self, algorithm: str) -> list[Run]:
        """Completed runs of one algorithm, by seed."""
        found = (run for run in self.runs if run.algorithm == algorithm)
        return sorted(found, key=lambda run: run.seed)

    def not_completed(self, algorithm: str) -> str:
        """How many of its runs failed or did not end: `0`, or `2 (1 failed, 1 unfinished)`."""
        found = Counter(str(r.view.status) for r in self.unfinished if r.algorithm == algorithm)
        if not found:
            return "0"
        kinds = ", ".join(f"{n} {status}" for status, n in sorted(found.items()))
        return f"{found.total()} ({kinds})"

    def example(self, algorithm: str) -> Run | None:
        """The run that figures show: the lowest completed seed, else the lowest that trained."""
        mine = (run for run in self.unfinished if run.algorithm == algorithm and run.view.n_epochs)
        return next(iter(self.of(algorithm) or sorted(mine, key=lambda run: run.seed)), None)


def find(folders: Sequence[Path]) -> list[Path]:
    """Every run folder at or below `folders`, each once. Raises ConfigError where there is none."""
    found: dict[Path, None] = {}
    for folder in folders:
        start = folder.parent if folder.name == NAME else folder
        for path, below, files in os.walk(start):
            if NAME in files:
                below.clear()  # a run holds checkpoints, not runs
                found.setdefault(Path(path).resolve())
            below.sort(key=natural)
    if not found:
        named = ", ".join(folder.name or str(folder) for folder in folders)
        raise ConfigError(
            f"folders={named or 'none'}: no {NAME} at or below them; name run folders, or runs/."
        )
    return list(found)


def common_parent(folders: Sequence[Path]) -> Path:
    """The deepest folder that holds them all; of one folder, itself."""
    paths = [(folder.parent if folder.name == NAME else folder).resolve() for folder in folders]
    return Path(os.path.commonpath(paths))


def natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key that puts run 10 after run 9."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
