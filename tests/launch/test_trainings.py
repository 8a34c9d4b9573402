"""budget.trainings: an end in mean trainings of each table or target, by the seconds that it states."""

import json
import os

import pytest

from kit.driving import compose, configured
from suite.core.errors import ConfigError, DataError
from suite.core.moved import upgraded
from suite.launch import cli
from suite.launch.execute import run
from suite.launch.plan import planned
from suite.launch.runs import Runs
from suite.results.find import find_runs
from suite.verify.checks import verify

SIMULATED = ("model=table_target", "backend=simulate", "max_epochs=9", "budget.trainings=1.5")
HOURS = 1.5 * 9 * 60 / 3600
SMALL = (*SIMULATED, "backend.workers=3", "tracking=later", "report=false")


def test_they_set_the_hours_of_the_run_and_of_its_scheduler():
    config = compose(*SIMULATED, "algorithm=hyperband_looped")
    assert config["budget"]["trainings"] == 1.5
    assert config["budget"]["hours"] == config["scheduler"]["hours"] == pytest.approx(HOURS)


def test_a_target_states_its_seconds():
    hours = compose("model=digits_cnn", "max_epochs=18", "budget.trainings=2")["budget"]["hours"]
    assert hours == pytest.approx(2 * 18 * 0.04 / 3600)


@pytest.mark.parametrize("algorithm", ["hyperband_looped", "price_rank"])
def test_a_run_ends_then_and_is_verified(algorithm, tmp_path, no_fsync):
    assert run(configured(*SMALL, f"algorithm={algorithm}"), tmp_path / "run").status == "completed"
    assert verify(tmp_path / "run", "run").holds
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    # What trains then ends with its epoch, or, of price, with its job.
    assert 0.8 * HOURS < record["time"]["wall"]["value"] / 3600 < 1.3 * HOURS


def test_each_run_of_a_sweep_has_its_own_and_resume_goes_on(
    tmp_path, monkeypatch, no_fsync, capsys
):
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path))
    monkeypatch.setenv("SUITE_STAMP", "one")
    words = [*SMALL, "algorithm=hyperband_looped", "max_epochs=4,9", "seed=0,1", "-m"]
    assert cli.main(words) == 0, capsys.readouterr().err
    hours = {run.config["max_epochs"]: run.config["budget"]["hours"] for run in Runs(words)}
    assert hours == pytest.approx({4: HOURS * 4 / 9, 9: HOURS})
    found = list(find_runs([tmp_path]))
    before = [(folder / "journal.jsonl").read_bytes() for folder in found]
    assert len(found) == 4
    # Equal settings, hours that are reckoned again among them.
    assert cli.main([*words, "resume=auto"]) == 0, capsys.readouterr().err
    assert [(folder / "journal.jsonl").read_bytes() for folder in found] == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("budget.hours=3",), "budget.hours=3, budget.trainings=1.5: the second sets the first"),
        (("budget.trainings=0",), "budget.trainings=0: must be a number > 0"),
        (("budget.trainings=two",), "budget.trainings=two: must be a number"),
        (("max_epochs=many",), "max_epochs=many: must be an integer"),
        (("backend=inline",), "budget.trainings=1.5: nothing states how long an epoch"),
    ],
)
def test_bad_settings(words, says):
    with pytest.raises(ConfigError, match=says):
        compose(*SIMULATED, *words)


def test_less_than_one_is_refused_where_it_is_not_asked_for(capsys):
    short = [*SMALL, "budget.trainings=0.5"]
    assert (
        cli.main(short) == 1
        and "one training to max_epochs=9 takes about" in capsys.readouterr().err
    )
    assert cli.main(["plan", *short, "budget.allow_short=true"]) == 0


def test_journals_from_before_have_none():
    assert upgraded({"budget": {"n_trials": 3, "n_epochs": None}})["budget"]["trainings"] is None


def test_a_sample_of_the_experiment(tmp_path, monkeypatch, no_fsync, capsys):
    """Of a table with recorded seconds: all searches end at the same time, which is 1.25 of its trainings."""
    words = [
        "experiment=deadline",
        "task=algoperf_wmt",
        "backend.workers=4",
        "seed=0",
        "report=false",
    ]
    try:
        planned(Runs(words))
    except DataError as error:
        if os.environ.get("CI") == "true" and os.environ.get("SUITE_DATA"):
            raise
        pytest.skip(f"its table is not here: {error}")
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path))
    assert cli.main(words) == 0, capsys.readouterr().err
    ends = {}
    for folder in find_runs([tmp_path]):
        record = json.loads((folder / "record.json").read_text())
        ends[record["algorithm"]] = record["time"]["wall"]["value"]
        assert record["config"]["budget"]["trainings"] == 1.25
    assert len(ends) == 6
    # The last epochs end after it; price begins nothing that would come later.
    end_s = ends["hyperband_looped"]
    assert all(0.5 * end_s < at < 1.2 * end_s for at in ends.values()), ends
