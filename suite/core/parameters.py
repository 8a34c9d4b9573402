"""Hyperparameters: Float, Int and Choice, each with its range and its encoding to [0, 1]."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.core.errors import ConfigError
from suite.core.printable import printable

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
    """An integer in {low, low + step, ..., high}; with `log`, each value's weight is that of
    [v-1/2, v+1/2] on a log axis.

    Raises ConfigError where low >= high, a bound is no integer or so large (2^48; with `log` 2^44) that
    a draw cannot reach every integer, `log` meets a bound < 1 or a step, or steps do not end at high.
    """

    low: int
    high: int
    log: bool = False
    step: int = 1
    _line: tuple[bool, float, float] = field(init=False, repr=False, compare=False)
    """Whether the logarithm is taken; where [low-step/2, high+step/2] begins and its length."""

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
        self._check_step(bounds)
        log, half = _is_logarithmic(self), self.step / 2
        low, high = (math.log(x) if log else x for x in (self.low - half, self.high + half))
        object.__setattr__(self, "_line", (log, low, high - low))

    def _check_step(self, bounds: str) -> None:
        step = self.step
        if not isinstance(step, Integral) or isinstance(step, bool) or step < 1:
            raise ConfigError(
                f"{bounds}: step={printable(step, most=40)}: must be an integer >= 1; mend the space."
            )
        if step == 1:
            return
        if self.log:
            raise ConfigError(
                f"{bounds}: step={step}: a logarithm has no even steps; drop log or step, or take an ordered "
                "choice of the values."
            )
        if (beyond := (self.high - self.low) % step) != 0:
            raise ConfigError(
                f"{bounds}: step={step}: its steps must end at high; take high="
                f"{self.high - beyond} or {self.high - beyond + step}."
            )

    def decode(self, u: float) -> int:
        log, low, span = self._line
        value = math.exp(low + u * span) if log else low + u * span
        if self.step > 1:
            value = self.low + self.step * math.floor((value - self.low) / self.step + 0.5)
        return min(max(math.floor(value + 0.5), self.low), self.high)

    def round_draws(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """What encode(decode(u)) is: the points of the integers."""
        log, low, span = self._line
        real = np.exp(low + u * span) if log else low + u * span
        if self.step > 1:
            real = self.low + self.step * np.floor((real - self.low) / self.step + 0.5)
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
        if (value - self.low) % self.step:
            return f"must be {self.low} and a multiple of {self.step} more, up to {self.high}"
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
        check_values("Choice", values, 1)
        object.__setattr__(self, "values", values)

    def decode(self, u: float) -> Any:
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def encode(self, value: Any) -> tuple[float, ...]:
        place = place_of(value, self.values)
        return tuple([1.0 if place == i else 0.0 for i in range(len(self.values))])

    def check(self, value: Any) -> str | None:
        if place_of(value, self.values) is not None:
            return None
        return f"must be one of {printable(', '.join(map(str, self.values)), most=1000)}"


def check_values(kind: str, values: tuple[Any, ...], least: int) -> None:
    """Raise ConfigError unless there are so many, all different, and each plain JSON."""
    shown = printable(f"{kind}{values}", most=200)
    for value in values:
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise ConfigError(
                f"{shown}: {printable(repr(value), most=40)} must be text, a finite number, true, "
                "false, null, or a list of these; mend the space."
            ) from None
    if len(values) < least or len(set(map(json.dumps, values))) < len(values):
        number = "one" if least == 1 else "two"
        raise ConfigError(f"{shown}: needs {number} or more different values; mend the space.")


def place_of(value: Any, values: tuple[Any, ...]) -> int | None:
    """Where `value` stands: the one of its own type first, so that 1 is not taken for 1.0; then an equal
    one, since a number may have been written 16.0; a boolean is no number.
    """
    for i, v in enumerate(values):
        # A draw; and it is its own at once, for no two values are written alike.
        if v is value:
            return i
    equal = [
        i
        for i, v in enumerate(values)
        if value == v and isinstance(value, bool) == isinstance(v, bool)
    ]
    own = [i for i in equal if repr(values[i]) == repr(value)]
    return next(iter(own + equal), None)
