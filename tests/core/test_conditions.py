"""Conditional hyperparameters and constraints: what is drawn, how it is encoded, and what is refused."""

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.conditional_spaces import CONSTRAINTS, PARAMETERS, possible, space, wrong_with
from suite.core import Choice, ConfigError, Constraints, Float, Int, Ordered, Space, When
from suite.core.space_words import (
    constraints_of,
    described,
    described_constraints,
    parameters_of,
)

# --- integers with steps, ordered choices ---------------------------------------------------------


@given(st.integers(-100, 100), st.integers(1, 40), st.integers(1, 50), st.floats(0, 1))
def test_an_integer_with_steps_is_low_and_whole_steps_more(low, n, step, u):
    parameter = Int(low, low + n * step, step=step)
    value = parameter.decode(u)
    assert (value - low) % step == 0 and low <= value <= low + n * step
    assert parameter.check(value) is None
    assert parameter.decode(parameter.encode(value)[0]) == value
    assert parameter.round_draws(np.array([u]))[0] == pytest.approx(parameter.encode(value)[0])


def test_every_step_is_as_likely_as_another():
    parameter = Int(10, 50, step=20)
    values = [parameter.decode(u) for u in (np.arange(3000) + 0.5) / 3000]
    assert [values.count(v) for v in (10, 30, 50)] == [1000, 1000, 1000]
    assert parameter.check(20) == "must be 10 and a multiple of 20 more, up to 50"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Int(0, 25, step=10), "must end at high; take high=20 or 30"),
        (lambda: Int(1, 100, log=True, step=3), "a logarithm has no even steps"),
        (lambda: Int(0, 10, step=0), "step=0: must be an integer >= 1"),
        (lambda: Int(0, 10, step=True), "step=True: must be an integer >= 1"),
        (lambda: Ordered(1), "needs two or more different values"),
        (lambda: Ordered("a", float("nan")), "must be text, a finite number"),
    ],
)
def test_a_range_that_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_ordered_values_keep_their_types():
    parameter = Ordered(0, True, 2.0)
    assert [parameter.encode(v) for v in (0, True, 2)] == [(0.0,), (0.5,), (1.0,)]
    assert parameter.check(1) and not parameter.check(2)


# --- draws ----------------------------------------------------------------------------------------


def test_what_plays_no_part_has_no_value_and_what_is_forbidden_is_not_drawn():
    rng, whole = np.random.default_rng(0), space()
    drawn = [whole.sample(rng) for _ in range(500)]
    assert [wrong_with(config) for config in drawn] == [""] * 500
    for config in drawn:
        whole.check(config)
    assert {config["optimizer"] for config in drawn} == {"sgd", "adam", "rmsprop"}


