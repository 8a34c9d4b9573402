"""`resume=` takes folders and services from the command line: the journal of a stranger only says what is
trained.
"""

import copy
import functools
import json

import pytest

from kit.driving import compose
from suite.core.errors import ConfigError, JournalError
from suite.launch.resumed import outside_settings, resumed_settings
from suite.run import journal as journals

QSVR = ("algorithm=swift_qsvr", "model=table_target")


@functools.lru_cache
def composed(*words):
    return compose(*words)


@pytest.fixture
def stranger(tmp_path):
    """A run folder whose journal was begun with these words; settings: written into its configuration."""
    folder = tmp_path / "run"
    folder.mkdir()

    def of(*words, **settings):
        config = copy.deepcopy(composed(*words))
        choices = config.pop("choices")
        for key, value in settings.items():
            group, name = key.split("__")
            config[group] = {**config[group], name: value}
        for name in ("resume", "report", "tracking", "compare_across_overlap"):
            del config[name]
        header = {"journal": 1, "run_id": "a", "config": config, "choices": choices, "model": "x"}
        (folder / journals.NAME).write_text(json.dumps(header) + "\n")
        return folder

    return of


def refused(folder, *words):
    with pytest.raises(ConfigError) as error:
        resumed_settings(folder, words)
    return str(error.value)


def test_weights_are_not_looked_for_where_a_journal_says(stranger, tmp_path):
    victim = tmp_path / "victim"
    folder = stranger("model=table_target", backend__checkpoints=str(victim))
    said = refused(folder)
    assert f"backend.checkpoints={victim}: stands in the run's journal" in said
    assert said.endswith(f"add what is right: backend.checkpoints={victim}")
    # Another backend by the command line drops no weights in silence.
    assert "backend.checkpoints" in refused(folder, "backend=inline")
    for given in (str(victim), "null", "elsewhere"):
        settings = resumed_settings(folder, [f"backend.checkpoints={given}"])
        assert settings.backend["checkpoints"] == (None if given == "null" else given)


@pytest.mark.parametrize("path", ["../victim", "relative", "~/victim", "/", "~nobody/x", "a\0b"])
def test_a_folder_for_weights_is_outside_however_it_is_written(tmp_path, path):
    (found,) = outside_settings({"backend": {"checkpoints": path}}, tmp_path)
    assert (found.key, found.value) == ("backend.checkpoints", path)


def test_what_lies_inside_of_the_run_folder_is_no_question(stranger, tmp_path):
    inside = str(tmp_path / "run" / "weights")
    folder = stranger("model=table_target", backend__checkpoints=inside)
    assert resumed_settings(folder, []).backend["checkpoints"] == inside
    (tmp_path / "victim").mkdir()
    (tmp_path / "run" / "weights").symlink_to(tmp_path / "victim")
    assert "backend.checkpoints" in refused(folder)


def test_a_strangers_annealer_is_not_called(stranger, monkeypatch):
    monkeypatch.setenv("DWAVE_API_TOKEN", "DEV-" + 40 * "0")
    options = {"qpu_budget_s": 9.0, "parameters": {"annealing_time": 20}}
    folder = stranger(*QSVR, predictor__sampler="qpu", predictor__sampler_options=options)
    said = refused(folder)
    assert "predictor.sampler=qpu" in said and "qpu_budget_s:9.0" in said
    assert "predictor.sampler_options" in refused(folder, "predictor.sampler=qpu")
    given = ["predictor.sampler=qpu", "predictor.sampler_options={qpu_budget_s:1.0}"]
    settings = resumed_settings(folder, given)
    assert settings.predictor["sampler_options"] == {"qpu_budget_s": 1.0}
    assert settings.predictor["sampler"] == "qpu"
    # What the error says can be given as it stands.
    words = said.rpartition("add what is right: ")[2].replace("'", "").split(" ")
    assert resumed_settings(folder, words).predictor["sampler_options"] == options
    local = ["predictor.sampler=simulated", "predictor.sampler_options=null"]
    assert resumed_settings(folder, local).predictor["sampler"] == "simulated"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("fallback", "qpu", "predictor.fallback=qpu"),
        ("sampler_options", {"cache": "chains"}, "predictor.sampler_options.cache=chains"),
        ("sampler_options", {"recording": "/etc"}, "predictor.sampler_options.recording=/etc"),
        ("members", [{"sampler": "qpu"}], "predictor.members=[{sampler:qpu}]"),
        ("members", [[{"a": "/etc/passwd"}]], "predictor.members=[[{a:/etc/passwd}]]"),
        ("other", "x/../../y", "predictor.other=x/../../y"),
        ("other", "/it's", r"predictor.other='/it\'s'"),
    ],
)
def test_services_and_folders_are_met_wherever_they_stand(tmp_path, name, value, said):
    (found,) = outside_settings({"predictor": {name: value}}, tmp_path)
    assert found.word() == said


def test_a_refusal_obeys_no_terminal(stranger):
    text = refused(stranger(*QSVR, predictor__other="/a b\n\x1b[2J"))
    assert "predictor.other='/a b" in text and text.isprintable()


def test_what_this_machine_would_choose_itself_needs_no_word(stranger, monkeypatch, tmp_path):
    monkeypatch.setenv("SUITE_DATA", str(tmp_path / "data"))
    composed.cache_clear()
    folder = stranger("model=mnist_table")
    kept = resumed_settings(folder, [])
    assert kept.model["folder"] == f"{tmp_path}/data/curves"
    monkeypatch.setenv("SUITE_DATA", str(tmp_path / "moved"))
    assert f"model.folder={tmp_path}/data/curves" in refused(folder)
    moved = resumed_settings(folder, [f"model.folder={tmp_path}/moved/curves"])
    assert moved.model == {**kept.model, "folder": f"{tmp_path}/moved/curves"}


def test_the_device_is_the_command_lines_and_the_backend_the_journals(stranger):
    folder = stranger("model=table_target", "backend=simulate", backend__device="cuda")
    settings = resumed_settings(folder, [])
    assert settings.backend["device"] == "auto" and "Simulate" in settings.backend["_target_"]
    settings = resumed_settings(folder, ["backend.device=cpu"])
    assert settings.backend["device"] == "cpu" and "Simulate" in settings.backend["_target_"]
    assert "Inline" in resumed_settings(folder, ["backend=inline"]).backend["_target_"]


@pytest.mark.parametrize("word", ["eta=4", "predictor.sampler=qpu"])
def test_what_is_trained_cannot_be_changed(stranger, word):
    assert f"{word}: cannot change on resume" in refused(stranger(*QSVR), word)


@pytest.mark.parametrize(
    "header", [{}, {"config": []}, {"config": None}, {"config": {}, "choices": 3}]
)
def test_a_header_without_settings_is_named(tmp_path, header):
    (tmp_path / journals.NAME).write_text(json.dumps({"journal": 1, **header}) + "\n")
    with pytest.raises(JournalError, match="line 1: (config|choices)="):
        resumed_settings(tmp_path, [])


def test_a_group_that_is_no_group_is_named(stranger):
    folder = stranger("model=table_target")
    header = json.loads((folder / journals.NAME).read_text())
    for group in ("backend", "predictor", "model"):
        broken = {**header, "config": {**header["config"], group: 3}}
        (folder / journals.NAME).write_text(json.dumps(broken) + "\n")
        assert f"{group}=3: must be" in refused(folder)
