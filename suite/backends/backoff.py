"""Waiting without a busy loop: sleeps that grow while nothing happens."""

from __future__ import annotations

import time


class Backoff:
    """Sleeps of `least_s` seconds first, growing to `most_s`; `reset` when something has happened."""

    def __init__(self, least_s: float, most_s: float, growth: float = 1.3) -> None:
        self._least_s, self._most_s, self._growth = least_s, most_s, growth
        self._next_s = least_s

    def sleep(self) -> None:
        time.sleep(self._next_s)
        self._next_s = min(self._next_s * self._growth, self._most_s)

    def reset(self) -> None:
        self._next_s = self._least_s
