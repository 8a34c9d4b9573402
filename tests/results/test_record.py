"""Records: of whole, cut and failing runs; what their schema refuses; what they must not tell."""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kit.driving import compose
from kit.simulated import Played, facts, header, swift
from suite.core import types as t
from suite.core.errors import JournalError
from suite.core.run_settings import RunSettings
from suite.launch import execute
from suite.results import fold, schema
from suite.results import record as records
from suite.schedulers.swift_hyperband import SwiftHyperband

FAULTS = {"p_loss": 0.02, "p_fail": 0.03, "p_cut": 0.02}
UNITS = {
    "ranks",
    "s",
    "h",
    "1",
    "epochs",
    "trials",
    "jobs",
    "forecasts",
    "curves",
    "workers",
    "bytes",
    "lines",
    "resumes",
    "restarts",
    "threads",
    "cores",
}


@pytest.fixture
def record(tmp_path, no_fsync) -> dict[str, Any]:
    """Of a run that met everything."""
    Played(tmp_path / "run", swift, seed=1, drift=0.01, **FAULTS).play()
    return records.build(tmp_path / "run")


def numbers(node: Any, at: str = "record") -> Iterator[tuple[str, Any]]:
    """Every bare number and every {value, unit}, with its place; settings are left out."""
    if isinstance(node, dict):
        if set(node) == {"value", "unit"}:
            yield at, node
            return
        for key, value in node.items():
            if key != "config":
                yield from numbers(value, f"{at}.{key}")
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from numbers(value, f"{at}[{i}]")
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield at, node


# --- what a record says ---------------------------------------------------------------------------


def test_a_record_says_what_the_conductor_knew(tmp_path, no_fsync):
    done = Played(tmp_path / "run", swift, seed=1, drift=0.01, **FAULTS).play().conductor
    record = records.build(tmp_path / "run")
    records.validate(record)
    assert record["status"] == "completed"
    epochs = {key: number["value"] for key, number in record["epochs"].items()}
    assert epochs == {
        "used": done.n_epochs,
        "counted": done.n_epochs,
        "retrained": done.counts.n_retrained,
        "differing": done.counts.n_differences,
        "max_difference": done.counts.max_difference,
    }
    assert done.counts.n_differences > 0
    winner = record["result"]["winner"]
    assert winner["trial_id"] == done.winner
    assert winner["config"] == done.trials[done.winner].config
    assert winner["validation"]["value"] == done.trials[done.winner].curve[26]
    assert winner["test"] == {"value": 0.25, "unit": "1"}
    assert record["result"]["best"]["validation"]["value"] <= winner["validation"]["value"]
    trials = record["trials"]
    parts = (
        "finished",
        "stopped_by_prediction",
        "cut_by_scheduler",
        "diverged",
        "given_up",
        "open",
    )
    assert sum(trials[part]["value"] for part in parts) == trials["total"]["value"]
    assert trials["total"]["value"] == len(done.trials)
    assert trials["stopped_by_prediction"]["value"] == len(done.scheduler.stopped_at)
    assert {entry["trial_id"] for entry in trials["reasons"]} == set(done.given_up)
    assert record["workers"]["lost"]["value"] > 0
    assert record["journal"]["resumes"]["value"] > 0
    assert record["predictor"]["forecasts"]["value"] > 0
    assert record["predictor"]["fit"]["value"] == pytest.approx(
        0.4 * record["predictor"]["forecasts"]["value"]
    )


def test_every_number_has_its_unit(record):
    bare = {at for at, found in numbers(record) if not isinstance(found, dict)}
    names = {at.rpartition(".")[2] for at in bare}
    assert names <= {"seed", "trial_id", "trial_seed", "worker"}  # identifiers
    assert {found["unit"] for _, found in numbers(record) if isinstance(found, dict)} <= UNITS


def test_worker_seconds_add_up_and_hours_follow_from_them(record):
    lives = record["workers"]["lives"]
    there = sum(life["left"]["value"] - life["joined"]["value"] for life in lives)
    time = record["time"]
    assert time["busy"]["value"] + time["idle"]["value"] == pytest.approx(there)
    assert record["cost"]["worker_hours"]["value"] == pytest.approx(there / 3600)
    assert record["cost"]["gpu_hours"]["value"] == 0
    assert 0 < record["cost"]["node_hours"]["value"] < record["cost"]["worker_hours"]["value"]
    overhead = dict(time["overhead"])
    total = overhead.pop("total")["value"]
    assert total == pytest.approx(sum(part["value"] for part in overhead.values()), abs=1e-5)


