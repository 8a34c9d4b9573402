"""Cheats with time, forecasts, workers, nodes and energy."""

from __future__ import annotations

import json
import random

from kit import submissions
from kit.cheats.kinds import (
    ACCOUNTING,
    SIGNATURE,
    drawn_forecast,
    in_command,
    kind,
)
from kit.driven import Driven
from kit.submissions import Cheat, scaled
from suite.core import types as t

# --- time -----------------------------------------------------------------------------------------


@kind("wall time halved", "real metered", "seconds", "clock")
def _(cheat: Cheat, draw: random.Random) -> None:
    scaled(cheat.lines, 0.5, ("time_s",))


@kind("wall time halved", "simulated", "seconds", "simulation")
def _(cheat: Cheat, draw: random.Random) -> None:
    scaled(cheat.lines, 0.5, ("time_s",))


@kind("every second halved, consistently", "simulated", "seconds", "simulation")
@kind("every second halved, consistently", "real", "seconds", "", f"{ACCOUNTING}, or {SIGNATURE}")
def _(cheat: Cheat, draw: random.Random) -> None:
    scaled(cheat.lines, 0.5)


@kind("every second a thousandth, consistently", "real", "seconds", "clock")
def _(cheat: Cheat, draw: random.Random) -> None:
    scaled(cheat.lines, 1e-3)


@kind("more seconds of training", "real metered", "share not training", "clock")
def _(cheat: Cheat, draw: random.Random) -> None:
    scaled(cheat.lines, 2.0, ("train_s",))


@kind("more seconds of a busy worker", "metered", "share not training", "clock")
def _(cheat: Cheat, draw: random.Random) -> None:
    scaled(cheat.lines, 2.0, ("busy_s",))


@kind("a time before that of the line above", "real metered", "seconds", "clock")
def _(cheat: Cheat, draw: random.Random) -> None:
    late = [line for line in cheat.lines[5:-1] if line["event"] in ("finished", "scored")]
    draw.choice(late[2:])["time_s"] *= 0.2


@kind("the end before the last event", "real metered", "seconds", "clock")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.lines[-1]["time_s"] *= 0.5


@kind("the end before the last event", "simulated", "seconds", "simulation")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.lines[-1]["time_s"] *= 0.5


@kind("a date that is not yet", "real simulated", "date", "clock")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["date_utc"] = "2999-01-01T00:00:00Z"


@kind("a negative time of training", "real", "share not training", "clock")
def _(cheat: Cheat, draw: random.Random) -> None:
    draw.choice(cheat.of("epoch"))["train_s"] = -0.5


@kind("a faster simulated cluster, with the command", "simulated", "seconds", "simulation")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["config"]["backend"]["epoch_s"] = 30.0
    cheat.header["command"].append("backend.epoch_s=30.0")


@kind("more simulated workers, with the command", "simulated", "workers", "simulation")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["n_workers"] = cheat.header["config"]["backend"]["workers"] = 3
    in_command(cheat, "backend.workers=2", "backend.workers=3")


@kind("number of workers in the header", "real", "workers", "workers")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["n_workers"] = 0


@kind("number of workers in the header", "simulated", "workers", "workers simulation")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["n_workers"] = 1


@kind("a simulated run called real", "simulated", "data", "workers configuration")
def _(cheat: Cheat, draw: random.Random) -> None:
    del cheat.header["simulated"]
    cheat.header["choices"]["backend"] = "inline"
    backend = submissions.compose("backend=inline")["backend"]
    cheat.header["config"]["backend"] = backend
    in_command(cheat, "backend=simulate", "backend=inline")


# --- forecasts ------------------------------------------------------------------------------------


@kind("a forecast a little lower", "real simulated", "decisions", "forecasts replay")
def _(cheat: Cheat, draw: random.Random) -> None:
    line = drawn_forecast(cheat, draw)
    line["values"] = [value * 0.999 for value in line["values"]]


@kind("forecasts so that others stop", "real simulated", "decisions", "replay forecasts")
def _(cheat: Cheat, draw: random.Random) -> None:
    line = drawn_forecast(cheat, draw)
    line["values"] = [-value for value in line["values"]]


@kind("a forecast with fewer curves", "real simulated", "decisions", "order")
def _(cheat: Cheat, draw: random.Random) -> None:
    line = drawn_forecast(cheat, draw)
    line["values"] = line["values"][:-1]