@given(st.data(), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_of_any_space_a_draw_has_what_plays_a_part_and_breaks_no_constraint(data, seed):
    some = possible(data.draw)
    config = some.sample(np.random.default_rng(seed))
    some.check(config)
    for name, condition in some.conditions.items():
        holds = all(other in config and config[other] in v for other, v in condition.items())
        assert (name in config) == holds, name
    for clause in some.constraints.forbidden:
        assert any(config.get(name, ...) != value for name, value in clause.items())
    for relation in some.constraints.relations:
        left, sign, right = relation.split()
        if left in config and right in config:
            assert eval(f"{config[left]} {sign} {config[right]}")


@given(st.data(), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_of_any_space_points_are_in_the_unit_cube_and_as_different_as_configurations(data, seed):
    some, rng = possible(data.draw), np.random.default_rng(seed)
    configs = [some.sample(rng) for _ in range(30)]
    points = [some.encode(config) for config in configs]
    assert len({len(point) for point in points}) == 1
    assert all(0.0 <= x <= 1.0 for point in points for x in point)
    for config, point in zip(configs, points, strict=True):
        for other, again in zip(configs, points, strict=True):
            assert (config == other) == (point == again)
    draws = rng.random((20, len(some)))
    one_by_one = [some.encode(some.decode(row)) for row in draws.tolist()]
    assert some.encode_draws(draws) == pytest.approx(np.array(one_by_one))


def test_a_point_says_by_a_number_of_its_own_what_plays_no_part():
    small = Space(
        {
            "kind": Choice("a", "b"),
            "rate": When(Float(0.0, 1.0), {"kind": "a"}),
            "form": When(Choice("x", "y"), {"kind": "a"}),
        }
    )
    assert small.encode({"kind": "a", "rate": 0.5, "form": "y"}) == (1, 0, 1, 0.5, 0, 1)
    assert small.encode({"kind": "b"}) == (0, 1, 0, 0.5, 0, 0)


def test_a_plain_space_draws_and_encodes_as_before():
    """The same numbers with and without a condition that always holds, but for what says that it holds."""
    plain = Space({"kind": Choice("a", "b"), "rate": Float(0.0, 1.0)})
    always = Space({"kind": Choice("a", "b"), "rate": When(Float(0.0, 1.0), {"kind": ["a", "b"]})})
    one, other = (s.sample(np.random.default_rng(3)) for s in (plain, always))
    assert one == other and plain.is_plain and not always.is_plain
    assert always.encode(one) == (*plain.encode(one)[:2], 1.0, plain.encode(one)[2])


def test_the_lowest_configuration_is_allowed():
    lowest = space().lowest()
    assert wrong_with(lowest) == "" and lowest == space().lowest()
    tight = Space({"a": Int(0, 9), "b": Int(0, 9)}, constraints=Constraints(relations=["a > b"]))
    tight.check(tight.lowest())


# --- what is held -----------------------------------------------------------------------------------


def test_what_is_held_leaves_out_what_can_no_longer_play_a_part():
    held = space({"optimizer": "adam"})
    assert held.free == ("learning_rate", "least_rate", "batch_size", "width")
    config = held.sample(np.random.default_rng(0))
    assert config["optimizer"] == "adam" and wrong_with(config) == ""
    assert len(held.encode(config)) == 4


def test_a_held_value_stands_where_it_plays_a_part_alone():
    held = space({"momentum": 0.5})
    rng = np.random.default_rng(0)
    for config in (held.sample(rng) for _ in range(50)):
        assert wrong_with(config) == ""
        assert config.get("momentum", 0.5) == 0.5
    assert held.with_fixed({}) == {"momentum": 0.5}
    assert "momentum" not in held.with_fixed({"optimizer": "adam"})


def test_a_held_value_that_can_play_no_part_is_refused():
    with pytest.raises(
        ConfigError, match=r"momentum=0.5: is held, .* plays no part; set it to null"
    ):
        space({"optimizer": "adam", "momentum": 0.5})


# --- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"momentum": None}, "momentum: missing; the space needs optimizer, .*momentum"),
        ({"optimizer": None}, "optimizer: missing"),
        (
            {"optimizer": "adam", "batch_size": 64},
            "momentum=0.9: plays a part only where optimizer is one of sgd, rmsprop; leave it out",
        ),
        ({"least_rate": 0.05}, "must have least_rate < learning_rate; change a value"),
        ({"width": 9}, "width=9: must be 8 and a multiple of 8 more, up to 64"),
        ({"batch_size": 128, "nesterov": True, "damping": None}, "forbidden: nesterov=True"),
        ({"widht": 8}, "hyperparameter=widht: unknown.* Did you mean width"),
        ({"width": [1]}, r"width=\[1\]: must be an integer"),
        ({"optimizer": ["sgd"]}, "optimizer=.*must be one of"),
    ],
)
def test_a_configuration_that_is_none_of_the_space_is_refused_by_name(change, message):
    good = {
        "optimizer": "sgd", "learning_rate": 0.01, "least_rate": 0.001, "momentum": 0.9,
        "nesterov": False, "damping": 10, "batch_size": 16, "width": 8,
    }  # fmt: skip
    space().check(good)
    config = {name: value for name, value in (good | change).items() if value is not None}
    with pytest.raises(ConfigError, match=message):
        space().check(config)