def test_gpu_hours_count_each_device_of_a_node_once(tmp_path, no_fsync):
    Played(tmp_path / "run", device="cuda:0").play()
    cost = records.build(tmp_path / "run")["cost"]
    assert cost["gpu_hours"]["value"] == cost["node_hours"]["value"] > 0  # one device a node


def test_a_record_tells_the_accelerators_of_a_node_apart(tmp_path, monkeypatch, no_fsync):
    def own(worker, device):
        return facts(worker, device) | {"device_id": f"gpu{worker}"}

    monkeypatch.setattr("kit.simulated.facts", own)
    Played(tmp_path / "run", device="cuda:0").play()
    record = records.build(tmp_path / "run")
    records.validate(record)
    assert [life["device_id"] for life in record["workers"]["lives"]] == ["gpu1", "gpu2", "gpu3"]
    assert record["cost"]["gpu_hours"] == record["cost"]["worker_hours"]  # each its own


def test_a_record_says_how_often_the_batch_system_started_the_job_again(tmp_path, no_fsync):
    played = Played(tmp_path / "run")
    played.play(20)
    assert records.build(tmp_path / "run")["journal"]["restarts"] is None
    journal = tmp_path / "run" / "journal.jsonl"
    again = {"event": "resumed", "time_s": 99.0, "settings": {"restart_count": 2}}
    journal.write_text(journal.read_text() + json.dumps(again) + "\n")
    record = records.build(tmp_path / "run")
    records.validate(record)
    assert record["journal"]["restarts"] == {"value": 2, "unit": "restarts"}


@pytest.mark.parametrize("n_steps", [0, 3, 50])
def test_a_crashed_run_gives_a_record(tmp_path, n_steps, no_fsync):
    played = Played(tmp_path / "run", p_loss=0.02)
    played.play(n_steps)
    with open(tmp_path / "run" / "journal.jsonl", "ab") as file:
        file.write(b'{"event":"epo')  # it died while writing
    record = records.load(records.write(tmp_path / "run"))
    assert record["status"] == "unfinished"
    assert record["result"]["winner"] is None
    assert record["epochs"]["used"]["value"] == played.conductor.n_epochs
    assert record["jobs"]["running"]["value"] == len(played.conductor.in_flight)


@pytest.mark.parametrize("status", ["interrupted", "failed"])
def test_the_status_is_the_closing_line_s(tmp_path, status, no_fsync):
    played = Played(tmp_path / "run")
    for _ in range(20):
        played.step()
    played.close(status, "because of /home/jane/why.txt")
    record = records.build(tmp_path / "run")
    assert (record["status"], record["reason"]) == (status, "because of <path>/why.txt")
    assert record["trials"]["open"]["value"] > 0
    assert record["jobs"]["cut"]["value"] > 0


def test_a_metric_to_be_maximised_has_its_own_sign(tmp_path, no_fsync):
    target = {"metric": "val_accuracy", "mode": "max", "data": "real", "framework": "torch"}
    Played(tmp_path / "run", target=target).play()
    record = records.build(tmp_path / "run")
    records.validate(record)
    assert record["result"]["winner"]["validation"]["value"] < 0  # the played objective is positive
    assert record["data"] == "real"


def test_what_a_header_does_not_say_is_null(tmp_path, no_fsync):
    unknown = ("suite_version", "experiment", "n_workers", "overlap", "reproducible", "config")
    others = ("versions", "git", "host", "image")
    Played(tmp_path / "run").play(30)
    journal = tmp_path / "run" / "journal.jsonl"
    head, _, rest = journal.read_text().partition("\n")
    known = {k: v for k, v in json.loads(head).items() if k not in unknown + others}
    journal.write_text(json.dumps(known) + "\n" + rest)
    record = records.build(tmp_path / "run")
    records.validate(record)
    assert record["workers"]["asked"] is None
    assert [record[name] for name in unknown if name != "n_workers"] == [None] * 5
    assert record["environment"] == dict.fromkeys(others)


def test_one_journal_gives_one_record_and_the_file_is_replaced_as_a_whole(tmp_path, no_fsync):
    played = Played(tmp_path / "run")
    played.play(30)
    first = records.write(tmp_path / "run").read_bytes()
    assert records.write(tmp_path / "run").read_bytes() == first
    played.resume()
    played.play()
    assert records.write(tmp_path / "run").read_bytes() != first
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "journal.jsonl",
        "record.json",
        "run.lock",
    }


