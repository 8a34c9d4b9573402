"""swiftbench.tune: a training loop of one's own, searched in this process."""

import math
import runpy
from pathlib import Path

import pytest

import swiftbench
from models import own_loop
from suite.core.errors import ConfigError, StoppedError
from suite.core.space import Choice, Float, Int
from suite.launch import cli
from suite.run.paths import checkout

SPACE = {"lr": Float(1e-3, 1.0, log=True), "width": Int(1, 64), "kind": Choice("a", "b")}
EXAMPLES = checkout() / "docs/examples"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "runs"))
    own_loop.known.clear()


def descent(config):
    x = 10.0
    while True:
        x -= config["lr"] * 2 * x
        yield x**2


def tuned(train=descent, space=SPACE, **given):
    return swiftbench.tune(train, space, **{"metric": "loss", "max_epochs": 4, "seed": 1, **given})


# --- what comes back ----------------------------------------------------------------------------------


def test_the_best_configuration_comes_with_record_trials_and_curves():
    result = tuned()
    assert set(result.config) == set(SPACE) and result.is_main
    finished = [row for row in result.trials if row["status"] == "finished"]
    assert result.value == min(row["last"] for row in finished)
    assert result.trials[result.trial_id]["lr"] == result.config["lr"]
    *_, last = (value for value, _ in zip(descent(result.config), range(4), strict=False))
    assert result.value == last == result.curves[result.trial_id][3]
    assert result.record["result"]["winner"]["config"] == result.config
    assert result.record["algorithm"] == "swift_svr"
    assert result.record["model"].endswith("test_tune.descent")
    assert result.record["reproducible"] == "whole run"
    frame = result.data_frame()
    assert len(frame) == len(result.trials) and list(frame["lr"]) == [
        r["lr"] for r in result.trials
    ]
    run = swiftbench.load_run(result.folder)
    assert run.winner == result.trial_id and "runs/tune" in str(result.folder)


def test_a_metric_may_be_maximised_and_is_one_of_several():
    def train(config):
        for loss in descent(config):
            yield {"val_accuracy": 1 / (1 + loss), "loss": loss}

    result = tuned(train, metric="val_accuracy", mode="max", algorithm="hyperband")
    last = [row["last"] for row in result.trials if row["status"] == "finished"]
    assert result.value == max(last) <= 1.0


def test_a_run_is_verified_and_reported_by_the_commands(tmp_path, capsys):
    result = tuned(algorithm="hyperband")
    from suite.verify.__main__ import main

    assert main([str(result.folder)]) == 0
    quiet = ["report=false", "tracking=later"]
    assert cli.main([f"resume={result.folder}", *quiet]) == 0, "completed: nothing to train"
    assert "Traceback" not in capsys.readouterr().err


# --- state between rungs ------------------------------------------------------------------------------


def noted(notes, seeded=True):
    """A loop that notes each begin."""
    drift = iter(range(10**6))

    def train(config, seed):
        notes.append("begin")
        for loss in descent(config):
            yield loss + (0 if seeded else next(drift) * 1e-9) + seed % 7

    return train


def test_a_trial_in_memory_goes_on_and_another_is_trained_again_with_the_same_result():
    alive, again = [], []
    first = tuned(noted(alive), algorithm="hyperband")
    second = tuned(noted(again), algorithm="hyperband", keep_alive=1)
    assert len(alive) == len(first.trials) < len(again)
    assert (first.config, first.value, first.curves) == (second.config, second.value, second.curves)


def test_a_loop_that_is_no_function_of_its_seed_is_found_when_it_is_trained_again():
    with pytest.raises(StoppedError, match=r"epoch 1: trained again, loss is .*Seed every random"):
        tuned(noted([], seeded=False), algorithm="hyperband", keep_alive=1)


