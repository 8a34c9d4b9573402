"""What every target promises: each file of conf/model."""

import json
import math
import os
import re
import subprocess
import sys

import pytest
from driving import ROOT, compose, names

from suite.core.errors import DataError
from suite.core.plugins import make
from suite.core.space import Space
from suite.core.target import Target
from suite.searchers.random import Random

MODELS = names("model")
# Minutes each on a CPU: what they share with a quick one is tested with it.
SLOW = ("cifar10_cnn_3hp", "mlpf_5hp", "mlpf_10hp", "tiny_imagenet_resnet18")
every = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in MODELS]
)
_staged = {}
LIMIT = 96  # training examples of targets that can be told to take so few
EVENTS = 16  # of mlpf, each of hundreds of elements


def _small(name):
    """A model's leaf, its data cut to what 18 epochs in a test can take."""
    leaf = compose(f"model={name}")["model"]
    small = {
        "limit": EVENTS if name.startswith("mlpf") else LIMIT,
        "side": 16,
    }  # pixels: a CPU takes eight 64 x 64 ones a second
    return leaf | {key: value for key, value in small.items() if key in leaf}


_leaves = {name: _small(name) for name in MODELS}


def build(name):
    """The target, or a skipped test where its data are not on this machine."""
    try:
        return make(_leaves[name], "model")
    except DataError as error:
        # In CI only a table that has to be fetched (its checksum is not known here) may be absent.
        described = _leaves[name].get("description", {})
        if os.environ.get("CI") == "true" and described.get("sha256"):
            raise
        pytest.skip(str(error))


def staged(name):
    """One target a process, as in a worker."""
    if name not in _staged:
        target = build(name)
        target.stage("cpu")
        _staged[name] = target
    return _staged[name]


def configs(name, n=2):
    searcher = Random()
    searcher.begin(staged(name).space, 11)
    return [searcher.propose(k, {}) for k in range(n)]


@every
def test_it_says_what_it_is(name):
    target = build(name)
    assert isinstance(target, Target) and isinstance(target.space, Space) and len(target.space) > 0
    assert (
        type(target).__doc__
        and target.metric
        and target.framework
        and target.mode in ("min", "max")
    )
    assert target.data in ("real", "recorded", "stand-in", "synthetic")
    assert target.checkpoint_bytes > 0 and target.epoch_s >= 0
    module, cls = _leaves[name]["_target_"].split(".")[-2:]
    assert name.endswith(module) or name.startswith(module), (
        "one class may serve several YAML files, each named after it"
    )
    assert cls.lower() == module.replace("_", "")
    label = sys.modules[type(target).__module__].__doc__
    for word in ("hardware", "versions", r"\bn\b", "lineage"):
        assert re.search(word, label), f"its file begins with a lab label: {word} is missing"


@every
def test_its_yaml_lists_every_hyperparameter_and_leaves_it_free(name):
    target = build(name)
    if target.data != "recorded":  # of a table nothing can be fixed
        assert _leaves[name]["fixed"] == dict.fromkeys(target.space)


@every
def test_three_epochs_straight_equal_one_and_save_and_load_and_two(name, tmp_path):
    """Bit for bit, on a CPU: the curve, the test value, and what the next checkpoint would hold."""
    for k, config in enumerate(configs(name, 3)):
        straight = staged(name).start(config, 42 + k)
        whole = []
        for epoch in (1, 2, 3):
            straight.train_epoch(epoch)
            whole.append(dict(straight.validate()))
        first = staged(name).start(config, 42 + k)
        first.train_epoch(1)
        cut = [dict(first.validate())]
        path = tmp_path / f"{k}.ckpt"
        first.save(path)
        second = staged(name).start(config, 42 + k)
        second.load(path)
        assert dict(second.test()) == dict(first.test())
        for epoch in (2, 3):
            second.train_epoch(epoch)
            cut.append(dict(second.validate()))
        assert cut == whole
        assert dict(second.test()) == dict(straight.test())


def _far_from(value, values):
    """The most different one: between two tiny decays nothing may change."""
    others = [other for other in values if other != value]
    return max(others, key=lambda o: abs(o - value) if isinstance(o, int | float) else 0)


@every
def test_every_hyperparameter_that_is_searched_changes_the_training(name):
    """From one configuration to another that differs in this one alone; some hide others, as a
    learning rate of 1e-9 does, so several are tried.
    """
    if build(name).data == "recorded":
        return  # which configurations there are is the table's
    target = staged(name)
    drawn = configs(name, 8)

    def curve(config):
        training = target.start(config, 8)
        found = []
        for epoch in (1, 2):
            training.train_epoch(epoch)
            found.append(dict(training.validate()))
        return found

    curves = [curve(config) for config in drawn[:4]]
    for hyperparameter in target.space:
        for k, base in enumerate(drawn[:4]):
            other = _far_from(base[hyperparameter], [c[hyperparameter] for c in drawn])
            if curve(base | {hyperparameter: other}) != curves[k]:
                break
        else:
            pytest.fail(f"{hyperparameter}: changes nothing")


