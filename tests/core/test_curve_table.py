"""Curve tables: cells keep their identity, and what cannot be read is named by file, row and column."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.core.csv_text import decode, read_rows
from suite.core.curve_table import CurveTable, parse
from suite.core.errors import ConfigError, DataError, SuiteError
from suite.core.space import Choice, Float, Space
from suite.core.table_columns import MAX_LEVELS

DESCRIPTION = {
    "file": "t.csv",
    "hyperparameters": ["a", "b"],
    "curve": {"prefix": "v", "first": 1, "last": 2},
    "metric": "val_loss",
    "mode": "min",
}


def described(**keys: object) -> dict[str, object]:
    return {**DESCRIPTION, **keys}


def table(cells: list[str], **keys: object) -> CurveTable:
    """A table whose column a has these cells, as CSV quotes them; b is 1 in every row."""
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    rows = "".join(f"{cell},1,{i + 2},{i + 1}\n" for i, cell in enumerate(quoted))
    return parse(described(**keys), "a,b,v1,v2\n" + rows)


def column(cells: list[str], **keys: object) -> list[object]:
    return [config["a"] for config in table(cells, **keys).configs]


# --- identity of cells ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cells",
    [
        ["0123", "123", "0012", "1e2", "100", "abc"],
        ["32_64", "3264", "64_64"],
        ["1.10", "1.1"],
        ["7e10", "70e9"],
        ["\uff11", "1"],
        ["0123", "123"],
        ["1e2", "100"],
        ["1", "1.0"],
        ["+1", "1"],
        ["-0", "0"],
        [" 1", "1"],
        ["9007199254740993.0", "9007199254740992.0"],
        ["0.1", "0.10", "0.1000000000000000055511151231257827"],
        ["1_0", "10"],
        ["0x10", "16"],
        ["true", "True", "1"],
        ["\u0661", "1"],
    ],
)
def test_cells_that_differ_are_different_configurations(cells):
    made = table(cells)
    assert len(made.configs) == len(cells)
    assert isinstance(made.parameters["a"], Choice)
    assert [config["a"] for config in made.configs] == cells


def test_a_whole_column_of_plain_decimals_is_a_range():
    made = table(["0.5", "64.0", "1e-05", "3"])
    assert column(["0.5", "64.0", "1e-05", "3"]) == [0.5, 64, 1e-05, 3]
    assert made.parameters == {"a": Float(1e-05, 64.0, log=True), "b": Choice(1)}


def test_equal_cells_are_repeats():
    made = table(["x", "y", "x"])
    assert [len(repeats) for repeats in made.recordings] == [2, 1]


def test_integers_beyond_double_precision_stay_apart():
    cells = [str(2**53), str(2**53 + 1), str(2**63 - 1)]
    made = table(cells)
    assert column(cells) == [int(cell) for cell in cells]
    space = Space(made.parameters, rows=made.configs)
    for config in made.configs:
        space.check(config)


@pytest.mark.parametrize(
    ("kind", "cells", "values"),
    [
        ("text", ["1", "1.0", "nan", ""], ["1", "1.0", "nan", ""]),
        ("category", ["007", "7"], ["007", "7"]),
        ("number", ["007", "8.5"], [7, 8.5]),
        ("integer", ["64.0", "-3"], [64, -3]),
        ("boolean", ["true", "False"], [True, False]),
        ("boolean", ["TRUE", "false"], [True, False]),
    ],
)
def test_a_described_type_counts(kind, cells, values):
    read = column(cells, types={"a": kind})
    assert read == values
    assert list(map(type, read)) == list(map(type, values))


@pytest.mark.parametrize(
    ("kind", "cells", "row", "rule"),
    [
        ("number", ["1", "1_0"], 3, "decimal number"),
        ("number", ["1", "\uff11\uff10"], 3, "decimal number"),
        ("number", ["1", "nan"], 3, "decimal number"),
        ("number", ["", "2"], 2, "decimal number"),
        ("number", ["1", "1e999"], 3, "finite"),
        ("number", ["1", "1e-999"], 3, "finite"),
        ("number", ["0.1", "2", "0.10"], 4, "means the same as '0.1' in row 2"),
        ("integer", ["1", "2.5"], 3, "integer"),
        ("integer", ["1", "1e2"], 3, "integer"),
        ("integer", ["1", str(2**64)], 3, "64 bits"),
        ("boolean", ["true", "yes"], 3, "true or false"),
        ("boolean", ["true", "false", "True"], 4, "means the same as 'true' in row 2"),
    ],
)
def test_a_cell_that_is_not_of_its_described_type_is_named(kind, cells, row, rule):
    with pytest.raises(DataError, match=rf"t\.csv, row {row}, column a: .*{rule}"):
        table(cells, types={"a": kind})


_words = st.text(st.sampled_from("01eE._-+ x\uff11"), max_size=5)


@given(st.lists(_words, min_size=1, max_size=8, unique=True))
def test_no_two_different_cells_ever_make_one_configuration(cells):
    try:
        made = table(cells)
    except DataError as error:
        assert "row " in str(error) and "column a" in str(error)
    else:
        assert len(made.configs) == len(cells)


# --- missing and conditional values --------------------------------------------------------------


@pytest.mark.parametrize("missing", ["", "nan", "NaN", "NA", "inf", "-Infinity", "1e999", "<NA>"])
def test_a_number_that_is_missing_is_named(missing):
    with pytest.raises(
        DataError, match=r"t\.csv, row 3, column a: .*no finite decimal.*types: \{a: text\}"
    ):
        table(["0.9", missing, "0.8"])
    assert column(["0.9", missing, "0.8"], types={"a": "text"}) == ["0.9", missing, "0.8"]


def test_nan_and_nothing_among_words_are_words():
    assert column(["nan", "cutout", "none"]) == ["nan", "cutout", "none"]
    assert column(["", "l2"]) == ["", "l2"]
    assert column(["none", "1", "2"]) == ["none", "1", "2"]


@pytest.mark.parametrize("other", ["", "None", "0.1O"])
def test_many_numbers_do_not_become_categories_without_a_word(other):
    cells = [f"0.{i}1" for i in range(1, 149)]
    with pytest.raises(DataError, match=r"row 6, column a: .* 148 different ones"):
        table([*cells[:4], other, *cells[4:]])


def test_a_number_written_twice_among_many_is_named():
    cells = [f"0.{i}1" for i in range(1, MAX_LEVELS + 2)]
    with pytest.raises(
        DataError, match=r"row 23, column a: '0\.110': means the same as '0\.11' in row 2"
    ):
        table([*cells, "0.110"])


# --- curves --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell", ["1_234", "\uff11", "x", "0x1p3", "1e999", "-1e999", "1e-999", "1,5"]
)
def test_a_value_of_a_curve_is_a_decimal(cell):
    with pytest.raises(DataError, match=r"t\.csv, row 2, column v1: .*(number|float)"):
        parse(described(), f'a,b,v1,v2\n1,2,"{cell}",0.5\n')


def test_a_curve_fails_where_it_is_empty_or_not_finite():
    for cell in ("", "nan", "NaN", "inf", "-Infinity"):
        ((recording,),) = parse(described(), f"a,b,v1,v2\n1,2,0.5,{cell}\n").recordings
        assert recording.values[0] == 0.5 and math.isnan(recording.values[1])


@pytest.mark.parametrize("cell", ["-1", "", "nan", "1e300", "1_0", "x"])
def test_seconds_are_durations(cell):
    spec = described(train_s={"prefix": "t", "first": 1, "last": 2})
    with pytest.raises(DataError, match=r"t\.csv, row 2, column t2: "):
        parse(spec, f"a,b,v1,v2,t1,t2\n1,2,3,4,5,{cell}\n")


# --- the file ------------------------------------------------------------------------------------


def test_a_byte_order_mark_and_any_line_end_are_read():
    plain = "a,b,v1,v2\n1,x,3,4\n2,y,5,6\n"
    for text in ("\ufeff" + plain, plain.replace("\n", "\r\n"), plain.replace("\n", "\r")):
        assert parse(described(), text) == parse(described(), plain)
    assert parse(described(), decode("t.csv", ("\ufeff" + plain).encode())).configs[0]["a"] == 1


def test_only_line_ends_end_a_row():
    assert column(["x\u2028y\x0b\x0c\x85", "x\ny"]) == ["x\u2028y\x0b\x0c\x85", "x\ny"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_another_encoding_is_named(encoding):
    with pytest.raises(DataError, match=r"t\.csv.*(UTF-16|not UTF-8).*UTF-8"):
        parse(described(), decode("t.csv", "a,b,v1,v2\n1,é,3,4\n".encode(encoding)))


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ("1," + "s" * 131_073 + ",3,4", "row 3, column 2: a cell of more than 131072 characters"),
        ('1,2,3,"' + "s" * 131_073 + '"', "row 3, column 4: a cell of more than 131072 characters"),
        ('1,"2,3,4', "row 3, column 2: a quotation mark without its second"),
        ('1,2,"3"3,4', "row 3, column 3: characters after the second quotation mark"),
        ("1,2,3", "row 3: 3 cells; must have 4"),
        ("1,2\0,3,4", "line 3: a NUL character"),
    ],
)
def test_a_row_that_is_no_csv_is_named(row, place):
    with pytest.raises(DataError) as error:
        parse(described(), f"a,b,v1,v2\n1,x,3,4\n{row}\n")
    assert f"t.csv, {place}" in str(error.value)
    assert len(str(error.value)) < 400


def test_a_column_that_stands_twice_is_refused_where_it_is_read():
    for header in ("a,b,v1,v2,v2", "a,b,v1,v2,a"):
        with pytest.raises(
            DataError, match=r"row 1, column (v2|a): stands twice, as columns \d and 5"
        ):
            parse(described(), f"{header}\n1,2,3,4,5\n")
    assert parse(described(), "a,b,v1,v2,,\n1,2,3,4,,\n").n_epochs == 2


def test_rows_that_are_missing_are_named():
    for text in ("", "\n", "a,b,v1,v2\n", "a,b,v1,v2\n\n\n"):
        with pytest.raises(DataError, match=r"t\.csv"):
            parse(described(), text)


# --- the description -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "rule"),
    [
        ({"hyperparameters": [True, "b"]}, "table.hyperparameters, number 1: True: .*quotes"),
        ({"hyperparameters": ["a", None]}, "table.hyperparameters, number 2: None: .*quotes"),
        ({"hyperparameters": ["a", "a"]}, "number 2: a: named twice"),
        ({"hyperparameters": "a"}, "table.hyperparameters=a: must be a list"),
        ({"hyperparameters": {"a": 1}}, "must be a list"),
        ({"hyperparameters": ["a", "v1"]}, "column v1 is read by table.hyperparameters as well"),
        ({"curve": [1]}, r"table.curve=\[1\]: must be \{prefix, first, last\}"),
        (
            {"curve": {"prefix": 1, "first": 1, "last": 2}},
            "table.curve.prefix=1: must be text.*quotes",
        ),
        (
            {"curve": {"prefix": "v", "first": "1", "last": 2}},
            "table.curve.first=1: must be an integer",
        ),
        ({"curve": {"prefix": "v", "first": 1.5, "last": 2}}, "table.curve.first=1.5"),
        ({"curve": {"prefix": "v", "first": 1, "last": 10**12}}, "table.curve.last"),
        ({"curve": {"prefix": "v", "first": 2, "last": 1}}, "last=1 < first=2"),
        ({"curve": {"prefix": "v", "first": 1}}, "table.curve.last: missing"),
        ({"curve": {"prefix": "v", "first": 1, "last": 2, "x": 1}}, "table.curve=x: unknown"),
        ({"types": "a"}, "table.types=a: must be"),
        ({"types": {"a": "float"}}, "table.types.a=float: must be number, integer, text"),
        ({"types": {"c": "text"}}, "table.types: 'c': names no hyperparameter"),
        ({"types": {True: "text"}}, "table.types: True: .*quotes"),
        ({"sha256": 5}, "table.sha256=5: must be text"),
        ({"metric": 5}, "table.metric=5: must be text"),
        ({"mode": [1]}, "table.mode="),
        ({"file": 5}, "table.file=5: must be text"),
        ({"file": "../t.csv"}, r"table.file=\.\./t.csv: must be a file in the table's folder"),
        ({"file": "/t.csv"}, "table.file=/t.csv: must be a file in"),
        ({"file": "a\0"}, "table.file="),
        ({"escape": "x"}, "table.escape=x"),
        ({"source": 1.5}, "table.source=1.5: must be text"),
        ({"data": {"a": 1}}, "table.data="),
        ({"filee": "x"}, "table=filee: unknown.* Did you mean file?"),
        ({1: "x"}, "table=1: unknown"),
        ({"curve": None}, "table.curve: missing"),
    ],
)
def test_a_description_of_another_type_is_named(keys, rule):
    with pytest.raises(ConfigError, match=rule):
        parse({**DESCRIPTION, **keys}, "a,b,v1,v2\n1,2,3,4\n")


def test_a_description_that_is_no_mapping_is_named():
    for values in (None, 5, "x", ["file"]):
        with pytest.raises(ConfigError, match="must be a table's description"):
            parse(values, "a\n1\n")


def test_an_epoch_column_that_is_missing_is_named_without_listing_a_billion():
    spec = described(curve={"prefix": "v", "first": 1, "last": 10**9})
    with pytest.raises(
        DataError, match=r"t\.csv, row 1, column v3: missing; the header has 'a', 'b'"
    ):
        parse(spec, "a,b,v1,v2\n1,2,3,4\n")


def test_the_sign_that_guards_a_formula_is_no_part_of_a_text():
    text = "'=a,b,v1,v2\n'=1+1,1,2,3\n''x,1,2,3\nplain,1,2,3\n"
    spec = described(hyperparameters=["=a", "b"], escape="'", types={"=a": "text"})
    assert [config["=a"] for config in parse(spec, text).configs] == ["=1+1", "'x", "plain"]
    with pytest.raises(DataError, match="row 3, column =a: .*means the same as"):
        parse(spec, "=a,b,v1,v2\nx,1,2,3\n'x,1,2,3\n")


# --- whatever comes ------------------------------------------------------------------------------

_json = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4),
        st.sampled_from(["a", "b", "v", "text", "min", 10**400, -(10**400), "\ud800", "\x1b[2J"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=3), st.integers()), inner, max_size=3),
    ),
    max_leaves=6,
)  # fmt: skip
_keys = [
    "file", "sha256", "hyperparameters", "curve", "train_s", "eval_s", "metric", "mode", "types",
    "escape", "trailing_zeros", "data", "licence", "source",
]  # fmt: skip
_TEXT = "a,b,v1,v2\n0.1,x,3,4\n0.2,y,5,\n1e-3,z,0,0\n"


@given(st.dictionaries(st.one_of(st.sampled_from(_keys), st.text(max_size=3)), _json, max_size=3))
def test_any_description_gives_a_table_or_a_named_error(keys):
    try:
        parse({**DESCRIPTION, **keys}, _TEXT)
    except SuiteError as error:
        assert "t.csv" in str(error) or "table" in str(error) or "etric" in str(error)
        str(error).encode()


_edits = st.lists(
    st.tuples(
        st.integers(0, len(_TEXT)),
        st.integers(0, 3),
        st.sampled_from(
            [
                "",
                ",",
                "\n",
                "\r",
                '"',
                "'",
                "\0",
                "\ufeff",
                "\ud800",
                "_",
                "nan",
                "1e999",
                "é",
                "\u2028",
                "9" * 400,
            ]
        ),
    ),
    min_size=1,
    max_size=3,
)


def _until_failed(cells):
    """Values; NaN from the first that is missing or not finite."""
    values, failed = [], False
    for cell in cells:
        failed = failed or not math.isfinite(float(cell.strip() or "nan"))
        values.append(math.nan if failed else float(cell))
    return values


@given(_edits)
def test_any_file_gives_its_own_table_or_a_named_error(edits):
    text = _TEXT
    for place, cut, new in edits:
        text = text[:place] + new + text[place + cut :]
    try:
        made = parse(described(trailing_zeros="values"), text)
    except SuiteError as error:
        assert "t.csv" in str(error)
        return
    header, *rows = [row for row in read_rows("t.csv", text) if row]
    distinct = {(row[header.index("a")], row[header.index("b")]) for row in rows}
    assert len(made.configs) == len(distinct)
    assert sum(map(len, made.recordings)) == len(rows)
    curves = sorted(str(_until_failed(row[header.index(v)] for v in ("v1", "v2"))) for row in rows)
    assert curves == sorted(str(list(r.values)) for some in made.recordings for r in some)