def test_a_record_that_cannot_be_made_leaves_the_last_one(tmp_path, monkeypatch, no_fsync):
    Played(tmp_path / "run").play(30)
    first = records.write(tmp_path / "run").read_bytes()
    monkeypatch.setattr(schema, "VERSION", "9.9.9")
    with pytest.raises(JournalError, match=r"record\.schema_version"):
        records.write(tmp_path / "run")
    assert (tmp_path / "run" / "record.json").read_bytes() == first


# --- what a record must not tell ------------------------------------------------------------------


def test_no_secret_user_host_or_home_gets_into_a_record(tmp_path, monkeypatch, no_fsync):
    host = {"cpu": "a processor", "n_cores": 2, "os": "Linux", "hostname": "login07", "user": "jd"}
    config = {"backend": {"checkpoints": "/scratch/janedoe/x"}, "note": "janedoe at login07"}
    played = Played(tmp_path / "run", host=host, config=config)
    monkeypatch.setenv("SUITE_CANARY_TOKEN", "canary-55aa55aa")
    monkeypatch.setenv("USER", "janedoe")
    monkeypatch.setenv("HOME", "/home/janedoe")
    monkeypatch.setattr(socket, "gethostname", lambda: "login07.cluster.example")
    played.play(20)
    journal = tmp_path / "run" / "journal.jsonl"
    said = "canary-55aa55aa of janedoe at login07: /home/janedoe/.config/x"
    line = {"event": "lost", "worker": 1, "message": said, "time_s": 99.0}
    journal.write_text(journal.read_text() + json.dumps(line) + "\n")
    text = records.write(tmp_path / "run").read_text()
    assert "<secret> of <user> at <host>: <path>" in text
    for word in ("canary", "55aa", "janedoe", "login07", "/home", "/scratch", '"jd"', "hostname"):
        assert word not in text
    assert str(Path.cwd()) not in text


# --- what warming up took --------------------------------------------------------------------------


def test_a_record_says_what_warming_up_took_apart_from_the_run(tmp_path, no_fsync):
    said = {**facts(1), "stage_s": 2.0, "warm_up_s": 2.5}
    Played(tmp_path / "run").send(t.WorkerJoined(7, facts=said), t.WorkerJoined(8, facts=said))
    record = records.build(tmp_path / "run")
    records.validate(record)
    assert record["time"]["warm_up"] == {"value": 5.0, "unit": "s"}
    assert record["workers"]["lives"][-1]["warm_up"] == {"value": 2.5, "unit": "s"}
    assert record["workers"]["lives"][0]["warm_up"] is None


@pytest.mark.parametrize("value", [-1.0, "1", [1.0]])
def test_a_warm_up_that_is_no_time_is_refused(tmp_path, no_fsync, value):
    Played(tmp_path / "run").send(t.WorkerJoined(7, facts={**facts(1), "warm_up_s": value}))
    with pytest.raises(JournalError, match="warm_up_s"):
        records.build(tmp_path / "run")


@pytest.mark.parametrize("version", ["1.1.0", "1.2.0"])
def test_a_record_of_a_version_before_is_read_as_one_of_this(record, tmp_path, version):
    before = {**json.loads(records.dumps(record)), "schema_version": version}
    del before["allocations"], before["cost"]["handed_back"], before["workers"]["released"]
    for life in before["workers"]["lives"]:
        del life["released"]
    (tmp_path / "record.json").write_text(json.dumps(before))
    assert records.load(tmp_path / "record.json") == json.loads(records.dumps(record))


def test_a_record_of_the_first_version_is_read_as_one_of_this(record, tmp_path):
    older = json.loads(records.dumps(record))
    older["schema_version"] = "1.0.0"
    del older["allocations"]
    del older["time"]["warm_up"]
    for life in older["workers"]["lives"]:
        del life["warm_up"]
    path = tmp_path / "record.json"
    path.write_text(json.dumps(older))
    assert records.load(path) == json.loads(records.dumps(record))
    for broken in ({"schema_version": "1.0.0"}, {"schema_version": "1.0.0", "time": 3}):
        path.write_text(json.dumps(broken))
        with pytest.raises(JournalError):
            records.load(path)


