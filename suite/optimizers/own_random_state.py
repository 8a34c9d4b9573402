"""For packages that draw from the generators that a process shares: theirs while they are called."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from suite.core.seeds import stream_seed


class OwnRandomState:
    """The global generators of `random` and `numpy.random`, kept apart for one owner.

    So a replay of the same calls draws the same numbers, and nobody else's draws are moved.
    """

    def __init__(self, seed: int, *words: str) -> None:
        own = random.Random(stream_seed(seed, *words, "random"))
        self._python = own.getstate()
        self._numpy = np.random.RandomState(stream_seed(seed, *words, "numpy") % 2**32).get_state()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        python, numbers = random.getstate(), np.random.get_state()
        random.setstate(self._python)
        np.random.set_state(self._numpy)
        try:
            yield
        finally:
            self._python, self._numpy = random.getstate(), np.random.get_state()
            random.setstate(python)
            np.random.set_state(numbers)