@every
def test_what_was_staged_is_named(name):
    """Data set, digest and split, in plain JSON: the record's."""
    target = staged(name)
    if target.data in ("recorded", "synthetic"):
        return
    said = json.loads(json.dumps(dict(target.provenance), allow_nan=False))
    assert said["name"] and said["stand_in"] is (target.data == "stand-in")
    assert len(said["sha256"]) == len(said["split_sha256"]) == 64
    assert said["n_train"] > 0 and said["n_valid"] > 0 and said["n_test"] > 0


@every
def test_a_trial_is_a_function_of_its_configuration_and_seed(name):
    (config, *_) = configs(name)

    def curve(seed):
        training = staged(name).start(config, seed)
        training.train_epoch(1)
        return dict(training.validate())

    one = curve(1)
    assert curve(1) == one
    if staged(name).data != "recorded":  # a table may hold one recording a configuration
        assert curve(2) != one


@every
def test_two_trials_in_one_worker_do_not_disturb_each_other(name):
    one, two = configs(name)

    def curves(together):
        a = staged(name).start(one, 1)
        if together:
            b = staged(name).start(two, 2)
        found = []
        for epoch in (1, 2):
            a.train_epoch(epoch)
            if together:
                b.train_epoch(epoch)
                b.validate()
            found.append(dict(a.validate()))
        return found

    assert curves(True) == curves(False)


@every
def test_metrics_are_finite_and_validating_twice_gives_the_same(name):
    for config in configs(name):
        training = staged(name).start(config, 5)
        training.train_epoch(1)
        metrics = dict(training.validate())
        assert staged(name).metric in metrics and all(
            math.isfinite(value) for value in metrics.values()
        )
        assert dict(training.validate()) == metrics
        assert staged(name).metric in training.test()
        assert dict(training.validate()) == metrics
        json.dumps(metrics, allow_nan=False)


class Untouchable:
    """In the test split's place: whoever looks at it fails."""

    def __getattribute__(self, what):
        raise AssertionError(f"the test split was touched: {what}")

    __iter__ = __getitem__ = __len__ = lambda self, *_: Untouchable().touched


@every
def test_the_search_never_sees_the_test_split(name):
    target = build(name)
    target.stage("cpu")
    held_out = [attribute for attribute in vars(target) if "test" in attribute]
    for attribute in held_out:
        setattr(target, attribute, Untouchable())
    training = target.start(configs(name)[0], 5)
    training.train_epoch(1)
    training.validate()
    if target.data == "real":
        assert held_out, "no attribute named test: this test cannot see what it must not"
        with pytest.raises(AssertionError, match="touched"):
            training.test()


@every
def test_it_learns(name):
    """Of some configurations at least one is better after three epochs than after one: by the
    validation loss, where there is one (an accuracy on few examples stands still for long).
    """
    for config in configs(name, 6):
        training = staged(name).start(config, 3)
        metric, mode, values = staged(name).metric, staged(name).mode, []
        for epoch in (1, 2, 3):
            training.train_epoch(epoch)
            metrics = training.validate()
            if "val_loss" in metrics:
                metric, mode = "val_loss", "min"
            values.append(metrics[metric])
        if values[2] < values[0] if mode == "min" else values[2] > values[0]:
            return
    pytest.fail("no configuration improves")


@every
def test_a_checkpoint_is_about_as_large_as_plan_says(name, tmp_path):
    sizes = []
    for config in configs(name, 4):
        training = staged(name).start(config, 1)
        training.train_epoch(1)
        training.save(tmp_path / "x.ckpt")
        sizes.append((tmp_path / "x.ckpt").stat().st_size)
    assert (
        staged(name).checkpoint_bytes / 10
        < sum(sizes) / len(sizes)
        < staged(name).checkpoint_bytes * 10
    )


@every
def test_importing_and_making_it_imports_no_framework(name):
    build(name)  # skipped where its data are missing
    script = (
        "import sys; from suite.core.plugins import make; import json\n"
        "make(json.loads(sys.argv[1]), 'model')\n"
        "heavy = ('torch', 'tensorflow', 'sklearn', 'mpi4py', 'hydra', 'mlflow')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(_leaves[name])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONSAFEPATH": "1"},
        timeout=60,
    )
    assert done.stdout.strip() == "[]", done.stderr