# --- what the schema refuses ----------------------------------------------------------------------


def test_the_schema_is_a_schema_and_describes_every_number():
    found = json.loads(schema.SCHEMA.read_text())
    Draft202012Validator.check_schema(found)
    assert found["$schema"].endswith("2020-12/schema")
    assert found["properties"]["schema_version"]["const"] == schema.VERSION

    def walk(node: Any, at: str) -> None:
        if not isinstance(node, dict):
            return
        types = node.get("type", [])
        if "number" in types or "integer" in types or "#/$defs/" in str(node.get("$ref")):
            assert node.get("description"), f"{at} has no description"
        if node.get("type") == "object" and "properties" in node:
            closed = node.get("unevaluatedProperties", node.get("additionalProperties"))
            assert closed is False, f"{at} is open"
            assert sorted(node["required"]) == sorted(node["properties"]), f"{at} has optional keys"
        for key, value in node.get("properties", {}).items():
            walk(value, f"{at}.{key}")
        walk(node.get("items"), f"{at}[]")

    walk(found, "record")
    for name, definition in found["$defs"].items():
        walk(definition, name)


def changed(record: dict[str, Any], at: str, value: Any) -> dict[str, Any]:
    """A copy with one place changed; value `...`: removed."""
    copy = json.loads(json.dumps(record))
    node, *rest = copy, *at.split(".")
    for key in rest[:-1]:
        node = node[int(key) if isinstance(node, list) else key]
    if value is ...:
        del node[rest[-1]]
    else:
        node[rest[-1]] = value
    return copy


@pytest.mark.parametrize(
    ("at", "value", "named"),
    [
        ("unheard_of", 1, "record:"),
        ("result.best.unheard_of", 1, "record.result.best"),
        ("workers.lives.0.hostname", "x", r"record.workers.lives\[0\]"),
        ("time.wall.unit", "min", "record.time.wall.unit"),
        ("time.wall.value", "1", "record.time.wall.value"),
        ("time.wall.value", -1.0, "record.time.wall.value"),
        ("time.wall", 12.5, "record.time.wall"),
        ("epochs.used.value", 1.5, "record.epochs.used.value"),
        ("trials.total.unit", "jobs", "record.trials.total.unit"),
        ("status", "running", "record.status"),
        ("data", "fake", "record.data"),
        ("schema_version", "2.0.0", "record.schema_version"),
        ("journal.sha256", "0", "record.journal.sha256"),
        ("seed", ..., "record"),
        ("result.best.validation.value", math.nan, "record.result.best.validation.value=nan"),
        ("config.learning_rate", math.inf, "record.config.learning_rate=inf"),
    ],
)
def test_what_is_not_by_the_schema_is_refused_by_its_place(record, at, value, named):
    records.validate(record)
    with pytest.raises(JournalError, match=named):
        records.validate(changed(record, at, value))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"status": NaN}', "NaN is not JSON"),
        ('{"status": -Infinity}', "-Infinity is not JSON"),
        ('{"status": "a", "status": "b"}', "'status' stands twice"),
        ('{"status": {"a": 1, "a": 1}}', "'a' stands twice"),
        ("[" * 100_000, "not strict JSON"),
        ("{", "not strict JSON"),
        ("\xff", "byte 0 is not UTF-8 text"),
        ("[]", "record"),
        ('{"reason": "' + "x" * schema.MAX_BYTES + '"}', "must be at most"),
    ],
    ids=["nan", "infinity", "twice", "twice below", "deep", "cut", "latin-1", "list", "large"],
)
def test_a_file_that_is_no_record_is_refused(tmp_path, text, named):
    path = tmp_path / "record.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(JournalError, match=named):
        records.load(path)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(JournalError, match="cannot be read"):
        records.load(tmp_path / "record.json")


# --- from the command line's floor ----------------------------------------------------------------


def test_a_launched_run_leaves_a_record_that_says_what_it_ran_on(tmp_path):
    config = compose("model=table_target", "backend=inline", "max_epochs=9", "eta=3")
    assert execute.run(RunSettings.of(config), tmp_path / "run").status == "completed"
    record = records.load(tmp_path / "run" / "record.json")
    head = json.loads((tmp_path / "run" / "journal.jsonl").read_text().partition("\n")[0])
    # What the other tests play is what launch writes; they leave out `choices` and `code`, as 0e27403 did.
    assert set(head) == {"journal", "choices", "code", *header()}
    assert set(head["target"]) == set(header()["target"])
    assert record["data"] == "synthetic"
    assert record["cost"]["core_hours"]["value"] > 0
    assert record["environment"]["host"]["n_cores"]["value"] >= 1
    assert record["config"]["scheduler"]["_target_"].endswith("Hyperband")
    life = record["workers"]["lives"][0]
    assert (life["node"], life["device"]) == ("node0", "cpu")
    assert life["n_threads"] == {"value": 1, "unit": "threads"}


