"""From a YAML leaf (`_target_` and constructor arguments) to an object, and no further than the
suite's own code.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_type_hints

from suite.core import moved
from suite.core.errors import ConfigError, unknown_name

OWN = ("suite.", "models.")
_MOST_CHARACTERS = 500
_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def _nothing() -> str:
    return ""


_named: Callable[[], str] = _nothing


def admit(named: Callable[[], str]) -> None:
    """Ask `named` for the packages of users that are admitted: names, comma-separated.

    This floor does not know the environment; `suite.run` hands SUITE_PLUGINS over.
    """
    global _named
    _named = named


@contextlib.contextmanager
def admitted_once() -> Iterator[None]:
    """Read the admitted packages now; what changes the environment meanwhile admits no other."""
    global _named
    before, names = _named, _named()
    _named = lambda: names  # noqa: E731
    try:
        yield
    finally:
        _named = before


def allowed_prefixes() -> tuple[str, ...]:
    """`suite.`, `models.`, and the packages that SUITE_PLUGINS names (comma-separated)."""
    return OWN + tuple(f"{name.strip()}." for name in _named().split(",") if name.strip())


def find(path: str, what: str, base: type | None = None) -> Any:
    """The class that a dotted path names.

    base: what it must be a subclass of, None: any class.
    Raises ConfigError where it is outside the allowed packages, missing, or of another kind.
    """
    if len(path) > _MOST_CHARACTERS:
        raise ConfigError(
            f"{what}._target_={path[:80]}...: must have at most {_MOST_CHARACTERS} characters."
        )
    if not path.startswith(allowed_prefixes()):
        raise ConfigError(
            f"{what}._target_={path}: must begin with {' or '.join(allowed_prefixes())}; "
            "name its package in the environment's SUITE_PLUGINS to admit it."
        )
    if not _PATH.fullmatch(path):
        raise ConfigError(f"{what}._target_={path}: must be a dotted name, package.module.Class.")
    cls = _imported(path, what)
    # A module's own imports (subprocess.Popen, say) are reachable through it and are not its own.
    if not inspect.isclass(cls) or not f"{cls.__module__}.".startswith(allowed_prefixes()):
        raise ConfigError(
            f"{what}._target_={path}: must name a class that is defined in "
            f"{' or '.join(allowed_prefixes())}; what it merely imports does not count."
        )
    if base is not None and not issubclass(cls, base):
        raise ConfigError(
            f"{what}._target_={path}: must be a {base.__name__}; derive the class from "
            f"{_public(base)}, or name another."
        )
    return cls


def _public(cls: type) -> str:
    """The name by which plug-ins import a class: those of suite.core come from the package itself."""
    return f"{re.sub(r'^suite[.]core[.].*', 'suite.core', cls.__module__)}.{cls.__name__}"


def _imported(path: str, what: str) -> Any:
    module, _, name = moved.current(path).rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        where = moved.hint(getattr(error, "name", None))
        raise ConfigError(
            f"{what}._target_={path}: cannot be imported ({error}{where})."
        ) from error
    except Exception as error:
        # A plug-in's own mistake: its file and line are what its author needs.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename}:{frame.lineno}"
        if isinstance(error, SyntaxError):
            place = f"{error.filename}:{error.lineno}"
        raise ConfigError(
            f"{what}._target_={path}: cannot be imported ({place}: {type(error).__name__}: {error}); "
            "mend the module."
        ) from error


def argument_types(cls: Any) -> dict[str, Any]:
    """The types of a constructor's arguments, as far as it names them in a form that can be looked up."""
    try:
        # A dataclass inherits fields whose types only their own module can look up.
        named = cls if dataclasses.is_dataclass(cls) else cls.__init__
        return get_type_hints(named, include_extras=True)
    except (NameError, TypeError, AttributeError):  # a name that only a type checker sees
        return {}


def _checked(value: Any, annotation: Any, name: str) -> Any:
    if annotation is None:
        return value
    try:
        # Imported here: who only writes a plug-in, or fits a QSVR, needs no msgspec.
        from suite.core.settings import checked

        return checked(value, annotation, name)
    except TypeError:  # a type that no YAML value has, e.g. a callable: the constructor's business
        return value


def make(spec: Mapping[str, Any], what: str, base: type | None = None, **extra: Any) -> Any:
    """Call the class of `spec["_target_"]` with the other keys as arguments.

    base: what the class must be a subclass of, which is checked before it is called. `extra` arguments
    are added where the constructor takes them. Raises ConfigError for an unknown or missing one, and for
    one that is not of the type that the constructor's annotation names.
    """
    if "_target_" not in spec:
        raise ConfigError(f"{what}: has no _target_; name one of the group's YAML files.")
    cls = find(str(spec["_target_"]), what, base)
    known = inspect.signature(cls).parameters
    arguments = {key: value for key, value in spec.items() if key != "_target_"}
    for name in arguments:
        if name not in known:
            raise unknown_name(what, name, known)
    hints = argument_types(cls)
    arguments = {
        name: _checked(value, hints.get(name), f"{what}.{name}")
        for name, value in arguments.items()
    }
    arguments |= {
        key: value for key, value in extra.items() if key in known and key not in arguments
    }
    for name, parameter in known.items():
        if (
            parameter.default is parameter.empty
            and name not in arguments
            and parameter.kind is not parameter.VAR_KEYWORD
        ):
            raise ConfigError(f"{what}.{name}: missing; {cls.__name__} needs it.")
    return cls(**arguments)
