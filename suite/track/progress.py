"""How far an import is: one line, rewritten on a terminal, now and then elsewhere."""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

from suite.core.printable import printable

_LIVE_S, _PLAIN_S = 0.2, 15.0


class Progress:
    """`label: 1,200 of 3,000 trials`. An import that is shorter than the interval prints nothing."""

    def __init__(self, label: str, n_all: int, unit: str = "trials", out: TextIO | None = None):
        self._label, self._n_all, self._unit = printable(label, most=100), n_all, unit
        self._out = out if out is not None else sys.stdout
        self._live = self._out.isatty() and os.environ.get("SUITE_PROGRESS", "live") == "live"
        self._every_s = _LIVE_S if self._live else _PLAIN_S
        self._last = time.monotonic()
        self._open = False

    def __call__(self, n_done: int) -> None:
        now = time.monotonic()
        if now - self._last < self._every_s:
            return
        self._last = now
        line = f"{self._label}: {n_done:,} of {self._n_all:,} {self._unit}"
        start, end = ("\r\x1b[K", "") if self._live else ("", "\n")
        print(f"{start}{line}", end=end, file=self._out, flush=True)
        self._open = self._live

    def close(self) -> None:
        """Leave the terminal's line empty for what is printed next."""
        if self._open:
            print("\r\x1b[K", end="", file=self._out, flush=True)
            self._open = False
