"""A space in the words that every optimizer package has: numbers with bounds, and places in a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from suite.core.errors import ConfigError
from suite.core.ordered import Ordered
from suite.core.space import Choice, Float, Int, Space
from suite.core.types import Config

_ROUNDING = 1e-9
"""Relative to a bound: what a package's own logarithm and exponential may miss it by."""


@dataclass(frozen=True, slots=True)
class PlainParameter:
    """float or int: a number in [low, high], with `log` on a log scale; category or order: a place in
    {0, ..., high}, order: where places have an order.
    """

    kind: Literal["float", "int", "category", "order"]
    low: float
    high: float
    log: bool = False

    @property
    def places(self) -> list[int]:
        """Of a category or an order."""
        return list(range(int(self.high) + 1))


class PlainSpace:
    """What is searched of a space, by name; and the way back from a package's values.

    What has one value is not searched. A Conditional of a curve table (a number that plays no part in some
    rows) is a float in [0, 1], whose lowest quarter means that it plays none: packages whose spaces have
    conditions are not told of them.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self.parameters: dict[str, PlainParameter] = {}
        """Name -> what a package is told of it."""
        # What is fixed, and what has one value.
        self._constant: Config = space.with_fixed({})
        for name in space.free:
            plain = _plain(space[name])
            if plain is None:
                self._constant[name] = space[name].decode(0.0)
            else:
                self.parameters[name] = plain

    def __len__(self) -> int:
        return len(self.parameters)

    def config(self, values: Mapping[str, Any]) -> Config:
        """The configuration of a package's values; of an unknown name, or with a name missing, KeyError.

        A number that misses a bound by a rounding error is put onto it; what lies farther outside is left for
        the contract's own check.
        """
        config = dict(self._constant)
        for name, plain in self.parameters.items():
            config[name] = self._value(name, plain, values[name])
        return {name: config[name] for name in self._space}

    def values(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration in a package's values: what `config` makes it of."""
        return {name: self._back(name, config[name]) for name in self.parameters}

    def _back(self, name: str, value: Any) -> Any:
        parameter = self._space[name]
        if isinstance(parameter, Float):
            return float(value)
        if isinstance(parameter, Int):
            return int(value)
        if isinstance(parameter, Ordered):
            return parameter.values.index(value)
        encoded = parameter.encode(value)
        return encoded.index(1.0) if isinstance(parameter, Choice) else encoded[0]

    def from_unit(self, point: Sequence[float]) -> Config:
        """The configuration of a point in [0, 1]^d, one number a name of `parameters`."""
        if len(point) != len(self.parameters):
            raise ConfigError(f"a point of {len(point)} numbers: must have {len(self.parameters)}.")
        pairs = zip(self.parameters, point, strict=True)
        config = {name: self._space[name].decode(float(u)) for name, u in pairs}
        return {name: (self._constant | config)[name] for name in self._space}

    def _value(self, name: str, plain: PlainParameter, value: Any) -> Any:
        parameter = self._space[name]
        if isinstance(parameter, Float):
            number = float(value)
            for bound in (plain.low, plain.high):
                if abs(number - bound) <= _ROUNDING * abs(bound):
                    number = bound
            return number
        if isinstance(parameter, Int):
            return int(value) if int(value) == value else value
        if isinstance(parameter, Choice | Ordered):
            return parameter.values[int(value)]
        return parameter.decode(float(value))


def _plain(parameter: Any) -> PlainParameter | None:
    """None: it has one value."""
    if isinstance(parameter, Float):
        return PlainParameter("float", float(parameter.low), float(parameter.high), parameter.log)
    if isinstance(parameter, Int):
        return PlainParameter("int", int(parameter.low), int(parameter.high), parameter.log)
    if isinstance(parameter, Choice | Ordered):
        n = len(parameter.values)
        kind: Literal["category", "order"] = (
            "order" if isinstance(parameter, Ordered) else "category"
        )
        return PlainParameter(kind, 0, n - 1) if n > 1 else None
    return PlainParameter("float", 0.0, 1.0)
