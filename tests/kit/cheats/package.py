"""Cheats with work that was left out, with the record and with the package."""

from __future__ import annotations

import copy
import json
import random
import shutil
from pathlib import Path
from typing import Any

from kit.cheats.kinds import (
    RETRAIN,
    SIGNATURE,
    Change,
    data_set_of,
    drawn_forecast,
    kind,
    reported_epochs,
    set_objective,
    unseen,
)
from kit.driven import Driven, first
from kit.submissions import Cheat, scaled
from suite.core import types as t
from suite.results import record as records

# --- work that was left out -----------------------------------------------------------------------


def _divided(cheat: Cheat, division: str) -> None:
    path = cheat.folder / "submission.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"division": division}))


@kind("trials said to have failed, closed division", "real", "epochs, seconds", "training")
def _(cheat: Cheat, draw: random.Random) -> None:
    _divided(cheat, "closed")
    _with_failures(cheat)


@kind("trials said to have failed", "real", "epochs, seconds", "", RETRAIN)
def _(cheat: Cheat, draw: random.Random) -> None:
    _with_failures(cheat)


def _with_failures(cheat: Cheat) -> None:
    """Of all trials but the winner the second job fails."""
    winner = next(
        command[3]
        for line in cheat.lines[1:]
        for command in line.get("do", ())
        if command[0] == "score"
    )
    driven = Driven(cheat, 1)
    driven.finish(driven.join(), fails=lambda job: job.from_epoch > 0 and job.trial_id != winner)


@kind("a budget that a resume brought", "real", "epochs, seconds", "budget")
def _(cheat: Cheat, draw: random.Random) -> None:
    """The search ends when its first trial has all epochs."""
    cheat.header["reproducible"] = "prefix only"
    starts = [c for line in cheat.lines[1:] for c in line.get("do", ()) if c[0] == "start"]
    last = {command[2] for command in starts if command[5] == cheat.header["max_epochs"]}
    driven = Driven(cheat, first(cheat, "finished", lambda line: line["job_id"] in last))
    settings = {"min_workers": 1, "resident_trials": 1, "budget_all_epochs": 1}
    driven.feed(t.Resumed(0.0, settings))
    driven.finish(driven.join(), ends="budget_all_epochs")


@kind(
    "a made-up resume, and a fast cluster after it, closed division",
    "simulated",
    "seconds",
    "simulation",
)
def _(cheat: Cheat, draw: random.Random) -> None:
    _divided(cheat, "closed")
    driven = Driven(cheat, first(cheat, "finished", lambda line: line["job_id"] > 2))
    driven.feed(t.Resumed(0.0, {"min_workers": 1, "resident_trials": 2}))
    driven.finish(driven.join(), epoch_s=0.001 * (1 + draw.random()))


@kind("a data set of its own name, closed division", "real", "data", "skip")
def _(cheat: Cheat, draw: random.Random) -> None:
    """Such a submission does not pass without `--retrain`."""
    _divided(cheat, "closed")
    data_set_of(cheat).update(name="d\u0456gits", sha256=f"{draw.getrandbits(256):064x}")


@kind(
    "more seconds of the predictor than its answers took",
    "real",
    "seconds of the predictor",
    "clock",
)
def _(cheat: Cheat, draw: random.Random) -> None:
    drawn_forecast(cheat, draw)["fit_s"] = 5.0


@kind("the predictor took no time", "real metered", "seconds of the predictor", "", SIGNATURE)
def _(cheat: Cheat, draw: random.Random) -> None:
    for line in cheat.of("forecast"):
        line["fit_s"] = line["predict_s"] = 0.0


@kind("other versions are named, and values are better within their tolerance", "real", "winner's value", "",
      "training again with the named versions, or with `--tolerance 0`")  # fmt: skip
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["versions"]["torch"] = "2.0.0"
    line, place = unseen(cheat, reported_epochs(cheat))
    before = line["objective"] if place is None else line["objective"][place]
    set_objective(line, place, before * 0.985)


# --- record and package ---------------------------------------------------------------------------


def _in_record(*keys: str) -> Change:
    def change(cheat: Cheat, draw: random.Random) -> None:
        cheat.record = cheat.built()
        inner: Any = cheat.record
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = inner[keys[-1]] * 0.5

    return change


for _name, _keys in {
    "best value": ("result", "best", "validation", "value"),
    "seconds": ("time", "wall", "value"),
    "node-hours": ("cost", "worker_hours", "value"),
    "epochs": ("epochs", "used", "value"),
}.items():
    kind(f"the record: {_name}", "real simulated", _name, "record")(_in_record(*_keys))


@kind("the record: another algorithm", "real simulated", "algorithm", "record")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.record = cheat.built() | {"algorithm": "price"}


@kind("no record", "real", "record", "package")
def _(cheat: Cheat, draw: random.Random) -> None:
    (cheat.run / records.NAME).unlink()
    cheat.keeps_record = True


@kind("the same run under another name and id", "real metered", "repeats", "distinct")
def _(cheat: Cheat, draw: random.Random) -> None:
    twin = Path(shutil.copytree(cheat.run, cheat.run.with_name("another")))
    header = copy.deepcopy(cheat.header) | {"run_id": f"{draw.getrandbits(128):032x}"}
    cheat.lines[0], old = header, cheat.lines[0]
    path, run = cheat.path, cheat.run
    cheat.path, cheat.run = twin / path.name, twin
    cheat.finish()
    cheat.path, cheat.run, cheat.lines[0] = path, run, old
    first = json.loads((cheat.folder / "submission.json").read_text())
    one = dict(first["runs"][0])
    first["runs"].append(one | {"folder": "runs/another", "run_id": header["run_id"]})
    (cheat.folder / "submission.json").write_text(json.dumps(first))


@kind("another's run, with another node and processor", "real metered", "repeats", "distinct")
def _(cheat: Cheat, draw: random.Random) -> None:
    twin = Path(shutil.copytree(cheat.run, cheat.run.with_name("another")))
    lines = copy.deepcopy(cheat.lines)
    lines[0]["run_id"] = f"{draw.getrandbits(128):032x}"
    facts = next(line for line in lines[1:] if line["event"] == "joined")["facts"]
    facts |= {"node": "node7", "n_cores": 64}
    cheat.lines, old = lines, cheat.lines
    path, run = cheat.path, cheat.run
    cheat.path, cheat.run = twin / path.name, twin
    cheat.finish()
    cheat.path, cheat.run, cheat.lines = path, run, old
    first_file = json.loads((cheat.folder / "submission.json").read_text())
    one = dict(first_file["runs"][0])
    first_file["runs"].append(one | {"folder": "runs/another", "run_id": lines[0]["run_id"]})
    (cheat.folder / "submission.json").write_text(json.dumps(first_file))


@kind("every second a little longer, as if it were another run", "real", "repeats", "", SIGNATURE)
def _(cheat: Cheat, draw: random.Random) -> None:
    """Curves of one seed are equal in honest repeats too."""
    scaled(cheat.lines, 1 + 0.01 * draw.random())
    cheat.header["run_id"] = f"{draw.getrandbits(128):032x}"
