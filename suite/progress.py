"""One calm line: trials, epochs, best so far, seconds left.

Rewritten on a terminal, printed now and then elsewhere.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

from suite.core import types as t
from suite.run.conductor import Conductor


class Progress:
    """An observer of events.

    `n_epochs` is the plan's total: an upper bound where a predictor stops trials.
    """

    def __init__(
        self, name: str, n_epochs: int, sign: float, metric: str, out: TextIO | None = None
    ) -> None:
        self._name, self._n_epochs, self._sign, self._metric = name, n_epochs, sign, metric
        self._out = out if out is not None else sys.stdout
        # mpirun gives its ranks a terminal even where its own output goes to a file: only ./bench
        # knows which it is.
        default = "plain" if "OMPI_COMM_WORLD_SIZE" in os.environ else "live"
        self._live = self._out.isatty() and os.environ.get("SUITE_PROGRESS", default) == "live"
        self._every_s = 0.2 if self._live else 15.0
        self._began = self._last = time.monotonic()
        self._begun_epochs: int | None = None

    def __call__(self, event: t.Event, conductor: Conductor) -> None:
        now = time.monotonic()
        if self._begun_epochs is None:
            self._begun_epochs = (
                conductor.n_epochs
            )  # a resumed run: what was done before costs no time now
        if isinstance(event, t.WorkerLost):
            self._print(f"{self._name}: worker {event.worker} lost: {event.message}", end="\n")
        if now - self._last >= self._every_s:
            self._last = now
            self._print(self.line(conductor, now), end="" if self._live else "\n")

    def line(self, conductor: Conductor, now: float) -> str:
        done = conductor.n_epochs
        parts = [f"{self._name}: {len(conductor.trials)} trials", f"{done}/{self._n_epochs} epochs"]
        if conductor.best is not None:
            parts.append(f"best {self._metric} {self._sign * conductor.best[0]:.4g}")
        if stopped := len(conductor.scheduler.stopped):
            parts.append(f"{stopped} stopped")
        fresh = done - (self._begun_epochs or 0)
        if fresh > 0:
            left = (now - self._began) / fresh * max(self._n_epochs - done, 0)
            parts.append(f"about {left:.0f} s left")
        return ", ".join(parts)

    def close(self) -> None:
        """Leave the terminal's line empty for what is printed next."""
        if self._live:
            self._print("", end="")

    def _print(self, text: str, end: str) -> None:
        if self._live:
            text = "\r\x1b[K" + text
        print(text, end=end, file=self._out, flush=True)
