"""A whole run over a device's path, without network or token: recorded, replayed, equal; no secret
in any file.
"""

import json
import os
import subprocess
import sys

import pytest

from kit.driving import ROOT

CANARY = "DEV-canary-77aa77aa"
NO_NETWORK = """
import socket
def refuse(self, address):
    raise OSError(f"the test has no network: {address}")
socket.socket.connect = socket.socket.connect_ex = refuse
"""
RUN = (
    "algorithm=swift_qsvr", "model=table_target", "backend=inline", "overlap=false", "seed=4",
    "max_epochs=27", "+common.n_curves=6", "tracking=later", "report=false", "predictor.num_reads=3",
    "predictor.rounds=4",
)  # fmt: skip
MOCK = ("predictor.sampler=mock", "+predictor.sampler_options={topology: zephyr, shape: [6, 4]}")


def run(folder, *overrides, token=None):
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site" / "sitecustomize.py").write_text(NO_NETWORK)
    away = {k: v for k, v in os.environ.items() if not k.startswith(("DWAVE_", "OMPI_", "PMI"))}
    env = away | {
        "PYTHONPATH": f"{folder / 'site'}:{ROOT}", "SUITE_RUNS": str(folder / "runs"),
        "SUITE_CACHE": str(folder / "cache"), "HOME": str(folder), "PYTHONSAFEPATH": "1",
    }  # fmt: skip
    if token:
        env["DWAVE_API_TOKEN"] = token
    done = subprocess.run(
        [sys.executable, "-m", "suite", *RUN, *overrides],
        cwd=folder, env=env, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    found = sorted((folder / "runs").rglob("journal.jsonl"), key=lambda path: path.stat().st_mtime)
    return done, found[-1] if found else None


def lines(journal, kind):
    read = [json.loads(line) for line in journal.read_text().splitlines()]
    return [line for line in read if line.get("event") == kind]


def answers(journal):
    return [(line["key"], line["values"]) for line in lines(journal, "forecast")]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("qpu")
    done, journal = run(folder, *MOCK, token=CANARY)
    assert done.returncode == 0, done.stderr
    return folder, journal, done


def test_what_the_device_answered_lies_beside_the_journal(recorded):
    _, journal, _ = recorded
    asked = lines(journal, "forecast")
    assert asked and {line["sampler"] for line in asked} == {"mock"}
    kept = (journal.parent / "samples.jsonl").read_text().splitlines()
    said = [line["sampler_info"] for line in asked if "sampler_info" in line]
    assert len(kept) == sum(info["n_calls"] for info in said) > 0
    assert {info["solver"] for info in said} == {"mock_zephyr_6x4"}


def test_the_record_says_what_sampled(recorded):
    _, journal, _ = recorded
    predictor = json.loads((journal.parent / "record.json").read_text())["predictor"]
    assert predictor["samplers"] == ["mock"] and predictor["qpu_access"]["value"] == 0
    assert 0 <= predictor["chain_break_fraction"]["value"] <= 1 and not predictor["fallbacks"]


def test_a_replay_gives_equal_forecasts_and_the_same_run(recorded):
    folder, journal, _ = recorded
    options = f"+predictor.sampler_options={{recording: {journal.parent}}}"
    done, again = run(folder, "predictor.sampler=replay", options)
    assert done.returncode == 0, done.stderr
    assert again != journal and answers(again) == answers(journal)
    both = [json.loads((j.parent / "record.json").read_text()) for j in (journal, again)]
    assert both[0]["result"] == both[1]["result"]
    assert not (again.parent / "samples.jsonl").exists()


def test_a_planted_token_is_in_no_file_and_in_no_output(recorded):
    folder, _, done = recorded
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        assert b"canary" not in path.read_bytes(), path
    assert "canary" not in done.stdout + done.stderr


def test_without_a_token_the_run_goes_on_unpredicted_and_says_why(tmp_path):
    done, journal = run(tmp_path, "predictor.sampler=qpu")
    assert done.returncode == 0, done.stderr
    failed = lines(journal, "forecast_failed")
    assert failed and {line["reason"] for line in failed} == {"TokenError"}
    assert "DWAVE_API_TOKEN" in failed[0]["message"] and not lines(journal, "forecast")


def test_a_fallback_that_was_asked_for_takes_over_and_is_recorded(tmp_path):
    done, journal = run(tmp_path, "predictor.sampler=qpu", "predictor.fallback=simulated")
    assert done.returncode == 0, done.stderr
    found = lines(journal, "forecast")
    assert found and {line["sampler"] for line in found} == {"simulated (for qpu: TokenError)"}
    record = json.loads((journal.parent / "record.json").read_text())
    assert record["predictor"]["fallbacks"] and not lines(journal, "forecast_failed")
