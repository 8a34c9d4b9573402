"""Cheats with seeds, settings, names, data, versions and the image."""

from __future__ import annotations

import random

from kit import submissions
from kit.cheats.kinds import (
    RETRAIN,
    data_set_of,
    in_command,
    kind,
    reported_epochs,
)
from kit.submissions import Cheat, scaled
from suite.core.seeds import stream_seed

# --- seeds and settings ---------------------------------------------------------------------------


@kind("another seed in the header", "real simulated", "which run it is", "order header seeds")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["seed"] += draw.randint(1, 9)


@kind("another seed, everywhere, with every trial's", "real simulated", "which run it is", "replay")
def _(cheat: Cheat, draw: random.Random) -> None:
    seed = draw.randint(1, 99)
    cheat.header["seed"] = cheat.header["config"]["seed"] = seed
    cheat.header["command"].append(f"seed={seed}")
    for line in cheat.lines[1:]:
        for key, trial in line.get("trials", {}).items():
            trial["seed"] = stream_seed(seed, "trial", int(key))


@kind("another seed of one trial", "real simulated", "values", "order seeds")
def _(cheat: Cheat, draw: random.Random) -> None:
    line = draw.choice([line for line in cheat.lines[1:] if line.get("trials")])
    for trial in line["trials"].values():
        trial["seed"] += 1


@kind("max_epochs in the header", "real simulated", "budget", "header order")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["max_epochs"] += draw.choice((-1, 1))


@kind("max_epochs everywhere, with the command", "real simulated", "budget", "replay header order")
def _(cheat: Cheat, draw: random.Random) -> None:
    old = cheat.header["max_epochs"]
    new = old * 2
    cheat.header["max_epochs"] = cheat.header["config"]["max_epochs"] = new
    cheat.header["config"]["scheduler"]["max_epochs"] = new
    in_command(cheat, f"max_epochs={old}", f"max_epochs={new}")


@kind("a budget raised in the header", "real simulated", "budget", "configuration")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["config"]["budget"]["n_epochs"] = draw.randint(10, 9999)


@kind("a budget in hours that was passed", "real", "budget", "replay budget")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["config"]["budget"]["hours"] = 1e-5
    cheat.header["command"].append("budget.hours=1e-5")
    cheat.header["reproducible"] = "prefix only"
    scaled(cheat.lines, 1000.0)


@kind("eta everywhere, with the command", "real simulated", "decisions", "replay")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["config"]["eta"] = cheat.header["config"]["scheduler"]["eta"] = 3
    cheat.header["command"].append("eta=3")


@kind("n_curves everywhere, with the command", "real simulated", "decisions", "replay forecasts")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["config"]["scheduler"]["n_curves"] = 6
    cheat.header["config"]["common"]["n_curves"] = 6
    cheat.header["command"] = [
        word for word in cheat.header["command"] if "n_curves" not in word
    ] + ["+common.n_curves=6"]


@kind("the command alone", "real simulated", "what was run", "configuration")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["command"].append(draw.choice(("eta=3", "max_attempts=7", "seed=12")))


@kind("settings of the model", "real simulated", "target", "configuration values")
def _(cheat: Cheat, draw: random.Random) -> None:
    model = cheat.header["config"]["model"]
    key = "weight_decay" if "weight_decay" in model else "noise"
    model[key] = model[key] * 2


@kind("another name of the experiment", "real simulated", "which run it is", "header")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["experiment"] = "published"


@kind("the metric's direction", "real simulated", "winner", "header order")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["target"]["mode"] = "max"


@kind("overlap in the header", "real simulated", "reproducibility", "header")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["overlap"] = draw.choice((True, "logical"))


@kind("reproducible in the header", "real simulated", "reproducibility", "header")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["reproducible"] = "prefix only"


# --- names ----------------------------------------------------------------------------------------


@kind("algorithm renamed", "real simulated", "algorithm", "header")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["algorithm"] = draw.choice(("hyperband", "swift_qsvr", "price"))


@kind("algorithm renamed, with the choices", "real simulated", "algorithm", "configuration")
def _(cheat: Cheat, draw: random.Random) -> None:
    name = draw.choice(("hyperband", "swift_qsvr", "asha"))
    cheat.header["algorithm"] = cheat.header["choices"]["algorithm"] = name


@kind(
    "algorithm and parts renamed, with the command", "real simulated", "algorithm", "configuration"
)
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["algorithm"] = cheat.header["choices"]["algorithm"] = "hyperband"
    cheat.header["choices"] |= {"scheduler": "hyperband", "predictor": "none"}
    in_command(cheat, "algorithm=swift_svr", "algorithm=hyperband")