@kind("a forecast said to have failed", "real simulated", "decisions", "replay forecasts")
def _(cheat: Cheat, draw: random.Random) -> None:
    line = drawn_forecast(cheat, draw)
    kept = {key: line[key] for key in ("key", "time_s", "do", "stopped", "trials") if key in line}
    line.clear()
    line |= {"event": "forecast_failed", "reason": "ValueError", "message": "made up", **kept}


# --- workers, nodes, energy -----------------------------------------------------------------------


@kind("fewer nodes than the job had", "real metered", "node-hours", "accounting")
def _(cheat: Cheat, draw: random.Random) -> None:
    """The journal says one node; the batch system counted three."""
    submissions.accounting(cheat.folder, cheat.lines[-1]["time_s"] + 2, 3)


@kind("fewer seconds than the job had", "metered", "node-hours", "accounting")
def _(cheat: Cheat, draw: random.Random) -> None:
    submissions.accounting(cheat.folder, cheat.lines[-1]["time_s"] + 2, 1)
    scaled(cheat.lines, 0.4)


@kind("more seconds than the job had", "metered", "trials an hour", "accounting")
def _(cheat: Cheat, draw: random.Random) -> None:
    submissions.accounting(cheat.folder, cheat.lines[-1]["time_s"] * 0.5, 1)


@kind("a worker that does not say its node", "real", "node-hours", "workers")
def _(cheat: Cheat, draw: random.Random) -> None:
    del cheat.of("joined")[0]["facts"]["node"]


@kind("a GPU that the system does not have", "real", "system", "workers")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.of("joined")[0]["facts"] |= {"device": "cuda:0", "device_name": "another"}


@kind("one reading of energy lowered", "metered", "joules", "energy")
def _(cheat: Cheat, draw: random.Random) -> None:
    readings = cheat.of("finished")
    draw.choice(readings[1:])["energy_j"] *= 1e-3


@kind("all energy a millionth", "metered", "joules", "energy")
def _(cheat: Cheat, draw: random.Random) -> None:
    for line in cheat.of("finished"):
        line["energy_j"] *= 1e-6


@kind("all energy halved", "metered", "joules", "", SIGNATURE)
def _(cheat: Cheat, draw: random.Random) -> None:
    for line in cheat.of("finished"):
        line["energy_j"] *= 0.5


@kind("more energy than the job had", "metered", "joules", "accounting")
def _(cheat: Cheat, draw: random.Random) -> None:
    submissions.accounting(cheat.folder, cheat.lines[-1]["time_s"] + 2, 1, joules=100)


@kind("a meter that the suite does not know", "metered", "joules", "energy")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.of("joined")[0]["facts"]["energy"]["source"] = "wall plug"


@kind("a scope that the meter does not have", "metered", "joules", "energy")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.of("joined")[0]["facts"]["energy"]["scope"] = "device"


@kind("readings without a meter", "metered", "joules", "energy")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.of("joined")[0]["facts"]["energy"] = {"source": "none", "why": "made up"}


@kind("negative joules of the job", "real", "joules", "energy")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.lines[-1]["energy"] = {"source": "slurm", "scope": "job", "joules": -5.0}


@kind("joules of the job that no node can live on", "metered", "joules", "energy")
def _(cheat: Cheat, draw: random.Random) -> None:
    """In place of the meter's."""
    cheat.of("joined")[0]["facts"]["energy"] = {"source": "none", "why": "made up"}
    for line in cheat.of("finished"):
        del line["energy_j"]
    cheat.lines[-1]["energy"] = {"source": "slurm", "scope": "job", "joules": draw.random()}


@kind("two GPUs more than a node of the system has, on one node", "real", "node-hours", "workers")
def _(cheat: Cheat, draw: random.Random) -> None:
    """Workers of several nodes, which give themselves the name of one."""
    system = json.loads((cheat.folder / "system.json").read_text())
    system["node"]["accelerators"] = [{"model": "any", "count": 1}]
    (cheat.folder / "system.json").write_text(json.dumps(system))
    joined = cheat.of("joined")[0]
    gpu = {"device": "cuda:0", "device_name": "any"}
    cheat.header["n_workers"] = 3
    driven = Driven(cheat, 1)
    todo = []
    for worker in range(3):
        facts = joined["facts"] | gpu | {"device_id": f"GPU-{worker}"}
        todo += driven.feed(t.WorkerJoined(worker, 0.0, facts))
    driven.finish(todo)
