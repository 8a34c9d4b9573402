"""Forecasting: a predictor beside asha and joint stops jobs half-way; all of it is journaled and replayed."""

import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.driving import compose, configured, play, power_law, result, resumed, search
from kit.simulated import Played
from models.synthetic_curves import TableTarget
from suite.backends.forecasts import Forecaster
from suite.core.errors import ConfigError
from suite.core.run_settings import RunSettings
from suite.core.types import Predict, Train
from suite.launch.assemble import assemble, search_of
from suite.launch.execute import run
from suite.run import journal as journals
from suite.schedulers.asha import Asha
from suite.schedulers.forecasting import Forecasting
from suite.schedulers.hyperband import Hyperband
from suite.schedulers.joint import Joint
from suite.schedulers.pasha import Pasha
from suite.schedulers.virtual_cluster import VirtualCluster
from suite.testing import SchedulerConformance
from suite.verify.checks import verify

pytestmark = pytest.mark.usefixtures("no_fsync", "admitted")
R = 16


@pytest.fixture
def admitted(monkeypatch):
    monkeypatch.setenv("SUITE_PLUGINS", "kit")


def asha(n_trials=64, **more):
    return Asha(R, n_trials, eta=2, **more)


def steps(n_epochs=200, **more):
    """Every trial to 8, then, whatever came out, to 16."""
    return Joint(R, {"_target_": "kit.joint_optimizers.Steps"}, n_epochs=n_epochs, **more)


# --- the contract ------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", SchedulerConformance.checks())
def test_what_every_scheduler_promises(check):
    around = {"_target_": "suite.schedulers.asha.Asha", "max_epochs": R, "n_trials": 64, "eta": 2}
    leaf = {
        "_target_": "suite.schedulers.forecasting.Forecasting",
        "scheduler": around,
        "n_curves": 3,
    }
    getattr(SchedulerConformance.of(leaf)(), check)()


@given(
    st.integers(1, 9), st.integers(0, 999), st.integers(2, 20), st.sampled_from([None, 0.0, 0.25])
)
@settings(max_examples=25, deadline=None)
def test_no_trial_is_lost_and_the_search_has_a_winner(workers, order, n_curves, refit_share):
    scheduler = Forecasting(asha(), n_curves=n_curves, refit_share=refit_share)
    played = play(scheduler, workers=workers, shuffle=order)
    assert played.winner is not None and sorted(played.epochs) == list(range(64))
    counts = scheduler.diagnostics["forecasts"]
    assert counts["asked"] == len(played.predicts) == counts["went_on"] + counts["stopped"]
    assert counts["stopped"] == len(scheduler.stopped_at)
    for trial_id, epoch in scheduler.stopped_at.items():
        assert played.epochs[trial_id] == epoch, "a stopped trial went on"


# --- the rule ----------------------------------------------------------------------------------------


def flat(value):
    return lambda trial_id, epochs: (value[trial_id],) * epochs


def test_an_example_by_hand():
    """One rung of 4 epochs, decision at 2, four curves known: the best half of what came is good."""
    value = {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4, 4: 0.15, 5: 0.9, 6: 0.05, 7: 0.8}
    scheduler = Forecasting(Asha(4, 8, eta=8, min_epochs=4), n_curves=4, quantile=0.5)
    played = play(scheduler, flat(value))
    assert played.trains == [
        Train(0, 4), Train(1, 4), Train(2, 4), Train(3, 4),  # four curves
        # The first at its decision point goes on unasked: none has.
        Train(4, 2), Train(4, 4),
        Train(5, 2),  # 0.9 is not below the third best of five
        # 0.05 is; a worker that waits for its forecast begins another.
        Train(6, 2), Train(7, 2), Train(6, 4),
    ]  # fmt: skip
    assert scheduler.stopped_at == {5: 2, 7: 2}
    assert [p.X_new for p in played.predicts] == [((0.9, 0.9),), ((0.05, 0.05),), ((0.8, 0.8),)]
    assert played.predicts[0].y == (0.1, 0.2, 0.3, 0.4, 0.15)


def test_what_was_stopped_counts_as_worse_so_that_the_bar_does_not_rise_with_each_stop():
    value = {**{i: i / 10 for i in range(4)}, **dict.fromkeys(range(4, 30), 0.95), 30: 0.25}
    scheduler = Forecasting(
        Asha(4, 31, eta=31, min_epochs=4), n_curves=4, least_share=0.01, quantile=0.25
    )
    play(scheduler, flat(value))
    # Of 31 trials it is the fourth best, among the best quarter; of the four or five that finished it is not.
    assert 30 not in scheduler.stopped_at and len(scheduler.stopped_at) == 25


