"""A space in the words of a YAML file, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from suite.core.conditions import Constraints, Parameter, When
from suite.core.errors import ConfigError, unknown_name
from suite.core.ordered import Ordered
from suite.core.parameters import Choice, Float, Int
from suite.core.printable import printable

_TYPES = ("float", "int", "choice")
_KEYS = {
    "float": ("low", "high", "log"),
    "int": ("low", "high", "log", "step"),
    "choice": ("values", "ordered"),
}


def described(parameter: Parameter | When) -> dict[str, Any]:
    """A hyperparameter as plain JSON; raises ConfigError for a Conditional, which is a table's.

    >>> described(Float(0.1, 1.0, log=True))
    {'type': 'float', 'low': 0.1, 'high': 1.0, 'log': True}
    >>> described(When(Int(0, 9, step=3), {"kind": "a"}))
    {'type': 'int', 'low': 0, 'high': 9, 'log': False, 'step': 3, 'when': {'kind': ['a']}}
    """
    if isinstance(parameter, When):
        when = {
            other: list(values) if isinstance(values, list | tuple) else [values]
            for other, values in parameter.when.items()
        }
        return {**described(parameter.parameter), "when": when}
    if isinstance(parameter, Choice):
        return {"type": "choice", "values": list(parameter.values)}
    if isinstance(parameter, Ordered):
        return {"type": "choice", "values": list(parameter.values), "ordered": True}
    if not isinstance(parameter, Float | Int):
        raise ConfigError(
            f"space: {type(parameter).__name__} is a table's; take Float, Int, Choice or Ordered, and When."
        )
    kind, plain = ("float", float) if isinstance(parameter, Float) else ("int", int)
    low, high = plain(parameter.low), plain(parameter.high)
    words = {"type": kind, "low": low, "high": high, "log": bool(parameter.log)}
    step = parameter.step if isinstance(parameter, Int) else 1
    return words if step == 1 else {**words, "step": int(step)}


def described_constraints(constraints: Constraints) -> dict[str, Any]:
    """Constraints as plain JSON."""
    clauses = [
        {n: list(v) if isinstance(v, list | tuple) else v for n, v in clause.items()}
        for clause in constraints.forbidden
    ]
    words = {"forbidden": clauses, "relations": list(constraints.relations)}
    return {key: value for key, value in words.items() if value}


def parameters_of(where: str, words: Any) -> dict[str, Parameter | When]:
    """The inverse of `described`, of every hyperparameter. where: what it is called in a message.

    Raises ConfigError by hyperparameter and key.
    """
    if not isinstance(words, Mapping) or not words:
        raise ConfigError(
            f"{where}={printable(words, most=80)}: must name hyperparameters, as in "
            "{lr: {type: float, low: 0.001, high: 1.0, log: true}}."
        )
    for name in words:
        if not isinstance(name, str) or not name:
            raise ConfigError(
                f"{where}: the key {printable(name, most=80)} is no text; write a name."
            )
    return {
        name: _parameter(f"{where}.{printable(name, most=80)}", one) for name, one in words.items()
    }


def constraints_of(where: str, words: Any) -> Constraints:
    """The inverse of `described_constraints`. Raises ConfigError by key."""
    if words is None:
        return Constraints()
    if not isinstance(words, Mapping):
        raise ConfigError(
            f"{where}={printable(words, most=80)}: must be {{forbidden: [...], relations: [...]}}."
        )
    for key in words:
        if key not in ("forbidden", "relations"):
            raise unknown_name(where, key, ("forbidden", "relations"))
    clauses, relations = words.get("forbidden") or (), words.get("relations") or ()
    return Constraints(forbidden=clauses, relations=relations)


def _parameter(where: str, words: Any) -> Parameter | When:
    if not isinstance(words, Mapping):
        raise ConfigError(
            f"{where}={printable(words, most=80)}: must be {{type: float, low: ..., high: ...}} or the like "
            "(float, int, choice)."
        )
    kind, when = words.get("type"), words.get("when")
    if kind not in _TYPES:
        raise unknown_name(f"{where}.type", kind, _TYPES)
    for key in words:
        if key not in ("type", "when", *_KEYS[kind]):
            raise unknown_name(f"{where}.{kind}", key, ("type", "when", *_KEYS[kind]))
    parameter = _plain(where, kind, {k: v for k, v in words.items() if k in _KEYS[kind]})
    return parameter if when is None else When(parameter, when)


def _plain(where: str, kind: str, words: dict[str, Any]) -> Parameter:
    for key in ("values",) if kind == "choice" else ("low", "high"):
        if key not in words:
            raise ConfigError(f"{where}.{key}: missing; a {kind} needs it.")
    for key in ("log", "ordered"):
        if not isinstance(words.get(key, False), bool):
            raise ConfigError(
                f"{where}.{key}={printable(words[key], most=80)}: must be true or false."
            )
    try:
        if kind == "choice":
            values = words["values"]
            if isinstance(values, str | Mapping) or not isinstance(values, Sequence):
                raise ConfigError(
                    f"values={printable(values, most=80)}: must be a list; write "
                    f"[{printable(values, most=40)}]."
                )
            return Ordered(*values) if words.get("ordered") else Choice(*values)
        return Int(**words) if kind == "int" else Float(**words)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
