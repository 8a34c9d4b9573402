"""What journals, packages and YAML files of revision 0e27403 name is found today, or refused by name."""

from pathlib import Path

import pytest
import yaml

from kit.driving import CONF, DATA, names
from suite.core import moved, plugins
from suite.core.errors import ConfigError
from suite.core.target import Target, make_target

# Every `_target_` of conf/ at revision 0e27403.
OLD = [
    "models.babi_lstm.BabiLSTM",
    "models.cifar10_cnn.CIFAR10CNN",
    "models.digits_cnn.DigitsCNN",
    "models.mlpf.MLPF",
    "models.openml_mlp.OpenMLMLP",
    "models.table.Table",
    "models.table_target.TableTarget",
    "models.tiny_imagenet_resnet18.TinyImageNetResNet18",
    "suite.predictors.constant.Constant",
    "suite.predictors.ensemble.Ensemble",
    "suite.predictors.loo_svr.LooSVR",
    "suite.predictors.qsvr.QSVR",
    "suite.predictors.svr.SVR",
    "suite.schedulers.asha.Asha",
    "suite.schedulers.calibrated_gate.CalibratedGate",
    "suite.schedulers.fast_hyperband.FastHyperband",
    "suite.schedulers.fit_and_threshold.FitAndThreshold",
    "suite.schedulers.hyperband.Hyperband",
    "suite.schedulers.pasha.Pasha",
    "suite.schedulers.random_search.RandomSearch",
    "suite.schedulers.successive_halving.SuccessiveHalving",
    "suite.schedulers.swift.Swift",
    "suite.schedulers.swift_asha.SwiftAsha",
    "suite.schedulers.swift_hyperband.SwiftHyperband",
    "suite.searchers.evolution.Evolution",
    "suite.searchers.extra_trees.ExtraTrees",
    "suite.searchers.gp.Gp",
    "suite.searchers.grid.Grid",
    "suite.searchers.random.Random",
    "suite.searchers.tpe.Tpe",
]
MODELS = [
    "babi_lstm",
    "baker_cifar10_table",
    "baker_svhn_table",
    "cifar10_cnn",
    "cifar10_cnn_3hp",
    "digits_cnn",
    "mlpf",
    "mlpf_10hp",
    "mlpf_5hp",
    "mlpf_table",
    "mnist_table",
    "openml_mlp",
    "ptb_table",
    "resnet_cifar10_table",
    "table_target",
    "tiny_imagenet_resnet18",
]
BANK, FAULTS = DATA / "bank", DATA.parent / "faults"


def leaf(path: Path):
    from omegaconf import OmegaConf

    return OmegaConf.to_container(OmegaConf.load(path), resolve=True)


@pytest.mark.parametrize("path", OLD)
def test_every_class_of_the_old_conf_is_found(path):
    assert plugins.find(path, "leaf").__name__ == path.rpartition(".")[2]


def test_every_model_of_the_old_conf_still_has_its_name():
    assert set(MODELS) <= set(names("model"))


@pytest.mark.parametrize("old", moved.MODULES)
def test_a_module_that_moved_is_gone_and_its_new_place_is_there(old):
    import importlib.util

    assert importlib.util.find_spec(moved.MODULES[old]) is not None
    assert not any(
        (CONF.parent / old.replace(".", "/")).with_suffix(s).exists() for s in (".py", "")
    )


def test_a_journal_from_before_budgets_of_hours_has_none():
    before = {"budget": {"n_trials": 5, "n_epochs": None}}
    ends = {
        "n_trials": 5,
        "n_epochs": None,
        "hours": None,
        "node_hours": None,
        "all_epochs": None,
        "trainings": None,
        "price": None,
        "end": None,
        "allow_short": False,
    }
    assert moved.upgraded(before)["budget"] == ends
    assert moved.upgraded({"budget": {**ends, "hours": 2.0}})["budget"]["hours"] == 2.0


def test_the_synthetic_target_is_made_from_its_old_leaf():
    fixed = {"learning_rate": None, "width": 8, "optimizer": None}
    made = make_target(
        {"_target_": "models.table_target.TableTarget", "fixed": fixed, "noise": 0.0}
    )
    assert isinstance(made, Target) and list(made.space) == list(fixed)


@pytest.mark.skipif(
    not BANK.is_dir(), reason="SUITE_DATA/bank, tables beyond the first four, is not here"
)
def test_every_table_of_the_bank_makes_a_target(monkeypatch):
    monkeypatch.setenv("SUITE_DATA", str(DATA))
    paths = sorted((BANK / "model").glob("*.yaml"))
    assert len(paths) >= 32
    for path in paths:
        target = make_target(leaf(path))
        assert target.data == "recorded" and len(target.space) > 0
        assert target.metric.mode == yaml.safe_load(path.read_text())["description"]["mode"]


@pytest.mark.skipif(
    not BANK.is_dir(), reason="SUITE_DATA/bank, tables beyond the first four, is not here"
)
def test_a_task_of_the_bank_is_composed_and_assembled_as_it_stands(monkeypatch):
    from suite.core.run_settings import RunSettings
    from suite.launch.assemble import assemble
    from suite.launch.compose import compose

    monkeypatch.setenv("SUITE_DATA", str(DATA))
    config = compose(["task=lcbench_126026", "backend=simulate"], config_dir=BANK)
    parts = assemble(RunSettings.of(config))
    assert parts.target.metric.mode == "max" and parts.scheduler.max_epochs == 52


@pytest.mark.skipif(not FAULTS.is_dir(), reason="the planted faults beside SUITE_DATA are not here")
def test_every_table_among_the_planted_faults_is_found(monkeypatch):
    monkeypatch.setenv("BUG_TABLES", str(FAULTS / "tables"))
    paths = sorted((FAULTS / "tables" / "model").glob("*.yaml"))
    assert paths
    for path in paths:
        assert (
            plugins.find(yaml.safe_load(path.read_text())["_target_"], "model").__name__ == "Table"
        )


OLD_TARGET = """
from suite.core.table import Recording
from suite.core.target import Target


class Mine(Target):
    metric, mode = "val_loss", "min"
"""


def test_an_import_of_a_module_that_moved_is_refused_with_its_new_name(tmp_path, monkeypatch):
    (tmp_path / "old_imports.py").write_text(OLD_TARGET)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SUITE_PLUGINS", "old_imports")
    with pytest.raises(ConfigError, match=r"suite\.core\.table is suite\.core\.curve_table now"):
        make_target({"_target_": "old_imports.Mine"})


@pytest.mark.skipif(not FAULTS.is_dir(), reason="the planted faults beside SUITE_DATA are not here")
def test_the_planted_toys_of_that_revision_are_refused_by_name(monkeypatch):
    monkeypatch.syspath_prepend(str(FAULTS / "toys"))
    monkeypatch.setenv("SUITE_PLUGINS", "bugtoys")
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    for path in sorted((FAULTS / "toys" / "conf" / "model").glob("*.yaml")):
        with pytest.raises(
            ConfigError, match=r"suite\.core\.table is suite\.core\.curve_table now"
        ):
            make_target(leaf(path))
