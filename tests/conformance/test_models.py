"""What every target promises: each file of conf/model."""

import atexit
import functools
import os
import re
import sys
import tempfile
from pathlib import Path

import pytest

from kit import toy_clic, toy_events
from kit.driving import compose, names
from kit.onnx_file import write_lcbench
from suite.core.errors import DataError
from suite.core.target import TABLES
from suite.files import published_tables
from suite.testing import TargetConformance

# One class serves every table: the tables of the published runs and a surrogate stand for the catalogue. In
# others the first training may have failed, or not have learned by epoch 18, which is the data's.
TABLES_HERE = {e.model for e in published_tables().values() if e.family in ("authors", "baker")}
OTHER_TABLES = (
    {e.model for e in published_tables().values()} - TABLES_HERE - {"lcbench_34539_table"}
)
MODELS = [name for name in names("model") if name not in OTHER_TABLES]
# Minutes each on a CPU: what they share with a quick one is tested with it.
SLOW = (
    "cifar10_cnn_3hp", "mlpf", "mlpf_5hp", "mlpf_10hp", "mlpf_clic", "mlpf_schedules",
    "tiny_imagenet_resnet18",
)  # fmt: skip
# The same class over a part of the hyperparameters of another one, which CI tests.
PARTS = ("cifar10_cnn_3hp", "mlpf_5hp")
# Of mlpf's class, with other hyperparameters: the check of what is its own that CI makes. Not whether each of
# ten sizes of layers changes the training: TensorFlow compiles the network for each, and mlpf's are tested.
SPACES = {"mlpf_10hp": "it_says_what_it_is", "mlpf_schedules": "hyperparameter"}


every = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in MODELS]
)
# Tables that CI's data need not hold; swiftbench fetch curves has them.
MAY_BE_ABSENT = ("baker_cifar10_table", "baker_svhn_table")
LIMIT = 96  # training examples of targets that can be told to take so few
EVENTS = 16  # of mlpf, each of hundreds of elements


@functools.cache
def _lcbench_root():
    """A data root with a fixture network; removed when the process ends."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    write_lcbench(Path(folder.name))
    return folder.name


@functools.cache
def _toy_root():
    """A data root with small toy events, which need no generator; removed when the process ends."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    toy_events.write(
        Path(folder.name, "delphes_standin_pu0", "toy.pkl.bz2"),
        toy_events.toy_events(24, n=(12, 30)),
    )
    # Far smaller ones: the class is mlpf_torch's, its layers are tested there.
    toy_clic.write(Path(folder.name, "clic_standin", "toy.parquet"), toy_clic.toy_events(24))
    return folder.name


def _small(name):
    """A model's leaf, its data cut to what 18 epochs in a test can take."""
    leaf = compose(f"model={name}")["model"]
    small = {
        "data": "auto",
        "limit": EVENTS if name.startswith("mlpf") else LIMIT,
        "side": 16,
        # A decay at once is after 10 steps or more: not within so few events.
        "staircase": False,
    }  # pixels: a CPU takes eight 64 x 64 ones a second
    if name == "lcbench":
        leaf |= {"folder": _lcbench_root(), "sha256": None}
    if name in ("mlpf_torch", "mlpf_clic"):
        leaf |= {"folder": _toy_root()}
    return leaf | {key: value for key, value in small.items() if key in leaf}


@functools.cache
def suite(name):
    """Composed when the first test asks: every process of pytest collects this file."""
    return TargetConformance.of(_small(name))


def build(name):
    """The target, or a skipped test where its data are not on this machine."""
    try:
        return suite(name)().build()
    except DataError as error:
        if os.environ.get("CI") == "true" and name not in MAY_BE_ABSENT:
            raise
        pytest.skip(str(error))


def _marks(name, check):
    is_part = name in PARTS or (name in SPACES and SPACES[name] not in check)
    # The hyperparameters of mlpf_torch and what reads them, with other events.
    is_part |= name == "mlpf_clic" and "hyperparameter" in check
    # The same code of torch's targets as cifar10_cnn's, on images of four times the size.
    is_part |= name == "tiny_imagenet_resnet18" and "three_epochs_straight" in check
    # TensorFlow compiles its step each time; cifar10_cnn is the quick one.
    is_slow = name in SLOW or (name == "babi_lstm" and "three_epochs_straight" in check)
    return [pytest.mark.exhaustive] if is_part else [pytest.mark.slow] if is_slow else []


@pytest.mark.parametrize(
    ("name", "check"),
    [
        pytest.param(name, check, marks=_marks(name, check), id=f"{check}-{name}")
        for check in TargetConformance.checks()
        for name in MODELS
    ],
)
def test_what_every_target_promises(name, check):
    build(name)
    getattr(suite(name)(), check)()


@every
def test_its_file_is_named_after_it_and_begins_with_a_lab_label(name):
    target = build(name)
    module, cls = suite(name).leaf["_target_"].split(".")[-2:]
    if target.data not in (*TABLES, "synthetic"):  # there one class serves every table
        assert name.endswith(module) or name.startswith(module), (
            "one class may serve several YAML files, each named after it"
        )
        assert cls.lower() == module.replace("_", "")
    label = sys.modules[type(target).__module__].__doc__
    for word in ("hardware", "versions", r"\bn\b", "lineage"):
        assert re.search(word, label), f"its file begins with a lab label: {word} is missing"


@every
def test_it_states_a_default_configuration_and_whose_it_is(name):
    target = build(name)
    if target.data in (*TABLES, "synthetic"):
        return  # what was recorded has no default; of the synthetic curves nobody has one
    assert target.default is not None, "state default_configuration: a point of the space"
    assert len(target.default_source) > 20, "say in default_source whose it is"


@every
def test_its_yaml_lists_every_hyperparameter_and_leaves_it_free(name):
    target = build(name)
    if target.data not in TABLES:  # of a table nothing can be fixed
        assert suite(name).leaf["fixed"] == dict.fromkeys(target.space)
