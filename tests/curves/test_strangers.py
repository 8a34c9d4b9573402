"""Names and values that YAML, a spreadsheet or a terminal would change; packages that a stranger filled."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from kit.driving import search
from models.recorded_curves import Table
from models.synthetic_curves import TableTarget
from suite.core.curve_table import parse
from suite.core.errors import ConfigError, SuiteError
from suite.core.space import Choice, Int
from suite.curves import __main__ as door
from suite.curves import datapackage, recorder
from suite.curves.model_yaml import as_yaml, read_model
from suite.files import UnsafeFileError
from suite.schedulers.random_search import RandomSearch

EPOCHS = 2
NAMES = [
    "on",
    "1e3",
    "null",
    "12_34",
    "=a",
    "${oc.env:HOME}",
    r"\${x}",
    "\U0001f600\x85\u2028",
    "'q",
]
HEADER = {
    "run_id": "one",
    "date_utc": "2026-01-31T12:00:00Z",
    "algorithm": "random_search",
    "model": "odd",
    "seed": 0,
    "max_epochs": EPOCHS,
    "target": {"metric": "val_loss", "mode": "min", "data": "synthetic"},
}


class Odd(TableTarget):
    """Trains the synthetic curves under other names."""

    parameters = {
        "on": Choice(True, False),
        "1e3": Choice(
            "=cmd|calc!A1", "1e3", "1000", "0123", "", "nan", "'x", "-1", "+1", "@x", "a,\r\n\"b\""
        ),
        "null": Choice(None, "l2"),
        "12_34": Int(1, 5),
        "=a": Choice(0.5, 1.0, 2),
        **{name: Choice("x", "${oc.env:HOME}", "\u2028 ") for name in NAMES[5:]},
    }  # fmt: skip

    def start(self, config, seed):
        return super().start({"learning_rate": 0.1, "width": 8, "optimizer": "sgd"}, seed)


@pytest.fixture
def run(tmp_path, no_fsync) -> Path:
    search(tmp_path / "run", RandomSearch(EPOCHS, 30), Odd(), header=HEADER)
    return tmp_path / "run"


def as_hydra_reads(path: Path) -> dict[str, Any]:
    plain = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    assert isinstance(plain, dict)
    return plain


def test_names_and_values_survive_record_check_and_the_model_of_the_table(run, tmp_path, capsys):
    done = recorder.record([run], tmp_path / "t")
    assert door.main(["check", str(tmp_path / "t")]) == 0
    path = tmp_path / "t" / "model" / "t.yaml"
    settings = as_hydra_reads(path)
    assert settings == read_model(path)
    target = Table(settings["description"], settings["folder"])
    assert list(target.space) == NAMES
    for config in target.space.rows:
        assert config["null"] in ("None", "l2") and config["1e3"] in Odd.parameters["1e3"].values
        assert isinstance(config["on"], bool) and isinstance(config["12_34"], int)
        assert config["=a"] in (0.5, 1.0, 2)
    assert done.table.configs == tuple(target.space.rows)
    assert len({json.dumps(config) for config in target.space.rows}) == len(target.space.rows)


def test_no_cell_of_a_recorded_table_is_a_formula(run, tmp_path):
    recorder.record([run], tmp_path / "t")
    from suite.core.csv_text import read_rows

    header, *rows = read_rows("t.csv", (tmp_path / "t" / "t.csv").read_bytes().decode())
    cells = [*header, *(row[header.index(name)] for row in rows for name in ("1e3", "'=a"))]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert "'=cmd|calc!A1" in cells
    fields = json.loads((tmp_path / "t" / "datapackage.json").read_text())["resources"][0][
        "schema"
    ]["fields"]
    assert [field["name"] for field in fields] == header


@pytest.mark.parametrize(
    "name", ["on", "1e3", "null", "12_34", "true", "123", "a.b", "nan", "mine"]
)
def test_the_line_that_uses_a_table_names_it_as_text(name):
    parser = OverridesParser.create()
    _, _, line = recorder._command(Path("/a b"), name).partition("swiftbench run ")
    arguments = shlex.split(line)
    assert arguments[:2] == ["--config-dir", "/a b"]
    assert parser.parse_override(arguments[2]).value() == name


def test_a_model_s_name_stays_in_its_line_of_the_yaml(run, tmp_path):
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    header = json.loads(lines[0])
    header["model"] = "x\n# @package _global_\nhydra: {}\x1b[2J\u2028"
    (run / "journal.jsonl").write_text(json.dumps(header) + "\n" + "".join(lines[1:]))
    recorder.record([run], tmp_path / "t")
    path = tmp_path / "t" / "model" / "t.yaml"
    assert set(as_hydra_reads(path)) == {"_target_", "folder", "repeats", "description"}
    first = path.read_text().splitlines()[0]
    assert "@package" in first and "\x1b" not in path.read_text()


def test_values_that_a_file_cannot_tell_apart_are_named():
    for values, rule in (
        ((1, "1"), "'1'"), ((None, "None"), "'None'"), ((True, "true"), "'true'"), (("a\0", "b"), "NUL"),
        (("\ud800", "b"), "half a character"),
    ):  # fmt: skip
        rows = [({"a": value}, [0.5], [0.1], [0.1]) for value in values]
        with pytest.raises(ConfigError, match=rf"hyperparameter a: .*{rule}"):
            datapackage.to_csv(["a"], rows, 1)
    rows = [({"a": 1}, [0.5], [0.1], [0.1]), ({"b": 1}, [0.5], [0.1], [0.1])]
    with pytest.raises(ConfigError, match="hyperparameter a, b: in some trials only"):
        datapackage.to_csv(["a"], rows, 1)


_values = st.one_of(
    st.text(max_size=4), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["=1", "'=1", "'", "1", "1.0", "\r", '"']),
)  # fmt: skip


@given(st.lists(_values, min_size=1, max_size=6), st.text(min_size=1, max_size=3))
def test_any_values_are_read_as_they_were_or_refused(values, name):
    rows = [({name: value}, [0.5 + i], [0.1], [0.1]) for i, value in enumerate(values)]
    try:
        csv = datapackage.to_csv([name], rows, 1)
        spec = datapackage.description(
            "t.csv", csv, [name], 1, metric="m", mode="min", data="recorded"
        )
        table = parse(spec, csv.text)
    except SuiteError:
        return
    read = sorted(
        (r.values[0], c[name])
        for c, some in zip(table.configs, table.recordings, strict=True)
        for r in some
    )
    for (_, config, *_), (_, value) in zip([(r, r[0]) for r in rows], read, strict=True):
        assert datapackage._same_value(value, config[name])
    different = {(type(v) if isinstance(v, bool | str) else None, v) for v in values}
    assert len(table.configs) == len(different)


@given(
    value=st.recursive(
        st.one_of(st.text(max_size=6), st.booleans(), st.integers(-9, 9)), st.lists, max_leaves=4
    )
)
def test_a_value_is_the_same_to_every_reader_of_yaml(value, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "value.yaml"
    path.write_text(f"a: {as_yaml({'b': value})}\n")
    assert read_model(path) == {"a": {"b": value}}
    if "\ud800" <= max(repr(value)) <= "\udfff":
        return
    assert as_hydra_reads(path) == {"a": {"b": value}}


# --- a stranger's package ------------------------------------------------------------------------


@pytest.fixture
def table(run, tmp_path) -> Path:
    recorder.record([run], tmp_path / "t")
    return tmp_path / "t"


@pytest.mark.parametrize("name", ["t.csv", "datapackage.json"])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "zero"])
def test_only_regular_files_of_a_package_are_opened(table, name, kind, tmp_path):
    path = table / name
    path.rename(tmp_path / "elsewhere")
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(SuiteError, match=name):
        recorder.check(table)
    if name == "t.csv":
        with pytest.raises(SuiteError, match=name):
            recorder.check(table / "model" / "t.yaml")


def test_what_is_written_goes_through_no_link(run, tmp_path):
    (tmp_path / "to").mkdir()
    (tmp_path / "victim").mkdir()
    (tmp_path / "to" / "model").symlink_to(tmp_path / "victim")
    with pytest.raises(UnsafeFileError, match="model"):
        recorder.record([run], tmp_path / "to")
    assert not list((tmp_path / "victim").iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100 + "1" + "}" * 100,
        '{"resources": 1e999}',
        '{"resources": NaN}',
        "\ufeff{",
        "[]",
        "",
    ],
)
def test_a_descriptor_that_is_no_json_of_ours_is_named(table, text):
    (table / "datapackage.json").write_text(text)
    with pytest.raises(SuiteError, match="datapackage.json"):
        recorder.check(table)


@pytest.mark.parametrize(
    "text",
    ["[" * 5000, "a: &a [*a]", "a: 2026-99-99", "a: !!int x", "a: !!python/object:os.system x", "? [1]\n: 2",
     "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
         f"{c}: &{c} [{', '.join(['*' + b] * 9)}]\n" for b, c in zip("abcdefg", "bcdefgh", strict=True)),
     "_target_: models.recorded_curves.Table\nfolder: \"\\0\"\ndescription: {file: x, hyperparameters: [a], "
     "curve: {prefix: v, first: 1, last: 1}, metric: m, mode: min}",
     "_target_: " + "x" * 140_000, "_target_: models.recorded_curves.Table\nfolder: " + "x" * 5000
     + "\ndescription: {file: x, hyperparameters: [a], curve: {prefix: v, first: 1, last: 1}, metric: m, "
     "mode: min}",
     "\x1b[2J", "a: \"\\x", "a: ${b}", "- 1"],
)  # fmt: skip
def test_a_model_s_yaml_that_cannot_be_read_is_named(tmp_path, text):
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(SuiteError, match=r"m\.yaml|model|table x") as caught:
        recorder.check(tmp_path / "m.yaml")
    assert len(str(caught.value)) < 3000


_json = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.sampled_from([2**63, "t.csv", ".."])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)  # fmt: skip
_places = st.sampled_from(
    [
        ("resources",), ("resources", 0), ("resources", 0, "path"), ("resources", 0, "bytes"),
        ("resources", 0, "hash"), ("resources", 0, "schema"), ("resources", 0, "schema", "fields"),
        ("resources", 0, "schema", "fields", 0), ("resources", 0, "schema", "fields", 1, "name"),
        ("resources", 0, "curves"), ("resources", 0, "curves", "file"), ("resources", 0, "curves", "types"),
        ("resources", 0, "curves", "types", "on"), ("resources", 0, "curves", "curve"),
        ("resources", 0, "curves", "curve", "last"), ("resources", 0, "curves", "hyperparameters"),
        ("resources", 0, "curves", "hyperparameters", 0), ("resources", 0, "curves", "mode"),
        ("resources", 0, "curves", "sha256"), ("resources", 0, "curves", "escape"), ("provenance",),
    ]
)  # fmt: skip


@given(_places, _json)
def test_any_descriptor_gives_its_table_or_a_named_error(whole, place, value):
    folder, package = whole
    *way, last = place
    changed = inner = json.loads(package)
    for step in way:
        inner = inner[step]
    inner[last] = value
    (folder / "datapackage.json").write_text(json.dumps(changed))
    try:
        recorder.check(folder)
    except SuiteError as error:
        assert any(word in str(error) for word in ("datapackage.json", "t.csv", "table", "etric"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    search(root / "run", RandomSearch(EPOCHS, 5), Odd(), header=HEADER)
    recorder.record([root / "run"], root / "t")
    return root / "t", (root / "t" / "datapackage.json").read_text()


# --- which runs go together ----------------------------------------------------------------------


def _with_data(run: Path, to: Path, **data_set: Any) -> Path:
    """A copy of the run whose first worker says that it trained on this data set."""
    shutil.copytree(run, to)
    lines = [json.loads(line) for line in (to / "journal.jsonl").read_text().splitlines()]
    lines[0]["run_id"] = to.name
    joined = next(line for line in lines if line.get("event") == "joined")
    joined["facts"] = {**joined.get("facts", {}), "data_set": data_set}
    (to / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return to


def test_runs_of_unlike_data_do_not_go_together(run, tmp_path):
    digests = {"name": "digits", "stand_in": False, "sha256": "a" * 64}
    a = _with_data(run, tmp_path / "a", **digests)
    b = _with_data(run, tmp_path / "b", **{**digests, "sha256": "b" * 64})
    with pytest.raises(
        ConfigError, match=r"data_set\.sha256=.* must be the same data in one table"
    ):
        recorder.record([a, b], tmp_path / "t")
    recorder.record([a, _with_data(run, tmp_path / "c", **digests)], tmp_path / "t")


def test_runs_without_an_epoch_are_named(run, tmp_path, capsys):
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    kept = lines[: 1 + next(i for i, line in enumerate(lines) if line.get("event") == "joined")]
    (run / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
    assert door.main(["record", str(run), "--to", str(tmp_path / "t")]) == 1
    message = capsys.readouterr().err
    assert "lower --epochs" not in message and "name" in message
