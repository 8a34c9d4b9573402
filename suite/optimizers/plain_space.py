"""A space in the words that every optimizer package has: numbers with bounds, and places in a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from suite.core.errors import ConfigError
from suite.core.ordered import Ordered
from suite.core.printable import printable
from suite.core.space import Choice, Float, Int, Space
from suite.core.types import Config

_ROUNDING = 1e-9
"""Relative to a bound: what a package's own logarithm and exponential may miss it by."""


@dataclass(frozen=True, slots=True)
class PlainParameter:
    """float or int: a number in [low, high], with `log` on a log scale; category or order: a place in
    {0, ..., high}, order: where places have an order. An integer with steps is the number of its steps.
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
    rows) is a float in [0, 1], whose lowest quarter means that it plays none.
    package: its name. conditions, constraints: whether its adapter can keep those of a space (When,
    Constraints). rounding: what its numbers may miss a bound by, relative to the bound.
    Raises ConfigError for a space that has what it cannot.
    """

    def __init__(
        self,
        space: Space,
        package: str,
        *,
        conditions: bool = False,
        constraints: bool = False,
        rounding: float = _ROUNDING,
    ) -> None:
        if space.conditions and not conditions:
            name = next(iter(space.conditions))
            raise ConfigError(
                f"{package}: has no conditional hyperparameters, and {name} plays a part only where "
                f"{', '.join(space.conditions[name])} has certain values; take an algorithm that has them "
                "(optuna, bohb, price), or hold what it waits for in model.fixed."
            )
        if space.constraints and not constraints:
            first = [*space.constraints.forbidden, *space.constraints.relations][0]
            raise ConfigError(
                f"{package}: has no constraints, and the space has {printable(first, most=120)}; take an "
                "algorithm that has them (optuna, bohb, price), or leave them out."
            )
        self.space = space
        """As it was given."""
        self._rounding = rounding
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
        self.conditions: dict[str, dict[str, frozenset[Any]]] = {
            name: waits_for for name in self.parameters if (waits_for := self._waits_for(name))
        }
        """Name -> other name -> the package's values of it with which it plays a part; all must hold."""

    def _waits_for(self, name: str) -> dict[str, frozenset[Any]]:
        """Of others that are searched: what is held, or has one value, is as it must be."""
        found = {}
        for other, keys in self._space.needed[name].items():
            if other in self.parameters:
                one = self._space[other]
                is_stepped = isinstance(one, Int) and one.step > 1
                found[other] = frozenset(self._back(other, k) for k in keys) if is_stepped else keys
        return found

    def in_order(self) -> list[str]:
        """Names of `parameters`, each after those that it waits for."""
        return [name for name in self._space.parents_first if name in self.parameters]

    def plays_a_part(self, name: str, values: Mapping[str, Any]) -> bool:
        """By a package's values of what it waits for; those that play no part themselves are missing."""
        return all(
            values.get(other) in keys for other, keys in self.conditions.get(name, {}).items()
        )

    def __len__(self) -> int:
        return len(self.parameters)

    def config(self, values: Mapping[str, Any]) -> Config:
        """The configuration of a package's values; of an unknown name, or with a name missing that has no
        conditions, KeyError.

        A number that misses a bound by a rounding error is put onto it, an integer too: some packages count
        in 32 bits. What lies farther outside is left for the contract's own check.
        """
        config = dict(self._constant)
        for name, plain in self.parameters.items():
            if self.plays_a_part(name, values):
                config[name] = self._value(name, plain, values[name])
        return self._whole(config)

    def _whole(self, config: Config) -> Config:
        """In the order of the space, without what plays no part."""
        return self._space.pruned({name: config[name] for name in self._space if name in config})

    def values(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration in a package's values: what `config` makes it of."""
        return {name: self._back(name, config[name]) for name in self.parameters if name in config}

    def _back(self, name: str, value: Any) -> Any:
        parameter = self._space[name]
        if isinstance(parameter, Float):
            return float(value)
        if isinstance(parameter, Int):
            return (
                (int(value) - parameter.low) // parameter.step if parameter.step > 1 else int(value)
            )
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
        return self._whole(self._constant | config)

    def _put_right(self, number: float, plain: PlainParameter) -> float:
        """The bound that a number misses by a rounding error, else the number."""
        is_outside = not plain.low <= number <= plain.high
        error = self._rounding if is_outside else min(self._rounding, _ROUNDING)
        near = (b for b in (plain.low, plain.high) if abs(number - b) <= error * abs(b))
        return next(near, number)

    def _value(self, name: str, plain: PlainParameter, value: Any) -> Any:
        parameter = self._space[name]
        if isinstance(parameter, Float):
            return self._put_right(float(value), plain)
        if isinstance(parameter, Int):
            number = self._put_right(value, plain)
            whole = int(number) if int(number) == number else number
            return parameter.low + parameter.step * whole if parameter.step > 1 else whole
        if isinstance(parameter, Choice | Ordered):
            return parameter.values[int(value)]
        return parameter.decode(float(value))


def _plain(parameter: Any) -> PlainParameter | None:
    """None: it has one value."""
    if isinstance(parameter, Float):
        return PlainParameter("float", float(parameter.low), float(parameter.high), parameter.log)
    if isinstance(parameter, Int) and parameter.step > 1:
        return PlainParameter("int", 0, (parameter.high - parameter.low) // parameter.step)
    if isinstance(parameter, Int):
        return PlainParameter("int", int(parameter.low), int(parameter.high), parameter.log)
    if isinstance(parameter, Choice | Ordered):
        n = len(parameter.values)
        kind: Literal["category", "order"] = (
            "order" if isinstance(parameter, Ordered) else "category"
        )
        return PlainParameter(kind, 0, n - 1) if n > 1 else None
    return PlainParameter("float", 0.0, 1.0)
