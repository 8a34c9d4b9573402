"""Spaces: samples lie within them, encodings within [0, 1], and a name that is not theirs is
refused.
"""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.core.errors import ConfigError
from suite.core.seeds import stream
from suite.core.space import Choice, Float, Int, Space

_numbers = st.floats(-1e6, 1e6, allow_subnormal=False)
_unit = st.floats(0.0, 1.0)


@st.composite
def _floats(draw):
    log = draw(st.booleans())
    low = draw(st.floats(1e-8, 1e3) if log else _numbers)
    width = draw(st.floats(1e-3, 1e6))
    return Float(low, low + width, log)


@st.composite
def _ints(draw):
    log = draw(st.booleans())
    low = draw(st.integers(1 if log else -10_000, 10_000))
    return Int(low, low + draw(st.integers(1, 10_000)), log)


_choices = st.lists(
    st.one_of(st.text(max_size=4), st.integers(-5, 5)), min_size=1, max_size=6, unique_by=repr
).map(lambda values: Choice(*values))
_spaces = st.dictionaries(
    st.sampled_from("abcdefg"), st.one_of(_floats(), _ints(), _choices), min_size=1, max_size=5
).map(Space)


@given(_spaces, st.integers(0, 2**32))
def test_a_sample_passes_the_spaces_own_check_and_is_encoded_in_the_unit_cube(space, seed):
    config = space.sample(np.random.default_rng(seed))
    space.check(config)
    encoded = space.encode(config)
    assert all(0.0 <= x <= 1.0 for x in encoded)
    width = {name: len(p.values) if isinstance(p, Choice) else 1 for name, p in space.items()}
    assert len(encoded) == sum(width.values())


@given(_floats(), _unit)
def test_a_float_comes_back_from_its_encoding(parameter, u):
    value = parameter.decode(u)
    (code,) = parameter.encode(value)
    assert parameter.low <= value <= parameter.high
    assert parameter.decode(code) == pytest.approx(
        value, rel=1e-6, abs=1e-6 * (parameter.high - parameter.low)
    )


@given(_ints(), st.data())
def test_an_integer_comes_back_exactly(parameter, data):
    value = data.draw(st.integers(parameter.low, parameter.high))
    assert parameter.decode(parameter.encode(value)[0]) == value


@given(_choices, _unit)
def test_a_choice_is_encoded_one_hot(parameter, u):
    code = parameter.encode(parameter.decode(u))
    assert sum(code) == 1.0
    assert parameter.values[code.index(1.0)] == parameter.decode(u)


@given(_ints(), _unit, _unit)
def test_decoding_keeps_the_order(parameter, u, v):
    low, high = sorted((u, v))
    assert parameter.decode(low) <= parameter.decode(high)


def test_the_ends_of_the_unit_interval_reach_the_bounds():
    assert Int(3, 7).decode(0.0) == 3 and Int(3, 7).decode(1.0) == 7
    assert Int(1, 512, log=True).decode(0.0) == 1 and Int(1, 512, log=True).decode(1.0) == 512
    assert Float(1e-5, 10.0, log=True).decode(0.5) == pytest.approx(1e-2)
    assert Choice("a", "b").decode(1.0) == "b"


def test_every_integer_of_a_linear_range_is_equally_likely():
    drawn = [Int(1, 3).decode((i + 0.5) / 3000) for i in range(3000)]
    assert [drawn.count(v) for v in (1, 2, 3)] == [1000, 1000, 1000]


SPACE = {
    "learning_rate": Float(1e-4, 1.0, log=True),
    "width": Int(4, 256),
    "optimizer": Choice("sgd", "adam"),
}


@pytest.mark.parametrize(
    ("name", "value"), [("learning_rate", 0.1), ("width", 32), ("optimizer", "adam")]
)
def test_fixing_one_name_leaves_the_other_draws_as_they_were(name, value):
    for trial_id in range(20):
        free = Space(SPACE).sample(stream(1, "config", trial_id))
        held = Space(SPACE, {name: value}).sample(stream(1, "config", trial_id))
        assert held == free | {name: value}


def test_fixed_names_are_not_searched_and_null_means_searched():
    space = Space(SPACE, {"width": 8, "optimizer": None})
    assert space.free == ("learning_rate", "optimizer")
    assert len(space.encode({"learning_rate": 0.1, "width": 8, "optimizer": "sgd"})) == 3


def test_a_misspelt_name_is_refused_with_the_known_ones_and_a_proposal():
    for fixed in ({"learning_rat": 0.1}, {"learning_rat": None}):
        with pytest.raises(ConfigError) as error:
            Space(SPACE, fixed)
        assert "hyperparameter=learning_rat" in str(error.value)
        assert "learning_rate, optimizer, width" in str(error.value)
        assert "Did you mean learning_rate?" in str(error.value)


@pytest.mark.parametrize(
    ("fixed", "says"),
    [
        ({"width": 3}, "width=3: must be an integer in 4..256"),
        ({"width": 8.5}, "width=8.5: must be an integer"),
        ({"width": True}, "width=True: must be an integer"),
        ({"learning_rate": 2}, "learning_rate=2: must be a number in [0.0001, 1]"),
        ({"learning_rate": "fast"}, "learning_rate=fast: must be a number"),
        ({"learning_rate": math.nan}, "learning_rate=nan: must be a number"),
        ({"optimizer": "lion"}, "optimizer=lion: must be one of sgd, adam"),
    ],
)
def test_a_value_outside_its_range_is_refused(fixed, says):
    with pytest.raises(ConfigError) as error:
        Space(SPACE, fixed)
    assert says in str(error.value)


