"""Mappings from a journal, asked by key and type: what is of another type is named, not passed on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suite.core.printable import printable
from suite.run.journal_rules import (
    INTEGER,
    MAPPING,
    NUMBER,
    TEXT,
    Rule,
    list_of,
    or_null,
)

__all__ = [
    "COUNT", "FLAG", "INTEGER", "MAPPING", "NUMBER", "SHARE", "TEXT", "WORD", "Keys", "Rule", "list_of",
    "or_null",
]  # fmt: skip

MOST = 10**9


def _is_word(value: Any) -> bool:
    return isinstance(value, str | bool) or NUMBER.holds(value)


WORD = Rule(_is_word, "text or a number")
FLAG = Rule(lambda value: isinstance(value, bool), "true or false")
COUNT = Rule(lambda value: type(value) is int and 0 <= value <= MOST, f"an integer, 0 to {MOST}")
SHARE = Rule(lambda value: NUMBER.holds(value) and 0 <= value <= 1, "a number, 0 to 1")


class Keys:
    """A mapping whose values are asked for by key and rule; null and absent are the default.

    where: the mapping's own name, for errors ("config.backend.").
    """

    def __init__(self, values: Mapping[str, Any], where: str = "") -> None:
        self.values, self._where = values, where

    def get(self, key: str, rule: Rule, default: Any = None) -> Any:
        """The value. Raises ValueError, with key, value and rule, where it is of another type."""
        value = self.values.get(key)
        if value is None:
            return default
        if not rule.holds(value):
            raise self.refusal(key, rule.words)
        return value

    def word(self, key: str) -> str | None:
        """Text; a number is taken as the text that it was written as (name=2026)."""
        value = self.get(key, WORD)
        return None if value is None else str(value)

    def keys(self, key: str) -> Keys | None:
        """A mapping within this one; None where it is null or absent."""
        inner = self.get(key, MAPPING)
        return None if inner is None else Keys(inner, f"{self._where}{key}.")

    def refusal(self, key: str, rule: str) -> ValueError:
        value = printable(self.values.get(key), most=60)
        return ValueError(f"{self._where}{key}={value}: must be {rule}")
