"""Every setting of conf/ refuses a value of another type, before a folder is made."""

import dataclasses

import pytest

from kit.driving import compose, names
from suite.core.errors import ConfigError
from suite.core.plugins import argument_types, find, make
from suite.core.run_settings import RunSettings
from suite.core.settings import checked
from suite.launch import cli
from suite.launch.assemble import assemble

GROUPS = ("scheduler", "predictor", "searcher", "model", "tracking", "backend")
LEAVES = [(group, name) for group in GROUPS for name in names(group) if name != "none"]


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("score_test=no", "score_test=no: must be true or false. Did you mean false?"),
        ("tracking.when=allways", "tracking.when=allways: must be"),
        ("tracking.store=null", "tracking.store=null: must be"),
        ("report=no", "report=no: must be true or false. Did you mean false?"),
        (
            "keep_checkpoints=wimner",
            "keep_checkpoints=wimner: must be winner or all. Did you mean winner?",
        ),
        ("overlap=perhaps", "overlap=perhaps: must be true, false or logical."),
        ("max_epochs=null", "max_epochs=null: must be an integer >= 1 and <= 1000000."),
        ("seed=null", "seed=null: must be an integer >= 0."),
        ("seed=-1", "seed=-1: must be an integer >= 0."),
        ("+common.n_curve=8", "+common.n_curve=8: unknown setting; known are common.asha_eta,"),
        ("backend.device=gpu", "backend.device=gpu: must be auto, cpu or cuda."),
        ("backend.threads=null", "backend.threads=null: must be an integer"),
        (
            "scheduler=swift_hyperband predictor=svr scheduler.straight=no",
            "straight=no: must be true",
        ),
        ("budget.n_trials=many", "budget.n_trials=many: must be an integer >= 1 or null."),
        ("virtual_cluster.speculate=yes", "virtual_cluster.speculate=yes: must be true or false."),
    ],
)
def test_a_wrong_word_is_refused_before_a_folder_is_made(word, says, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "runs"))
    for sweep in ((), ("-m", "seed=0,1")):
        assert cli.main(["model=table_target", *sweep, *word.split()]) == 1
        out, err = capsys.readouterr()
        assert says in out + err
        assert not (tmp_path / "runs").exists()


NOT_OWN = ("choices", *GROUPS)
MAY_BE_NULL = ("forecast",)
OWN = [f.name for f in dataclasses.fields(RunSettings) if f.name not in NOT_OWN]


@pytest.mark.parametrize("name", OWN)
def test_every_setting_of_its_own_refuses_another_type(name):
    config = compose("model=table_target")
    wrong = {"n_seeds": [1], "resume": 3, "name": 3}.get(name, "wrong")
    with pytest.raises(ConfigError, match=rf"{name}=.*must be"):
        RunSettings.of({**config, name: wrong})
    if config[name] is not None and name not in MAY_BE_NULL:
        with pytest.raises(ConfigError, match=rf"{name}=null: must be"):
            RunSettings.of({**config, name: None})


@pytest.mark.parametrize("group", ["budget", "virtual_cluster"])
def test_every_setting_of_a_group_refuses_another_type(group):
    config = compose("model=table_target")
    for name, value in config[group].items():
        for wrong in ["wrong", [1]] + ([None] if value is not None else []):
            with pytest.raises(ConfigError, match=rf"{group}\.{name}=.*must be"):
                RunSettings.of({**config, group: {**config[group], name: wrong}})


def test_what_a_predictor_sees_refuses_another_type():
    config = compose("predictor=svr", "scheduler=swift_hyperband", "model=table_target")
    for name, wrong in (("use", "curve"), ("use", ["curves"]), ("every", "2"), ("every", None)):
        features = {**config["predictor"]["features"], name: wrong}
        changed = {**config, "predictor": {**config["predictor"], "features": features}}
        changed["scheduler"] = {**config["scheduler"], "features": features}
        with pytest.raises(ConfigError, match="features"):
            assemble(RunSettings.of(changed))


def wrong_value(annotation, name):
    """A value that the annotation does not admit."""
    for value in ("wrong", 3, [[]], {"wrong": 1}):
        try:
            checked(value, annotation, name)
        except ConfigError:
            return value
        except TypeError:
            return None
    return None


@pytest.mark.parametrize(("group", "name"), LEAVES)
def test_every_setting_of_every_leaf_refuses_another_type(group, name):
    before = ["predictor=svr"] if group == "scheduler" else []
    leaf = compose(*before, f"{group}={name}")[group]
    if group == "predictor":
        del leaf["features"]  # the suite's own, not the predictor's
    types = argument_types(find(leaf["_target_"], group))
    for key in leaf:
        if key in ("_target_", "features") or (group == "predictor" and key == "estimator"):
            continue
        assert key in types, f"{group}.{key}: {leaf['_target_']} names no type"
        wrong = wrong_value(types[key], key)
        assert wrong is not None, f"{group}.{key}: {types[key]} admits everything"
        with pytest.raises(ConfigError, match=rf"{group}\.{key}="):
            make({**leaf, key: wrong}, group)
