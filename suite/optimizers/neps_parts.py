"""What the adapters of NePS share: its version, its words of a space, its generators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from suite.core.seeds import stream_seed
from suite.optimizers.own_random_state import OwnRandomState
from suite.optimizers.packages import check_package
from suite.optimizers.plain_space import PlainParameter

SINGLE = 1e-5
"""Relative rounding error of its values: they have 32 bits, and logarithms are taken of them."""


def check_neps() -> None:
    """Raise ConfigError where the package is absent, or of another version."""
    check_package("neps", "neural-pipeline-search", "neps", "0.17", "0.18")


def hyperparameter(plain: PlainParameter, **prior: Any) -> Any:
    """A hyperparameter in the package's words. prior: its `prior` and `prior_confidence`, if it has one."""
    from neps.space import HPOCategorical, HPOFloat, HPOInteger

    if plain.kind in ("category", "order"):
        return HPOCategorical(plain.places, **prior)
    if plain.kind == "int":
        return HPOInteger(int(plain.low), int(plain.high), log=plain.log, **prior)
    return HPOFloat(plain.low, plain.high, log=plain.log, **prior)


class OwnTorchState:
    """OwnRandomState, and torch's generator besides."""

    def __init__(self, seed: int, *words: str) -> None:
        import torch

        self._random = OwnRandomState(seed, *words)
        generator = torch.Generator()
        generator.manual_seed(stream_seed(seed, *words, "torch") % 2**63)
        self._torch = generator.get_state()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        import torch

        theirs = torch.get_rng_state()
        torch.set_rng_state(self._torch)
        try:
            with self._random():
                yield
        finally:
            self._torch = torch.get_rng_state()
            torch.set_rng_state(theirs)
