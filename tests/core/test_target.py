"""A target is checked as a class: everything that is missing or wrong is said at once, by name."""

import pytest

from suite.core.errors import ConfigError
from suite.core.metric import Metric
from suite.core.run_settings import RunSettings
from suite.core.space import Float
from suite.core.target import Target, check_provenance, check_target, make_target

HEAD = """
from suite.core.space import Float
from suite.core.target import Target


class Linear(Target):
"""
METHODS = '''
    def stage(self, device):
        """Nothing to stage."""

    def start(self, config, seed):
        raise NotImplementedError
'''
RIGHT = {
    "parameters": '{"x": Float(0.0, 1.0)}', "metric": '"val_loss"', "mode": '"min"',
    "framework": '"numpy"', "data": '"synthetic"', "checkpoint_bytes": "64", "epoch_s": "1.0",
}  # fmt: skip


class Whole(Target):
    parameters = {"x": Float(0.0, 1.0)}
    metric = Metric("val_loss", "min")
    framework, data = "numpy", "synthetic"
    checkpoint_bytes, epoch_s = 64, 0

    def stage(self, device):
        """Nothing to stage."""

    def start(self, config, seed):
        raise NotImplementedError


@pytest.fixture
def refusal(tmp_path, monkeypatch):
    """Of a class in a user's package, admitted by SUITE_PLUGINS: what assemble says of it."""
    from kit.driving import compose
    from suite.launch.assemble import assemble

    def error(attributes, methods=METHODS):
        package = f"mine_{abs(hash((str(attributes), methods)))}"
        (tmp_path / package).mkdir()
        lines = "".join(f"    {name} = {value}\n" for name, value in attributes.items())
        (tmp_path / package / "target.py").write_text(HEAD + lines + methods)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("SUITE_PLUGINS", package)
        config = compose("model=table_target", "backend=inline")
        config["model"] = {"_target_": f"{package}.target.Linear"}
        with pytest.raises(ConfigError) as caught:
            assemble(RunSettings.of(config))
        assert f"{package}.target.Linear" in str(caught.value)
        return str(caught.value)

    return error


def test_a_mode_that_is_neither_min_nor_max_is_refused_with_the_one_that_was_meant(refusal):
    said = refusal(RIGHT | {"mode": '"maximize"'})
    assert "mode=maximize: must be min or max. Did you mean max?" in said
    assert 'write metric = Metric("val_loss", "max")' in said


def test_a_metric_without_a_mode_is_refused_and_what_to_write_is_said(refusal):
    said = refusal({name: value for name, value in RIGHT.items() if name != "mode"})
    assert 'write metric = Metric("val_loss", "min")' in said and "mode=missing" in said


def test_a_metric_said_by_two_words_as_in_earlier_revisions_is_the_same_goal():
    class Words(Whole):
        metric, mode = "val_accuracy", "max"

    check_target(Words)
    check_target(Words())
    assert Words().goal == Metric("val_accuracy", "max") and Whole().goal == Whole.metric


def test_everything_that_is_missing_is_named_at_once(refusal):
    said = refusal({"framework": '"numpy"'}, "")
    for name in ("parameters", "metric", "data", "checkpoint_bytes", "epoch_s"):
        assert f"{name}: missing; write {name} = " in said
    assert "stage(): missing" in said and "start(): missing" in said and "framework" not in said


def test_everything_that_is_wrong_is_named_at_once(refusal):
    wrong = {
        "parameters": '{"x": (0.0, 1.0)}', "framework": "None", "data": '"fake"',
        "checkpoint_bytes": "0", "epoch_s": "True",
    }  # fmt: skip
    said = refusal(RIGHT | wrong)
    for name in wrong:
        assert f"\n  {name}=" in said
    assert "data=fake: must be real, recorded, surrogate, stand-in or synthetic" in said


