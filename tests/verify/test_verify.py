"""`swiftbench verify`: a run as it was written passes every check; one that was changed fails by name."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from jsonschema import Draft202012Validator

from kit.driving import compose
from suite.core.run_settings import RunSettings
from suite.launch import execute
from suite.results import record as records
from suite.run.journal import NAME
from suite.run.paths import SCHEMAS
from suite.verify import __main__ as door
from suite.verify.checks import verify
from suite.verify.same import first_difference


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A completed run, with its record."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    words = ("model=table_target", "max_epochs=4", "eta=2", "backend=inline", "name=verified")
    outcome = execute.run(RunSettings.of(compose(*words)), folder)
    assert outcome.status == "completed", outcome.reason
    return folder


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def statuses(folder):
    return {check.name: check.status for check in verify(folder, "run").checks}


def text(folder, name):
    return next(check.text for check in verify(folder, "run").checks if check.name == name)


def edit(folder, number, **changes):
    """Change keys of one line, numbered from 1."""
    path = folder / NAME
    rows = path.read_text().splitlines()
    line = json.loads(rows[number - 1])
    rows[number - 1] = json.dumps(line | changes, separators=(",", ":"))
    path.write_text("\n".join(rows) + "\n")


def number_of(folder, kind, nth=0):
    rows = (folder / NAME).read_text().splitlines()
    return [i for i, row in enumerate(rows, 1) if json.loads(row).get("event") == kind][nth]


def test_a_run_as_it_was_written_passes_every_check(run, capsys):
    assert statuses(run) == dict.fromkeys(
        ("journal", "order", "header", "replay", "record"), "pass"
    )
    assert door.main([str(run.parent)]) == 0
    assert "1 of 1 run verified" in capsys.readouterr().out


def test_looking_changes_nothing_in_the_folder(run):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    verify(run, "run")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_the_document_follows_its_schema(run, capsys):
    (run / records.NAME).unlink()
    assert door.main([str(run), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    schema = json.loads((SCHEMAS / "verify.schema.json").read_text())
    Draft202012Validator(schema).validate(document)
    assert document["verdict"] == "pass"
    assert document["runs"][0]["checks"][-1]["status"] == "skip"


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (lambda run: edit(run, 3, objective=-1e300), "order", "objective=-1e+300, but val_loss="),
        (lambda run: edit(run, 1, max_epochs=3), "header", "max_epochs=3: must be 4"),
        (lambda run: edit(run, 1, seed=5), "header", "seed=5: must be 0"),
        (
            lambda run: edit(run, number_of(run, "scored"), test_value=-1e99), "order",
            "test_value=-1e+99, but val_loss=",
        ),
        (
            lambda run: edit(run, number_of(run, "finished"), measured={}), "record",
            "the record is of another journal",
        ),
        (lambda run: edit(run, 3, train_s=7.0), "record", "the record is of another journal"),
    ],
)  # fmt: skip
def test_an_edit_is_caught_and_named(run, change, check, words):
    change(run)
    assert statuses(run)[check] == "fail"
    assert words in text(run, check)
    assert door.main([str(run)]) == 1


def test_an_edited_mode_is_no_silent_other_winner(run):
    header = json.loads((run / NAME).read_text().splitlines()[0])
    edit(run, 1, target=header["target"] | {"mode": "max"})
    assert "mode max" in text(run, "order") and statuses(run)["header"] == "fail"


def test_an_edit_of_objective_and_metric_alike_is_caught_by_the_replay(run):
    """Numbers of a line that agree with each other, but not with what was decided on them."""
    (run / records.NAME).unlink()
    number = number_of(run, "epoch", 1)
    edit(run, number, objective=-5.0, metrics={"val_loss": -5.0})
    assert statuses(run)["replay"] == "fail"
    assert "the journal says" in text(run, "replay")


def test_a_configuration_that_no_searcher_drew_is_caught_by_the_replay(run):
    (run / records.NAME).unlink()
    number = number_of(run, "joined")
    line = json.loads((run / NAME).read_text().splitlines()[number - 1])
    line["trials"]["0"]["config"]["width"] = 7
    edit(run, number, trials=line["trials"])
    assert statuses(run)["order"] == "pass"
    assert f"line {number}: the journal says" in text(run, "replay")


def test_a_note_without_a_command_is_replayed_too(run):
    (run / records.NAME).unlink()
    edit(run, number_of(run, "epoch"), stopped={"0": 1})
    assert statuses(run)["replay"] == "fail"


def test_a_run_without_its_closing_line_is_not_verified(run):
    rows = (run / NAME).read_text().splitlines(keepends=True)
    (run / NAME).write_text("".join(rows[:-1]))
    assert "no closing line" in text(run, "order")
    assert door.main([str(run)]) == 1


def test_a_damaged_line_is_named_with_the_last_good_one(run):
    rows = (run / NAME).read_text().splitlines(keepends=True)
    rows[9] = "{}x\n"
    (run / NAME).write_text("".join(rows))
    assert "line 10 is damaged" in text(run, "journal")
    assert "keep lines 1 to 9" in text(run, "journal")


@pytest.mark.parametrize(
    "place", ["result.best.validation.value", "time.wall.value", "seed", "config.eta"]
)
def test_a_changed_record_is_caught_at_its_place(run, place):
    path = run / records.NAME
    record = json.loads(path.read_text())
    inner = record
    for key in place.split(".")[:-1]:
        inner = inner[key]
    inner[place.split(".")[-1]] = 123456
    path.write_text(records.dumps(record))
    assert f"record.{place}=123456" in text(run, "record")


def test_a_record_of_another_machine_is_the_same_but_for_names():
    was = {"reason": "ImportError in <path>/libc.so on <host>", "n": [1, 2.5, None]}
    now = {"reason": "ImportError in /usr/lib/libc.so on node17", "n": (1, 2.5, None)}
    assert first_difference(was, now) is None
    assert first_difference({"reason": now["reason"]}, {"reason": was["reason"]}) is None
    assert first_difference(was, now | {"n": [1, 2.5, 0]}) == ("n[2]", "None", "0")
    assert first_difference({"a": "<host> a"}, {"a": "node17 b"}) is not None


def test_a_text_full_of_places_takes_no_time():
    pattern, other = "<host>" * 100_000 + "x", "y" * 100_000
    assert first_difference({"a": pattern}, {"a": other}) is not None


def test_a_pipe_for_a_journal_or_a_record_is_refused_at_once(run):
    (run / records.NAME).unlink()
    os.mkfifo(run / records.NAME)
    assert "pipe" in text(run, "record")
    (run / NAME).unlink()
    os.mkfifo(run / NAME)
    assert "pipe" in text(run, "journal")


def test_a_class_that_is_not_there_is_named_and_the_run_is_not_verified(run):
    header = json.loads((run / NAME).read_text().splitlines()[0])
    header["config"]["scheduler"]["_target_"] = "mine.Scheduler"
    edit(run, 1, config=header["config"])
    assert statuses(run)["replay"] == "skip"
    assert "scheduler._target_=mine.Scheduler" in text(run, "replay")
    assert door.main([str(run)]) == 1


def test_one_bad_run_does_not_take_the_others(run, capsys):
    bad = shutil.copytree(run, run.parent / "bad")
    (bad / NAME).write_text("\x1b[2J")
    assert door.main([str(run.parent)]) == 1
    out = capsys.readouterr().out
    assert "1 of 2 runs verified" in out and "\x1b" not in out