def test_saved_state_is_loaded_and_nothing_is_trained_again():
    loaded = []

    def train(config, state=None):
        x = 10.0 if state is None else state
        while True:
            x -= config["lr"] * 2 * x
            yield x**2, x

    def save(state, path):
        path.write_text(repr(state))

    def load(path):
        loaded.append(path)
        return float(path.read_text())

    result = tuned(train, algorithm="hyperband", save=save, load=load)
    assert loaded and result.curves == tuned(algorithm="hyperband").curves


def test_a_search_that_was_interrupted_is_continued_in_its_folder(tmp_path):
    left = [9]

    def train(config):
        for loss in descent(config):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            yield loss

    folder = tmp_path / "mine"
    with pytest.raises(KeyboardInterrupt):
        tuned(train, folder=folder)
    result = tuned(train, folder=folder)
    assert result.folder == folder and result.curves == tuned().curves
    before = left[0]
    assert tuned(train, folder=folder).curves == result.curves and left[0] == before
    with pytest.raises(StoppedError, match="max_epochs=2: the run in .* with 4"):
        tuned(train, folder=folder, max_epochs=2)


def test_a_command_that_has_not_the_loop_says_what_to_do(tmp_path, capsys):
    def train(config):
        yield 1.0
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned(train, folder=tmp_path / "mine")
    own_loop.known.clear()
    assert cli.main([f"resume={tmp_path / 'mine'}", "report=false", "tracking=later"]) == 1
    assert "run that script again, with folder=<run folder>" in capsys.readouterr().err


# --- objects ------------------------------------------------------------------------------------------


class Descent:
    """An object with start; its training has neither save nor load nor test."""

    def __init__(self):
        self.staged = []

    def stage(self, device):
        self.staged.append(device)

    def start(self, config, seed):
        return DescentTraining(config)


class DescentTraining:
    def __init__(self, config):
        self.steps = descent(config)

    def train_epoch(self, epoch):
        self.loss = next(self.steps)

    def validate(self):
        return {"loss": self.loss}


class Saved(DescentTraining):
    def __init__(self, config):
        self.config, self.epochs = config, 0
        super().__init__(config)

    def train_epoch(self, epoch):
        super().train_epoch(epoch)
        self.epochs = epoch

    def save(self, path):
        path.write_text(str(self.epochs))

    def load(self, path):
        for epoch in range(1, int(path.read_text()) + 1):
            self.train_epoch(epoch)

    def test(self):
        return {"loss": 7.0}


def test_an_object_or_its_class_is_searched_like_a_generator():
    expected, target = tuned(algorithm="hyperband").curves, Descent()
    assert tuned(target, algorithm="hyperband", keep_alive=1).curves == expected
    assert target.staged == ["cpu"] and tuned(Descent, algorithm="hyperband").curves == expected

    class Saving(Descent):
        def start(self, config, seed):
            return Saved(config)

    scored = tuned(Saving, algorithm="hyperband", keep_alive=1, settings=["score_test=true"])
    assert scored.curves == expected
    assert scored.record["result"]["winner"]["test"]["value"] == 7.0


def test_a_target_says_space_and_metric_itself():
    from models.synthetic_curves import TableTarget

    result = swiftbench.tune(TableTarget(), max_epochs=3, algorithm="random_search")
    assert set(result.config) == set(TableTarget().space) and math.isfinite(result.value)


# --- mistakes -----------------------------------------------------------------------------------------


