"""Typed settings: `conf/` is read once into frozen dataclasses; nothing else reads it by key.

Types are checked by msgspec (strict: no word becomes a boolean, no text a number). It was chosen over
OmegaConf's structured configs, which turn "no" into false, know no Literal and would bring Hydra's
library below the floor that may know it, and over cattrs, whose strict validation needs a hook a type.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from suite.core.errors import ConfigError, close_name, unknown_name

T = TypeVar("T")
LARGEST = 2**63 - 1
_MOST_SHOWN = 300
_WORDS = {"yes": "true", "on": "true", "no": "false", "off": "false", "gpu": "cuda"}


def parse(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """The frozen dataclass `cls` of a mapping that names each of its fields and no other.

    where: prefix of the names in errors ("backend."). Fields that are dataclasses are parsed as well.
    Raises ConfigError for a missing, an unknown or a wrongly typed setting, by name, with the legal values.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"{where.rstrip('.')}={_brief(values)}: must be a group of settings; see conf/."
        )
    hints = get_type_hints(cls, include_extras=True)
    known = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise unknown_name(where.rstrip(".") or "setting", name, known)
    for name in known:
        if name not in values:
            raise ConfigError(f"{where}{name}: missing; name it in conf/ or on the command line.")
    return cls(**{name: checked(values[name], hints[name], where + name) for name in known})


def checked(value: Any, annotation: Any, name: str) -> Any:
    """`value`, converted to the type that `annotation` names (a list to a tuple, a mapping to a dataclass).

    Raises ConfigError where it is of another type.
    """
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        return parse(annotation, value, f"{name}.")
    if (group := _optional_group(annotation)) is not None:
        return None if value is None else parse(group, value, f"{name}.")
    annotation = _of_yaml(annotation)
    check_numbers(value, name)
    try:
        return msgspec.convert(value, annotation, strict=True)
    except msgspec.ValidationError as error:
        raise _refusal(value, annotation, name, str(error)) from None


def _optional_group(annotation: Any) -> Any:
    """The dataclass of `dataclass | None`; None: another annotation."""
    if get_origin(annotation) not in (types.UnionType, Union):
        return None
    groups = [one for one in get_args(annotation) if one is not type(None)]
    return groups[0] if len(groups) == 1 and dataclasses.is_dataclass(groups[0]) else None


def check_numbers(value: Any, name: str) -> None:
    """Raise ConfigError for a number in `value` that no journal could hold: not finite, or beyond 64 bits.

    value: of any depth, as YAML gives it. name: of its place, for the error.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            check_numbers(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            check_numbers(inner, f"{name}[{i}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name}={value}: must be a finite number; name another.")
    elif isinstance(value, int) and not -LARGEST - 1 <= value <= LARGEST:
        raise ConfigError(
            f"{name}={_cut(value)}: must be an integer of at most 64 bits; at most {LARGEST}."
        )


def _cut(value: int) -> str:
    """An integer's first digits: Python writes none of more than 4300."""
    return (
        str(value)
        if abs(value) < 10**40
        else f"{value:.6g}"
        if abs(value) < 10**300
        else "10^300 or more"
    )


def shown(value: Any) -> str:
    """A value as YAML and the command line write it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refusal(value: Any, annotation: Any, name: str, reason: str) -> ConfigError:
    words = _legal_words(annotation)
    if words and isinstance(value, str):
        value = _brief(value)
        guess = _WORDS.get(value.lower())
        hint = f" Did you mean {guess}?" if guess in words else close_name(value, words)
        return ConfigError(f"{name}={value}: must be {_rule(annotation)}.{hint}")
    inside = reason.partition(" - at `$")[2].rstrip("`")
    where = f" (at {name}{inside})" if inside else ""
    return ConfigError(f"{name}={_brief(value)}: must be {_rule(annotation)}{where}.")


def _brief(value: Any) -> str:
    """A value in an error: it may be of any length."""
    text = shown(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _of_yaml(annotation: Any) -> Any:
    """An annotation without the classes that no YAML value can be an object of (a sampler, say)."""
    members = _members(annotation)
    plain = [
        m for m in members if not inspect.isclass(m) or m in _NAMES or dataclasses.is_dataclass(m)
    ]
    return Union[tuple(plain)] if plain else annotation  # noqa: UP007 (a union of unknown length)


def _members(annotation: Any) -> list[Any]:
    """The alternatives of a union; of another type, itself."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [m for part in get_args(annotation) for m in _members(part)]
    return [annotation]


def _legal_words(annotation: Any) -> list[str]:
    """The words of a Literal, and true and false for a boolean."""
    words: list[str] = []
    for member in _members(annotation):
        if get_origin(member) is Literal:
            words += [shown(word) for word in get_args(member)]
        elif member is bool:
            words += ["true", "false"]
    return words


def _rule(annotation: Any) -> str:
    """What an annotation admits, in words."""
    parts = []
    for member in _members(annotation):
        base, bounds = member, ""
        if get_origin(member) is typing.Annotated:
            base, *metas = get_args(member)
            bounds = "".join(_bounds(meta) for meta in metas if isinstance(meta, msgspec.Meta))
        if base in (bool, Literal) or get_origin(base) is Literal:
            parts += _legal_words(base)
        else:
            parts.append(_NAMES.get(get_origin(base) or base, str(base)) + bounds)
    return " or ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


_NAMES: Mapping[Any, str] = {
    bool: "true or false", int: "an integer", float: "a number", str: "text", types.NoneType: "null",
    list: "a list", tuple: "a list", dict: "a mapping", Mapping: "a mapping",
}  # fmt: skip


def _bounds(meta: msgspec.Meta) -> str:
    """ " >= 1", for a bound that a type carries."""
    pairs = ((">=", meta.ge), (">", meta.gt), ("<=", meta.le), ("<", meta.lt))
    bounds = [f" {sign} {_number(bound)}" for sign, bound in pairs if bound is not None]
    return " and".join(bounds)


def _number(value: float) -> str:
    """1000000, where :g would write 1e+06."""
    return str(value) if isinstance(value, int) else f"{value:g}"
