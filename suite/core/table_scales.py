"""The scale of a table's hyperparameter: what its description states, and what searchers meet of it."""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from suite.core.errors import ConfigError, close_name
from suite.core.ordered import Conditional, Ordered
from suite.core.printable import printable
from suite.core.space import Choice, Float, Int, Parameter

Kind = Literal["linear", "log", "integer", "log_integer", "choice", "ordered"]
KINDS: tuple[str, ...] = typing.get_args(Kind)
_KEYS = ("scale", "inactive", "levels")


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How the values of a hyperparameter lie to each other.

    inactive: the number that stands where the hyperparameter plays no part, None: it always does.
    levels: of `ordered`, the values from the first to the last; empty: numbers, by their size.
    """

    kind: Kind
    inactive: float | None = None
    levels: tuple[Any, ...] = ()

    @classmethod
    def of(cls, where: str, value: Any) -> Scale:
        """From YAML: a word of KINDS, or {scale: WORD, inactive: NUMBER} or {scale: ordered, levels: [...]}.

        Raises ConfigError that names `where`.
        """
        given = value if isinstance(value, Mapping) else {"scale": value}
        for key in given:
            if key not in _KEYS:
                shown = printable(key, most=80)
                raise ConfigError(
                    f"{where}.{shown}: unknown; known are {', '.join(_KEYS)}. Remove it."
                )
        kind, inactive, levels = (given.get(key) for key in _KEYS)
        if kind not in KINDS:
            text = f"{where}={printable(kind, most=80)}: must be one of {', '.join(KINDS)}."
            raise ConfigError(text + close_name(str(kind), KINDS))
        if inactive is not None and (kind in ("choice", "ordered") or not _is_number(inactive)):
            raise ConfigError(
                f"{where}.inactive={printable(inactive, most=80)}: must be a number, of a scale of numbers; "
                "of choice and ordered it is one of the values."
            )
        if levels is not None and (kind != "ordered" or not isinstance(levels, list | tuple)):
            raise ConfigError(f"{where}.levels: must be a list, of scale=ordered; remove it.")
        return cls(kind=kind, inactive=inactive, levels=tuple(levels or ()))

    def parameter(self, where: str, values: Sequence[Any]) -> Parameter:
        """The range of a column on this scale. values: of its cells, in any order.

        Raises ConfigError where the cells are not of this scale.
        """
        distinct = set(values)
        if self.kind == "choice" or len(distinct) == 1:
            return Choice(*sorted(distinct, key=lambda v: (isinstance(v, str), v)))
        if self.kind == "ordered":
            return self._ordered(where, distinct)
        numbers = [value for value in distinct if value != self.inactive]
        for value in numbers:
            self._check(where, value)
        if len(numbers) == 1:
            return Ordered(self.inactive, *numbers)
        active = self._interval(min(numbers), max(numbers))
        return active if len(numbers) == len(distinct) else Conditional(active, self.inactive)

    def _interval(self, low: Any, high: Any) -> Float | Int:
        is_log = self.kind in ("log", "log_integer")
        if self.kind in ("integer", "log_integer"):
            return Int(low, high, log=is_log)
        # An integer beyond 2^53 lies beside its float.
        least = float(low) if float(low) <= low else math.nextafter(float(low), -math.inf)
        most = float(high) if float(high) >= high else math.nextafter(float(high), math.inf)
        return Float(least, most, log=is_log)

    def _check(self, where: str, value: Any) -> None:
        is_log = self.kind in ("log", "log_integer")
        if not _is_number(value):
            rule = "numbers; take choice, or ordered with its levels"
        elif is_log and value <= 0:
            rule = "numbers > 0; name the one that means none as inactive, or take linear"
        elif self.kind in ("integer", "log_integer") and not isinstance(value, int):
            rule = "whole numbers; take linear or log"
        else:
            return
        raise ConfigError(
            f"{where}={self.kind}: a cell is {printable(value, most=60)}, and it needs {rule}."
        )

    def _ordered(self, where: str, distinct: set[Any]) -> Parameter:
        if not self.levels:
            for value in distinct:
                if not _is_number(value):
                    self._check(where, value)
            return Ordered(*sorted(distinct))
        if missing := [value for value in distinct if value not in self.levels]:
            raise ConfigError(
                f"{where}.levels: a cell is {printable(missing[0], most=60)}, which is none of them; add it."
            )
        return Ordered(*self.levels)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
