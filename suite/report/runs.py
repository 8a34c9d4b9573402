"""Runs as the report sees them, and the comparisons that they belong to.

Values are in the direction that people read (the journal minimises); times in seconds since a run's
begin.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from suite.core.target import loud, mark
from suite.report.regret import published
from suite.results.header import RunHeader
from suite.results.run_view import RunView


def data_words(kinds: Iterable[str | None]) -> str:
    """`SYNTHETIC`, `recorded`, `SURROGATE` or `STAND-IN`; empty for real data, and where it is not said."""
    words = ("SYNTHETIC" if kind == "synthetic" else loud(kind) for kind in kinds if kind)
    return " and ".join(sorted({word for word in words if word != "real"}))


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
    def header(self) -> RunHeader:
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
        return int(self.header.n_workers or len({w.worker for w in self.view.workers}) or 1)

    @property
    def best(self) -> float | None:
        """The best validation value over all epochs of all trials."""
        return self.view.value(self.view.best.best) if self.view.best is not None else None

    @property
    def n_stopped(self) -> int:
        return sum(trial.stopped_at is not None for trial in self.view.trials.values())

    @property
    def n_diverged(self) -> int:
        return sum(trial.status == "diverged" for trial in self.view.trials.values())

    @property
    def idle(self) -> float | None:
        """Share of the workers' time, from joining to leaving, in which they had no job."""
        return self.view.idle_share

    @property
    def given_up(self) -> dict[str, str]:
        """Trials that diverged or were given up, with the reason."""
        trials = self.view.trials.items()
        return {f"trial {i}": trial.reason for i, trial in trials if trial.reason is not None}

    @property
    def simulated(self) -> bool:
        """Whether its seconds were made up."""
        return self.header.simulated


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
        family = f", family {self.family}" if self.family else ""
        return f"{self.experiment} / {self.model}{family}{self._marks}"

    @property
    def _marks(self) -> str:
        task = f" ({self.task})" if self.task else ""
        marks = sorted({mark(run.header.target.data or "") for run in self.shown})
        return "".join([task, *marks])

    @property
    def slug(self) -> str:
        """The title as a file name, with nothing that a file system or a browser reads as more."""
        title = f"{self.experiment} / {self.model}{self._marks}"
        return re.sub(r"[^A-Za-z0-9_.=]+", "-", title).strip("-.")[:80] or "group"

    @property
    def family(self) -> str:
        """Of a table of the catalogue, those with which it was published; empty for another target."""
        entry = published(self.first.view)
        return entry.family if entry is not None else ""

    @property
    def metric(self) -> str:
        """What the objective is called on any split."""
        return self.first.header.metric.name.removeprefix("val_") or "objective"

    @property
    def overlap(self) -> str:
        words: dict[Any, str] = {True: "on", False: "off"}
        return "/".join(sorted({words.get(o := run.header.overlap, str(o)) for run in self.shown}))

    @property
    def data(self) -> str:
        """`SYNTHETIC`, `recorded`, `SURROGATE` or `STAND-IN`; empty for real data."""
        return data_words(run.header.target.data for run in self.shown)

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
        prefix_only = {
            run.algorithm for run in self.shown if run.header.reproducible == "prefix only"
        }
        return [name for name in self.algorithms if name in prefix_only]

    def of(self, algorithm: str) -> list[Run]:
        """Completed runs of one algorithm, by seed."""
        runs = (run for run in self.runs if run.algorithm == algorithm)
        return sorted(runs, key=lambda run: run.seed)

    def not_completed(self, algorithm: str) -> str:
        """How many of its runs failed or did not end: `0`, or `2 (1 failed, 1 unfinished)`."""
        statuses = Counter(str(r.view.status) for r in self.unfinished if r.algorithm == algorithm)
        if not statuses:
            return "0"
        kinds = ", ".join(f"{n} {status}" for status, n in sorted(statuses.items()))
        return f"{statuses.total()} ({kinds})"

    def example(self, algorithm: str) -> Run | None:
        """The run that figures show: the lowest completed seed that trained, else the lowest completed, else
        the lowest that trained.
        """
        completed = self.of(algorithm)
        unfinished = (r for r in self.unfinished if r.algorithm == algorithm and r.view.n_epochs)
        trained = [run for run in completed if run.view.n_epochs]
        return next(iter(trained or completed or sorted(unfinished, key=lambda r: r.seed)), None)
