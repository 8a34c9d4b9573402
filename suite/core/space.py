"""Hyperparameter spaces: Float, Int, Choice, and of tables Ordered and Conditional; sampling, encoding to
[0, 1]^d, and validation.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.core.errors import ConfigError, unknown_name
from suite.core.ordered import Conditional, Ordered
from suite.core.printable import printable
from suite.core.types import Config

# Beyond these a number of [0, 1] in double precision no longer tells neighbouring integers apart.
_MAX_INTEGER = 2**48
_MAX_LOG_INTEGER = 2**44


@dataclass(frozen=True, slots=True)
class Float:
    """A real number in [low, high]; with `log`, uniform in its logarithm.

    Raises ConfigError where low >= high, a bound is not a finite number, or `log` meets a bound <= 0.
    """

    low: float
    high: float
    log: bool = False
    _line: tuple[bool, float, float] = field(init=False, repr=False, compare=False)
    """Whether the logarithm is taken; where the interval begins and its length, as a logarithm or not."""

    def __post_init__(self) -> None:
        if not (_is_finite(self.low) and _is_finite(self.high) and self.low < self.high):
            raise ConfigError(
                f"Float(low={printable(self.low, most=40)}, high={printable(self.high, most=40)}): needs "
                "finite low < high; mend the space."
            )
        if self.log and self.low <= 0:
            raise ConfigError(
                f"Float(low={self.low}, log=True): a logarithm needs low > 0; raise low or drop "
                "log."
            )
        log = _is_logarithmic(self)
        low, high = (math.log(x) if log else float(x) for x in (self.low, self.high))
        object.__setattr__(self, "_line", (log, low, high - low))

    def decode(self, u: float) -> float:
        """Map u in [0, 1] onto the interval."""
        log, low, span = self._line
        if log:
            try:
                value = math.exp(low + u * span)
            except OverflowError:  # the logarithm of the largest floats is rounded up
                value = self.high
        elif span == math.inf:
            value = (1.0 - u) * self.low + u * self.high
        else:
            value = self.low + u * span
        return min(max(value, self.low), self.high)

    def round_draws(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """What encode(decode(u)) is: u."""
        return u

    def encode(self, value: Any) -> tuple[float, ...]:
        log, low, span = self._line
        if log:
            u = (math.log(value) - low) / span
        elif span == math.inf:
            u = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        else:
            u = (value - self.low) / span
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

    Raises ConfigError where low >= high, a bound is no integer or so large (2^48; with `log` 2^44) that
    a draw cannot reach every integer, or `log` meets a bound < 1.
    """

    low: int
    high: int
    log: bool = False
    _line: tuple[bool, float, float] = field(init=False, repr=False, compare=False)
    """Whether the logarithm is taken; where [low-1/2, high+1/2] begins and its length, as one or not."""

    def __post_init__(self) -> None:
        bounds = f"Int(low={printable(self.low, most=40)}, high={printable(self.high, most=40)})"
        for bound in (self.low, self.high):
            if not isinstance(bound, Integral) or isinstance(bound, bool):
                raise ConfigError(f"{bounds}: needs integers; mend the space, or take Float.")
        if not self.low < self.high:
            raise ConfigError(f"{bounds}: needs low < high; mend the space.")
        if self.log and self.low < 1:
            raise ConfigError(
                f"Int(low={self.low}, log=True): a logarithm needs low >= 1; raise low or drop log."
            )
        most = _MAX_LOG_INTEGER if self.log else _MAX_INTEGER
        if self.low < -most or self.high > most:
            raise ConfigError(
                f"{bounds}: needs bounds of at most {most} in size{' with log' if self.log else ''}, so that "
                "a draw reaches every integer; mend the space (another unit), or take Float."
            )
        log = _is_logarithmic(self)
        low, high = (math.log(x) if log else x for x in (self.low - 0.5, self.high + 0.5))
        object.__setattr__(self, "_line", (log, low, high - low))

    def decode(self, u: float) -> int:
        log, low, span = self._line
        value = math.exp(low + u * span) if log else low + u * span
        return min(max(math.floor(value + 0.5), self.low), self.high)

    def round_draws(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """What encode(decode(u)) is: the points of the integers."""
        log, low, span = self._line
        real = np.exp(low + u * span) if log else low + u * span
        whole = np.clip(np.floor(real + 0.5), self.low, self.high)
        return np.asarray(((np.log(whole) if log else whole) - low) / span)

    def encode(self, value: Any) -> tuple[float, ...]:
        log, low, span = self._line
        u = ((math.log(value) if log else value) - low) / span
        return (min(max(u, 0.0), 1.0),)

    def check(self, value: Any) -> str | None:
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or not self.low <= value <= self.high
        ):
            return f"must be an integer in {self.low}..{self.high}"
        return None