# --- what annealed --------------------------------------------------------------------------------


def annealed(folder: Path, *infos: dict[str, Any] | None) -> dict[str, Any]:
    """The record's predictor, of a run whose first forecasts say these `infos`."""
    Played(folder, lambda: SwiftHyperband(64, 2, n_curves=2), seed=1).play()
    path, left = folder / "journal.jsonl", [*infos]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        if row.get("event") == "forecast" and left and (info := left.pop(0)) is not None:
            row |= {"sampler": info["sampler"], "sampler_info": info}
    assert not left, "fewer forecasts than infos"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    record = records.build(folder)
    records.validate(record)
    found: dict[str, Any] = record["predictor"]
    return found


def test_device_seconds_add_up_and_chain_breaks_are_averaged_over_fits(tmp_path, no_fsync):
    device = {"sampler": "qpu", "n_calls": 3, "n_reads": 12, "solver": "made_1"}
    predictor = annealed(
        tmp_path / "run",
        device | {"qpu_access_time_s": 0.5, "chain_break_fraction": 0.1},
        None,  # a model that was asked again
        device | {"qpu_access_time_s": 0.25, "chain_break_fraction": 0.3},
        {"sampler": "simulated", "n_calls": 3, "n_reads": 12},
    )
    assert predictor["qpu_access"] == {"value": 0.75, "unit": "s"}
    assert predictor["chain_break_fraction"] == {"value": 0.2, "unit": "1"}
    assert predictor["fallbacks"] == [] and {"qpu", "simulated"} <= set(predictor["samplers"])


def test_without_a_device_there_are_no_chains(tmp_path, no_fsync):
    predictor = annealed(tmp_path / "run", {"sampler": "simulated", "n_calls": 3, "n_reads": 12})
    assert predictor["qpu_access"] == {"value": 0, "unit": "s"}
    assert predictor["chain_break_fraction"] is None and predictor["fallbacks"] == []


def test_each_reason_of_a_fallback_is_said_once_and_names_no_machine(
    tmp_path, monkeypatch, no_fsync
):
    monkeypatch.setattr(socket, "gethostname", lambda: "login07.cluster.example")
    said = ["RecordingMissing: /home/janedoe/x at login07", "SolverUnavailable: offline"]
    infos = [{"sampler": "qpu", "fallback_why": why} for why in (*said, said[0])]
    predictor = annealed(tmp_path / "run", *infos)
    assert len(predictor["fallbacks"]) == 2 and said[1] in predictor["fallbacks"]
    assert "RecordingMissing: <path> at <host>" in predictor["fallbacks"]


def test_a_record_counts_what_was_trained_ahead_apart_and_says_what_rules_measured(tmp_path):
    """On the virtual cluster idle workers may train what a decision then drops."""
    config = compose(
        "model=table_target", "algorithm=swift_save", "virtual_cluster.speculate=true",
        "virtual_cluster.nominal_workers=16",
        "backend=simulate", "backend.workers=30", "max_epochs=64", "score_test=false",
        "report=false", "tracking=later",
    )  # fmt: skip
    done = execute.run(RunSettings.of(config), tmp_path / "run")
    assert done.status == "completed", done.reason
    view, record = fold.load_run(tmp_path / "run"), records.build(tmp_path / "run")
    records.validate(record)
    counted = sum(len(trial.epochs) for trial in view.trials.values())
    epochs = {key: number["value"] for key, number in record["epochs"].items()}
    assert epochs["counted"] == counted < epochs["used"] == view.n_epochs
    assert view.counts.n_ahead == epochs["used"] - counted
    assert record["overlap"] == "logical" and record["reproducible"] == "whole run"
    assert record["measured"]["searcher"]["counts"]["proposals"] > 0
    assert record["measured"]["scheduler"]["gate"]["dropped"] > 0
    assert "fallback" in record["measured"]["scheduler"]["model"]
