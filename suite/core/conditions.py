"""Which hyperparameters play a part, and which configurations are forbidden: declared, never evaluated.

`When` and `Constraints` are what a target or a YAML file says. `Structure` is what a Space makes of them. No
text is run: a condition is a name with its values, a relation three words.
Source: the kinds of conditions and forbidden clauses are those of ConfigSpace (Lindauer et al. 2019, arXiv
1908.06756); the code is our own, so that rank 0 needs no further package to draw a configuration.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suite.core.errors import ConfigError, unknown_name
from suite.core.ordered import Conditional, Ordered
from suite.core.parameters import Choice, Float, Int, place_of
from suite.core.printable import printable
from suite.core.types import Config

Parameter = Float | Int | Choice | Ordered | Conditional

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_RELATION = re.compile(r"\s*(.+?)\s+(<=|>=|<|>)\s+(.+?)\s*")
_MOST = 1000
"""Clauses of a space, of either kind, and values of a condition: each draw is held against all of them."""


@dataclass(frozen=True, slots=True)
class When:
    """A hyperparameter that plays a part only where others have certain values; elsewhere it has no value.

    when: name of another hyperparameter -> the value, or the values, that it must have; all must hold.
    The other one is a Choice, an Ordered or an Int, and may have conditions itself: where it plays no part,
    this one plays none.

    >>> When(Float(0.0, 0.99), {"optimizer": ["sgd", "rmsprop"]}).parameter
    Float(low=0.0, high=0.99, log=False)
    """

    parameter: Parameter
    when: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Constraints:
    """Configurations that are never drawn.

    forbidden: clauses, each {name: value or values}: a configuration that has one of the values of each name
    is forbidden. relations: "name < other", with <, <=, > or >=, of two hyperparameters with numbers. Where
    one that is named plays no part, a clause forbids nothing and a relation holds.
    """

    forbidden: Sequence[Mapping[str, Any]] = ()
    relations: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.forbidden or self.relations)


@dataclass(frozen=True, slots=True)
class _Clause:
    """values: name -> the keys (`key_of`) of the values that are forbidden together."""

    values: Mapping[str, frozenset[Any]]
    text: str


@dataclass(frozen=True, slots=True)
class _Relation:
    left: str
    holds: Callable[[Any, Any], bool]
    right: str
    text: str


class Structure:
    """The conditions and constraints of a space, checked.

    when: name -> other name -> its values, of hyperparameters that have conditions alone. needed: all that
    must hold for a name to play a part, its parents' conditions too.
    Raises ConfigError for an unknown name, a value that the other cannot have, a circle, a hyperparameter
    that can never play a part, a clause that is none.
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        when: Mapping[str, Mapping[str, Any]],
        constraints: Constraints,
    ) -> None:
        self._parameters = parameters
        self.when: dict[str, dict[str, tuple[Any, ...]]] = {
            name: self._condition(name, condition) for name, condition in when.items()
        }
        self.order = tuple(self._parents_first())
        self._keys = {
            name: {other: self._keys_of(other, values) for other, values in condition.items()}
            for name, condition in self.when.items()
        }
        self.needed: dict[str, dict[str, frozenset[Any]]] = {}
        for name in self.order:
            self.needed[name] = self._all_needed(name)
        if not isinstance(constraints, Constraints):
            raise ConfigError(
                f"constraints={printable(constraints, most=80)}: must be Constraints(forbidden=[...], "
                "relations=[...])."
            )
        self.constraints = constraints
        for kind in ("forbidden", "relations"):
            clauses = getattr(constraints, kind)
            if isinstance(clauses, str | Mapping) or not isinstance(clauses, Sequence):
                raise ConfigError(
                    f"constraints.{kind}={printable(clauses, most=80)}: must be a list."
                )
            if len(clauses) > _MOST:
                raise ConfigError(
                    f"constraints.{kind}: {len(clauses)} of them; must be at most {_MOST}."
                )
        self._clauses = [self._clause(one) for one in constraints.forbidden]
        self._relations = [self._relation(one) for one in constraints.relations]

    def key_of(self, name: str, value: Any) -> Any:
        """What a value of a Choice, Ordered or Int is compared by: its place, or its number."""
        parameter = self._parameters[name]
        if isinstance(parameter, Choice | Ordered):
            return place_of(value, parameter.values)
        return value if isinstance(value, int) else None

    def active(self, config: Mapping[str, Any]) -> Iterator[str]:
        """Names that play a part, parents first; of a configuration with missing names those that may."""
        if not self.when:
            yield from self._parameters
            return
        inactive: set[str] = set()
        for name in self.order:
            if any(
                other in inactive
                or (other in config and self.key_of(other, config[other]) not in keys)
                for other, keys in self._keys.get(name, {}).items()
            ):
                inactive.add(name)
            else:
                yield name

    def pruned(self, config: Mapping[str, Any]) -> Config:
        """Without what plays no part, in the order of the space; names that the space has not stay."""
        names = set(self.active(config))
        known = {n: config[n] for n in self._parameters if n in names and n in config}
        return known | {n: value for n, value in config.items() if n not in self._parameters}

    def broken(self, config: Mapping[str, Any]) -> str | None:
        """The constraint that forbids the configuration; None: it is allowed."""
        for clause in self._clauses:
            if all(
                name in config and self.key_of(name, config[name]) in keys
                for name, keys in clause.values.items()
            ):
                return clause.text
        for relation in self._relations:
            left, right = config.get(relation.left), config.get(relation.right)
            if left is not None and right is not None and not relation.holds(left, right):
                return relation.text
        return None

    # --- what is declared, checked --------------------------------------------------------------------

    def _condition(self, name: str, condition: Any) -> dict[str, tuple[Any, ...]]:
        where = f"hyperparameter {printable(name, most=80)}: when"
        if not isinstance(condition, Mapping) or not condition:
            raise ConfigError(
                f"{where}={printable(condition, most=80)}: must be {{other hyperparameter: [its values]}}."
            )
        return {
            other: self._values(where, other, values, "has no single values to wait for")
            for other, values in condition.items()
        }

    def _values(self, where: str, other: Any, values: Any, why: str) -> tuple[Any, ...]:
        """The values of `other` that are named. A list is several, unless it is one of them itself."""
        if other not in self._parameters:
            raise unknown_name(where, other, self._parameters)
        shown, parameter = f"{where}.{printable(other, most=80)}", self._parameters[other]
        if not isinstance(parameter, Choice | Ordered | Int):
            raise ConfigError(
                f"{shown}: is a {type(parameter).__name__}, which {why}; name a Choice, an Ordered or an Int."
            )
        several = isinstance(values, list | tuple) and parameter.check(values) is not None
        given = tuple(values) if several else (values,)
        if not 0 < len(given) <= _MOST:
            raise ConfigError(f"{shown}: must name 1 to {_MOST} values; it names {len(given)}.")
        for value in given:
            if (rule := parameter.check(value)) is not None:
                raise ConfigError(
                    f"{shown}={printable(value, most=80)}: {rule}; change the value or the space."
                )
        return given

    def _keys_of(self, name: str, values: Iterable[Any]) -> frozenset[Any]:
        return frozenset(self.key_of(name, value) for value in values)

    def _parents_first(self) -> list[str]:
        """All names. Raises ConfigError for conditions that lead back to where they began."""
        order: dict[str, None] = {}

        def visit(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                circle = ", ".join(printable(one, most=40) for one in (*path, name)[:20])
                raise ConfigError(
                    f"hyperparameter {printable(name, most=80)}: its conditions lead back to itself "
                    f"({circle}); remove one."
                )
            if name in order:
                return
            for other in self.when.get(name, {}):
                visit(other, (*path, name))
            order[name] = None

        # A chain as long as a stranger likes must not end in a RecursionError.
        if len(self.when) > _MOST // 2:
            raise ConfigError(
                f"space: {len(self.when)} hyperparameters have conditions; at most {_MOST // 2} may."
            )
        for name in self._parameters:
            visit(name, ())
        return list(order)

    def _all_needed(self, name: str) -> dict[str, frozenset[Any]]:
        """What must hold for `name`: its own conditions and those of its parents, at once."""
        needed = dict(self._keys.get(name, {}))
        for other in self._keys.get(name, {}):
            for far, keys in self.needed[other].items():
                needed[far] = needed.get(far, keys) & keys
                if not needed[far]:
                    raise ConfigError(
                        f"hyperparameter {printable(name, most=80)}: can never play a part, for its "
                        f"conditions and those of {printable(other, most=80)} want different values of "
                        f"{printable(far, most=80)}; change one."
                    )
        return needed

    def _clause(self, clause: Any) -> _Clause:
        where, text = "constraints.forbidden", printable(clause, most=120)
        if not isinstance(clause, Mapping) or not clause:
            raise ConfigError(f"{where}: {text}: must be {{name: value, other: value}}.")
        values = {
            name: self._values(where, name, one, "no draw hits; write a relation")
            for name, one in clause.items()
        }
        for name, one in values.items():
            if len(values) == 1 and not isinstance(self._parameters[name], Int):
                raise ConfigError(
                    f"{where}: {text}: forbids a value whatever the others are; remove it from {name}."
                )
            if len(values) > 1 and self._is_all(name, one):
                raise ConfigError(
                    f"{where}: {text}: names every value of {name}; leave {name} out of the clause."
                )
        shown = ", ".join(f"{n}={printable(one, most=80)}" for n, one in clause.items())
        keys = {name: self._keys_of(name, one) for name, one in values.items()}
        return _Clause(keys, f"forbidden: {shown}")

    def _is_all(self, name: str, values: tuple[Any, ...]) -> bool:
        """Whether every value is named, of a hyperparameter that always plays a part."""
        parameter = self._parameters[name]
        if name in self.when or not isinstance(parameter, Choice | Ordered):
            return False
        return len(self._keys_of(name, values)) == len(parameter.values)

    def _relation(self, text: Any) -> _Relation:
        words = _RELATION.fullmatch(text) if isinstance(text, str) and len(text) <= 1000 else None
        if words is None:
            raise ConfigError(
                f"constraints.relations: {printable(text, most=120)}: must be two names with "
                f"{', '.join(_OPERATORS)} and spaces between them, as in 'warm_up < n_epochs'."
            )
        left, sign, right = words.groups()
        for name in (left, right):
            if name not in self._parameters:
                raise unknown_name("constraints.relations", name, self._parameters)
            if not _has_numbers(self._parameters[name]):
                raise ConfigError(
                    f"constraints.relations: {printable(text, most=120)}: {printable(name, most=80)} has "
                    "values that are no numbers; write forbidden clauses instead."
                )
        if left == right:
            raise ConfigError(
                f"constraints.relations: {printable(text, most=120)}: must name two hyperparameters."
            )
        return _Relation(left, _OPERATORS[sign], right, f"must have {left} {sign} {right}")


def words_of(relation: str) -> tuple[str, str, str]:
    """The name, the sign and the other name of a relation that is one.

    >>> words_of("a <= b")
    ('a', '<=', 'b')
    """
    words = _RELATION.fullmatch(relation)
    assert words is not None
    left, sign, right = words.groups()
    return left, sign, right


def _has_numbers(parameter: Parameter) -> bool:
    if isinstance(parameter, Choice | Ordered):
        return all(isinstance(v, int | float) and not isinstance(v, bool) for v in parameter.values)
    return isinstance(parameter, Float | Int)
