"""Cheats with values, decisions and the end of a run."""

from __future__ import annotations

import copy
import random
from typing import Any

from kit.cheats.kinds import (
    RETRAIN,
    kind,
    reported_epochs,
    set_objective,
    unseen,
)
from kit.submissions import Cheat

# --- values and decisions -------------------------------------------------------------------------


def _last_of_jobs(cheat: Cheat) -> list[tuple[dict[str, Any], int | None]]:
    """The report before each `finished`, on which a decision rests."""
    last = {line["job_id"]: (line, place) for line, place in reported_epochs(cheat)}
    return list(last.values())


@kind("value of an epoch on which a decision rests", "real simulated", "winner", "replay values")
def _(cheat: Cheat, draw: random.Random) -> None:
    set_objective(*draw.choice(_last_of_jobs(cheat)[:10]), -1.0)


@kind("value of an epoch on which no decision rests", "simulated", "best value", "values")
@kind("value of an epoch on which no decision rests", "real", "best value", "", RETRAIN)
def _(cheat: Cheat, draw: random.Random) -> None:
    last = {(id(line), place) for line, place in _last_of_jobs(cheat)}
    inner = [
        (line, place) for line, place in reported_epochs(cheat) if (id(line), place) not in last
    ]
    # Of a trial that the predictor never sees: the first epochs, which every curve has.
    line, place = inner[-1] if cheat.header.get("simulated") else unseen(cheat, inner)
    before = line["objective"] if place is None else line["objective"][place]
    set_objective(line, place, before * (1 - 0.01 * draw.random()))


@kind("every value after the last forecast a little better", "real", "winner's value", "", RETRAIN)
def _(cheat: Cheat, draw: random.Random) -> None:
    """Order is kept, so every decision is."""
    scores = cheat.of("scored")
    asked = [i for i, line in enumerate(cheat.lines) if line.get("event") == "forecast"]
    for line in cheat.lines[asked[-1] :] if asked else cheat.lines[1:]:
        if line["event"] == "epoch" and line["job_id"] == scores[0]["job_id"] - 1:
            set_objective(line, None, line["objective"] * 0.999)


@kind("objective alone, not the metric beside it", "real simulated", "winner", "order")
def _(cheat: Cheat, draw: random.Random) -> None:
    line, place = draw.choice(reported_epochs(cheat))
    if place is None:
        line["objective"] = -1.0
    else:
        line["objective"][place] = -1.0


@kind("another winner", "real simulated", "winner", "order replay")
def _(cheat: Cheat, draw: random.Random) -> None:
    for line in cheat.lines[1:]:
        for command in line.get("do", ()):
            if command[0] == "score":
                command[3] = (command[3] + draw.randint(1, 3)) % 5


@kind("a trial left out", "real simulated", "epochs, seconds", "order replay")
def _(cheat: Cheat, draw: random.Random) -> None:
    starts = [c for line in cheat.lines[1:] for c in line.get("do", ()) if c[0] == "start"]
    trial = draw.choice(starts)[3]
    jobs = {command[2] for command in starts if command[3] == trial}
    cheat.lines[1:] = [line for line in cheat.lines[1:] if line.get("job_id") not in jobs]


@kind("a line left out", "real simulated", "epochs, decisions", "order replay simulation")
def _(cheat: Cheat, draw: random.Random) -> None:
    del cheat.lines[draw.randrange(1, len(cheat.lines) - 1)]


@kind("a line twice", "real simulated", "epochs, decisions", "order replay simulation")
def _(cheat: Cheat, draw: random.Random) -> None:
    at = draw.randrange(1, len(cheat.lines) - 1)
    cheat.lines.insert(at, copy.deepcopy(cheat.lines[at]))


@kind("two decisions exchanged", "real simulated", "decisions", "order replay")
def _(cheat: Cheat, draw: random.Random) -> None:
    some = [line for line in cheat.lines[1:] if line.get("do")]
    one, other = draw.sample(some, 2)
    one["do"], other["do"] = other["do"], one["do"]


@kind(
    "every job to another worker, consistently", "simulated", "workers", "replay order simulation"
)
def _(cheat: Cheat, draw: random.Random) -> None:
    for line in cheat.lines[1:]:
        for command in line.get("do", ()):
            if command[0] in ("start", "score"):
                command[1] = 1 - command[1]


@kind("jobs to other epochs, consistently", "real simulated", "budget", "order replay")
def _(cheat: Cheat, draw: random.Random) -> None:
    starts = [c for line in cheat.lines[1:] for c in line.get("do", ()) if c[0] == "start"]
    draw.choice(starts)[5] += 1


@kind("trials that a forecast stopped are not named", "simulated", "decisions", "replay")
def _(cheat: Cheat, draw: random.Random) -> None:
    for line in cheat.lines[1:]:
        line.pop("stopped", None)


@kind("a trial said to be given up", "real simulated", "winner", "replay order")
def _(cheat: Cheat, draw: random.Random) -> None:
    draw.choice(cheat.of("finished"))["given_up"] = {"0": "diverged: made up"}


@kind("another configuration of a trial", "real simulated", "winner's configuration", "replay")
def _(cheat: Cheat, draw: random.Random) -> None:
    line = draw.choice([line for line in cheat.lines[1:] if line.get("trials")])
    for trial in line["trials"].values():
        key = next(k for k, v in trial["config"].items() if isinstance(v, float))
        trial["config"][key] *= 1.5


# --- the end --------------------------------------------------------------------------------------


@kind("tail cut off, with the closing line", "real simulated", "seconds, epochs", "order")
def _(cheat: Cheat, draw: random.Random) -> None:
    del cheat.lines[draw.randrange(len(cheat.lines) // 2, len(cheat.lines)) :]


@kind("tail cut off, a new end written", "real simulated", "seconds, epochs", "order replay")
def _(cheat: Cheat, draw: random.Random) -> None:
    closing = cheat.lines[-1]
    del cheat.lines[draw.randrange(len(cheat.lines) // 2, len(cheat.lines) - 3) :]
    last = cheat.lines[-1]
    last["do"] = [["shutdown", "completed", ""]]
    at = last["time_s"][-1] if isinstance(last["time_s"], list) else last["time_s"]
    cheat.lines.append({**closing, "time_s": at})


@kind("the end of a failed run called completed", "real", "status", "order replay")
def _(cheat: Cheat, draw: random.Random) -> None:
    del cheat.lines[-3:-1]