def test_a_predictor_that_knows_nothing_leaves_the_least_share_by_order_of_arrival():
    scheduler = Forecasting(Asha(4, 54, eta=54, min_epochs=4), n_curves=4, least_share=0.2)
    play(scheduler, forecast=lambda request: [1e9])
    # Of 50 that came to the decision point the 1st, 6th, 11th ...
    assert [t for t in range(4, 54) if t not in scheduler.stopped_at] == list(range(4, 54, 5))


@pytest.mark.parametrize("answer", [None, [None]])
def test_without_a_forecast_nothing_is_stopped(answer):
    scheduler = Forecasting(asha(), n_curves=4)
    plain, played = play(asha()), play(scheduler, forecast=lambda request: answer)
    assert not scheduler.stopped_at and scheduler.diagnostics["forecasts"]["failed"] > 0
    assert played.epochs == plain.epochs


def test_a_training_set_grows_by_refit_share():
    def sizes(refit_share):
        scheduler = Forecasting(
            Asha(4, 60, eta=60, min_epochs=4), n_curves=4, refit_share=refit_share, least_share=0.5
        )
        return sorted({len(p.y) for p in play(scheduler).predicts})

    assert len(sizes(None)) == 1 and len(sizes(0.25)) > 3
    assert all(b > 1.25 * a for a, b in zip(sizes(0.25), sizes(0.25)[1:], strict=False))
    assert len(sizes(0.0)) > len(sizes(0.25))


def test_the_epochs_that_are_spared_train_others():
    plain = play(asha(800, n_epochs=600))
    scheduler = Forecasting(asha(800, n_epochs=600), n_curves=4)
    played = play(scheduler)
    assert scheduler.stopped_at and 600 - R < played.n_epochs <= 600 >= plain.n_epochs
    assert len(played.epochs) > len(plain.epochs), "more trials begin"


def test_features_are_the_predictors():
    scheduler = Forecasting(asha(), n_curves=4, features={"use": ["curve", "hyperparameters"]})
    predicts = play(scheduler).predicts
    # The kit tells (0.5,) of each trial.
    assert all(row[-1] == 0.5 for p in predicts for row in (*p.X, *p.X_new))


# --- joint optimizers --------------------------------------------------------------------------------


def test_a_joint_optimizer_is_told_the_forecast_and_may_not_go_on():
    scheduler = steps()
    scheduler.begin(TableTarget().space, 0, None)
    around = Forecasting(scheduler, n_curves=2)
    played = play(around, forecast=lambda request: [123.0])
    stopped = [i for i, epoch in around.stopped_at.items() if epoch == 4]
    assert stopped and played.winner is not None
    told = scheduler.optimizer.told
    for trial_id in stopped:
        # It wants to go on with all of them.
        own = [(to, value) for key, to, value in told if key == trial_id + 1]
        assert own == [(8, 123.0), (16, None)]
    assert played.n_epochs <= 200


def test_a_joint_search_that_stops_trials_ends_with_the_best_of_the_others(tmp_path):
    chosen = configured(
        "algorithm=joint_halving_svr", "model=table_target", "max_epochs=16", "backend=inline",
        "budget.n_epochs=300", "forecast.n_curves=4",
    )  # fmt: skip
    assert run(chosen, tmp_path / "run").status == "completed"
    assert verify(tmp_path / "run", "run").holds
    measured = [
        x["measured"] for x in journals.read(tmp_path / "run" / journals.NAME)[1] if "measured" in x
    ]
    assert measured[0]["scheduler"]["forecasts"]["stopped"] > 0


# --- by composition ----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [
    ("scheduler=asha", "predictor=svr"), ("scheduler=pasha", "predictor=constant"),
    ("algorithm=asha_qsvr",), ("algorithm=joint_halving", "predictor=svr"),
    ("scheduler=asha", "predictor=loo_svr", "overlap=logical"),
])  # fmt: skip
def test_a_predictor_beside_a_scheduler_that_asks_for_none_stops_its_trials(words):
    scheduler = assemble(configured(*words)).scheduler
    inside = scheduler.scheduler if isinstance(scheduler, VirtualCluster) else scheduler
    assert isinstance(inside, Forecasting) and isinstance(inside.scheduler, Asha | Pasha | Joint)


@pytest.mark.parametrize("words", [
    ("scheduler=asha",), ("scheduler=asha", "predictor=svr", "forecast=null"),
    ("scheduler=hyperband", "predictor=svr"), ("scheduler=swift_hyperband", "predictor=svr"),
])  # fmt: skip
def test_others_are_as_they_were(words):
    assert not isinstance(assemble(configured(*words)).scheduler, Forecasting)


