"""Joint optimizers: what they ask for is trained, what breaks a rule ends the run by name, and all of it is
replayed.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from kit.clusters import cluster as cluster_of
from kit.driving import (
    ROOT,
    compose,
    conductor,
    configured,
    play,
    power_law,
    result,
    resumed,
    search,
)
from models.synthetic_curves import TableTarget
from suite.backends.forecasts import Forecaster
from suite.backends.simulate import Simulation
from suite.core import types as t
from suite.core.errors import ConfigError
from suite.core.joint import JointOptimizer
from suite.core.space import Choice, Float, Space
from suite.launch.assemble import assemble
from suite.launch.execute import run
from suite.optimizers.time_limit import at_most
from suite.run import journal as journals
from suite.run.conductor import Conductor
from suite.run.driver import Driver
from suite.schedulers.joint import Joint
from suite.schedulers.virtual_cluster import VirtualCluster
from suite.searchers.joint import Joint as JointSearcher
from suite.testing import JointConformance
from suite.verify.checks import verify

pytestmark = pytest.mark.usefixtures("no_fsync", "admitted")
R = 9
HALVING = {"_target_": "suite.optimizers.halving.Halving"}


@pytest.fixture
def admitted(monkeypatch):
    monkeypatch.setenv("SUITE_PLUGINS", "kit")


def scripted(fault="none", cls="Scripted", **arguments):
    return {"_target_": f"kit.joint_optimizers.{cls}", "fault": fault, **arguments}


def joint(fault="none", n_epochs=40, cls="Scripted", **arguments):
    return Joint(R, scripted(fault, cls, **arguments), n_epochs=n_epochs)


def begun(optimizer, space=None, **ends):
    scheduler = Joint(R, optimizer, **ends)
    scheduler.begin(space or TableTarget().space, 0, None)
    return scheduler


# --- ends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_epochs", [9, 10, 26, 27, 28, 100])
def test_the_epochs_asked_for_are_those_of_the_budget_or_less(n_epochs):
    played = play(begun(scripted(), n_epochs=n_epochs), workers=3)
    assert n_epochs - R < played.n_epochs <= n_epochs and played.winner is not None


def test_the_number_of_configurations_ends_it():
    scheduler = begun(scripted(to_epoch=2), n_trials=5)
    played = play(scheduler, workers=3)
    assert (
        sorted(played.epochs) == [0, 1, 2, 3, 4] and scheduler.diagnostics["ended"] == "n_trials=5"
    )


def test_where_no_more_configurations_may_begin_it_goes_on_with_those_it_has():
    scheduler = begun({**HALVING, "eta": 2}, n_trials=8)
    played = play(scheduler, workers=1)
    assert sorted(played.epochs) == list(range(8)) and scheduler.diagnostics["n_refused"] > 0
    # Rungs 1, 2, 4, 8, 9: eight trials, four, two, and one, which is trained on to R at the end.
    reached = sorted(played.epochs.values(), reverse=True)
    assert reached == [R, 4, 2, 2, 1, 1, 1, 1] and scheduler.diagnostics["trained_on_at_the_end"]


def test_done_ends_it_once_all_is_told():
    scheduler = begun(scripted("done"), n_epochs=100)
    assert len(play(scheduler, workers=3).epochs) == 3
    assert scheduler.optimizer.n == 4, "it is not asked after it said DONE"
    assert len(scheduler.optimizer.told) == 3


def test_without_an_end_of_its_own_it_has_hyperbands_epochs():
    assert Joint(27, HALVING).plan().n_epochs == 474 + 26
    assert Joint(27, HALVING, hours=1.0).plan().n_trials == 10_000


def test_a_search_that_leaves_no_trial_at_the_end_trains_the_best_on():
    scheduler = begun(scripted(to_epoch=3), n_epochs=20)
    played = play(scheduler, workers=2)
    finished = [i for i, epochs in played.epochs.items() if epochs == R]
    assert finished == [min(played.epochs, key=lambda i: power_law(i, 3)[-1])]
    assert played.n_epochs == 18 + 6 and scheduler.diagnostics["trained_on_at_the_end"]
    assert len(scheduler.optimizer.told) == 6, "the optimizer is not told of it"


def test_where_that_one_fails_the_next_best_is_trained_on():
    order = sorted(range(6), key=lambda i: power_law(i, 3)[-1])
    played = play(
        begun(scripted(to_epoch=3), n_epochs=20),
        lambda i, epochs: None if i == order[0] and epochs > 3 else power_law(i, epochs),
    )
    assert played.winner == order[1]


# --- what it is asked and told ---------------------------------------------------------------------


class Waits(JointOptimizer):
    """Names two trials, then waits for the first to be told."""

    def open(self, space, seed, max_epochs):
        self.space, self.n_asked, self.told = space, 0, []

    def ask(self):
        self.n_asked += 1
        if self.n_asked <= 2:
            return f"t{self.n_asked}", self.space.lowest(), 1
        return t.DONE if self.told else t.WAIT

    def tell(self, key, to_epoch, objective):
        self.told.append((key, to_epoch, objective))


def test_one_that_waits_is_not_asked_until_something_is_told():
    scheduler = begun(HALVING, n_epochs=40)
    scheduler.optimizer = Waits()
    scheduler.begin(TableTarget().space, 0, None)
    assert [scheduler.ask() for _ in range(5)] == [t.Train(0, 1), t.Train(1, 1), *[t.WAIT] * 3]
    assert scheduler.optimizer.n_asked == 3
    scheduler.tell(1, (0.5,))
    assert scheduler.ask() == t.WAIT and scheduler.optimizer.n_asked == 4
    scheduler.tell(0, None)
    assert scheduler.optimizer.told == [("t2", 1, 0.5), ("t1", 1, None)]


def test_a_trial_that_is_given_up_is_told_as_none():
    scheduler = joint(to_epoch=2)
    done = search_of(scheduler, diverge_below=9)
    failed = {i + 1 for i in done.conductor.given_up}
    assert failed and {key for key, _, value in scheduler.optimizer.told if value is None} == failed


def search_of(scheduler, folder=None, **target):
    driver = Driver(conductor(scheduler, TableTarget(**target), score=False), None)
    Simulation(
        TableTarget(**target), cluster_of(workers=3, epoch_s=1.0), Forecaster(None, 0), 0, R
    ).run(driver)
    return driver


# --- rules -----------------------------------------------------------------------------------------

BROKEN = {
    "raises in open": "open() raised RuntimeError: planted (joint_optimizers.py:",
    "raises in tell": "tell() raised ValueError: planted (joint_optimizers.py:",
    "raises": "ask() raised ZeroDivisionError",
    "exits": "ask() raised SystemExit: planted",
    "waits": "ask() says WAIT: with nothing in training",
    "pair": "must be (key, configuration, to_epoch), WAIT or DONE",
    "text": "ask() returned 'done': it must be",
    "key of a list": "key=[4]: must be an integer or text",
    "key that is true": "key=True: must be an integer or text",
    "unopened key": "key=4, configuration=None: must be a mapping of names to values, for the key is new",
    "told key again": "key=1, to_epoch=9: must be an integer above the 9 epochs that it has",
    "epoch below what it has": "key=1, to_epoch=2: must be an integer above the 9 epochs that it has",
    "epoch above R": "to_epoch=10: must be an integer above the 0 epochs that it has, and at most max_",
    "epoch zero": "to_epoch=0: must be",
    "epoch of text": "to_epoch='9': must be",
    "epoch and a half": "to_epoch=1.5: must be",
    "epoch that is nan": "to_epoch=nan: must be",
    "outside": "learning_rate=1000000000.0: must be a number in",
    "not finite": "learning_rate=nan: must be a number in",
    "wrong type": "width=8: must be an integer",
    "wrong choice": "optimizer=['sgd']: must be one of",
    "unknown name": "learning_rat: unknown",
    "missing name": "missing; the space needs",
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_rule_ends_the_run_by_name_and_what_was_trained_stays(fault, tmp_path):
    words = ("algorithm=joint_halving", "model=table_target", f"max_epochs={R}", "backend=inline")
    settings = configured(*words, "tracking=later", "report=false", "score_test=false")
    leaf = {**settings.scheduler, "optimizer": scripted(fault), "n_epochs": 60}
    object.__setattr__(settings, "scheduler", leaf)
    outcome = run(settings, tmp_path / "run")
    assert outcome.status == "failed" and "scheduler.optimizer=Scripted: " in outcome.reason
    assert BROKEN[fault] in outcome.reason and outcome.reason.endswith("mend the optimizer.")
    if fault == "raises in open":
        assert not (tmp_path / "run").exists(), "nothing was begun"
        return
    lines = journals.read(tmp_path / "run" / journals.NAME)[1]
    assert lines[-1]["event"] == "closed" and lines[-1]["status"] == "failed"
    assert sum(line["event"] == "finished" for line in lines) >= 2
    # With the fault mended (a rule keeps the numbers of the asks), the run goes on.
    mended = {**leaf, "optimizer": scripted("none")}
    object.__setattr__(settings, "scheduler", mended)
    assert run(settings, tmp_path / "run", resume=True).status == "completed"


@pytest.mark.parametrize("fault", ["numpy's numbers", "none"])
def test_what_keeps_the_rules_is_trained(fault, tmp_path):
    driver = search(tmp_path, joint(fault))
    assert result(driver)["status"] == "completed" and len(driver.conductor.trials) == 4


def test_a_key_that_is_being_trained_is_not_asked_for_again():
    with pytest.raises(
        ConfigError, match="InFlight: ask.*key=1: is being trained; it must be told"
    ):
        play(begun(scripted(cls="InFlight"), n_epochs=40), workers=2)


def test_a_trial_that_has_failed_does_not_go_on():
    scheduler = begun(scripted("told key again", to_epoch=3), n_epochs=40)
    with pytest.raises(ConfigError, match=r"key=1: has failed \(it was told None\)"):
        play(scheduler, lambda i, e: None if i == 0 else power_law(i, e))


def test_a_trial_goes_on_with_its_own_configuration():
    with pytest.raises(ConfigError, match="key=1: goes on with another configuration"):
        play(begun(scripted("another configuration", to_epoch=3), n_epochs=40))


def test_a_fixed_name_keeps_its_value():
    space = Space(TableTarget.parameters, {"width": 8})
    with pytest.raises(ConfigError, match="width=.*: is fixed to 8"):
        scheduler = begun(HALVING, space, n_epochs=40)
        scheduler._configuration("ask()", {**space.lowest(), "width": 9}, None)
    assert (
        scheduler._configuration("ask()", {"learning_rate": 0.1, "optimizer": "sgd"}, None)["width"]
        == 8
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["scheduler=joint", "searcher=joint"], "scheduler.optimizer: missing"),
        (["algorithm=joint_halving", "searcher=random"], "searcher=Random: scheduler=joint proposes"),
        (["searcher=joint"], "searcher=joint: hands on what scheduler=joint proposes, and Hyperband"),
        (["algorithm=joint_halving", "scheduler.optimizer.et=3"], "Did you mean eta"),
        (["algorithm=joint_halving", "scheduler.optimizer.eta=1"], "scheduler.optimizer.eta=1: must be"),
        (["algorithm=joint_halving", "scheduler.optimizer._target_=os.Path"], "must begin with"),
        (
            ["algorithm=joint_halving", "scheduler.optimizer._target_=kit.joint_optimizers.NotOne"],
            "must be a JointOptimizer; derive the class from suite.core.JointOptimizer",
        ),
        (["algorithm=joint_halving", "budget.n_epochs=26"], "n_epochs=26: must be an integer >= 27"),
        (["algorithm=joint_halving", "scheduler.n_trials=0"], "n_trials=0"),
        (["algorithm=joint_halving", "scheduler.answer_timeout_s=0"], "answer_timeout_s=0: must be a number"),
        (["algorithm=joint_halving", "scheduler.answer_timeout_s=.nan"], "answer_timeout_s=.nan"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_named_before_anything_is_made(words, says):
    with pytest.raises(ConfigError) as error:
        words = [f"+{word}" if "optimizer.et=" in word else word for word in words]
        assemble(configured(*words))
    assert says in str(error.value)


def test_a_package_that_is_absent_ends_the_run_by_name(tmp_path):
    with pytest.raises(ConfigError, match="Absent: open.. raised ModuleNotFoundError"):
        search(tmp_path, joint(cls="Absent"))


def test_ctrl_c_ends_a_run_whose_optimizer_hangs_and_all_is_journaled(tmp_path):
    settings = configured(
        "algorithm=joint_halving", "model=table_target", f"max_epochs={R}", "backend=inline",
        "tracking=later", "report=false",
    )  # fmt: skip
    leaf = {**settings.scheduler, "optimizer": scripted("interrupted")}
    object.__setattr__(settings, "scheduler", leaf)
    outcome = run(settings, tmp_path / "run")
    lines = journals.read(tmp_path / "run" / journals.NAME)[1]
    assert outcome.status == "interrupted" == lines[-1]["status"]
    assert sum(line["event"] == "finished" for line in lines) == 2
    object.__setattr__(settings, "scheduler", {**leaf, "optimizer": scripted("none")})
    assert run(settings, tmp_path / "run", resume=True).status == "completed"


HANGING = {
    "sleeps": "ask() hangs: no answer after 0.2 s (joint_optimizers.py:",
    "goes on after every exception": "ask() hangs: no answer after 0.2 s (joint_optimizers.py:",
    "hangs in tell": "tell() hangs: no answer after 0.2 s (joint_optimizers.py:",
    "hangs in open": "open() hangs: no answer after 0.2 s (joint_optimizers.py:",
}  # fmt: skip


@pytest.mark.timeout(method="thread")  # the other method's timer is the one that is used here
@pytest.mark.parametrize("fault", HANGING)
def test_one_that_hangs_ends_the_run_by_name_after_its_time(fault, tmp_path):
    settings = configured(
        "algorithm=joint_halving", "model=table_target", f"max_epochs={R}", "backend=inline",
        "tracking=later", "report=false", "score_test=false", "scheduler.answer_timeout_s=0.2",
    )  # fmt: skip
    leaf = {**settings.scheduler, "optimizer": scripted(fault), "n_epochs": 60}
    object.__setattr__(settings, "scheduler", leaf)
    outcome = run(settings, tmp_path / "run")
    assert outcome.status == "failed" and "scheduler.optimizer=Scripted: " in outcome.reason
    assert HANGING[fault] in outcome.reason
    assert outcome.reason.endswith(
        "it must come back in scheduler.answer_timeout_s; mend the optimizer."
    )
    if fault != "hangs in open":
        lines = journals.read(tmp_path / "run" / journals.NAME)[1]
        assert (lines[-1]["event"], lines[-1]["status"]) == ("closed", "failed")
        object.__setattr__(settings, "scheduler", {**leaf, "optimizer": scripted("none")})
        assert run(settings, tmp_path / "run", resume=True).status == "completed"


@pytest.mark.timeout(method="thread")
def test_a_timer_of_somebody_else_is_left_alone():
    heard = []
    before = signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
    signal.setitimer(signal.ITIMER_REAL, 1000.0)
    try:
        with at_most(0.01):
            time.sleep(0.1)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 900 and not heard
        signal.setitimer(signal.ITIMER_REAL, 0)
        with at_most(100.0):
            assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 10
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
        signal.raise_signal(signal.SIGALRM)
        assert heard == [1], "the handler of before is back"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.slow
def test_one_that_hangs_in_compiled_code_ends_the_process_and_the_run_goes_on(tmp_path):
    words = [
        "algorithm=joint_halving", "model=table_target", f"max_epochs={R}", "backend=inline",
        "tracking=later", "report=false", "score_test=false", "scheduler.n_epochs=60",
        "scheduler.answer_timeout_s=1", "resume=auto",
        "~scheduler.optimizer", "+scheduler.optimizer._target_=kit.joint_optimizers.Scripted",
    ]  # fmt: skip
    env = {
        **os.environ, "SUITE_PLUGINS": "kit", "SUITE_STAMP": "one", "SUITE_RUNS": str(tmp_path),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
    }  # fmt: skip
    fault = tmp_path / "fault"
    line = [sys.executable, "-m", "suite", *words, f"+scheduler.optimizer.fault=@{fault}"]
    fault.write_text("hangs in compiled code")
    done = subprocess.run(line, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 1, done.stderr
    assert "Timeout (0:00:02)!" in done.stderr and "joint_optimizers.py" in done.stderr
    fault.write_text("none")
    done = subprocess.run(line, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0 and "completed" in done.stderr + done.stdout, done.stderr


def test_the_conformance_suite_finds_a_generator_that_others_use():
    leaf = {**compose("algorithm=joint_halving")["scheduler"], "optimizer": scripted(cls="Global")}
    failed = {r.check: r.reason for r in JointConformance.of(leaf).results() if not r.passed}
    assert "it moves a global generator" in failed["it_uses_no_generator_that_others_use_too"]
    assert "seed 0 twice" in failed["configurations_depend_on_the_seed_and_on_what_was_told_alone"]


# --- replay ----------------------------------------------------------------------------------------


def test_cut_anywhere_and_resumed_it_ends_as_if_it_had_not_been_cut(tmp_path):
    def make():
        return Joint(R, {**HALVING, "eta": 2}, n_epochs=40)

    target = TableTarget(diverge_below=9)
    whole = search(tmp_path / "whole", make(), target, seed=3)
    rows = (tmp_path / "whole" / journals.NAME).read_bytes().splitlines(keepends=True)
    assert whole.conductor.given_up and len(rows) > 50
    for n_rows in range(2, len(rows) - 2, 7):
        folder = tmp_path / "cut"
        shutil.copytree(tmp_path / "whole", folder)
        (folder / journals.NAME).write_bytes(b"".join(rows[:n_rows]))
        again = resumed(folder, make(), target, seed=3)
        assert result(again) == result(whole), f"cut after line {n_rows}"
        shutil.rmtree(folder)


@pytest.mark.parametrize("workers", [1, 5])
def test_on_a_virtual_cluster_the_number_of_workers_changes_nothing(workers):
    def searched(n):
        scheduler = Joint(R, {**HALVING, "eta": 2}, n_epochs=60)
        searcher = JointSearcher()
        searcher.follow(scheduler)
        done = Conductor(
            VirtualCluster(scheduler, 3, ahead=False), searcher, TableTarget().space,
            seed=1, max_attempts=2, score=False,
        )  # fmt: skip
        target = TableTarget()
        Simulation(target, cluster_of(workers=n, epoch_s=1.0), Forecaster(None, 1), 1, R).run(
            Driver(done, None)
        )
        return {i: (trial.config, trial.curve) for i, trial in done.trials.items()}, done.winner

    assert searched(workers) == searched(3)


def test_a_run_of_it_is_verified(tmp_path):
    settings = configured(
        "algorithm=joint_halving", "model=table_target", f"max_epochs={R}", "backend=inline",
        "tracking=later", "report=false", "budget.n_epochs=40",
    )  # fmt: skip
    assert run(settings, tmp_path / "run").status == "completed"
    assert verify(tmp_path / "run", "run").holds
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["reproducible"] == "prefix only"


# --- tables ----------------------------------------------------------------------------------------


def test_of_a_table_the_nearest_unused_row_is_trained():
    parameters = {"x": Float(0.0, 1.0), "kind": Choice("a", "b")}
    rows = [{"x": x, "kind": kind} for x in (0.0, 0.5, 1.0) for kind in "ab"]
    space = Space(parameters, rows=rows)
    wishes = [{"x": 0.4, "kind": "a"}, {"x": 0.45, "kind": "a"}, {"x": 0.9, "kind": "b"}]

    class Listed:
        def begin(self, space, seed, n_configurations):
            assert n_configurations == 6

        def proposal(self, trial_id):
            return wishes[trial_id]

    searcher = JointSearcher()
    searcher.follow(Listed())
    searcher.begin(space, 0)
    trials = {}
    for i in range(3):
        trials[i] = t.Trial(i, searcher.propose(i, trials), 0)
    assert [trial.config for trial in trials.values()] == [
        {"x": 0.5, "kind": "a"}, {"x": 0.0, "kind": "a"}, {"x": 1.0, "kind": "b"},
    ]  # fmt: skip
    said = searcher.diagnostics
    assert said["moved_to_a_row"] == 3 and np.isclose(said["moved_by"], 0.1 + 0.45 + 0.1)


def test_a_table_ends_the_search_where_no_row_is_left():
    rows = [{"x": i / 4} for i in range(5)]
    scheduler = Joint(R, HALVING, n_epochs=1000)
    scheduler.begin(Space({"x": Float(0.0, 1.0)}, rows=rows), 0, 5)
    assert len(play(scheduler, workers=3).epochs) == 5
