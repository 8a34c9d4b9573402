"""Exceptions, named by remedy. Every message says name = value, the rule, and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from numbers import Integral

from suite.core.printable import printable


class SuiteError(Exception):
    """Base of all errors that the suite raises on purpose; the command line prints them without a
    traceback.
    """


class ConfigError(SuiteError):
    """Fix the YAML or the command line."""


class DataError(SuiteError):
    """Stage the data again."""


class TrialError(SuiteError):
    """Give this trial up: its configuration cannot be trained."""


class ContractError(SuiteError):
    """Mend the target: it does not do what its contract states, so that no trial of it can be ranked."""


class RetryableError(SuiteError):
    """This worker failed; another may succeed."""


class JournalError(SuiteError):
    """Do not continue: the journal and what is being run do not agree."""


class StoppedError(SuiteError):
    """The run stopped before its end, with the reason; `resume=<run folder>` continues it."""


class PausedError(SuiteError):
    """The job's time ends: trials are checkpointed, the same command with resume=auto continues."""


class DivergedError(TrialError):
    """The objective is no longer a finite number."""


def unknown_name(what: str, name: object, known: Iterable[object]) -> ConfigError:
    """A ConfigError for `name`, listing the known names and, where one is close, proposing it."""
    # A stranger's name may have any length, and to look for what is close to it would take as long.
    names, shown = sorted(str(k) for k in known), printable(name, most=200)
    return ConfigError(
        f"{what}={shown}: unknown; known are {', '.join(names)}.{close_name(shown, names)}"
    )


def close_name(name: str, known: Iterable[str], least: float = 0.6) -> str:
    """A question that proposes the known name that is close to `name`; empty where none is.

    least: how alike they must be, 0 to 1.

    >>> close_name("max_epoch", ["max_epochs", "seed"])
    ' Did you mean max_epochs?'
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=least)
    return f" Did you mean {close[0]}?" if close else ""


def check_integer(
    name: str, value: object, least: int, hint: str = "", *, most: int | None = None
) -> int:
    """`value` if it is an integer in [least, most], else a ConfigError; `hint` follows the rule."""
    # numpy's integers are numbers.Integral too: grids are made of them.
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise ConfigError(f"{name}={value}: must be an integer >= {least}{hint and ' ' + hint}.")
    if most is not None and int(value) > most:
        raise ConfigError(f"{name}={value}: must be an integer <= {most}{hint and ' ' + hint}.")
    return int(value)