def test_a_journal_from_before_runs_asha_without_its_predictor():
    from suite.core.moved import upgraded

    config = compose("scheduler=asha", "predictor=svr")
    old = {key: value for key, value in config.items() if key != "forecast"}
    settings = RunSettings.of({**upgraded(old), "choices": config["choices"]})
    assert isinstance(search_of(settings).scheduler, Asha)


@pytest.mark.parametrize(("word", "says"), [
    ("n_curves=1", "forecast.n_curves=1: must be"), ("known_share=1.0", "forecast.known_share=1.0: must lie"),
    ("quantile=0.0", "forecast.quantile=0.0: must lie"), ("least_share=2.0", "forecast.least_share=2.0"),
    ("refit_share=-1.0", "forecast.refit_share=-1.0: must be"),
    ("n_curve=3", "Did you mean forecast.n_curves"),
    ("n_curves=many", "forecast.n_curves=many: must be"),
])  # fmt: skip
def test_a_wrong_number_is_named(word, says):
    with pytest.raises(ConfigError, match=says):
        assemble(configured("scheduler=asha", "predictor=svr", f"forecast.{word}"))


def test_a_scheduler_without_a_place_for_forecasts_is_refused():
    with pytest.raises(ConfigError, match="scheduler=Hyperband: has no place for forecasts"):
        Forecasting(Hyperband(9, 3))


# --- journaled, replayed, resumed --------------------------------------------------------------------

SVR = {"_target_": "suite.predictors.svr.SVR"}


@pytest.mark.parametrize(
    "make", [lambda: asha(n_epochs=300), lambda: steps(300)], ids=["asha", "joint"]
)
def test_cut_and_resumed_it_ends_as_if_it_had_not_been_cut(make, tmp_path):
    target = TableTarget(diverge_below=9)
    more = {"predictor": Forecaster(SVR, 3), "seed": 3}

    def around():
        return Forecasting(make(), n_curves=4)

    whole = search(tmp_path / "whole", around(), target, **more)
    assert whole.conductor.scheduler.stopped_at
    rows = (tmp_path / "whole" / journals.NAME).read_bytes().splitlines(keepends=True)
    asked = [n for n, row in enumerate(rows) if b'"forecast"' in row]
    # Also between a question and its answer.
    for n_rows in (len(rows) // 3, asked[2], asked[-1]):
        folder = tmp_path / f"cut-{n_rows}"
        shutil.copytree(tmp_path / "whole", folder)
        (folder / journals.NAME).write_bytes(b"".join(rows[:n_rows]))
        again = resumed(folder, around(), target, **more)
        assert result(again) == result(whole), f"cut after line {n_rows}"


@pytest.mark.parametrize("seed", range(3))
def test_lost_workers_failing_forecasts_and_cuts_lose_no_trial(seed, tmp_path):
    def make():
        return Forecasting(asha(40), n_curves=4)

    played = Played(
        tmp_path / "run", make, seed=seed, n_workers=4, p_loss=0.002, p_fail=0.05, p_cut=0.01
    )
    done = played.play().conductor
    assert done.shutdown.status == "completed" and done.winner is not None
    assert set(done.trials) == set(range(40))
    for trial_id, epoch in done.scheduler.stopped_at.items():
        assert len(done.trials[trial_id].curve) == epoch


def test_a_run_with_forecasts_is_verified_and_a_changed_one_is_not(tmp_path):
    chosen = configured(
        "algorithm=asha_svr", "model=table_target", "max_epochs=16", "scheduler.eta=2", "backend=simulate",
        "backend.workers=3", "backend.deaths_per_hour=0.2", "backend.return_s=60.0", "forecast.n_curves=4",
    )  # fmt: skip
    assert run(chosen, tmp_path / "run").status == "completed"
    assert verify(tmp_path / "run", "run").holds
    path = tmp_path / "run" / journals.NAME
    rows = path.read_text().splitlines(keepends=True)
    at = next(n for n, row in enumerate(rows) if '"event":"forecast"' in row and "stopped" in row)
    head, _, rest = rows[at].partition('"values":[')
    rows[at] = f'{head}"values":[-9.0]' + rest.partition("]")[2]
    path.write_text("".join(rows))
    assert not verify(tmp_path / "run", "run").holds


def test_a_question_names_its_trial_and_its_training_set():
    first = next(p for p in play(Forecasting(asha(), n_curves=4), power_law).predicts)
    assert (
        isinstance(first, Predict)
        and first.key.startswith("trial")
        and len(first.X) == len(first.y) >= 4
    )
