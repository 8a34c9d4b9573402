"""Spaces of ConfigSpace in and out. Most are skipped without the package: swiftbench[configspace]."""

import json

import numpy as np
import pytest

from kit.conditional_spaces import ConditionalTarget, space, wrong_with
from suite.core import Choice, ConfigError, Constraints, Float, Int, Ordered, Space, When
from suite.core.configspace import from_configspace, is_configspace, to_configspace

REASON = "ConfigSpace is not installed: pip install 'swiftbench[configspace]'"


def test_without_the_package_its_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"ConfigSpace is not installed; pip install 'swiftbench\[conf"
    ):
        to_configspace(space())


def test_a_mapping_in_plain_words_is_none_of_configspaces():
    assert not is_configspace({"lr": {"type": "float"}, "hyperparameters": {"type": "int"}})


@pytest.mark.parametrize("as_json", [False, True])
def test_a_space_goes_out_and_comes_back_as_it_was(as_json):
    pytest.importorskip("ConfigSpace", reason=REASON)
    there = to_configspace(space())
    if as_json:
        there = json.loads(json.dumps(there.to_serialized_dict()))
        assert is_configspace(there)
    parameters, constraints = from_configspace(there)
    again = Space(parameters, constraints=constraints)
    assert dict(again) == dict(space()) and again.conditions == space().conditions
    for seed in range(50):
        # Names are in ConfigSpace's order, so that draws are others.
        again.check(space().sample(np.random.default_rng(seed)))
        space().check(again.sample(np.random.default_rng(seed)))


def test_what_configspace_draws_is_of_the_space_and_the_other_way_round():
    words = pytest.importorskip("ConfigSpace", reason=REASON)
    there = to_configspace(space(), seed=1)
    for drawn in there.sample_configuration(60):
        config = {name: getattr(v, "item", lambda v=v: v)() for name, v in dict(drawn).items()}
        assert wrong_with(config) == ""
        space().check(config)
    rng = np.random.default_rng(0)
    for _ in range(60):
        words.Configuration(there, values=space().sample(rng)).check_valid_configuration()


def test_what_is_held_is_a_constant():
    pytest.importorskip("ConfigSpace", reason=REASON)
    there = to_configspace(space({"optimizer": "sgd", "batch_size": 128}), seed=0)
    drawn = [dict(one) for one in there.sample_configuration(20)]
    assert {(one["optimizer"], one["nesterov"]) for one in drawn} == {("sgd", False)}


def test_a_target_takes_a_configuration_space():
    words = pytest.importorskip("ConfigSpace", reason=REASON)
    there = words.ConfigurationSpace({"lr": (0.1, 1.0), "n": (1, 4), "kind": ["a", "b"], "one": 3})
    there.add(words.EqualsCondition(there["lr"], there["kind"], "a"))
    target = ConditionalTarget(space=there)
    assert dict(target.space) == {
        "kind": Choice("a", "b"), "lr": Float(0.1, 1.0), "n": Int(1, 4), "one": Choice(3),
    }  # fmt: skip
    assert target.space.conditions == {"lr": {"kind": ("a",)}}


def test_conditions_that_compare_are_the_values_that_hold():
    words = pytest.importorskip("ConfigSpace", reason=REASON)
    there = words.ConfigurationSpace(
        {"n": (1, 4), "x": (0.0, 1.0), "y": (0.0, 1.0), "z": (0.0, 1.0)}
    )
    there.add(
        words.GreaterThanCondition(there["x"], there["n"], 2),
        words.NotEqualsCondition(there["y"], there["n"], 2),
        words.OrConjunction(
            words.EqualsCondition(there["z"], there["n"], 1),
            words.EqualsCondition(there["z"], there["n"], 4),
        ),
    )
    conditions = Space(from_configspace(there)[0]).conditions
    assert {n: one["n"] for n, one in conditions.items()} == {
        "x": (3, 4),
        "y": (1, 3, 4),
        "z": (1, 4),
    }


def refused(words, case):
    there = words.ConfigurationSpace({"n": (1, 4), "x": (0.0, 1.0), "kind": ["a", "b"]})
    if case == "normal":
        there.add(words.NormalFloatHyperparameter("normal", 0.0, 1.0, -1.0, 1.0))
    elif case == "weights":
        there.add(words.CategoricalHyperparameter("weighted", ["a", "b"], weights=[0.9, 0.1]))
    elif case == "or":
        there.add(
            words.OrConjunction(
                words.EqualsCondition(there["x"], there["n"], 1),
                words.EqualsCondition(there["x"], there["kind"], "a"),
            )
        )
    elif case == "equal":
        there.add(words.ForbiddenEqualsRelation(there["n"], there["x"]))
    return there


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("normal", "normal: is a NormalFloatHyperparameter, and must be uniform"),
        ("weights", "weighted: is a CategoricalHyperparameter, and must be uniform"),
        ("or", "an 'or' of several hyperparameters, which spaces here have not"),
        ("equal", "a ForbiddenEqualsRelation in a forbidden clause, which spaces here have not"),
    ],
)
def test_what_spaces_here_have_not_is_refused_by_name(case, says):
    words = pytest.importorskip("ConfigSpace", reason=REASON)
    with pytest.raises(ConfigError, match=says):
        from_configspace(refused(words, case))


def test_json_that_is_no_space_is_refused():
    pytest.importorskip("ConfigSpace", reason=REASON)
    with pytest.raises(ConfigError, match="is no space of ConfigSpace"):
        from_configspace({"hyperparameters": [{"type": "uniform_flaot"}]})


def test_a_mixed_space_comes_back_with_its_orders_and_steps():
    pytest.importorskip("ConfigSpace", reason=REASON)
    mixed = Space(
        {
            "a": Ordered("small", "middle", "large"),
            "b": Int(10, 2000, step=10),
            "c": When(Choice(None, True, "x"), {"a": ["small", "large"], "b": [10, 20]}),
            "d": Int(1, 100, log=True),
        },
        constraints=Constraints(relations=["b >= d"]),
    )
    parameters, constraints = from_configspace(to_configspace(mixed))
    assert (
        dict(Space(parameters)) == dict(mixed) and Space(parameters).conditions == mixed.conditions
    )
    assert list(constraints.relations) == ["b >= d"]