def test_check_wants_every_name_and_no_other():
    space = Space(SPACE)
    whole = {"learning_rate": 0.1, "width": 8, "optimizer": "sgd"}
    space.check(whole)
    with pytest.raises(ConfigError, match="missing; the space needs"):
        space.check({k: v for k, v in whole.items() if k != "width"})
    with pytest.raises(ConfigError, match="Did you mean width"):
        space.check(whole | {"widht": 1})


@pytest.mark.parametrize(
    "make",
    [
        lambda: Float(1.0, 1.0),
        lambda: Float(0.0, math.inf),
        lambda: Float(math.nan, 1.0),
        lambda: Float(0.0, 1.0, log=True),
        lambda: Int(3, 3),
        lambda: Int(0, 3, log=True),
        lambda: Choice(),
        lambda: Choice("a", "a"),
        lambda: Choice("a", math.nan),
        lambda: Choice(1.0, math.inf),
        lambda: Choice("a", b"a"),
        lambda: Choice(np.int64(1), 2),
        lambda: Float(10**400, 10**401),
        lambda: Float("0", 1),
        lambda: Float(False, True),
        lambda: Int(0.5, 3),
        lambda: Int(0, 2**53),
        lambda: Int(0, 2**63),
        lambda: Int(-(10**400), 0),
        lambda: Int(1, 2**50, log=True),
    ],
)
def test_a_range_that_is_none_is_refused(make):
    with pytest.raises(ConfigError, match="mend the space|raise low or drop log"):
        make()


_TINY, _HUGE = 5e-324, 1.7976931348623157e308
EXTREME = [
    Float(-1e308, 1e308),
    Float(-_HUGE, _HUGE),
    Float(-_HUGE, 0.0),
    Float(0.0, _HUGE),
    Float(0.0, _TINY),
    Float(_TINY, _HUGE, log=True),
    Float(_TINY, 1.0, log=True),
    Float(1.0, _HUGE, log=True),
    Float(1e300, math.nextafter(1e300, math.inf), log=True),
    Float(1.0, math.nextafter(1.0, 2.0), log=True),
    Float(-(10**308), 10**308),
    Int(-(2**48), 2**48),
    Int(2**48 - 1, 2**48),
    Int(1, 2**44, log=True),
    Int(2**44 - 1, 2**44, log=True),
    Int(10**13, 10**13 + 7, log=True),
]


@pytest.mark.parametrize("parameter", EXTREME, ids=repr)
def test_the_arithmetic_of_an_extreme_range_does_not_overflow(parameter):
    u = np.linspace(0.0, 1.0, 201)
    values = [parameter.decode(float(at)) for at in u]
    codes = [parameter.encode(value)[0] for value in values]
    assert all(parameter.low <= value <= parameter.high for value in values)
    assert values == sorted(values) and codes == sorted(codes)
    assert values[0] == parameter.low and values[-1] == pytest.approx(parameter.high, rel=1e-9)
    assert codes[0] < 0.5 < codes[-1] and codes[0] >= 0.0 and codes[-1] <= 1.0
    with np.errstate(all="raise", under="ignore"):
        rounded = parameter.round_draws(u)
    assert np.isfinite(rounded).all()
    assert rounded == pytest.approx(codes if isinstance(parameter, Int) else u, abs=1e-12)


@pytest.mark.parametrize("parameter", EXTREME[:8], ids=repr)
def test_a_wide_range_is_drawn_in_all_its_parts(parameter):
    """-1e308 .. 1e308 gave 1e308 in every draw."""
    values = [parameter.decode((i + 0.5) / 100) for i in range(100)]
    assert len(set(values)) > (1 if parameter.high == _TINY else 90)


@given(st.sampled_from([p for p in EXTREME if isinstance(p, Int)]), st.data())
def test_a_large_integer_comes_back_exactly(parameter, data):
    value = data.draw(st.integers(parameter.low, parameter.high))
    assert parameter.decode(parameter.encode(value)[0]) == value


def test_true_is_no_number_of_a_choice():
    assert Choice(1, 2).check(True) is not None
    assert Choice(True, False).check(1) is not None
    assert Choice(0.5, 1.0).check(1) is None


@pytest.mark.parametrize("values", [(1, 1.0, True), (0, False, 0.0), ([1], [1.0]), ("1", 1)])
def test_values_that_python_takes_for_equal_stay_different(values):
    parameter = Choice(*values)
    rows = [parameter.encode(value) for value in json.loads(json.dumps(values))]
    assert rows == [tuple(float(i == j) for j in range(len(values))) for i in range(len(values))]


def test_a_number_of_the_other_kind_is_found_and_a_boolean_is_no_number():
    assert Choice(16, 32).encode(16.0) == (1.0, 0.0) and Choice(16, 32).check(16.0) is None
    assert Choice(1, 2).check(True) is not None
