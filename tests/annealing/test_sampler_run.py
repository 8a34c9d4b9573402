"""A run with a stranger's sampler from YAML: recorded, checked, replayed; faults cost forecasts alone."""

import json

import pytest

from kit import submissions
from kit.driving import configured
from kit.falsifications import findings
from suite.check.findings import Asked
from suite.check.submission import check
from suite.launch.execute import run
from suite.run import journal as journals

RUN = (
    "algorithm=swift_qsvr", "model=table_target", "backend=inline", "overlap=false", "seed=4",
    "max_epochs=27", "+common.n_curves=6", "tracking=later", "report=false", "predictor.num_reads=3",
    "predictor.rounds=4",
)  # fmt: skip
GREEDY = "predictor.sampler={_target_: kit.samplers.Greedy, starts: 2}"


@pytest.fixture(autouse=True)
def kit_is_admitted(monkeypatch):
    monkeypatch.setenv("SUITE_PLUGINS", "kit")


def searched(folder, *words):
    outcome = run(configured(*RUN, *words), folder)
    assert (outcome.status, outcome.reason) == ("completed", "")
    return read(folder)


def read(folder):
    return [json.loads(line) for line in (folder / journals.NAME).read_text().splitlines()]


def of(lines, kind):
    return [line for line in lines if line.get("event") == kind]


def test_a_run_is_recorded_checked_again_and_replayed_alike(tmp_path, no_fsync):
    submissions.run(tmp_path / "one", (*RUN, GREEDY))
    lines = read(tmp_path / "one")
    forecasts = of(lines, "forecast")
    assert forecasts and {line["sampler"] for line in forecasts} == {"Greedy"}
    calls = sum(line["sampler_info"]["n_calls"] for line in forecasts if "sampler_info" in line)
    assert len((tmp_path / "one" / "samples.jsonl").read_text().splitlines()) == calls
    packed = submissions.submission(tmp_path / "packed" / "mine", [tmp_path / "one"])
    (checked,) = check([packed], Asked())
    (finding,) = [one for one in findings(checked) if one.rule == "forecasts"]
    assert finding.status == "pass" and "from the recorded sample sets" in finding.text
    recording = f"+predictor.sampler_options={{recording: {tmp_path / 'one'}}}"
    again = searched(tmp_path / "two", "predictor.sampler=replay", recording)
    assert [line["values"] for line in of(again, "forecast")] == [
        line["values"] for line in forecasts
    ]


@pytest.mark.parametrize(
    ("fault", "words", "reason"),
    [
        ("energies", (), "WrongAnswer"),
        ("raises", (), "SamplerRaised"),
        ("hangs", ("predictor.sampler_deadline_s=0.05",), "DeadlinePassed"),
    ],
)
def test_a_fault_of_the_sampler_costs_the_forecast_and_not_the_run(
    fault, words, reason, tmp_path, no_fsync
):
    wrong = f"predictor.sampler={{_target_: kit.samplers.Wrong, fault: {fault}}}"
    lines = searched(tmp_path, wrong, *words)
    failed = of(lines, "forecast_failed")
    assert failed and {line["reason"] for line in failed} == {reason} and not of(lines, "forecast")


def test_a_fallback_answers_in_its_place_and_the_journal_says_for_whom(tmp_path, no_fsync):
    wrong = "predictor.sampler={_target_: kit.samplers.Wrong, fault: array}"
    lines = searched(tmp_path, wrong, "predictor.fallback=simulated")
    assert {line["sampler"] for line in of(lines, "forecast")} == {
        "simulated (for Wrong: WrongAnswer)"
    }
