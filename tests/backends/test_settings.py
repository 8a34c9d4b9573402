"""Settings of conf/backend: typed, checked when the leaf is made, before a folder is."""

from __future__ import annotations

import pytest

from kit.driving import compose
from suite.core.errors import ConfigError
from suite.core.moved import upgraded
from suite.core.plugins import make
from suite.core.run_settings import RunSettings
from suite.launch import execute

WRONG = [
    ("device", "gpu", "backend.device=gpu: must be auto, cpu or cuda. Did you mean"),
    ("checkpoint", "jobs", "must be job or none. Did you mean job"),
    ("share_gpus", "no", "must be true or false. Did you mean false"),
    ("threads", 0, "backend.threads=0: must be an integer >= 1"),
    ("threads", None, "backend.threads=null: must be an integer"),
    ("resident_trials", 1.5, "must be an integer"),
    ("checkpoint_every_s", 0.0, "must be a number > 0"),
    ("pause_before_s", -1, "must be a number >= 0"),
    ("report_timeout_s", None, "report_timeout_s=null"),
    ("join_timeout_s", "long", "join_timeout_s=long"),
    ("ranks_per_trial", True, "ranks_per_trial=true"),
    ("checkpoints", 3, "must be text or null"),
]


@pytest.mark.parametrize("backend", ["auto", "inline", "mpi", "simulate"])
def test_every_leaf_of_conf_is_made_from_its_yaml(backend):
    assert make(compose(f"backend={backend}")["backend"], "backend").n_workers() >= 1


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_a_wrong_setting_is_refused_by_name_before_a_folder_is_made(tmp_path, name, value, message):
    config = compose()
    config["backend"][name] = value
    outcome = execute.run(RunSettings.of(config), tmp_path / "run")
    assert outcome.status == "failed" and message in outcome.reason
    assert not (tmp_path / "run").exists()


def test_an_unknown_setting_is_refused_with_a_proposal():
    with pytest.raises(ConfigError, match="Did you mean threads"):
        make({**compose()["backend"], "thread": 1}, "backend")


@pytest.mark.parametrize("kind", ["auto", "inline", "mpi", "simulate"])
def test_the_backend_of_an_earlier_journal_is_made_again(kind):
    today = compose(f"backend={kind}")["backend"]
    before = {"kind": kind} | {k: v for k, v in today.items() if k != "_target_"}
    assert upgraded({"backend": before})["backend"] == today


def test_ranks_of_a_trial_need_mpi(tmp_path):
    for backend in ("simulate", "inline"):
        config = compose(f"backend={backend}", "backend.ranks_per_trial=2")
        assert (
            "needs the mpi backend" in execute.run(RunSettings.of(config), tmp_path / "run").reason
        )
        assert not (tmp_path / "run").exists()