def no_yield(config):
    return 1.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metric": "val_accuracy"}, 'mode: missing; write mode="min" or mode="max"'),
        ({"metric": None}, "metric=None: must be the name"),
        ({"mode": "maximize"}, "Did you mean max"),
        ({"space": {}}, "space={}: must name hyperparameters"),
        ({"space": {"lr": [1, 2]}}, r"space\['lr'\]=\[1, 2\]: must be .*Choice\(\*values\)"),
        ({"space": {"lr": (0.1, 1)}}, r"Float\(low, high\)"),
        ({"space": {1: Float(0, 1)}}, "the key 1 is no text"),
        ({"train": no_yield}, "train=no_yield: has no yield"),
        ({"train": 3}, "train=int: must be a generator function"),
        ({"algorithm": "swift_swr"}, "Did you mean swift_svr"),
        ({"max_epochs": 0}, "max_epochs=0: must be an integer >= 1"),
        ({"seed": 1.5}, "seed=1.5: must be an integer >= 0"),
        ({"save": print}, "load: missing; save and load go together"),
        ({"save": print, "load": print}, "train: takes no argument `state`"),
        ({"train": Descent, "save": print, "load": print}, "save: is for generators"),
        ({"catch": [3]}, "catch=3: must be classes of exceptions"),
        ({"settings": "eta=3"}, "settings=eta=3: must be a list"),
        ({"settings": ["experiment=quickstart"]}, "tune is one search"),
        ({"data": "mine"}, "data=mine: must be one of real, recorded"),
        ({"name": "a/b"}, "must not hold a /"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_call_is_named_before_anything_is_written(given, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        tuned(**given)
    assert not (tmp_path / "runs").exists()


def raises(config):
    yield 1.0
    raise ValueError("too narrow")


def ends(config):
    yield 1.0


def yields(value):
    def train(config):
        while True:
            yield value

    return train


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (yields({"val_loss": 1.0}), r"metric=loss: is not among what came at epoch 1 \(val_loss\)"),
        (yields("low"), "the loop gave str; must be a number"),
        (yields((1.0, 2.0)), "yielded a tuple.*With save= and load="),
        (yields({"loss": "low"}), "is str; must be a number"),
        (ends, r"epoch 2: the loop ended before; must yield .* max_epochs times"),
        (raises, r"ValueError: too narrow \(test_tune.py, line \d+\).*catch="),
        (yields(math.nan), "no trial reached max_epochs=4 .* diverged"),
    ],
)
def test_a_mistake_in_the_loop_ends_the_search_and_is_named(train, message):
    with pytest.raises(StoppedError, match=message):
        tuned(train)


def test_what_is_caught_gives_up_its_trial_alone():
    def train(config):
        if config["kind"] == "a":
            raise ValueError("no such kind")
        yield from descent(config)

    result = tuned(train, catch=[ValueError])
    statuses = {(row["kind"], row["status"] == "given up") for row in result.trials}
    assert result.config["kind"] == "b" and statuses == {("a", True), ("b", False)}


def test_with_save_a_loop_yields_pairs_and_save_writes_its_file():
    def train(config, state=None):
        yield 1.0

    with pytest.raises(StoppedError, match="must yield metrics, state"):
        tuned(train, save=lambda state, path: None, load=lambda path: None)

    def pairs(config, state=None):
        while True:
            yield 1.0, 0

    with pytest.raises(StoppedError, match="save: wrote nothing"):
        tuned(pairs, save=lambda state, path: None, load=lambda path: None)


def test_a_program_of_hydras_keeps_its_own_configuration():
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    HydraConfig.instance().cfg = mine = OmegaConf.create({"hydra": {"job": {"name": "mine"}}})
    try:
        tuned(max_epochs=1, algorithm="random_search")
        assert HydraConfig.instance().cfg == mine
    finally:
        HydraConfig.instance().cfg = None
        GlobalHydra.instance().clear()


# --- examples -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["tune_smallest", "tune_sklearn", pytest.param("tune_torch", marks=pytest.mark.slow)],
)
def test_an_example_of_the_documentation_runs(name, monkeypatch, capsys):
    full = swiftbench.tune
    results = []

    def short(*arguments, **given):
        results.append(full(*arguments, **{**given, "max_epochs": 3}))
        return results[-1]

    monkeypatch.setattr(swiftbench, "tune", short)
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert str(results[0].config) in capsys.readouterr().out
    assert Path(results[0].folder, "record.json").exists()
