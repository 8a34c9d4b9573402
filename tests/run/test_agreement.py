"""Workers of one run train on the same data by the same code, or are told apart by name."""

import doctest
import math

import pytest

from suite.core.errors import ConfigError
from suite.run import agreement
from suite.run.agreement import Agreement, data_label, differences

REAL = {
    "name": "cifar10", "sha256": "a" * 64, "stand_in": False, "split": "fixed", "split_sha256": "b" * 64,
    "n_train": 45000, "n_valid": 5000, "n_test": 10000,
}  # fmt: skip
STAND_IN = {**REAL, "sha256": "c" * 64, "stand_in": True, "n_train": 450}
OWN = {"code": "0123456789abcdef", "versions": {"suite": "0.1.0", "torch": "2.4.0"}}


def test_examples_of_the_docstrings():
    assert doctest.testmod(agreement).failed == 0


def test_equal_facts_do_not_differ_and_what_is_absent_is_unknown():
    assert differences({"data_set": REAL, **OWN}, {"data_set": dict(REAL), **OWN}) == []
    assert differences({"data_set": REAL, **OWN}, {}) == []
    assert differences({"versions": {"torch": "2"}}, {"versions": {"numpy": "2"}}) == []


@pytest.mark.parametrize("field", REAL)
def test_each_field_of_a_data_set_counts(field):
    other = {**REAL, field: "other"}
    assert [d.field for d in differences({"data_set": other}, {"data_set": REAL})] == [
        f"data_set.{field}"
    ]


def test_true_is_not_one_and_a_missing_field_is_a_difference():
    assert differences({"data_set": {**REAL, "stand_in": 0}}, {"data_set": REAL})
    assert differences({"data_set": {}}, {"data_set": REAL})[0].value is None


def test_a_worker_on_the_stand_in_is_refused_whoever_comes_first():
    for first, second in ((REAL, STAND_IN), (STAND_IN, REAL)):
        run = Agreement(OWN, "real")
        whys = []
        for data_set in (first, second):
            why = run.refusal({"data_set": data_set, **OWN}, "worker 1")
            if not why:
                run.joined({"data_set": data_set})
            whys.append(why)
        refused = whys[0 if first is STAND_IN else 1]
        assert refused.startswith("worker 1: data_set.stand_in=true, not false")
        assert "SUITE_DATA" in refused and "backend.agreement=record" in refused
        assert whys.count("") == 1


def test_other_data_of_the_same_label_are_refused_by_the_first_worker_s():
    run = Agreement(OWN, "real")
    run.joined({"data_set": REAL})
    why = run.refusal({"data_set": {**REAL, "sha256": "d" * 64}}, "worker 7")
    assert why.startswith("worker 7: data_set.sha256=dddddddddddd..., not aaaaaaaaaaaa...")


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"code": "fedcba9876543210"}, "code=fedcba9876543210, not 0123456789abcdef"),
        ({"versions": {"torch": "2.3.1"}}, "versions.torch=2.3.1, not 2.4.0"),
        ({"versions": {"suite": "0.0.9"}}, "versions.suite=0.0.9, not 0.1.0"),
    ],
)
def test_other_code_or_versions_are_refused_or_recorded(facts, field):
    assert field in Agreement(OWN, "real").refusal({**OWN, **facts}, "worker 2")
    assert Agreement(OWN, "real", "record").refusal({**OWN, **facts}, "worker 2") == ""


@pytest.mark.parametrize(
    "facts", [{"x": math.nan}, {"x": "y" * 100_000}, {"x": object()}, {"x": {1, 2}}]
)
def test_facts_that_no_journal_holds_are_refused_in_either_mode(facts):
    for when in ("refuse", "record"):
        assert "plain JSON" in Agreement(OWN, "real", when).refusal(facts, "worker 3")


def test_a_resumed_run_sees_the_data_it_was_begun_with():
    Agreement(OWN, "real").check_label("real")
    Agreement(OWN, "real").check_label(None)
    Agreement(OWN, "stand-in", "record").check_label("real")
    with pytest.raises(ConfigError, match="data=stand-in: the run was begun on data=real"):
        Agreement(OWN, "stand-in").check_label("real")


def test_the_label_is_that_of_what_trained():
    assert data_label("real", [REAL, STAND_IN]) == "stand-in"
    assert data_label("real", [STAND_IN]) == "stand-in"
    assert data_label("stand-in", [REAL]) == "real"
    assert data_label("real", [{}, None]) == "real"
    assert data_label("recorded", [STAND_IN]) == "recorded"
    assert data_label(None, []) is None


def test_a_worker_that_does_not_say_what_it_is_comes_from_an_older_version():
    why = Agreement(OWN, "real").refusal({"data_set": REAL}, "rank 2")
    assert why.startswith("rank 2: code=not stated, not 0123456789ab")
    assert "versions=not stated, not as in the run" in why
    assert Agreement(OWN, "real", "record").refusal({"data_set": REAL}, "rank 2") == ""
