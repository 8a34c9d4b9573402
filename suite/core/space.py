"""Hyperparameter spaces: Float, Int, Choice; sampling, encoding to [0, 1]^d, and validation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.core.errors import ConfigError, unknown_name
from suite.core.types import Config


@dataclass(frozen=True, slots=True)
class Float:
    """A real number in [low, high]; with `log`, uniform in its logarithm.

    Raises ConfigError where low >= high, a bound is not finite, or `log` meets a bound <= 0.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ConfigError(
                f"Float(low={self.low}, high={self.high}): needs finite low < high; mend the space."
            )
        if self.log and self.low <= 0:
            raise ConfigError(
                f"Float(low={self.low}, log=True): a logarithm needs low > 0; raise low or drop "
                "log."
            )

    def decode(self, u: float) -> float:
        """Map u in [0, 1] onto the interval."""
        if self.log:
            value = math.exp(math.log(self.low) + u * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + u * (self.high - self.low)
        return min(max(value, self.low), self.high)

    def round_draws(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """What encode(decode(u)) is: u."""
        return u

    def encode(self, value: Any) -> tuple[float, ...]:
        if self.log:
            low = math.log(self.low)
            u = (math.log(value) - low) / (math.log(self.high) - low)
        else:
            u = (value - self.low) / (self.high - self.low)
        return (0.0 if u < 0.0 else 1.0 if u > 1.0 else u,)

    def check(self, value: Any) -> str | None:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not self.low <= value <= self.high
        ):
            return f"must be a number in [{self.low:g}, {self.high:g}]"
        return None


@dataclass(frozen=True, slots=True)
class Int:
    """An integer in {low, ..., high}; with `log`, each value's weight is that of [v-1/2, v+1/2] on
    a log axis.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(
                f"Int(low={self.low}, high={self.high}): needs low < high; mend the space."
            )
        if self.log and self.low < 1:
            raise ConfigError(
                f"Int(low={self.low}, log=True): a logarithm needs low >= 1; raise low or drop log."
            )

    def decode(self, u: float) -> int:
        low, high = self.low - 0.5, self.high + 0.5
        if self.log:
            value = math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
        else:
            value = low + u * (high - low)
        return min(max(math.floor(value + 0.5), self.low), self.high)

    def round_draws(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """What encode(decode(u)) is: the points of the integers."""
        low, high = self.low - 0.5, self.high + 0.5
        span = math.log(high) - math.log(low) if self.log else high - low
        real = np.exp(math.log(low) + u * span) if self.log else low + u * span
        whole = np.clip(np.floor(real + 0.5), self.low, self.high)
        if self.log:
            whole = np.log(whole) - math.log(low)
            return np.asarray(whole / span)
        return np.asarray((whole - low) / span)

    def encode(self, value: Any) -> tuple[float, ...]:
        low, high = self.low - 0.5, self.high + 0.5
        if self.log:
            u = (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
        else:
            u = (value - low) / (high - low)
        return (min(max(u, 0.0), 1.0),)

    def check(self, value: Any) -> str | None:
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or not self.low <= value <= self.high
        ):
            return f"must be an integer in {self.low}..{self.high}"
        return None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of `values`, without an order; encoded one-hot."""

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        if len(values) < 1 or len(set(map(repr, values))) < len(values):
            raise ConfigError(
                f"Choice{values}: needs one or more different values; mend the space."
            )
        object.__setattr__(self, "values", values)

    def decode(self, u: float) -> Any:
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def encode(self, value: Any) -> tuple[float, ...]:
        return tuple(1.0 if value == v else 0.0 for v in self.values)

    def check(self, value: Any) -> str | None:
        return (
            None if value in self.values else f"must be one of {', '.join(map(str, self.values))}"
        )


Parameter = Float | Int | Choice


class Space(Mapping[str, Parameter]):
    """An ordered mapping name -> parameter, with some names fixed to a value (no longer searched;
    None: searched).

    Shapes: `encode` gives one number for a Float or Int and one for each value of a Choice, in the
    order of names.
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        fixed: Mapping[str, Any] | None = None,
        rows: Sequence[Config] | None = None,
    ) -> None:
        self.rows = rows
        """A table's configurations, where only these exist."""
        self._parameters = dict(parameters)
        self._fixed = {name: value for name, value in (fixed or {}).items() if value is not None}
        for name in fixed or {}:
            if name not in self._parameters:
                raise unknown_name("hyperparameter", name, self._parameters)
        for name, value in self._fixed.items():
            self._check(name, value)
        self._free = tuple(name for name in self._parameters if name not in self._fixed)

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __repr__(self) -> str:
        return f"Space({self._parameters}, fixed={self._fixed})"

    @property
    def free(self) -> tuple[str, ...]:
        """Names that are searched."""
        return self._free

    def sample(self, rng: np.random.Generator) -> Config:
        """A uniform draw. A fixed name still consumes its number, so fixing one leaves the others
        as they were.
        """
        if self.rows is not None:
            raise ConfigError(
                "a table's rows are drawn without replacement; use searcher=random, which does so."
            )
        draws = rng.random(len(self._parameters))
        return self.decode(draws.tolist())

    def decode(self, u: Sequence[float]) -> Config:
        """Map u in [0, 1]^len(self), one number a parameter, to a configuration."""
        return {
            name: self._fixed[name] if name in self._fixed else parameter.decode(float(value))
            for (name, parameter), value in zip(self._parameters.items(), u, strict=True)
        }

    def encode(self, config: Mapping[str, Any]) -> tuple[float, ...]:
        """The searched hyperparameters as a vector in [0, 1]^d."""
        vector: list[float] = []
        for name in self._free:
            vector += self._parameters[name].encode(config[name])
        return tuple(vector)

    def encode_draws(self, draws: NDArray[np.float64]) -> NDArray[np.float64]:
        """`encode(decode(row))` of every row of draws[n, len(self)] in [0, 1): (n, d), at once."""
        columns: list[NDArray[np.float64]] = []
        for (name, parameter), u in zip(self._parameters.items(), draws.T, strict=True):
            if name in self._fixed:
                continue
            if isinstance(parameter, Choice):
                n = len(parameter.values)
                columns.append(np.eye(n)[np.minimum((u * n).astype(int), n - 1)])
            else:
                columns.append(parameter.round_draws(u)[:, None])
        return np.hstack(columns) if columns else np.empty((len(draws), 0))

    def check(self, config: Mapping[str, Any]) -> None:
        """Raise ConfigError unless config names every parameter, no other, each in range."""
        for name in config:
            if name not in self._parameters:
                raise unknown_name("hyperparameter", name, self._parameters)
        for name in self._parameters:
            if name not in config:
                raise ConfigError(
                    f"hyperparameter {name}: missing; the space needs {', '.join(self)}."
                )
            self._check(name, config[name])

    def _check(self, name: str, value: Any) -> None:
        if (rule := self._parameters[name].check(value)) is not None:
            raise ConfigError(f"{name}={value}: {rule}; change the value or the space.")
