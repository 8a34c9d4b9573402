"""From a YAML leaf to an object: the suite's own packages and those that SUITE_PLUGINS names."""

import sys

import pytest

import suite.run  # noqa: F401  hands SUITE_PLUGINS over
from suite.core.errors import ConfigError
from suite.core.plugins import find, make
from suite.schedulers.hyperband import Hyperband

LEAF = {"_target_": "suite.schedulers.hyperband.Hyperband", "max_epochs": 9, "eta": 3}


def test_a_leaf_becomes_an_object():
    made = make(LEAF, "scheduler")
    assert type(made) is Hyperband and made.max_epochs == 9


@pytest.mark.parametrize(
    "path", ["os.system", "builtins.eval", "suitex.y.Z", "subprocess.Popen", "models", "", "suite"]
)
def test_code_outside_the_suite_is_refused(path):
    with pytest.raises(ConfigError) as error:
        make({"_target_": path}, "scheduler")
    assert f"scheduler._target_={path}: must begin with suite. or models." in str(error.value)
    assert "SUITE_PLUGINS" in str(error.value)


def test_suite_plugins_admits_a_package_and_no_other(tmp_path, monkeypatch):
    (tmp_path / "mine_for_test.py").write_text(
        "class Thing:\n    def __init__(self, a=1):\n        self.a = a\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="must begin with"):
        make({"_target_": "mine_for_test.Thing"}, "model")
    monkeypatch.setenv("SUITE_PLUGINS", "other, mine_for_test")
    assert make({"_target_": "mine_for_test.Thing", "a": 5}, "model").a == 5
    with pytest.raises(ConfigError, match="must begin with"):
        make({"_target_": "mine_for_test_too.Thing"}, "model")
    sys.modules.pop("mine_for_test", None)


def test_an_unknown_argument_lists_the_known_ones():
    with pytest.raises(ConfigError) as error:
        make(LEAF | {"etaa": 3}, "scheduler")
    assert (
        "scheduler=etaa: unknown; known are eta, max_epochs, order, overlap. Did you mean eta?"
        in str(error.value)
    )


def test_a_missing_argument_is_named():
    with pytest.raises(ConfigError, match=r"scheduler\.eta: missing; Hyperband needs it"):
        make({k: v for k, v in LEAF.items() if k != "eta"}, "scheduler")


@pytest.mark.parametrize(
    "path", ["suite.schedulers.hyperbnd.Hyperband", "suite.schedulers.hyperband.Hyprband"]
)
def test_a_misspelt_path_is_a_config_error(path):
    with pytest.raises(ConfigError, match=rf"scheduler\._target_={path}: cannot be imported"):
        find(path, "scheduler")


def test_no_target():
    with pytest.raises(ConfigError, match="predictor: has no _target_"):
        make({"a": 1}, "predictor")


def test_extra_arguments_go_only_where_they_are_taken():
    assert (
        make({"_target_": "suite.predictors.qsvr.QSVR"}, "predictor", random_state=3).random_state
        == 3
    )
    assert (
        make(
            {"_target_": "suite.predictors.qsvr.QSVR", "random_state": 1},
            "predictor",
            random_state=3,
        ).random_state
        == 1
    )
    assert make({"_target_": "suite.predictors.svr.SVR"}, "predictor", random_state=3).nu == 0.5


@pytest.mark.parametrize(
    "path", ["suite.backends.forecasts.ThreadPoolExecutor", "suite.worker.facts.subprocess"]
)
def test_names_that_a_module_merely_imports_are_refused(path):
    with pytest.raises(ConfigError):
        make({"_target_": path}, "searcher")
