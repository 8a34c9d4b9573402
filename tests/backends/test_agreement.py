"""A run that is resumed on other data is refused; by other code it continues, and the journal says so."""

import functools
import json

import pytest

from kit.driving import configured
from models.synthetic_curves import TableTarget
from suite.core.curve_table import Recording
from suite.launch import execute
from suite.results import record
from suite.results.fold import load_run
from suite.run import journal as journals
from suite.run import limit
from suite.worker import facts

REAL = {
    "name": "toy", "sha256": "a" * 64, "stand_in": False, "split": "fixed", "split_sha256": "b" * 64,
    "n_train": 3, "n_valid": 2, "n_test": 1,
}  # fmt: skip
OTHER = {**REAL, "sha256": "c" * 64}
STAND_IN = {**OTHER, "stand_in": True}
SMALL = (
    "model=table_target", "max_epochs=3", "algorithm=random_search", "scheduler.n_trials=3",
    "tracking=later", "report=false",
)  # fmt: skip


@pytest.fixture
def world(monkeypatch):
    """What this process finds: the data set, its label, after how many looks its job ends, its code."""
    found = {"data_set": REAL, "label": "real", "looks": 99, "code": "1" * 16}

    def due(_):
        found["looks"] -= 1
        return "the job ends in 1 s" if found["looks"] < 0 else ""

    made = TableTarget.__init__

    @functools.wraps(made)
    def init(self, *arguments, **named):
        made(self, *arguments, **named)
        self.data, self.provenance = found["label"], found["data_set"]

    monkeypatch.setattr(TableTarget, "__init__", init)
    monkeypatch.setattr(limit.Limit, "due", due)
    monkeypatch.setattr(facts, "code", lambda _: found["code"])
    return found


def run(folder, backend, *overrides):
    resume = (folder / journals.NAME).exists()
    settings = configured(*SMALL, f"backend={backend}", *overrides)
    return execute.run(settings, folder, resume=resume)


def begun(folder, world):
    """A run on real data that paused after two epochs."""
    world["looks"] = 3
    outcome = run(folder, "inline")
    assert outcome.status == "paused", outcome.reason
    world["looks"] = 99


def test_other_data_of_the_same_label_are_refused_at_a_resume(tmp_path, world):
    begun(tmp_path, world)
    world["data_set"] = OTHER
    outcome = run(tmp_path, "inline")
    assert outcome.status == "failed"
    assert "data_set.sha256=cccccccccccc..., not aaaaaaaaaaaa..." in outcome.reason
    assert run(tmp_path, "inline", "backend.agreement=record").status == "completed"
    assert len(record.build(tmp_path)["data_sets"]) == 2


def test_data_that_were_removed_are_refused_at_a_resume(tmp_path, world):
    begun(tmp_path, world)
    world |= {"data_set": STAND_IN, "label": "stand-in"}
    outcome = run(tmp_path, "inline")
    assert outcome.status == "failed"
    assert "data=stand-in: the run was begun on data=real" in outcome.reason
    # The journal is as it was, and the data may come back.
    world |= {"data_set": REAL, "label": "real"}
    assert run(tmp_path, "inline").status == "completed"
    assert record.build(tmp_path)["reproducible"] == "whole run"


def test_a_run_that_was_told_to_is_labelled_by_what_trained(tmp_path, world):
    begun(tmp_path, world)
    world |= {"data_set": STAND_IN, "label": "stand-in"}
    assert run(tmp_path, "inline", "backend.agreement=record").status == "completed"
    view = load_run(tmp_path)
    assert view.header.target.data == "stand-in"
    made = record.build(tmp_path)
    assert made["data"] == "stand-in" and made["reproducible"] == "prefix only"


def test_the_label_is_checked_without_a_resume_too(tmp_path, world):
    world["data_set"] = STAND_IN
    outcome = run(tmp_path, "inline")
    assert outcome.status == "failed" and "data_set.stand_in=true, not false" in outcome.reason


def test_other_code_or_versions_continue_and_are_noted(tmp_path, world, capsys, monkeypatch):
    begun(tmp_path, world)
    world["code"] = "2" * 16
    monkeypatch.setattr(facts, "training_versions", lambda: {"numpy": "0.0.1"})
    assert run(tmp_path, "inline").status == "completed"
    said = capsys.readouterr().err
    assert "code=2222222222222222, not 1111111111111111" in said and "versions.numpy=0.0.1" in said
    lines = journals.read(tmp_path / journals.NAME)[1]
    (resumed,) = [line for line in lines if line["event"] == "resumed"]
    assert resumed["process"]["code"] == "2" * 16 and "git" in resumed["process"]
    assert record.build(tmp_path)["reproducible"] == "prefix only"


def test_a_journal_of_an_earlier_revision_says_nothing_of_it_and_is_resumed(
    tmp_path, world, capsys
):
    begun(tmp_path, world)
    path = tmp_path / journals.NAME
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    del lines[0]["code"], lines[0]["config"]["backend"]["agreement"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    world["code"] = "2" * 16
    assert run(tmp_path, "inline").status == "completed"
    assert "not 1111" not in capsys.readouterr().err


def test_a_simulation_is_not_resumed_on_another_table(tmp_path, world, monkeypatch):
    monkeypatch.setattr(
        TableTarget, "replay", lambda self, config, seed: Recording((3.0, 2.0, 1.0)), raising=False
    )
    assert run(tmp_path, "simulate", "backend.workers=1").status == "completed"
    path = tmp_path / journals.NAME
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:4]))
    world["data_set"] = OTHER
    outcome = run(tmp_path, "simulate", "backend.workers=1")
    assert outcome.status == "failed" and "data_set.sha256=cccccccccccc" in outcome.reason


def test_the_digest_of_the_code_follows_the_sources_and_not_their_place(tmp_path, monkeypatch):
    digests = []
    for place, text in (("a", "x = 1\n"), ("b", "x = 1\n"), ("c", "x = 2\n")):
        folder = tmp_path / place / "patched_toys"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path / place))
        facts._sources.cache_clear()
        digests.append(facts._sources("patched_toys"))
    assert digests[0] == digests[1] != digests[2]
    facts._sources.cache_clear()
    toy = type("Toy", (TableTarget,), {"__module__": "patched_toys"})
    assert facts.code(toy()) != facts.code(TableTarget())