def _is_finite(bound: Any) -> bool:
    if not isinstance(bound, Real) or isinstance(bound, bool):
        return False
    try:
        return math.isfinite(bound)
    except OverflowError:  # an integer that no float holds
        return False


def _is_logarithmic(parameter: Float | Int) -> bool:
    """Whether the logarithm is taken: of bounds that nearly agree it is a straight line, and cannot tell
    their logarithms apart.
    """
    return parameter.log and float(parameter.high) - float(parameter.low) > 1e-9 * parameter.low


@dataclass(frozen=True, slots=True)
class Choice:
    """One of `values`, without an order; encoded one-hot.

    1, 1.0 and true are three values: as in JSON, and not as in Python. Raises ConfigError where there is
    none, one stands twice, or one is not plain JSON: the journal could not hold it.
    """

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        shown = printable(f"Choice{values}", most=200)
        for value in values:
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError, RecursionError):
                raise ConfigError(
                    f"{shown}: {printable(repr(value), most=40)} must be text, a finite number, true, "
                    "false, null, or a list of these; mend the space."
                ) from None
        if len(values) < 1 or len(set(map(json.dumps, values))) < len(values):
            raise ConfigError(f"{shown}: needs one or more different values; mend the space.")
        object.__setattr__(self, "values", values)

    def decode(self, u: float) -> Any:
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def encode(self, value: Any) -> tuple[float, ...]:
        place = self._place(value)
        return tuple([1.0 if place == i else 0.0 for i in range(len(self.values))])

    def check(self, value: Any) -> str | None:
        if self._place(value) is not None:
            return None
        return f"must be one of {printable(', '.join(map(str, self.values)), most=1000)}"

    def _place(self, value: Any) -> int | None:
        """Where `value` stands: the one of its own type first, so that 1 is not taken for 1.0; then an equal
        one, since a number may have been written 16.0; a boolean is no number.
        """
        for i, v in enumerate(self.values):
            # A draw; and it is its own at once, for no two values are written alike.
            if v is value:
                return i
        equal = [
            i
            for i, v in enumerate(self.values)
            if value == v and isinstance(value, bool) == isinstance(v, bool)
        ]
        own = [i for i in equal if repr(self.values[i]) == repr(value)]
        return next(iter(own + equal), None)


Parameter = Float | Int | Choice | Ordered | Conditional


class Space(Mapping[str, Parameter]):
    """An ordered mapping name -> parameter. A name that is fixed to a value is not searched.

    fixed: name -> its value; None: searched. rows: a table's configurations, where only these exist.
    Shapes: `encode` gives one number for each parameter and, of a Choice, one for each of its
    values, in the order of names.
    Raises ConfigError for a fixed name that the space does not have, or a value outside its range.

    >>> space = Space({"momentum": Float(0.0, 1.0), "units": Choice(32, 64)})
    >>> space.encode({"momentum": 0.5, "units": 64})
    (0.5, 0.0, 1.0)
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

    def with_fixed(self, config: Mapping[str, Any]) -> Config:
        """The configuration with the fixed values in place of its own.

        >>> Space({"lr": Float(0.0, 1.0)}, fixed={"lr": 0.5}).with_fixed({"lr": 0.1})
        {'lr': 0.5}
        """
        return {**config, **self._fixed}

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

    def lowest(self) -> Config:
        """The lower end of each parameter, of a Choice its first value; of a table its first row."""
        return self.rows[0] if self.rows is not None else self.decode([0.0] * len(self))

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
            shown = f"{printable(name, most=200)}={printable(value, most=200)}"
            raise ConfigError(f"{shown}: {rule}; change the value or the space.")
