"""Spaces of ConfigSpace (automl), read and written. The package (BSD-3-Clause) is an extra: `configspace`.

It is a format here, and draws nothing: a journal must be replayed by any later version, and plain spaces keep
their draws. What one side has and the other has not is refused by its name.
Source: Lindauer et al. 2019 (arXiv 1908.06756); ConfigSpace 1.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from suite.core.conditions import Constraints, Parameter, When, words_of
from suite.core.errors import ConfigError
from suite.core.extras import need
from suite.core.ordered import Ordered
from suite.core.parameters import Choice, Float, Int
from suite.core.printable import printable
from suite.core.space import Space

_STEP = "swiftbench_step"
"""In a hyperparameter's `meta`: an Int with steps, which ConfigSpace has not, stands there as an order."""
_HOLDS = {
    "ForbiddenGreaterThanEqualsRelation": "<",
    "ForbiddenGreaterThanRelation": "<=",
    "ForbiddenLessThanEqualsRelation": ">",
    "ForbiddenLessThanRelation": ">=",
}
"""What is forbidden -> what must hold."""
_MOST = 1000


def is_configspace(value: Any) -> bool:
    """Whether it is a ConfigurationSpace, or the mapping that its JSON file holds."""
    if type(value).__module__.partition(".")[0] == "ConfigSpace":
        return True
    return isinstance(value, Mapping) and isinstance(value.get("hyperparameters"), list | tuple)


def from_configspace(space: Any) -> tuple[dict[str, Parameter | When], Constraints]:
    """The hyperparameters and constraints of a ConfigurationSpace, or of its JSON as a mapping.

    Names are in its own order. A Constant is a Choice of one value; defaults are left out.
    Raises ConfigError, by name, for a distribution that is not uniform, a condition or a forbidden clause
    that spaces here have not; and where the package is absent.
    """
    need("ConfigSpace")
    import ConfigSpace

    if isinstance(space, Mapping) and not isinstance(space, ConfigSpace.ConfigurationSpace):
        try:
            space = ConfigSpace.ConfigurationSpace.from_serialized_dict(dict(space))
        except Exception as error:
            raise ConfigError(
                f"space: is no space of ConfigSpace ({type(error).__name__}: {printable(error, most=200)}); "
                "write it with ConfigurationSpace.to_json."
            ) from error
    plain = {one.name: _parameter(one) for one in space.values()}
    when: dict[str, dict[str, list[Any]]] = {}
    for condition in space.conditions:
        child = condition.child
        for other, values in _condition(condition, plain).items():
            known = when.setdefault(child.name, {}).get(other)
            when[child.name][other] = values if known is None else [v for v in known if v in values]
    forbidden: list[dict[str, Any]] = []
    relations: list[str] = []
    for clause in _flat(space.forbidden_clauses, "ForbiddenOrConjunction"):
        kind = type(clause).__name__
        if kind in _HOLDS:
            relations.append(f"{clause.left.name} {_HOLDS[kind]} {clause.right.name}")
        else:
            forbidden.append(_clause(clause))
    parameters = {n: When(p, when[n]) if n in when else p for n, p in plain.items()}
    return parameters, Constraints(forbidden, relations)


def to_configspace(space: Space, seed: int | None = None) -> Any:
    """A ConfigurationSpace of what is searched; what is held is a Constant. Its default configuration, which
    must be one that is allowed, is `space.lowest()`.

    Raises ConfigError for a table's space, a value that ConfigSpace has not; and where the package is absent.
    """
    need("ConfigSpace")
    import ConfigSpace

    if space.rows is not None:
        raise ConfigError("space: a table's rows are no ConfigSpace; name a model that trains.")
    held, lowest = space.with_fixed({}), space.lowest()
    there = ConfigSpace.ConfigurationSpace(seed=seed)
    try:
        made = {
            name: ConfigSpace.Constant(name, held[name])
            if name in held
            else _hyperparameter(name, space[name], lowest.get(name, space[name].decode(0.0)))
            for name in space
            if name in space.free or name in held
        }
        there.add(list(made.values()))
        there.add([one for name in made for one in _conditions(space, name, made)])
        there.add(list(_forbidden(space, made)))
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"space: ConfigSpace has not all of it ({printable(error, most=200)}); change the space."
        ) from error
    return there


# --- in ---------------------------------------------------------------------------------------------


def _parameter(one: Any) -> Parameter:
    kind, meta = type(one).__name__, one.meta or {}
    if kind == "UniformFloatHyperparameter":
        return Float(float(one.lower), float(one.upper), log=bool(one.log))
    if kind == "UniformIntegerHyperparameter":
        return Int(int(one.lower), int(one.upper), log=bool(one.log))
    if kind == "OrdinalHyperparameter":
        values = [_plain(value) for value in one.sequence]
        if step := meta.get(_STEP):
            return Int(values[0], values[-1], step=int(step))
        return Ordered(*values) if len(values) > 1 else Choice(*values)
    if kind == "Constant":
        return Choice(_plain(one.value))
    if kind == "CategoricalHyperparameter" and one.weights is None:
        return Choice(*(_plain(value) for value in one.choices))
    raise ConfigError(
        f"space.{printable(one.name, most=80)}: is a {kind}, and must be uniform over its values; write it "
        "so, or change it."
    )


def _plain(value: Any) -> Any:
    """A number of numpy as Python's own."""
    return value.item() if hasattr(value, "item") else value