@kind("a run of another algorithm, in every setting", "real simulated", "algorithm", "replay")
def _(cheat: Cheat, draw: random.Random) -> None:
    words = [
        "algorithm=hyperband" if word.startswith("algorithm=") else word
        for word in cheat.header["command"]
        if "n_curves" not in word
    ]
    config = submissions.compose(*words)
    cheat.header["command"] = words
    cheat.header["choices"] = config["choices"]
    cheat.header["algorithm"] = "hyperband"
    for key in ("scheduler", "predictor", "searcher", "common"):
        cheat.header["config"][key] = config[key]


@kind("another predictor, in every setting", "real simulated", "algorithm", "forecasts replay")
def _(cheat: Cheat, draw: random.Random) -> None:
    words = [*cheat.header["command"], "predictor=constant"]
    config = submissions.compose(*words)
    cheat.header["command"], cheat.header["choices"] = words, config["choices"]
    cheat.header["algorithm"] = config["choices"]["algorithm"]
    cheat.header["config"]["predictor"] = config["predictor"]


@kind("the model renamed", "real simulated", "target", "configuration replay header")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["model"] = cheat.header["choices"]["model"] = draw.choice(
        ("cifar10_cnn", "babi_lstm")
    )


@kind("synthetic data called real", "simulated", "data", "data values")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["target"]["data"] = "real"


# --- data, versions, image ------------------------------------------------------------------------


@kind("another data set under the same name", "real", "data", "data")
def _(cheat: Cheat, draw: random.Random) -> None:
    data_set_of(cheat)["sha256"] = f"{draw.getrandbits(256):064x}"


@kind("another split under the same name", "real", "data", "data")
def _(cheat: Cheat, draw: random.Random) -> None:
    data_set_of(cheat)["split_sha256"] = f"{draw.getrandbits(256):064x}"


@kind("more training examples than the split has", "real", "data", "data")
def _(cheat: Cheat, draw: random.Random) -> None:
    data_set_of(cheat)["n_train"] += draw.randint(1, 360)


@kind("trained on a stand-in, called real", "real", "data", "data")
def _(cheat: Cheat, draw: random.Random) -> None:
    data_set_of(cheat)["stand_in"] = True


@kind("no worker says which data it has", "real", "data", "data")
def _(cheat: Cheat, draw: random.Random) -> None:
    del cheat.of("joined")[0]["facts"]["data_set"]


@kind("another data set under its own name", "real", "data", "", RETRAIN)
def _(cheat: Cheat, draw: random.Random) -> None:
    data_set_of(cheat).update(name="letters", sha256=f"{draw.getrandbits(256):064x}")


@kind("test data selected on", "real", "test value", "data")
def _(cheat: Cheat, draw: random.Random) -> None:
    """A target whose validation split is the test split: both give one number."""
    scored = cheat.of("scored")[0]
    command = next(c for line in cheat.lines[1:] for c in line.get("do", ()) if c[0] == "score")
    starts = [c for line in cheat.lines[1:] for c in line.get("do", ()) if c[0] == "start"]
    job = [c[2] for c in starts if c[3] == command[3]][-1]
    line, place = [x for x in reported_epochs(cheat) if x[0]["job_id"] == job][-1]
    value = line["objective"] if place is None else line["objective"][place]
    scored["test_value"] = scored["metrics"]["val_loss"] = value


@kind("test value", "simulated", "test value", "simulation")
@kind("test value", "real", "test value", "", RETRAIN)
def _(cheat: Cheat, draw: random.Random) -> None:
    scored = cheat.of("scored")[0]
    scored["test_value"] = scored["metrics"]["val_loss"] = scored["test_value"] * 0.9


@kind("another version", "real simulated", "code", "versions skip")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["suite_version"] = cheat.header["versions"]["suite"] = "0.0.9"


@kind("two versions in one header", "real simulated", "code", "versions")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["versions"]["suite"] = "9.9.9"


@kind("digest of the code that trained", "real", "code", "", RETRAIN)
def _(cheat: Cheat, draw: random.Random) -> None:
    """Said of run and worker alike: other code than it was, or other code that is said to be this."""
    code = f"{draw.getrandbits(64):016x}"
    cheat.header["code"] = cheat.of("joined")[0]["facts"]["code"] = code


@kind("a worker with other code", "real", "code", "versions")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.of("joined")[0]["facts"]["code"] = f"{draw.getrandbits(64):016x}"


@kind("an image without a digest", "real", "image", "image")
def _(cheat: Cheat, draw: random.Random) -> None:
    cheat.header["image"] = {"digest": "latest", "label": "swiftbench"}
