"""The scales that a table's description states reach the space that searchers meet."""

import numpy as np
import pytest

from suite.core.curve_table import parse
from suite.core.errors import ConfigError, DataError
from suite.core.ordered import Conditional, Ordered
from suite.core.space import Choice, Float, Int, Space

DESCRIPTION = {
    "file": "t.csv",
    "hyperparameters": ["lr", "units", "kind", "size", "momentum"],
    "curve": {"prefix": "v_", "first": 1, "last": 2},
    "metric": "loss",
    "mode": "min",
}
SCALES = {
    "lr": "log",
    "units": "log_integer",
    "kind": "choice",
    "size": {"scale": "ordered", "levels": ["small", "middle", "large"]},
    "momentum": {"scale": "linear", "inactive": 0},
}
TEXT = """\
lr,units,kind,size,momentum,v_1,v_2
0.1,8,sgd,large,0.5,2,1
0.2,16,adam,small,0,3,2
0.4,32,sgd,middle,0.9,3,2
"""


def table(text=TEXT, scales=SCALES, **changes):
    return parse({**DESCRIPTION, "scales": scales, **changes}, text)


def test_each_scale_is_met_as_it_is_stated():
    assert table().parameters == {
        "lr": Float(0.1, 0.4, log=True),
        "units": Int(8, 32, log=True),
        "kind": Choice("adam", "sgd"),
        "size": Ordered("small", "middle", "large"),
        "momentum": Conditional(Float(0.5, 0.9), 0),
    }


def test_without_scales_the_cells_decide_as_before():
    # Two decades or less: linear.
    assert table(scales={}).parameters["lr"] == Float(0.1, 0.4)


def test_a_searcher_meets_an_order_and_a_part_that_is_not_played():
    made = table()
    space = Space(made.parameters, rows=made.configs)
    large, small, middle = (space.encode(row) for row in made.configs)
    at = [3 + 1]  # lr, units, two of kind, then size
    assert [row[at[0]] for row in (small, middle, large)] == [0.0, 0.5, 1.0]
    # Inactive is apart from the least active value by a quarter of the range.
    assert [row[-1] for row in (small, large, middle)] == [0.0, 0.25, 1.0]
    # The middle one of 8, 16, 32 is the middle of a logarithmic axis.
    assert 0.5 < small[1] < 0.52


@pytest.mark.parametrize(
    "parameter",
    [
        Ordered(0.8, 0.9, 0.99),
        Conditional(Float(1e-3, 1.0, log=True), 0),
        Conditional(Int(1, 9), -1),
    ],
    ids=repr,
)
def test_draws_at_once_are_the_draws_one_by_one(parameter):
    draws = np.linspace(0.0, 0.999, 41)[:, None]
    space = Space({"x": parameter})
    one_by_one = [space.encode(space.decode(row.tolist())) for row in draws]
    assert space.encode_draws(draws) == pytest.approx(np.array(one_by_one), abs=1e-12)
    assert all(parameter.check(parameter.decode(u)) is None for u in draws[:, 0].tolist())
    assert parameter.check("no") is not None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lr": "logs"}, r"table\.scales\.lr=logs: must be one of .*Did you mean log"),
        ({"lr": {"scale": "log", "inctive": 1}}, r"table\.scales\.lr\.inctive: unknown"),
        ({"kind": {"scale": "choice", "inactive": 1}}, r"table\.scales\.kind\.inactive=1"),
        ({"lr": {"scale": "log", "levels": [1]}}, r"table\.scales\.lr\.levels: must be"),
        (
            {"kind": "linear"},
            r"table\.scales\.kind=linear: a cell is (sgd|adam), and it needs numbers",
        ),
        ({"momentum": "log"}, r"table\.scales\.momentum=log: a cell is 0, .* > 0; name the one"),
        (
            {"lr": "integer"},
            r"table\.scales\.lr=integer: a cell is 0\.\d, and it needs whole numbers",
        ),
        (
            {"size": {"scale": "ordered", "levels": ["small", "large"]}},
            r"size\.levels: a cell is middle",
        ),
        ({"size": "ordered"}, r"table\.scales\.size=ordered: a cell is \w+, and it needs numbers"),
        ({"width": "log"}, r"table\.scales: 'width': names no hyperparameter"),
    ],
)
def test_a_scale_that_the_table_does_not_have_is_refused_by_name(changes, says):
    with pytest.raises(ConfigError, match=says):
        table(scales={**SCALES, **changes})


def test_a_description_that_leaves_a_scale_out_is_refused():
    scales = {name: scale for name, scale in SCALES.items() if name != "units"}
    with pytest.raises(ConfigError, match=r"table\.scales\.units: missing"):
        table(scales=scales)


def test_a_table_that_misses_rows_is_refused_by_their_number():
    with pytest.raises(DataError, match=r"t\.csv: 3 rows; described are 4"):
        table(rows=4)
    assert len(table(rows=3).configs) == 3


def test_a_column_of_one_value_is_no_range():
    text = TEXT.replace("0.2,", "0.1,").replace("0.4,", "0.1,")
    assert table(text).parameters["lr"] == Choice(0.1)
