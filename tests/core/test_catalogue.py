"""The catalogue of published tables: what it holds, and that a fault of it is said by table and key."""

import copy

import pytest
import yaml

from kit.driving import CONF
from kit.tables import needed
from suite.core.catalogue import chosen, parse
from suite.core.curve_table import parse as parse_table
from suite.core.errors import ConfigError
from suite.core.table_description import Description
from suite.files import published_tables

TEXT = (CONF / "curve_tables.yaml").read_text()
ENTRIES = published_tables()
FAMILIES = {
    "lcbench", "taskset", "deepobs", "algoperf", "rl", "klein", "nasbench_nlp", "alexnet", "baker", "authors",
}  # fmt: skip


def changed(family, table=None, **changes):
    """The catalogue's text with other keys of one family or table; None takes a key away."""
    values = copy.deepcopy(yaml.safe_load(TEXT))
    node = values[family] if table is None else values[family]["tables"][table]
    for key, value in changes.items():
        node.pop(key, None)
        if value is not None:
            node[key] = value
    return yaml.safe_dump({family: values[family]}, sort_keys=False)


def test_it_holds_the_bank_the_first_four_and_the_two_of_metaqnn():
    assert len(ENTRIES) == 32 + 4 + 2
    assert {entry.family for entry in ENTRIES.values()} == FAMILIES
    assert len(chosen(ENTRIES, "lcbench")) == 12 and len(chosen(ENTRIES, None)) == 38
    surrogates = {entry.family for entry in ENTRIES.values() if entry.kind == "SURROGATE"}
    assert surrogates == {"lcbench"}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda entry: entry.name)
def test_an_entry_is_a_description_and_what_it_counts_is_so(entry):
    described = Description.of(entry.description())
    assert described.curve.last - described.curve.first + 1 == entry.max_epochs
    path = needed(entry)
    table = parse_table(described, path.read_text())
    n_rows = sum(map(len, table.recordings))
    counted = n_rows, len(table.configs), table.n_failed, table.n_epochs
    assert counted == (entry.rows, entry.configurations, entry.failed, entry.max_epochs)
    if entry.scales_from == "cells":
        # The stated scales say what the cells say: these tables are searched as they always were.
        described = {**entry.description(), "scales": dict(entry.scales)}
        stated = parse_table(described, path.read_text()).parameters
        assert stated == table.parameters


def test_the_budget_is_hyperbands_at_eta_2():
    from suite.core.brackets import hyperband_plan

    for entry in ENTRIES.values():
        assert hyperband_plan(entry.max_epochs, 2).n_epochs == entry.n_epochs, entry.name


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"scales": None}, "scales: missing"),
        ({"scales": {}}, "scales: missing; name the scale of each hyperparameter"),
        ({"scales": {"lr": "logg"}}, r"scales\.lr=logg: must be one of"),
        ({"mode": "least"}, "mode=least: must be min or max"),
        ({"data": "surogate"}, "data=surogate: must be .*Did you mean surrogate"),
        ({"rows": None}, "rows: missing"),
        ({"rowz": 3}, "rowz: unknown.*Did you mean rows"),
        ({"commit": "main"}, "commit=main: must be 40 hexadecimal digits"),
    ],
)
def test_a_fault_is_said_by_table_and_key(changes, says):
    with pytest.raises(ConfigError, match=rf"curve_tables\.yaml: lcbench_126026: .*{says}"):
        parse(changed("lcbench", **changes))


def test_a_digest_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"rl_ppo_pong: sha256=abc: must be 64 hexadecimal"):
        parse(changed("rl", "rl_ppo_pong", sha256="abc"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: {tables: {b: [}", "line 1: is not YAML"),
        ("a: \x1b", "is not YAML"),
        ("- a", "must hold families"),
        ("a: 3", "a: must be a family with `tables`"),
        ("a: {tables: {b: [1]}}", "b: must hold the keys of its own"),
        (f"a: {{tables: {{b: {{mode: {'[' * 5000}{']' * 5000}}}}}}}", "b: nests too deeply|b: "),
    ],
)
def test_a_catalogue_that_cannot_be_read_is_named(text, says):
    with pytest.raises(ConfigError, match=rf"curve_tables\.yaml: .*({says})"):
        parse(text)


def test_one_name_is_one_table():
    twice = TEXT + "again:\n  tables:\n    mlpf: {}\n"
    with pytest.raises(ConfigError, match="mlpf: stands twice"):
        parse(twice)


def test_an_unknown_family_is_refused_with_the_close_one():
    with pytest.raises(ConfigError, match="--family=lcbanch: unknown.*Did you mean lcbench"):
        chosen(ENTRIES, "lcbanch")