def _condition(condition: Any, plain: Mapping[str, Parameter]) -> dict[str, list[Any]]:
    """Other name -> its values with which the condition holds."""
    kind = type(condition).__name__
    if kind in ("AndConjunction", "OrConjunction"):
        parts = [_condition(one, plain) for one in condition.components]
        names = list(dict.fromkeys(name for part in parts for name in part))
        if kind == "OrConjunction" and len(names) > 1:
            raise _unlike(condition, "an 'or' of several hyperparameters")
        found: dict[str, list[Any]] = {}
        for name in names:
            lists = [part[name] for part in parts if name in part]
            is_in = any if kind == "OrConjunction" else all
            named = list({repr(v): v for values in lists for v in values}.values())
            found[name] = [v for v in named if is_in(v in values for values in lists)]
        return found
    name = condition.parent.name
    if kind == "EqualsCondition":
        return {name: [_plain(condition.value)]}
    if kind == "InCondition":
        return {name: [_plain(value) for value in condition.values]}
    every, value = _all_values(plain[name]), _plain(condition.value)
    if every is None:
        raise _unlike(condition, "a comparison with a number that has no single values")
    if kind == "NotEqualsCondition":
        return {name: [v for v in every if v != value]}
    place = every.index(value)
    return {name: every[:place] if kind == "LessThanCondition" else every[place + 1 :]}


def _all_values(parameter: Parameter) -> list[Any] | None:
    if isinstance(parameter, Choice | Ordered):
        return list(parameter.values)
    if isinstance(parameter, Int) and (parameter.high - parameter.low) // parameter.step < _MOST:
        return list(range(parameter.low, parameter.high + 1, parameter.step))
    return None


def _flat(clauses: Iterable[Any], kind: str) -> list[Any]:
    """Without conjunctions of this kind: their parts."""
    found = []
    for clause in clauses:
        found += _flat(clause.components, kind) if type(clause).__name__ == kind else [clause]
    return found


def _clause(clause: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for part in _flat([clause], "ForbiddenAndConjunction"):
        kind = type(part).__name__
        if kind not in ("ForbiddenEqualsClause", "ForbiddenInClause"):
            raise _unlike(clause, f"a {kind} in a forbidden clause")
        if (name := part.hyperparameter.name) in values:
            raise _unlike(clause, f"{name} twice in a forbidden clause")
        is_one = kind == "ForbiddenEqualsClause"
        values[name] = _plain(part.value) if is_one else [_plain(v) for v in part.values]
    return values


def _unlike(what: Any, kind: str) -> ConfigError:
    return ConfigError(
        f"space: {printable(what, most=160)}: is {kind}, which spaces here have not; write it with values of "
        "choices, orders and integers, or with a relation."
    )


# --- out --------------------------------------------------------------------------------------------


def _hyperparameter(name: str, parameter: Parameter, default: Any) -> Any:
    import ConfigSpace

    if isinstance(parameter, Float):
        return ConfigSpace.UniformFloatHyperparameter(
            name, parameter.low, parameter.high, default_value=default, log=parameter.log
        )
    if isinstance(parameter, Int) and parameter.step == 1:
        return ConfigSpace.UniformIntegerHyperparameter(
            name, parameter.low, parameter.high, default_value=default, log=parameter.log
        )
    if isinstance(parameter, Int):
        steps = list(range(parameter.low, parameter.high + 1, parameter.step))
        meta = {_STEP: parameter.step}
        return ConfigSpace.OrdinalHyperparameter(name, steps, default_value=default, meta=meta)
    if isinstance(parameter, Ordered):
        values = list(parameter.values)
        return ConfigSpace.OrdinalHyperparameter(name, values, default_value=default)
    if isinstance(parameter, Choice):
        values = list(parameter.values)
        return ConfigSpace.CategoricalHyperparameter(name, values, default_value=default)
    raise ConfigError(f"space.{name}: is a {type(parameter).__name__}, which is a table's.")


def _conditions(space: Space, name: str, made: Mapping[str, Any]) -> list[Any]:
    """None, or one. What waits for something that is held has what it waits for."""
    import ConfigSpace

    held = space.with_fixed({})
    parts = [
        ConfigSpace.InCondition(made[name], made[other], list(values))
        for other, values in space.conditions.get(name, {}).items()
        if other not in held
    ]
    return [ConfigSpace.AndConjunction(*parts)] if len(parts) > 1 else parts


def _forbidden(space: Space, made: Mapping[str, Any]) -> Iterable[Any]:
    """Clauses of names that may play a part."""
    import ConfigSpace

    for clause in space.constraints.forbidden:
        if not made.keys() >= clause.keys():
            continue
        parts = []
        for name, given in clause.items():
            is_list = isinstance(given, list | tuple) and space[name].check(given) is not None
            values = [v for v in (given if is_list else [given]) if made[name].legal_value(v)]
            parts.append(ConfigSpace.ForbiddenInClause(made[name], values) if values else None)
        if all(part is not None for part in parts):
            yield ConfigSpace.ForbiddenAndConjunction(*parts) if len(parts) > 1 else parts[0]
    kinds = {sign: getattr(ConfigSpace, kind) for kind, sign in _HOLDS.items()}
    for relation in space.constraints.relations:
        left, sign, right = words_of(relation)
        if left in made and right in made:
            yield kinds[sign](made[left], made[right])
