"""A bound on what interpolations write out: a line that names the one before it twice doubles the text."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from suite.core.errors import ConfigError

MAX_REFERENCES, MAX_CHARACTERS = 1000, 1_000_000
"""Of one value: references ${...} that are followed for it, those within them too, and their text."""
_FACTOR = 10
"""Of a whole configuration: so many times that. A thousand references take a second."""


class _Count:
    """What the value that is resolved at present has cost; or, in_all, every value since the beginning.

    depth: strings being resolved, one within another.
    """

    def __init__(self, in_all: bool) -> None:
        self._in_all = in_all
        self.depth = self._n_references = self._n_characters = 0

    def begin(self) -> None:
        """A string is being resolved."""
        if self.depth == 0 and not self._in_all:
            self._n_references = self._n_characters = 0
        self.depth += 1

    def add(self, value: object) -> None:
        self._n_references += 1
        self._n_characters += len(value) if isinstance(value, str) else 0

    def check(self) -> None:
        """Raise ConfigError where it has cost too much."""
        factor = _FACTOR if self._in_all else 1
        if (
            self._n_references > MAX_REFERENCES * factor
            or self._n_characters > MAX_CHARACTERS * factor
        ):
            raise ConfigError(too_much())


def too_much() -> str:
    """What is said of such a value."""
    return (
        f"configuration: a value follows more than {MAX_REFERENCES} interpolations ${{...}} (all values: "
        f"{MAX_REFERENCES * _FACTOR}), or they give it more than {MAX_CHARACTERS} characters (all: "
        f"{MAX_CHARACTERS * _FACTOR}); write the value out."
    )


@contextmanager
def bounded_interpolations(*, in_all: bool = False) -> Iterator[None]:
    """OmegaConf refuses, while this is open, a value whose interpolations have no reasonable end.

    in_all: what all values meanwhile cost together counts, not each of them.

    OmegaConf evaluates a reference anew each time that it is met, so forty lines are enough for a year.
    Raises ConfigError; where the reference stands in an expression, OmegaConf's own error holds its words.
    """
    from omegaconf.basecontainer import BaseContainer

    count = _Count(in_all)

    def resolving(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def resolve(*args: Any, **kwargs: Any) -> Any:
            count.begin()
            try:
                return original(*args, **kwargs)
            finally:
                count.depth -= 1

        return resolve

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def follow(*args: Any, **kwargs: Any) -> Any:
            count.check()
            found = original(*args, **kwargs)
            value = found._value() if hasattr(found, "_value") else found
            count.add(value)
            count.check()
            return found

        return follow

    wrappers = {
        "resolve_parse_tree": resolving,
        "_resolve_node_interpolation": counted,
        "_evaluate_custom_resolver": counted,
    }
    own = {name: BaseContainer.__dict__.get(name) for name in wrappers}
    for name, wrapper in wrappers.items():
        setattr(BaseContainer, name, wrapper(getattr(BaseContainer, name)))
    try:
        yield
    finally:
        for name, before in own.items():
            if before is None:
                delattr(BaseContainer, name)
            else:
                setattr(BaseContainer, name, before)