KIND = {"kind": Choice("a", "b"), "size": Int(1, 4), "rate": Float(0.0, 1.0)}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"x": When(Float(0, 1), {"knid": "a"})}, "x: when=knid: unknown.* Did you mean kind"),
        ({"x": When(Float(0, 1), {"kind": "c"})}, "x: when.kind=c: must be one of a, b"),
        ({"x": When(Float(0, 1), {"size": [1, 9]})}, "when.size=9: must be an integer in 1..4"),
        (
            {"x": When(Float(0, 1), {"rate": 0.5})},
            "when.rate: is a Float, which has no single values",
        ),
        ({"x": When(Float(0, 1), {"kind": []})}, "when.kind: must name 1 to"),
        ({"x": When(Float(0, 1), {})}, r"when=\{\}: must be \{other hyperparameter"),
        ({"x": When(Float(0, 1), "kind")}, "when=kind: must be"),
        ({"x": When(Int(0, 1), {"x": 1})}, r"x: its conditions lead back to itself \(x, x\)"),
        (
            {"x": When(Int(0, 1), {"y": 1}), "y": When(Int(0, 1), {"x": 1})},
            r"x: its conditions lead back to itself \(x, y, x\); remove one",
        ),
        (
            {
                "x": When(Int(0, 1), {"kind": "a"}),
                "y": When(Int(0, 1), {"x": 1, "kind": "b"}),
            },
            "y: can never play a part, for its conditions and those of x want different values of kind",
        ),
    ],
)
def test_a_condition_that_cannot_hold_is_refused_by_name(parameters, message):
    with pytest.raises(ConfigError, match=message):
        Space({**KIND, **parameters})


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        (Constraints([{"knid": "a"}]), "forbidden=knid: unknown.* Did you mean kind"),
        (Constraints([{"kind": "c", "size": 1}]), "forbidden.kind=c: must be one of a, b"),
        (
            Constraints([{"rate": 0.5, "size": 1}]),
            "rate: is a Float, which no draw hits; write a rel",
        ),
        (
            Constraints([{"kind": "a"}]),
            "forbids a value whatever the others are; remove it from kind",
        ),
        (
            Constraints([{"kind": ["a", "b"], "size": 1}]),
            "names every value of kind; leave kind out",
        ),
        (Constraints([{}]), r"\{\}: must be \{name: value"),
        (Constraints(["kind"]), "kind: must be {name: value"),
        (Constraints({"kind": "a"}), "constraints.forbidden=.*: must be a list"),
        (Constraints(relations="size < rate"), "constraints.relations=size < rate: must be a list"),
        (Constraints(relations=["size"]), "size: must be two names with <, <=, >, >= and spaces"),
        (Constraints(relations=["size == rate"]), "must be two names with"),
        (Constraints(relations=["size < raet"]), "relations=raet: unknown.* Did you mean rate"),
        (Constraints(relations=["size < kind"]), "kind has values that are no numbers"),
        (Constraints(relations=["size < size"]), "must name two hyperparameters"),
        (Constraints(relations=["__import__('os') < size"]), "unknown"),
        (Constraints(relations=["rate >= size"]), "allow 0 of 2000 random configurations"),
        (
            Constraints([{"kind": "a", "size": [1, 2]}, {"kind": "a", "size": [3, 4]}]),
            r"kind=a: forbidden in all of \d+ random configurations that have it; remove the value",
        ),
        ({"forbidden": []}, r"must be Constraints\(forbidden"),
    ],
)
def test_a_constraint_that_is_none_or_forbids_nearly_everything_is_refused(constraints, message):
    parameters = KIND | {"rate": Float(0.0, 0.5)}
    with pytest.raises(ConfigError, match=message):
        Space(parameters, constraints=constraints)


def test_what_is_fixed_must_leave_something_that_is_allowed():
    with pytest.raises(ConfigError, match=r"allow 0 of 2000 .*what is fixed counts too"):
        space({"optimizer": "adam", "batch_size": 16})


def test_a_chain_of_conditions_as_long_as_a_stranger_likes_is_refused_at_once():
    names = [f"x{i}" for i in range(5000)]
    pairs = zip(names[1:], names, strict=False)
    chain = {name: When(Int(0, 1), {other: 1}) for name, other in pairs} | {"x0": Int(0, 1)}
    begun = time.process_time()
    with pytest.raises(ConfigError, match=r"4999 hyperparameters have conditions; at most 500 may"):
        Space(chain)
    assert time.process_time() - begun < 5


def test_a_tables_rows_have_no_conditions():
    with pytest.raises(ConfigError, match="a table's rows say what there is"):
        Space(PARAMETERS, rows=[])


# --- in the words of a YAML file ------------------------------------------------------------------


def test_a_space_survives_the_words_of_a_yaml_file():
    words = json.loads(json.dumps({name: described(one) for name, one in PARAMETERS.items()}))
    limits = json.loads(json.dumps(described_constraints(CONSTRAINTS)))
    again = Space(parameters_of("space", words), constraints=constraints_of("constraints", limits))
    assert dict(again) == dict(space()) and again.conditions == space().conditions
    drawn = [s.sample(np.random.default_rng(1)) for s in (again, space())]
    assert drawn[0] == drawn[1]
    assert words["damping"]["when"] == {"nesterov": [False]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "space=.*: must name hyperparameters"),
        ({"x": 3}, "space.x=3: must be {type: float"),
        ({"x": {"type": "flaot"}}, "space.x.type=flaot: unknown.* Did you mean float"),
        ({"x": {"type": "int", "low": 0}}, "space.x.high: missing; a int needs it"),
        ({"x": {"type": "float", "low": 0, "high": 1, "step": 1}}, "space.x.float=step: unknown"),
        ({"x": {"type": "choice", "values": "ab"}}, r"values=ab: must be a list; write \[ab\]"),
        (
            {"x": {"type": "choice", "values": [1, 2], "ordered": "yes"}},
            "ordered=yes: must be true",
        ),
        ({"x": {"type": "int", "low": 0, "high": 5, "step": 2}}, "space.x: .*take high=4 or 6"),
        ({3: {"type": "int", "low": 0, "high": 5}}, "the key 3 is no text"),
    ],
)
def test_words_that_say_no_space_are_refused_by_name(words, message):
    with pytest.raises(ConfigError, match=message):
        parameters_of("space", words)


def test_a_key_that_constraints_have_not_is_refused():
    with pytest.raises(
        ConfigError, match=r"constraints=forbiden: unknown.* Did you mean forbidden"
    ):
        constraints_of("constraints", {"forbiden": []})