def test_a_mode_beside_a_metric_is_refused():
    class Leftover(Whole):
        mode = "max"

    with pytest.raises(ConfigError, match="mode=max: is part of the metric; remove it"):
        check_target(Leftover)


def test_what_a_constructor_sets_is_announced_by_an_annotation_and_checked_when_it_is_made():
    class Given(Whole):
        parameters: dict
        metric: Metric

        def __init__(self, mode="min"):
            self.metric = mode and Metric("val_loss", mode)
            super().__init__(parameters=Whole.parameters)

    check_target(Given)
    check_target(Given("max"))
    with pytest.raises(ConfigError, match="metric=None: must be a Metric"):
        check_target(Given(None))


def test_parameters_of_one_object_leave_the_class_as_it_was():
    target = Whole(parameters={"y": Float(0.0, 2.0)})
    assert list(target.space) == ["y"] and list(Whole.parameters) == ["x"]


def test_what_is_no_target_is_refused_before_it_is_called():
    with pytest.raises(ConfigError, match="must be a Target"):
        make_target({"_target_": "suite.core.metric.Metric", "name": "x", "mode": "min"})


def test_a_provenance_that_lacks_something_is_named_key_by_key():
    target = Whole()
    check_provenance(target)  # synthetic data need none
    target.data = "real"
    with pytest.raises(ConfigError) as error:
        check_provenance(target)
    for key in (
        "name",
        "sha256",
        "stand_in",
        "split",
        "split_sha256",
        "n_train",
        "n_valid",
        "n_test",
    ):
        assert f"provenance['{key}']: missing" in str(error.value)
    target.provenance = {
        "name": "mine", "sha256": "0" * 64, "split_sha256": "1" * 64, "split": "fixed",
        "stand_in": False, "n_train": 3, "n_valid": 2, "n_test": 1,
    }  # fmt: skip
    check_provenance(target)
    target.provenance = {**target.provenance, "stand_in": True, "n_test": 0}
    with pytest.raises(ConfigError) as error:
        check_provenance(target)
    assert "stand_in" in str(error.value) and "n_test" in str(error.value)


@pytest.mark.parametrize(
    ("word", "guess"), [("maximize", "max"), ("minimise", "min"), ("mx", "max")]
)
def test_a_metric_refuses_another_mode_and_proposes_the_one_meant(word, guess):
    with pytest.raises(ConfigError, match=f"must be min or max. Did you mean {guess}"):
        Metric("val_loss", word)


def test_a_metric_turns_values_into_objectives_and_back():
    accuracy, loss = Metric("val_accuracy", "max"), Metric("val_loss", "min")
    assert accuracy.objectives((0.25, 0.5)) == [-0.25, -0.5] and accuracy.value(-0.5) == 0.5
    assert loss.objectives((0.25, 0.5)) == (0.25, 0.5) and loss.value(0.5) == 0.5


# --- the default configuration --------------------------------------------------------------------


class Two(Whole):
    parameters = {"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)}
    default_configuration = {"x": 0.5, "y": 0.25}


def test_a_default_has_the_values_that_are_fixed():
    assert Whole().default is None
    assert Two().default == {"x": 0.5, "y": 0.25}
    assert Two(fixed={"x": 1.0, "y": None}).default == {"x": 1.0, "y": 0.25}


@pytest.mark.parametrize(
    ("default", "why"),
    [
        ({"x": 0.5, "y": 2.0}, r"default_configuration: y=2\.0: must be a number in \[0, 1\]"),
        ({"x": 0.5}, "default_configuration: hyperparameter y: missing"),
        ({"x": 0.5, "y": 0.5, "z": 1}, "default_configuration: hyperparameter=z: unknown"),
        (0.5, "default_configuration=0.5: must be a mapping"),
    ],
)
def test_a_default_out_of_the_space_is_refused(default, why):
    target = Two()
    target.default_configuration = default
    with pytest.raises(ConfigError, match=why):
        check_target(target)
