"""What the conformance suites share: a plug-in under test, its checks, their results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar

from suite.core.errors import SuiteError
from suite.core.plugins import make

Method = TypeVar("Method", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class Result:
    """One check's end. reason: why it failed; empty where it passed. time_s: seconds it took."""

    check: str
    reason: str
    time_s: float

    @property
    def passed(self) -> bool:
        return not self.reason


class Conformance:
    """A plug-in and what it promises; a method that begins with `test_` is a check.

    group: of conf/. leaf: `_target_` and constructor arguments, as a YAML file of that group gives them.
    """

    group: ClassVar[str]
    leaf: ClassVar[Mapping[str, Any]]

    @classmethod
    def of(cls, leaf: Mapping[str, Any]) -> type[Self]:
        """The conformance suite of one leaf: a class that pytest can collect."""
        return type(cls.__name__, (cls,), {"leaf": dict(leaf), "__doc__": cls.__doc__})

    @classmethod
    def checks(cls) -> list[str]:
        """The names of the checks, in the order in which they are written."""
        names = {name: None for c in reversed(cls.__mro__) for name in vars(c)}
        return [name for name in names if name.startswith("test_") and getattr(cls, name)]

    def build(self, **extra: Any) -> Any:
        """A new object of the class under test. Raises ConfigError as a run would."""
        return make(self.leaf, self.group, **extra)

    @classmethod
    def results(cls) -> Iterator[Result]:
        """Run all checks, one after the other. What a check raises is its reason."""
        for name in cls.checks():
            begun, reason = time.perf_counter(), ""
            try:
                getattr(cls(), name)()
            except SuiteError as error:
                reason = str(error)
            except AssertionError as error:
                reason = str(error) or "an assertion without a message"
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
            yield Result(name.removeprefix("test_"), reason, time.perf_counter() - begun)


def expect_error(kind: type[Exception], what: str, call: Callable[[], Any]) -> Exception:
    """The error of `kind` that `call` must raise. Raises AssertionError, naming `what`, where it does not."""
    try:
        call()
    except kind as error:
        return error
    except Exception as error:
        raise AssertionError(
            f"{what}: must raise {kind.__name__}, not {type(error).__name__}: {error}"
        ) from error
    raise AssertionError(f"{what}: must raise {kind.__name__}; nothing was raised")
