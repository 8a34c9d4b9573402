"""Looped: no worker waits; trials are numbered on; what is over stays over; a run that is cut goes on."""

import json

import pytest

from kit.clusters import cluster as cluster_of
from kit.driving import compose, configured, play
from models.synthetic_curves import TableTarget
from suite.backends.forecasts import Forecaster
from suite.backends.simulate import Simulation
from suite.core.errors import ConfigError
from suite.core.plugins import make
from suite.core.scheduler import Scheduler
from suite.core.types import DONE, WAIT, Predict
from suite.launch.assemble import assemble
from suite.launch.execute import run
from suite.run import journal as journals
from suite.run.conductor import Conductor
from suite.run.driver import Driver, reopen
from suite.run.journal import Journal
from suite.schedulers.hyperband import Hyperband
from suite.schedulers.looped import Looped
from suite.searchers.random import Random
from suite.testing import SchedulerConformance
from suite.verify.checks import verify

R = 9
HYPERBAND = {"_target_": "suite.schedulers.hyperband.Hyperband", "max_epochs": R, "eta": 3}
N = Hyperband(R, 3).plan().n_trials
SVR = {
    "_target_": "suite.schedulers.swift_hyperband.SwiftHyperband", "max_epochs": 16, "eta": 2, "n_curves": 3,
}  # fmt: skip


def searches(scheduler):
    return scheduler.diagnostics["searches"]


@pytest.mark.parametrize(
    "leaf",
    [
        {"scheduler": HYPERBAND, "n_trials": 2 * N + 5},
        {"scheduler": HYPERBAND, "n_trials": N - 3},
        {"scheduler": HYPERBAND, "n_trials": N, "hours": 1.0},
        {"scheduler": SVR, "rounds": 2},
        {
            "scheduler": {
                "_target_": "suite.schedulers.asha.Asha", "max_epochs": 9, "eta": 3, "n_trials": 9,
            },
            "rounds": 3,
        },
    ],
    ids=["rows", "too few rows", "rows of one", "with forecasts", "asha"],
)  # fmt: skip
@pytest.mark.parametrize("check", SchedulerConformance.checks())
def test_it_promises_what_every_scheduler_does(leaf, check):
    target = "suite.schedulers.looped.Looped"
    getattr(SchedulerConformance.of({"_target_": target, **leaf})(), check)()


def test_each_search_is_the_one_that_it_would_be_alone():
    looped = play(Looped(HYPERBAND, rounds=3), workers=7, shuffle=3)
    for place in range(3):
        begins = place * N

        def curve(trial_id, to_epoch, begins=begins):
            return looped.curves[begins + trial_id][:to_epoch]

        alone = play(Hyperband(R, 3), curve, workers=2, shuffle=1)
        own = {
            t.trial_id - begins: t.to_epoch for t in looped.trains if 0 <= t.trial_id - begins < N
        }
        assert own == alone.epochs


def test_a_free_worker_never_waits_while_searches_may_begin():
    scheduler = Looped(HYPERBAND, hours=1.0)
    for _ in range(5 * N):
        assert scheduler.ask() not in (WAIT, DONE)
    assert searches(scheduler)["begun"] >= 5
    assert {scheduler.bracket_of[i] for i in range(N)} == {0, 1, 2}


def test_the_oldest_that_has_something_is_asked_first():
    scheduler = Looped(HYPERBAND, rounds=9)
    first = [scheduler.ask() for _ in range(N + 1)]
    assert first[-1].trial_id == N
    for train in first:
        scheduler.tell(
            train.trial_id, tuple(1 / (train.trial_id + e) for e in range(1, train.to_epoch + 1))
        )
    assert scheduler.ask().trial_id < N and searches(scheduler)["begun"] == 2


def test_rows_that_are_too_few_for_one_more_search_keep_workers_busy():
    """What a search that is over has stopped goes on to R, the farthest first; then rows that are left."""
    n = 2 * N + 3
    scheduler = Looped(HYPERBAND, n_trials=n)
    played = play(scheduler, workers=6, shuffle=2)
    assert sorted(played.epochs) == list(range(n)) and set(played.epochs.values()) == {R}
    beyond = [t for t in played.trains if t.to_epoch == R and t.trial_id >= 2 * N]
    assert len(beyond) == 3 and scheduler.diagnostics["trained_beyond"] > 3
    # Asked one by one there is no idle worker before the end.
    again, flying = Looped(HYPERBAND, n_trials=n), []
    while (decision := again.ask()) != DONE:
        assert decision != WAIT or flying, "a worker waits, and nothing is in flight"
        if decision == WAIT:
            train = flying.pop(0)
            again.tell(
                train.trial_id, tuple(float(train.trial_id + 9 - e) for e in range(train.to_epoch))
            )
        else:
            flying.append(decision)


