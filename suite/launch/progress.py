"""One calm line: which run of how many, trials, epochs, best so far, workers, time left.

Rewritten on a terminal, printed now and then elsewhere; on stderr, as everything that is no result.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from typing import TextIO

from suite.backends import launcher
from suite.core import types as t
from suite.core.metric import Metric
from suite.core.printable import hours, printable
from suite.run.conductor import Conductor

_SETTLED_S = 5.0
"""A rate that was measured for less says little of what is left."""


@dataclass
class Sweep:
    """The runs of one command, for their lines of progress.

    n_runs: of the command. work: of all runs, planned; in seconds where the target states them (`work_of`).
    """

    n_runs: int = 1
    work: float = 0.0
    number: int = 0
    _left: float | None = None
    _done: float = 0.0
    _done_s: float = 0.0

    def next(self, work: float | None = None) -> None:
        """Another run begins. work: its planned work; None: it is over already, and nobody knows."""
        self.number += 1
        self._left = (self.work if self._left is None else self._left) - (
            self.work / max(self.n_runs, 1) if work is None else work
        )

    def ended(self, work: float, wall_s: float) -> None:
        """The present run has ended: what was planned, and what it took."""
        self._done += work
        self._done_s += wall_s

    def left_s(self, own_s_a_work: float) -> float:
        """Seconds of the runs that have not begun. own_s_a_work: what the present one takes for its work."""
        rate = self._done_s / self._done if self._done else own_s_a_work
        return max(self._left or 0.0, 0.0) * rate

    @property
    def of(self) -> str:
        return f"run {self.number} of {self.n_runs}: " if self.n_runs > 1 else ""


def is_live(out: TextIO) -> bool:
    """Whether a line of progress is rewritten in place, and not printed now and then."""
    # mpirun gives its ranks a terminal even where its own output goes to a file: only ./bench
    # knows which it is.
    default = "plain" if launcher.owns_terminal() else "live"
    return out.isatty() and os.environ.get("SUITE_PROGRESS", default) == "live"


class Progress:
    """An observer of events.

    `n_epochs` is the plan's total: an upper bound where a predictor stops trials. is_real: the run's seconds
    are those of a clock, so that a budget says how long it lasts.
    """

    def __init__(
        self,
        name: str,
        n_epochs: int,
        metric: Metric,
        out: TextIO | None = None,
        *,
        sweep: Sweep | None = None,
        work: float = 0.0,
        is_real: bool = True,
    ) -> None:
        self._is_real = is_real
        self._sweep, self._work = sweep or Sweep(), work or float(n_epochs)
        self._name = f"{self._sweep.of}{printable(name)}"
        self._n_epochs, self._metric = n_epochs, metric
        self._out = out if out is not None else sys.stderr
        self._live = is_live(self._out)
        self._every_s = 0.2 if self._live else 15.0
        self._began = self._last = time.monotonic()
        # Of the first epoch that was seen: what came before it is no training.
        self._first: tuple[float, int] | None = None
        self._n_lost = 0

    def __call__(self, event: t.Event, conductor: Conductor) -> None:
        now = time.monotonic()
        if self._first is None and isinstance(event, t.EpochReport | t.EpochBatch):
            self._first = now, conductor.n_epochs
        if isinstance(event, t.WorkerLost):
            self._n_lost += 1
            self._print(
                f"{self._name}: worker {event.worker} lost: {printable(event.message)}", end="\n"
            )
        if now - self._last >= self._every_s:
            self._last = now
            self._print(self.line(conductor, now), end="" if self._live else "\n")

    def line(self, conductor: Conductor, now: float) -> str:
        done, n_trials = conductor.n_epochs, len(conductor.trials)
        parts = [
            f"{self._name}: {n_trials} trial{'s' * (n_trials != 1)}", f"{done}/{self._n_epochs} epochs"
        ]  # fmt: skip
        if conductor.best is not None:
            parts.append(
                f"best {printable(self._metric.name)} {self._metric.value(conductor.best[0]):.4g}"
            )
        if stopped := len(conductor.scheduler.stopped_at):
            parts.append(f"{stopped} stopped")
        if (expected := conductor.scheduler.expected_gain) is not None:
            parts.append(f"{expected[1]:.2g} expected of {expected[0]:g} node-hours more")
        busy, n_workers = len(conductor.in_flight), len(conductor.workers)
        lost = f", {self._n_lost} lost" if self._n_lost else ""
        parts.append(f"{busy} of {n_workers} worker{'s' * (n_workers != 1)} busy{lost}")
        return ", ".join([*parts, *self._time_left(done, now, conductor)])

    def _time_left(self, done: int, now: float, conductor: Conductor) -> list[str]:
        began, first = self._first or (now, done)
        if now - began < _SETTLED_S or done <= first:
            return []
        epoch_s = (now - began) / (done - first)
        left_s = epoch_s * max(self._n_epochs - done, 0)
        if self._is_real and (budget_s := conductor.spending.until_end_s()) is not None:
            left_s = min(left_s, budget_s)
        left = [f"{hours(left_s)} left"]
        if self._sweep.number < self._sweep.n_runs:
            others_s = self._sweep.left_s(epoch_s * self._n_epochs / self._work)
            left.append(f"{hours(left_s + others_s)} of the sweep")
        return left

    def close(self) -> None:
        """Leave the terminal's line empty for what is printed next."""
        self._sweep.ended(self._work, time.monotonic() - self._began)
        if self._live:
            self._print("", end="")

    def _print(self, text: str, end: str) -> None:
        if self._live:
            text = "\r\x1b[K" + text
        print(text, end=end, file=self._out, flush=True)
