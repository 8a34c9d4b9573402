"""Spaces of hyperparameters: sampling, encoding to [0, 1]^d, and validation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.core.conditions import Constraints as Constraints
from suite.core.conditions import Parameter as Parameter
from suite.core.conditions import Structure
from suite.core.conditions import When as When
from suite.core.errors import ConfigError, unknown_name
from suite.core.ordered import Ordered as Ordered
from suite.core.parameters import Choice as Choice
from suite.core.parameters import Float as Float
from suite.core.parameters import Int as Int
from suite.core.printable import printable
from suite.core.seeds import stream
from suite.core.types import Config

LEAST_ALLOWED = 0.01
"""Share of random configurations that a space's constraints must allow: each draw is held against them, and
one that is forbidden is drawn again.
"""
_N_TRIED, _N_SAID, _MOST_DRAWS = 2000, 100, 10_000
_ABSENT = 0.5
"""Where the number of a hyperparameter stands that plays no part: in the middle; a number before it is 0."""


class Space(Mapping[str, Parameter]):
    """An ordered mapping name -> parameter. A name that is fixed to a value is not searched.

    parameters: name -> Float, Int, Choice or Ordered; or When, around one that plays a part at times only: a
    configuration in which it plays none does not have its name. fixed: name -> its value; None: searched.
    rows: a table's configurations, where only these exist. constraints: what is never drawn.
    Shapes: `encode` gives one number for each parameter and, of a Choice, one for each of its values, in the
    order of names. Before the number of one that has conditions stands another, 1 where it plays a part, 0
    where it does not; then its number is 1/2, or a Choice's are all 0 (which need no other).
    Raises ConfigError for a fixed name that the space does not have, a value outside its range, a condition
    that cannot hold, or constraints that allow less than LEAST_ALLOWED of all configurations.

    >>> space = Space({"momentum": Float(0.0, 1.0), "units": Choice(32, 64)})
    >>> space.encode({"momentum": 0.5, "units": 64})
    (0.5, 0.0, 1.0)
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter | When],
        fixed: Mapping[str, Any] | None = None,
        rows: Sequence[Config] | None = None,
        constraints: Constraints | None = None,
    ) -> None:
        self.rows = rows
        """A table's configurations, where only these exist."""
        self._parameters = {
            name: one.parameter if isinstance(one, When) else one
            for name, one in parameters.items()
        }
        when = {name: one.when for name, one in parameters.items() if isinstance(one, When)}
        self._structure = Structure(self._parameters, when, constraints or Constraints())
        if rows is not None and not self.is_plain:
            raise ConfigError("space: a table's rows say what there is; leave its conditions out.")
        self._fixed = {name: value for name, value in (fixed or {}).items() if value is not None}
        for name in fixed or {}:
            if name not in self._parameters:
                raise unknown_name("hyperparameter", name, self._parameters)
        for name, value in self._fixed.items():
            self._check(name, value)
        self._free = tuple(
            n for n in self._parameters if n not in self._fixed and self._may_be_active(n)
        )
        self._check_conditions()

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __repr__(self) -> str:
        return f"Space({self.parameters}, fixed={self._fixed})"

    @property
    def free(self) -> tuple[str, ...]:
        """Names that are searched."""
        return self._free

    @property
    def is_plain(self) -> bool:
        """Whether it has neither conditions nor constraints: every configuration has every name."""
        return not self.conditions and not self.constraints

    @property
    def conditions(self) -> Mapping[str, Mapping[str, tuple[Any, ...]]]:
        """Name -> other name -> values of it with which the first plays a part; of those with conditions."""
        return self._structure.when

    @property
    def needed(self) -> Mapping[str, Mapping[str, frozenset[Any]]]:
        """Name -> other name -> what must hold for it to play a part, with what its parents need: the places
        of a Choice's or an Ordered's values, an Int's numbers.
        """
        return self._structure.needed

    @property
    def constraints(self) -> Constraints:
        return self._structure.constraints

    @property
    def parameters(self) -> dict[str, Parameter | When]:
        """As they were given: with their conditions."""
        when = self._structure.when
        return {n: When(p, when[n]) if n in when else p for n, p in self._parameters.items()}

    @property
    def parents_first(self) -> tuple[str, ...]:
        """All names, each after those that its conditions name."""
        return self._structure.order

    def active(self, config: Mapping[str, Any]) -> set[str]:
        """Names that play a part in a configuration; of others it may have values."""
        return set(self._structure.active(config))

    def pruned(self, config: Mapping[str, Any]) -> Config:
        """The configuration without what plays no part in it, in the order of the space.

        >>> kinds = {"kind": Choice("a", "b"), "rate": When(Float(0.0, 1.0), {"kind": "a"})}
        >>> Space(kinds).pruned({"kind": "b", "rate": 0.5})
        {'kind': 'b'}
        """
        return self._structure.pruned(config) if self.conditions else dict(config)

    def forbids(self, config: Mapping[str, Any]) -> str | None:
        """The constraint that a configuration breaks, in words; None: it is allowed."""
        return self._structure.broken(config)

    def with_fixed(self, config: Mapping[str, Any]) -> Config:
        """The configuration with the fixed values in place of its own.

        >>> Space({"lr": Float(0.0, 1.0)}, fixed={"lr": 0.5}).with_fixed({"lr": 0.1})
        {'lr': 0.5}
        """
        return self.pruned({**config, **self._fixed})

    def sample(self, rng: np.random.Generator) -> Config:
        """A uniform draw of what is allowed. A fixed name still consumes its number, so fixing one leaves the
        others as they were.
        """
        if self.rows is not None:
            raise ConfigError(
                "a table's rows are drawn without replacement; use searcher=random, which does so."
            )
        for _ in range(_MOST_DRAWS):
            config = self.decode(rng.random(len(self._parameters)).tolist())
            if not self.constraints or self.forbids(config) is None:
                return config
        raise ConfigError(
            f"constraints: forbid {_MOST_DRAWS} of {_MOST_DRAWS} random configurations; remove some, or "
            "narrow the ranges."
        )

    def lowest(self) -> Config:
        """The lower end of each parameter, of a Choice its first value; of a table its first row. Where that
        is forbidden: one at random, always the same.
        """
        if self.rows is not None:
            return self.rows[0]
        config = self.decode([0.0] * len(self))
        return config if self.forbids(config) is None else self.sample(stream(0, "lowest"))

    def decode(self, u: Sequence[float]) -> Config:
        """Map u in [0, 1]^len(self), one number a parameter, to a configuration; perhaps a forbidden one."""
        whole = self._decoded(u)
        return self._structure.pruned(whole) if self.conditions else whole

    def _decoded(self, u: Sequence[float]) -> Config:
        """Every hyperparameter with a value, whether it plays a part or not."""
        return {
            name: self._fixed[name] if name in self._fixed else parameter.decode(float(value))
            for (name, parameter), value in zip(self._parameters.items(), u, strict=True)
        }

    def completed(self, config: Mapping[str, Any], rng: np.random.Generator) -> Config:
        """A configuration in which a value was changed, mended: without what no longer plays a part, and with
        values at random for what now does. Perhaps a forbidden one.
        """
        return self.pruned({**self._decoded(rng.random(len(self)).tolist()), **config})

    def encode(self, config: Mapping[str, Any]) -> tuple[float, ...]:
        """The searched hyperparameters as a vector in [0, 1]^d."""
        vector: list[float] = []
        for name in self._free:
            parameter = self._parameters[name]
            if name in self.conditions and not isinstance(parameter, Choice):
                vector.append(float(name in config))
            if name in config or name not in self.conditions:
                vector += parameter.encode(config[name])
            elif isinstance(parameter, Choice):
                vector += [0.0] * len(parameter.values)
            else:
                vector.append(_ABSENT)
        return tuple(vector)

    def encode_draws(self, draws: NDArray[np.float64]) -> NDArray[np.float64]:
        """`encode(decode(row))` of every row of draws[n, len(self)] in [0, 1): (n, d), at once."""
        if self.conditions:
            return np.array([self.encode(self.decode(row)) for row in draws.tolist()])
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
        """Raise ConfigError unless config names every parameter that plays a part, no other, each in range,
        and is allowed.
        """
        for name in config:
            if name not in self._parameters:
                raise unknown_name("hyperparameter", name, self._parameters)
        names = self.active(config)
        for name in self.parents_first:
            if name in names and name not in config:
                raise ConfigError(
                    f"hyperparameter {name}: missing; the space needs "
                    f"{', '.join(n for n in self if n in names)}."
                )
            if name not in names and name in config:
                needs = " and ".join(
                    f"{printable(other)} is one of {printable(', '.join(map(str, values)), most=200)}"
                    for other, values in self.conditions[name].items()
                )
                raise ConfigError(
                    f"{printable(name, most=200)}={printable(config[name], most=200)}: plays a part only "
                    f"where {needs}; leave it out."
                )
            if name in config:
                self._check(name, config[name])
        if (rule := self.forbids(config)) is not None:
            shown = printable(dict(config), most=400)
            raise ConfigError(f"configuration {shown}: {rule}; change a value or the constraints.")

    def _check(self, name: str, value: Any) -> None:
        if (rule := self._parameters[name].check(value)) is not None:
            shown = f"{printable(name, most=200)}={printable(value, most=200)}"
            raise ConfigError(f"{shown}: {rule}; change the value or the space.")

    def _may_be_active(self, name: str) -> bool:
        """Whether the values that are fixed leave it a part to play."""
        return all(
            other not in self._fixed or self._structure.key_of(other, self._fixed[other]) in keys
            for other, keys in self._structure.needed[name].items()
        )

    def _check_conditions(self) -> None:
        for name in self._fixed:
            if not self._may_be_active(name):
                raise ConfigError(
                    f"hyperparameter {name}={printable(self._fixed[name], most=80)}: is held, and with the "
                    "others that are held it plays no part; set it to null."
                )
        if not self.constraints or self.rows is not None:
            return
        rng, allowed = stream(0, "constraints"), 0
        drawn: Counter[tuple[str, Any]] = Counter()
        kept: Counter[tuple[str, Any]] = Counter()
        for draws in rng.random((_N_TRIED, len(self))).tolist():
            config = self.decode(draws)
            places = [
                (name, self._structure.key_of(name, value))
                for name, value in config.items()
                if isinstance(self._parameters[name], Choice | Ordered)
            ]
            drawn.update(places)
            if self.forbids(config) is None:
                allowed += 1
                kept.update(places)
        if allowed < LEAST_ALLOWED * _N_TRIED:
            raise ConfigError(
                f"constraints: allow {allowed} of {_N_TRIED} random configurations, and must allow "
                f"{LEAST_ALLOWED:.0%} of them; remove some, or narrow the ranges (what is fixed counts too)."
            )
        for (name, place), n in drawn.items():
            # Of fewer draws it says nothing; of a space in which something is held, nothing either.
            if n >= _N_SAID and not kept[name, place] and not self._fixed:
                parameter = self._parameters[name]
                assert isinstance(parameter, Choice | Ordered)
                raise ConfigError(
                    f"{printable(name, most=80)}={printable(parameter.values[place], most=80)}: forbidden in "
                    f"all of {n} random configurations that have it; remove the value, or mend the "
                    "constraints."
                )