def test_a_prediction_goes_to_the_search_that_asked():
    asked = []

    def forecast(request: Predict):
        asked.append(request.key)
        return [row[-1] for row in request.X_new]

    scheduler = Looped(SVR, rounds=2)
    play(scheduler, forecast=forecast, workers=40)
    assert {key.partition(":")[0] for key in asked} == {"0", "1"} and len(set(asked)) == len(asked)
    n = make(SVR, "scheduler", Scheduler).plan().n_trials
    assert {i // n for i in scheduler.stopped_at} == {0, 1}


# --- on a simulated cluster ---------------------------------------------------------------------------


def conductor(n_trials, target):
    return Conductor(
        Looped(HYPERBAND, n_trials=n_trials),
        Random(),
        target.space,
        seed=3,
        score=False,
        max_attempts=3,
    )


def simulate(driver, target, **cluster):
    simulated = cluster_of(**{"workers": 8, **cluster})
    Simulation(target, simulated, Forecaster(None, 3), 3, R).run(driver)


@pytest.fixture(scope="module")
def journaled(tmp_path_factory):
    folder, target = tmp_path_factory.mktemp("run"), TableTarget(diverge_below=20)
    driver = Driver(conductor(3 * N + 4, target), Journal(folder, {"run_id": "test"}))
    simulate(driver, target)
    driver.close("completed")
    return folder, target, driver.conductor


def test_a_journal_replays(journaled):
    folder, target, done = journaled
    assert done.given_up and searches(done.scheduler)["begun"] == 3
    again = conductor(3 * N + 4, target)
    Driver(again, None).replay(journals.read(folder / journals.NAME)[1])
    assert again.winner == done.winner and again.scheduler.diagnostics == done.scheduler.diagnostics


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_run_that_is_cut_goes_on_and_replays(journaled, share, tmp_path, no_fsync):
    folder, target, done = journaled
    rows = (folder / journals.NAME).read_text().splitlines(keepends=True)
    (tmp_path / journals.NAME).write_text("".join(rows[: round(share * len(rows))]))
    driver = reopen(tmp_path, conductor(3 * N + 4, target))
    simulate(driver, target)
    driver.close("completed")
    # All of the table is trained to the end, so that it does not matter when what began.
    curves = {i: trial.curve for i, trial in driver.conductor.trials.items()}
    assert curves == {i: trial.curve for i, trial in done.trials.items()}
    assert driver.conductor.counts.n_differences == 0 and driver.conductor.winner == done.winner
    again = conductor(3 * N + 4, target)
    Driver(again, None).replay(journals.read(tmp_path / journals.NAME)[1])


@pytest.mark.parametrize("algorithm", ["hyperband_looped", "bohb_looped"])
def test_hours_end_it_with_all_workers_busy_until_then(algorithm, tmp_path, no_fsync):
    words = (
        "model=table_target", f"algorithm={algorithm}", "backend=simulate", "backend.workers=12",
        "max_epochs=9", "budget.hours=0.5", "tracking=later", "report=false",
    )  # fmt: skip
    outcome = run(configured(*words), tmp_path / "run")
    assert outcome.status == "completed" and outcome.reason.startswith("budget.hours=0.5: used up")
    assert verify(tmp_path / "run", "run").holds
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["reproducible"] == "prefix only" and record["algorithm"] == algorithm
    assert record["measured"]["scheduler"]["searches"]["begun"] > 1
    # The winner's evaluation on one of them comes after it.
    assert record["time"]["idle"]["value"] < 0.05 * record["time"]["busy"]["value"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("overlap=logical",), "overlap=logical: .* use overlap=true"),
        (("scheduler.rounds=0",), "rounds=0: must be"),
        (("max_epochs=0",), "max_epochs=0: must be"),
        (("scheduler.scheduler.order=last",), "order=last"),
        (("scheduler.scheduler._target_=suite.searchers.random.Random",), "must be a Scheduler"),
    ],
)
def test_bad_settings(words, says):
    with pytest.raises(ConfigError, match=says):
        assemble(configured("algorithm=hyperband_looped", *words))


@pytest.mark.parametrize("scheduler", ["price", "looped"])
def test_a_search_that_fills_the_machine_itself_is_refused(scheduler):
    leaf = compose(f"scheduler={scheduler}", "max_epochs=9")["scheduler"]
    if scheduler == "price":
        with pytest.raises(ConfigError, match="by itself; name it without the loop"):
            Looped(leaf)
    else:
        assert Looped(leaf, rounds=2).plan().n_trials == 2 * Looped(leaf).plan().n_trials


def test_the_loop_takes_any_scheduler_of_conf_by_name():
    leaf = compose("scheduler=looped", "scheduler@scheduler.scheduler=asha", "max_epochs=9")
    assert leaf["scheduler"]["scheduler"]["_target_"].endswith("Asha")
    assert leaf["choices"]["algorithm"] == "looped"
