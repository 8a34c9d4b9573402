"""The header of a journal, parsed once: of today's runs and of revision 0e27403's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kit.report_runs import write_run
from kit.simulated import header
from suite.core.errors import JournalError
from suite.report.groups import collect
from suite.results import header as headers
from suite.results.header import Parts, parse_header

SUITE = Path(headers.__file__).parents[1]


def leaves(
    scheduler: str, predictor: str | None = None, searcher: str = "suite.searchers.random.Random"
):
    """A configuration as 0e27403 wrote it: classes, no choices."""
    return {
        "scheduler": {"_target_": scheduler},
        "predictor": {"_target_": predictor},
        "searcher": {"_target_": searcher},
    }


HYPERBAND = leaves("suite.schedulers.hyperband.Hyperband")
ASHA = leaves("suite.schedulers.asha.Asha")
CONSTANT = leaves(
    "suite.schedulers.swift_hyperband.SwiftHyperband", "suite.predictors.constant.Constant"
)


@pytest.mark.parametrize(
    ("label", "config", "algorithm"),
    [
        ("hyperband", HYPERBAND, "hyperband"),
        ("hyperband", ASHA, "asha"),
        ("swift_svr", CONSTANT, "swift_constant"),
        ("mine", ASHA, "mine"),
        (
            "hyperband",
            leaves("suite.schedulers.pasha.Pasha", None, "suite.searchers.tpe.Tpe"),
            "pasha+tpe",
        ),
        ("hyperband", {}, "hyperband"),
    ],
)
def test_an_old_run_is_named_by_what_ran(label, config, algorithm):
    parsed = parse_header(header(algorithm=label, config=config), "run")
    assert parsed.algorithm == algorithm and parsed.label == label
    assert parsed.mislabelled == (label != algorithm)


def test_the_published_encoding_is_an_algorithm_of_its_own():
    config = leaves("suite.schedulers.swift_hyperband.SwiftHyperband", "suite.predictors.qsvr.QSVR")
    config["predictor"]["encoding"] = "published"
    parsed = parse_header(header(algorithm="swift_qsvr_published", config=config), "run")
    assert parsed.algorithm == "swift_qsvr_published"
    assert parsed.parts == Parts("swift_hyperband", "qsvr_published", "random")


def test_the_three_choices_of_a_new_header_count():
    choices = {"scheduler": "mine", "predictor": "none", "searcher": "tpe", "task": None}
    parsed = parse_header(header(algorithm="mine+tpe", choices=choices, config=ASHA), "run")
    assert parsed.algorithm == "mine+tpe" and parsed.parts == Parts("mine", "none", "tpe")
    assert not parsed.is_baseline


def test_the_baseline_of_a_report_is_found_by_what_ran(tmp_path):
    """D1: at 0e27403 the ASHA run stood for Hyperband."""
    write_run(tmp_path / "a", algorithm="hyperband", config=ASHA)
    write_run(tmp_path / "b", algorithm="hyperband", config=HYPERBAND, seed=1)
    (group,), _ = collect([tmp_path])
    assert group.baseline == "hyperband" and [run.seed for run in group.of("hyperband")] == [1]
    assert [run.seed for run in group.of("asha")] == [0]
    assert any("calls itself hyperband, but asha ran" in warning for warning in group.warnings)


@pytest.mark.parametrize(
    ("change", "simulated"),
    [
        ({"config": {"backend": {"kind": "simulate"}}}, True),
        ({"config": {"backend": {"kind": "inline"}}}, False),
        ({"config": {"backend": {"_target_": "suite.backends.simulate.Simulate"}}}, True),
        ({"config": {"backend": {"_target_": "mine.Cluster"}}, "simulated": True}, True),
        ({"config": None}, False),
    ],
)
def test_a_header_says_whether_its_seconds_were_made_up(change, simulated):
    assert parse_header(header(**change), "run").simulated is simulated


def test_a_wrong_mode_is_refused_by_name():
    target = header()["target"] | {"mode": "maximize"}
    with pytest.raises(JournalError, match="target.mode=maximize: must be min or max"):
        parse_header(header(target=target), "run")


def test_no_reader_but_the_parser_asks_a_header_by_key():
    keyed = re.compile(r"header(?:\[|\.get\()")
    folders = ("results", "report", "track", "compare", "curves", "retrain")
    files = [path for folder in folders for path in (SUITE / folder).glob("*.py")]
    asking = [
        path.name
        for path in files
        if path.name != "header.py" and keyed.search(path.read_text("utf-8"))
    ]
    assert not asking
