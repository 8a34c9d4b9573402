"""retrain.json as read: a run's best configurations, and the target's default, trained again.

Version 1.1.0 (revision 0e27403) has no curves, no default and no gain, 1.2.0 no per cent and no source of the
default; they are read too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.core.printable import printable
from suite.files import UnsafeFileError, read_json
from suite.results.typed import COUNT, INTEGER, MAPPING, NUMBER, TEXT, Keys, list_of

NAME = "retrain.json"
MOST_BYTES = 2**28


@dataclass(frozen=True, slots=True)
class Retrained:
    """What `swiftbench retrain` wrote. data: real, recorded, stand-in or synthetic; None: it does not say.

    gain: split -> how much better the winner is than the default; empty where no default was trained.
    default_source: whose the default is; empty: it does not say.
    """

    run_id: str
    algorithm: str
    seed: int
    metric: str
    unit: str
    mode: str
    data: str | None
    max_epochs: int
    configurations: tuple[Configuration, ...]
    gain: Mapping[str, Gain]
    default_source: str = ""

    @property
    def tuned(self) -> list[str]:
        """`test: val_loss -44 % (-50 to -38, n = 10 repeats)` of each split of which it is known."""
        said = []
        for split, gain in self.gain.items():
            if (change := gain.percent) is not None:
                around = "" if change.low is None else f"{change.low:+.3g} to {change.high:+.3g}, "
                said.append(
                    f"{split}: {self.metric} {change.value:+.3g} % ({around}n = {gain.n} repeats)"
                )
        return said


@dataclass(frozen=True, slots=True)
class Configuration:
    """One configuration, trained with several seeds: those that succeeded, in order.

    role: winner, runner-up or default. curves: the metric after each epoch, empty in old files. validation,
    test: at the end.
    """

    role: str
    curves: tuple[tuple[float, ...], ...]
    validation: tuple[float, ...]
    test: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Gain:
    """Mean of the paired differences, positive where tuning helped, and its interval at `level`."""

    value: float
    low: float | None
    high: float | None
    level: float
    n: int
    percent: Change | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Mean change of the pairs in per cent of the default's value, in the metric's own direction."""

    value: float
    low: float | None
    high: float | None


def read_retrained(folder: Path) -> Retrained | None:
    """What stands in a run folder; None where nothing was trained again.

    Raises ValueError for a file that cannot be read: what else is known of the run does not depend on it.
    """
    path = folder / NAME
    if not os.path.lexists(path):
        return None
    try:
        found = read_json(path, max_bytes=MOST_BYTES)
        if not isinstance(found, dict):
            raise ValueError("must be a mapping")
        return _retrained(Keys(found))
    except (OSError, ValueError, UnsafeFileError) as error:
        raise ValueError(
            f"{folder.name}/{NAME}: {printable(error, most=300)}; remove it, or let swiftbench retrain write "
            "it again"
        ) from None


def _retrained(has: Keys) -> Retrained:
    trials = has.get("trials", list_of(MAPPING), [])
    configurations = tuple(_configuration(Keys(trial, "trials.")) for trial in trials)
    gains = has.keys("gain") or Keys({})
    gain = {split: _gain(inner) for split in gains.values if (inner := gains.keys(split))}
    return Retrained(
        run_id=_known(has, "run_id", TEXT),
        algorithm=_known(has, "algorithm", TEXT),
        seed=_known(has, "seed", INTEGER),
        metric=_known(has, "metric", TEXT),
        unit=_unit(trials),
        mode=_known(has, "mode", TEXT),
        data=has.get("data", TEXT),
        max_epochs=_known(has.keys("max_epochs") or Keys({}, "max_epochs."), "value", COUNT),
        configurations=configurations,
        gain={split: one for split, one in gain.items() if one is not None},
        default_source=has.get("default_source", TEXT, ""),
    )


def _configuration(has: Keys) -> Configuration:
    curves = has.keys("curves") or Keys({})
    values = {
        split: (has.keys(split) or Keys({})).keys("values") or Keys({})
        for split in ("validation", "test")
    }
    return Configuration(
        role=_known(has, "role", TEXT),
        curves=tuple(map(tuple, curves.get("values", list_of(list_of(NUMBER)), []))),
        **{split: tuple(one.get("values", list_of(NUMBER), [])) for split, one in values.items()},
    )


def _gain(has: Keys) -> Gain | None:
    value = has.get("value", NUMBER)
    if value is None:
        return None
    low, high = has.get("low", NUMBER), has.get("high", NUMBER)
    level, n = _known(has, "level", NUMBER), _known(has, "n", COUNT)
    return Gain(value, low, high, level, n, _change(has.keys("percent") or Keys({})))


def _change(has: Keys) -> Change | None:
    value = has.get("value", NUMBER)
    if value is None:
        return None
    low, high = has.get("low", NUMBER), has.get("high", NUMBER)
    return Change(value, *((low, high) if None not in (low, high) else (None, None)))


def _unit(trials: Any) -> str:
    """Of the values; the same in all of them."""
    for trial in trials:
        values = (Keys(trial).keys("validation") or Keys({})).keys("values") or Keys({})
        if (unit := values.get("unit", TEXT)) is not None:
            return str(unit)
    return ""


def _known(has: Keys, key: str, rule: Any) -> Any:
    value = has.get(key, rule)
    if value is None:
        raise has.refusal(key, rule.words)
    return value
