"""`plan`: workers that have work, nodes, seconds an epoch and on what they rest, hours and minutes."""

import re

import pytest

from suite.launch import cli, execute
from suite.launch.plan import planned
from suite.launch.progress import Progress
from suite.launch.runs import Runs


@pytest.fixture(autouse=True)
def no_site(monkeypatch):
    monkeypatch.delenv("SUITE_SITE", raising=False)


def plan(capsys, *words):
    code = cli.main(["plan", "model=digits_cnn", *words])
    out, err = capsys.readouterr()
    assert code == 0, err
    return out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["overlap=false", "nodes=50"], "at most 16 of 50 workers have work; 34 would idle"),
        (["nodes=50"], "at most 43 of 50 workers have work; 7 would idle"),
        (["workers=8"], "8 workers of at most 43 that could have work"),
        (["nodes=2", "workers=4"], "8 workers of at most 43 that could have work"),
        (["nodes=2", "site=local"], "2 workers of at most 43 that could have work"),
        (["scheduler=asha", "workers=1000"], "at most 64 of 1000 workers have work; 936 would idle"),
        ([], "1 worker of at most 43 that could have work"),
    ],
)  # fmt: skip
def test_how_many_workers_have_work(words, line, capsys):
    assert f"\nworkers     {line}\n" in plan(capsys, *words)


@pytest.mark.parametrize(
    "words",
    [["algorithm=hyperband"], ["algorithm=hyperband", "overlap=false"], ["algorithm=asha"],
     ["algorithm=swift_constant", "overlap=false"], ["algorithm=random_search"]],
    ids=" ".join,
)  # fmt: skip
def test_as_many_workers_have_work_as_the_plan_says(words, tmp_path, monkeypatch, no_fsync):
    """A run on far more simulated workers than that."""
    busy = []
    monkeypatch.setattr(
        Progress, "__call__", lambda self, event, conductor: busy.append(len(conductor.in_flight))
    )
    small = ("model=table_target", "max_epochs=9", "report=false", "tracking=later")
    (one,) = planned(Runs([*small, "backend=simulate", "backend.workers=500", *words]))
    assert execute.run(one.settings, tmp_path / "run").status == "completed"
    assert max(busy) == one.load.n_useful


def test_hours_follow_the_seconds_that_are_given(capsys):
    # One bracket after the other, a rung waits for the one before it: 135 epochs of 60 s on enough workers.
    text = plan(capsys, "overlap=false", "nodes=50", "epoch_s=60")
    assert "hours       7:54 h of training; about 2:15 h on 50 workers\n" in text
    assert "epoch       60 s, as given (epoch_s=60)" in text
    assert "about 7:54 h on 1 worker" in plan(capsys, "epoch_s=60")
    stated = plan(capsys)
    assert (
        "epoch       0.04 s, as models/digits_cnn states it for the hardware named there; "
        in stated
    )
    assert "epoch_s=S, or --measure" in stated


def test_a_budget_of_hours_is_said_in_trainings(capsys):
    words = (
        "algorithm=price",
        "model=table_target",
        "backend=simulate",
        "backend.workers=8",
        "max_epochs=20",
    )
    assert cli.main(["plan", *words, "budget.hours=2"]) == 0
    said = capsys.readouterr().out
    assert (
        "budget      2 h on 8 workers: as many node-hours as 48 trainings to max_epochs=20 take"
        in said
    )
    assert cli.main(["plan", *words]) == 0
    assert "budget  " not in capsys.readouterr().out


def test_a_sweeps_hours_are_those_of_its_runs_after_each_other(capsys):
    text = plan(capsys, "-m", "seed=0,1,2", "epoch_s=60", "workers=50", "overlap=false")
    assert (
        "sweep       3 runs (hyperband 3), at most 1422 epochs, about 6:45 h on 50 workers" in text
    )


@pytest.mark.parametrize(
    ("budget", "hours"), [("hours=0.5", 0.5), ("node_hours=8", 2.0), ("hours=1000", 6.75)]
)
def test_a_sweep_takes_as_long_as_its_budgets_let_it(budget, hours, capsys):
    """Four workers; 1,620 epochs of a minute each are planned."""
    words = ("-m", "algorithm=random_search", "scheduler.n_trials=60", "seed=0,1")
    plans = planned(Runs(["model=digits_cnn", *words, f"budget.{budget}"]))
    assert [p.with_epoch_s(60, "given").load.makespan_s(4) / 3600 for p in plans] == [2 * hours]


def test_a_simulation_says_where_its_seconds_come_from(capsys):
    text = plan(capsys, "model=table_target", "backend=simulate", "backend.epoch_s=30")
    assert "epoch       30 s, made up (backend.epoch_s=30)" in text and "on 50 workers" in text


def test_measure_trains_here_and_names_the_device(capsys):
    words = ["plan", "model=table_target", "model.sleep_s=0.05", "--measure", "backend.device=cpu"]
    assert cli.main(words) == 0
    out, err = capsys.readouterr()
    assert "measuring an epoch of table_target on cpu, 1 thread ..." in err
    (seconds, basis) = re.search(r"\nepoch +(\S+) s, (.*)\n", out + "\n").groups()
    assert float(seconds) >= 0.05
    assert basis == "measured here on cpu, 1 thread, with trial 0's configuration of seed 0"


def test_the_line_for_slurm_asks_for_the_time_that_follows(capsys):
    def minutes(*words):
        text = plan(capsys, "site=local", "nodes=2", "--sbatch", *words)
        hours, mins, _ = text.split("--time=")[1].split()[0].split(":")
        return int(hours) * 60 + int(mins)

    assert minutes("epoch_s=60") > 10 * minutes("epoch_s=0.1")
    assert "epoch_s" not in plan(capsys, "site=local", "--sbatch", "epoch_s=60")


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("epoch_s=fast", "epoch_s=fast: must be a number of seconds > 0."),
        ("epoch_s=-1", "epoch_s=-1: must be"),
        ("epoch_s=nan", "epoch_s=nan: must be"),
        ("epoch_s=", "epoch_s=: must be"),
        ("workers=0", "workers=0: must be an integer >= 1."),
        ("nodes=many", "nodes=many: must be an integer >= 1."),
        ("site=nowhere nodes=2", "SUITE_SITE=nowhere: must be one of"),
        ("--measure backend=simulate model=table_target", "--measure: backend=simulate trains nothing"),
        ("--measure backend.device=cuda", "backend.device=cuda: no GPU is visible"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_named(word, says, capsys, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert cli.main(["plan", *word.split()]) == 1
    assert says in capsys.readouterr().err
