"""What a falsification is, the list of all, and what several of them look for in a journal."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from kit.submissions import Cheat

Change = Callable[[Cheat, random.Random], object]
RETRAIN, SIGNATURE, ACCOUNTING = (
    "drawn trials trained again",
    "a signature",
    "the batch system's accounting",
)


class Kind(NamedTuple):
    """base: the submission that is changed: real, simulated, metered. alters: what a cheat gains."""

    name: str
    base: str
    alters: str
    change: Change
    catches: tuple[str, ...]
    shown_by: str = ""


KINDS: list[Kind] = []


def kind(
    name: str, base: str, alters: str, catches: str, shown_by: str = ""
) -> Callable[[Change], Change]:
    """Register a falsification. base, catches: one or several words."""

    def add(change: Change) -> Change:
        for one in base.split():
            KINDS.append(Kind(name, one, alters, change, tuple(catches.split()), shown_by))
        return change

    return add


def reported_epochs(cheat: Cheat) -> list[tuple[dict[str, Any], int | None]]:
    """(line, place in its lists; None: it holds one epoch) of every report, in order."""
    found: list[tuple[dict[str, Any], int | None]] = []
    for line in cheat.of("epoch"):
        places = range(len(line["epoch"])) if isinstance(line["epoch"], list) else (None,)
        found += [(line, place) for place in places]
    return found


def set_objective(line: dict[str, Any], place: int | None, objective: float) -> None:
    if place is None:
        line["objective"], line["metrics"]["val_loss"] = objective, objective
    else:
        line["objective"][place] = objective
        line["metrics"][place]["val_loss"] = objective


def unseen(
    cheat: Cheat, inner: list[tuple[dict[str, Any], int | None]]
) -> tuple[dict[str, Any], int | None]:
    """A report after the last question to the predictor."""
    asked = [i for i, line in enumerate(cheat.lines) if line.get("event") == "forecast"]
    after = {id(line) for line in cheat.lines[asked[-1] :]} if asked else set()
    return next(((line, place) for line, place in inner if id(line) in after), inner[-1])


def in_command(cheat: Cheat, old: str, new: str) -> None:
    cheat.header["command"] = [new if word == old else word for word in cheat.header["command"]]


def data_set_of(cheat: Cheat) -> dict[str, Any]:
    data_set: dict[str, Any] = cheat.of("joined")[0]["facts"]["data_set"]
    return data_set


def drawn_forecast(cheat: Cheat, draw: random.Random) -> dict[str, Any]:
    return draw.choice(cheat.of("forecast"))
