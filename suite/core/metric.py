"""The metric that is optimised: its name, its direction, its unit. Every change of sign is made here."""

from __future__ import annotations

import contextlib
import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suite.core.errors import ConfigError, ContractError

MODES = ("min", "max")


def nearest_mode(word: object) -> str | None:
    """The mode that a word means ("maximize": "max"), None where that is not clear."""
    starts = [mode for mode in MODES if str(word).lower().startswith(mode)]
    close = starts or difflib.get_close_matches(str(word).lower(), MODES, n=1)
    return close[0] if close else None


@dataclass(frozen=True, slots=True)
class Metric:
    """A validation metric. The suite minimises its `objective`, whatever the mode.

    name: its key in what `Training.validate` returns. mode: "min" or "max", which values are better.
    unit: "1" for a number without one.

    Raises ConfigError for an empty name or another mode.

    >>> accuracy = Metric("val_accuracy", "max")
    >>> accuracy.objective({"val_accuracy": 0.75})
    -0.75
    >>> accuracy.value(-0.75)
    0.75
    """

    name: str
    mode: str
    unit: str = "1"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"metric.name={self.name}: must be a name; give the metric's key.")
        if self.mode not in MODES:
            guess = nearest_mode(self.mode)
            hint = f" Did you mean {guess}?" if guess else ""
            raise ConfigError(f"metric.mode={self.mode}: must be min or max.{hint}")

    @property
    def sign(self) -> float:
        """-1 for a metric to maximise, 1 for one to minimise."""
        return -1.0 if self.mode == "max" else 1.0

    def objective(self, metrics: Mapping[str, float]) -> float:
        """What is minimised: the metric's value, negated where larger is better. KeyError if absent."""
        return self.sign * metrics[self.name]

    def objectives(self, values: Sequence[float]) -> Sequence[float]:
        """The objectives of values of the metric; the values themselves where they are minimised."""
        return values if self.mode == "min" else [-value for value in values]

    def value(self, objective: float) -> float:
        """The metric's value that belongs to an objective; the inverse of `objective`."""
        return self.sign * objective


def finite_metrics(metrics: Any, name: str, where: str) -> dict[str, float]:
    """What a target's `validate()` or `test()` returned, as numbers that strict JSON can hold.

    A value that is not finite is left out: `name` is missing then, where training diverged. where: begins
    the message, e.g. "validate() after epoch 3".

    Raises ContractError where `name` was not returned at all, and for what is no number.

    >>> finite_metrics({"val_loss": 0.5, "aux": float("nan")}, "val_loss", "validate()")
    {'val_loss': 0.5}
    """
    if not isinstance(metrics, Mapping):
        raise ContractError(
            f"{where}: returned {type(metrics).__name__}; must be a mapping that holds {name}, the "
            "target's metric. Mend the target."
        )
    if name not in metrics:
        came = ", ".join(str(key)[:60] for key in list(metrics)[:10]) or "nothing"
        raise ContractError(
            f"{where}: returned {came}; must hold {name}, the target's metric, after every epoch. Return "
            "it, or name another metric."
        )
    numbers = {str(key): _number(value, f"{where}: {key}") for key, value in metrics.items()}
    return {key: value for key, value in numbers.items() if math.isfinite(value)}


def _number(value: Any, where: str) -> float:
    if not isinstance(value, str | bytes):
        with contextlib.suppress(TypeError, ValueError):
            try:
                return float(value)
            except OverflowError:
                return math.inf
    raise ContractError(
        f"{where}={str(value)[:60]!r}: is {type(value).__name__}; must be a number. Mend the target."
    )
