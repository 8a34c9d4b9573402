"""Price: fills the machine until the end, begins nothing that cannot be finished, and replays."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.clusters import cluster as cluster_of
from kit.driving import compose, configured, names, play, power_law
from models.synthetic_curves import TableTarget
from suite.backends.forecasts import Forecaster
from suite.backends.simulate import Simulation
from suite.core.curve_table import Recording
from suite.core.errors import ConfigError, JournalError
from suite.core.plugins import make
from suite.core.space import Choice, Float
from suite.launch.assemble import assemble
from suite.launch.execute import run
from suite.run import journal as journals
from suite.run.budget import limits_of
from suite.run.conductor import Conductor
from suite.run.driver import Driver, reopen
from suite.run.journal import Journal
from suite.schedulers.price import Price
from suite.searchers.random import Random
from suite.verify.checks import verify

R = 16
EPOCH_S = 60.0
HOUR_OF_R = R * EPOCH_S / 3600
"""One mean training of the simulated cluster."""


def price(policy="price", **changes):
    """The scheduler with few trees."""
    return Price(R, policy, **{"n_trees": 6, "n_candidates": 60, **changes})


def hours(trainings):
    """A budget of so many mean trainings, one after the other."""
    return limits_of({"hours": trainings * HOUR_OF_R})


def conductor(scheduler, target=None, seed=0, searcher=None, **changes):
    space = (target or TableTarget()).space
    return Conductor(
        scheduler,
        searcher or Random(),
        space,
        seed=seed,
        **{"score": False, "max_attempts": 3, **changes},
    )


def simulate(
    scheduler, target=None, seed=0, journal=None, driver=None, watch=None, trainings=None, budget=None,
    **cluster,
):  # fmt: skip
    """A search on a simulated cluster; watch: called with each event. trainings: the end, in mean ones."""
    target = target or TableTarget()
    budget = budget or (None if trainings is None else hours(trainings))
    driver = driver or Driver(conductor(scheduler, target, seed, budget=budget), journal)
    driver.observers += [lambda event, _: watch(event)] if watch else []
    cluster = cluster_of(**{"epoch_s": EPOCH_S, "workers": 5, **cluster})
    Simulation(target, cluster, Forecaster(None, seed), seed, R).run(driver)
    return driver


def finished(done):
    """Trials that came to R, by id."""
    return sorted(i for i, trial in done.conductor.trials.items() if len(trial.curve) >= R)


@pytest.mark.parametrize("policy", ["price", "rank"])
@pytest.mark.parametrize("trainings", [1.0, 1.5, 3.0])
def test_it_ends_in_time_with_few_workers_idle(policy, trainings):
    scheduler = price(policy)
    done = simulate(scheduler, seed=1, trainings=trainings)
    measured = scheduler.diagnostics
    assert done.conductor.winner in finished(done)
    assert done.time_s <= 1.1 * trainings * R * EPOCH_S, "stragglers of 1 % of the epochs come last"
    if trainings > 1:
        # In one mean training half of the trials cannot be finished.
        assert measured["budget"]["handed_back"] < 0.45
    assert measured["budget"]["end_s"] == pytest.approx(trainings * R * EPOCH_S, abs=0.001)
    assert measured["rungs"]["trials"][-1] == len(finished(done)) >= (3 if trainings > 1 else 1)
    assert measured["left_out"]["trials"] > 0 and 0 < measured["fresh_share_of_jobs"] < 1
    assert bool(measured["prices"]) == (policy == "price")
    json.dumps(measured, allow_nan=False)


def test_it_finds_more_than_as_many_random_trainings():
    """Objective of the winner, in the mean over seeds, against the best of as many as would fit."""
    ours, random = [], []
    for seed in range(6):
        done = simulate(price(), seed=seed, workers=8, trainings=2.0)
        ours.append(done.conductor.trials[done.conductor.winner].curve[-1])
        target, searcher = TableTarget(), Random()
        searcher.begin(target.space, seed)
        random.append(
            min(target.replay(searcher.propose(i, {}), 0).values[R - 1] for i in range(16))
        )
    assert sum(ours) < sum(random)


def test_nothing_begins_that_cannot_be_finished_and_slow_trials_are_left_out():
    """One trial in a few is 50 times slower than others."""
    scheduler = price()
    done = simulate(scheduler, seed=3, trial_sigma=2.0, trainings=2.0)
    end_s = scheduler.diagnostics["budget"]["end_s"]
    assert finished(done) and scheduler.diagnostics["left_out"]["trials"] > 3
    log = scheduler._left._machine
    begun = [i for i in done.conductor.trials if sum(log.epochs_ms(i)) > 500 * end_s]
    assert not set(begun) & set(finished(done))


def test_where_no_training_fits_any_more_nothing_begins():
    done = simulate(price(), seed=0, trainings=0.3)
    ended = done.conductor.shutdown
    assert ended.status == "completed" and "used up" in ended.reason
    assert f"no trial has max_epochs={R}, the winner has" in ended.reason
    assert done.time_s < 0.3 * R * EPOCH_S + 3 * EPOCH_S and not finished(done)


def test_hardly_more_than_one_training_of_time_is_used():
    """With a measured share of trials that could finish, 0 at the begin, nothing would ever begin."""
    assert finished(simulate(price(), seed=0, trial_sigma=0.0, epoch_noise=0.0, trainings=1.05))


def test_overhead_raises_the_rung_of_new_trials_up_to_a_quarter():
    rungs = []
    for overhead in (0.0, 2.5, 12.0):
        scheduler = price()
        simulate(scheduler, job_overhead_s=overhead * EPOCH_S, seed=2, trainings=4.0)
        rungs.append(scheduler.diagnostics["rungs"]["lowest"])
    assert rungs == [1, 4, 4]


def test_overhead_counts_for_a_trial_that_restarts_alone():
    class Machine:
        now_ms, n_workers, overhead_ms, last_busy_ms = 50, 1, 40, (0,)
        has_end, end_ms = True, 100

        def epochs_ms(self, trial_id):
            return [10] * 9

        def is_resident(self, trial_id):
            return trial_id == 1

    scheduler = Price(12, lowest_share=0.75, highest_share=1.0)
    scheduler.on_machine(Machine())
    budget = scheduler._left
    budget.told(1), budget.told(2)
    # Three epochs of 10.2 ms: 31 of the 50 ms that are left, with the overhead 71.
    assert budget.fit([1, 2], np.array([9, 9])).tolist() == [True, False]
    assert budget.fit([1, 2], np.array([3, 3])).tolist() == [False, False]


def test_a_slow_first_epoch_condemns_nobody():
    """Compilation, say: as long as five. The median without it decides."""

    class Warming(TableTarget):
        def replay(self, config, seed):
            recording = super().replay(config, seed)
            seconds = (5 * EPOCH_S, *[EPOCH_S] * (len(recording.values) - 1))
            return dataclasses.replace(recording, train_s=seconds)

    assert len(finished(simulate(price(), Warming(), seed=0, trainings=2.0))) >= 4


# --- journals ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["price", "rank"])
def journaled(request, tmp_path_factory):
    """A run on a machine whose workers die and return, with its policy."""
    folder = tmp_path_factory.mktemp("run")
    journal = Journal(folder, {"run_id": "test"})
    driver = simulate(
        price(request.param), TableTarget(diverge_below=60), seed=4, journal=journal, trainings=3.0,
        deaths_per_hour=1.0, return_s=300.0, job_overhead_s=20.0,
    )  # fmt: skip
    driver.close("completed")
    return folder, request.param


def test_every_decision_of_a_journal_is_taken_again(journaled):
    folder, policy = journaled
    _, lines, _ = journals.read(folder / journals.NAME)
    assert any(line["event"] == "lost" for line in lines)
    assert any(line["event"] == "failed" for line in lines)
    again = conductor(price(policy), TableTarget(diverge_below=60), seed=4, budget=hours(3.0))
    Driver(again, None).replay(lines)
    assert again.scheduler.diagnostics == lines[-2]["measured"]["scheduler"]
    other = conductor(price(policy), TableTarget(diverge_below=60), seed=4, budget=hours(1.5))
    with pytest.raises(JournalError, match="now it would be"):
        Driver(other, None).replay(lines)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.4, 0.6, 0.8, 0.97])
def test_a_run_cut_at_a_line_goes_on_from_what_was_journaled(journaled, share, tmp_path, no_fsync):
    folder, policy = journaled
    rows = (folder / journals.NAME).read_text().splitlines(keepends=True)
    n = max(round(share * len(rows)), 2)
    (tmp_path / journals.NAME).write_text("".join(rows[:n]))
    target = TableTarget(diverge_below=60)
    fresh = conductor(price(policy), target, seed=4, budget=hours(3.0))
    driver = reopen(tmp_path, fresh)
    simulate(None, target, seed=4, driver=driver, deaths_per_hour=0.0)
    driver.close("completed")
    assert finished(driver) and driver.conductor.shutdown.status == "completed"
    # No epoch that a decision rests on was trained again with another result.
    assert driver.conductor.counts.n_differences == 0
    _, lines, _ = journals.read(tmp_path / journals.NAME)
    Driver(conductor(price(policy), target, seed=4, budget=hours(3.0)), None).replay(lines)


def test_a_simulated_run_of_the_command_line_is_verified(tmp_path, no_fsync):
    words = (
        "model=table_target", "algorithm=price_rank", "backend=simulate", "backend.workers=3",
        f"max_epochs={R}", f"budget.hours={1.5 * HOUR_OF_R}", "tracking=later", "report=false",
    )  # fmt: skip
    outcome = run(configured(*words), tmp_path / "run")
    assert outcome.status == "completed"
    verdict = verify(tmp_path / "run", "run")
    assert verdict.holds and {check.status for check in verdict.checks} == {"pass"}
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["reproducible"] == "prefix only"
    measured = record["measured"]["scheduler"]
    assert measured["policy"] == "rank" and measured["decides_by"] == "times in the journal"


@pytest.mark.parametrize(
    "words",
    [
        ("overlap=logical",),
        ("overlap=logical", "searcher=extra_trees", "scheduler.policy=rank"),
        ("budget.hours=1", "backend.wall_limit_s=1500", "backend.job_overhead_s=30"),
        ("budget.hours=1", "searcher=grid", "searcher.n_per_parameter=3"),
    ],
    ids=["virtual cluster", "learning searcher", "batch jobs in a row", "few configurations"],
)
def test_runs_of_many_kinds_are_verified(words, tmp_path, no_fsync):
    given = (
        *SIMULATED,
        "backend.workers=4",
        "tracking=later",
        "report=false",
        "scheduler.n_trees=4",
    )
    assert run(configured(*given, *words), tmp_path / "run").status == "completed"
    assert verify(tmp_path / "run", "run").holds


def test_a_real_run_ends_by_its_own_clock_and_is_verified(tmp_path, no_fsync):
    """About two seconds, whatever the machine does: later epochs are fewer trials."""
    words = (
        "model=table_target", "model.sleep_s=0.002", "algorithm=price", "backend=inline", f"max_epochs={R}",
        f"budget.hours={2 / 3600}", "tracking=later", "report=false",
    )  # fmt: skip
    outcome = run(configured(*words), tmp_path / "run")
    assert outcome.status == "completed" and verify(tmp_path / "run", "run").holds
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    budget = record["measured"]["scheduler"]["budget"]
    assert budget["end_s"] == 2.0 and budget["epoch_s"] >= 0.002


# --- budgets of epochs --------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 9), st.integers(0, 999), st.sampled_from(["price", "rank"]),
    st.integers(1, 6),
)  # fmt: skip
def test_without_an_end_epochs_are_the_budget_and_somebody_comes_to_the_end(
    max_epochs, workers, shuffle, policy, times
):
    scheduler = Price(max_epochs, policy, n_epochs=times * max_epochs, n_trees=3)
    played = play(scheduler, workers=workers, shuffle=shuffle)
    assert played.winner is not None and played.n_epochs <= times * max_epochs + max_epochs


def test_where_the_last_that_could_be_finished_fails_another_is_trained_to_the_end():
    """Beyond the budget: else the run would have no result."""
    lost = []

    def curve(trial_id, to_epoch):
        if to_epoch > R // 2 and len(lost) < 3 and trial_id not in lost:
            lost.append(trial_id)
        return None if trial_id in lost and to_epoch > R // 2 else power_law(trial_id, to_epoch)

    played = play(price(n_epochs=2 * R), curve, workers=2, shuffle=0)
    assert len(lost) == 3 and played.winner is not None


def test_failed_trials_rank_last_where_they_failed():
    scheduler = price()
    play(scheduler, lambda i, e: None if i % 3 == 0 else power_law(i, e), workers=2)
    scores = scheduler._ladder.scores
    worst = [score for i, score in zip(scheduler._trials.ids, scores, strict=True) if i % 3 == 0]
    others = [score for i, score in zip(scheduler._trials.ids, scores, strict=True) if i % 3]
    assert len(set(worst)) == 1 and worst[0] > max(others)


def test_no_more_trials_than_were_asked_for():
    scheduler = price(n_trials=7)
    played = play(scheduler, workers=3)
    assert len(played.epochs) == 7 == scheduler.plan().n_trials
    assert all(epochs == R for epochs in played.epochs.values()), "there was nothing else to train"


def test_straight_trials_are_trained_in_one_job():
    played = play(price(straight=0.5), workers=4, shuffle=1)
    straight = [train for train in played.trains if train.to_epoch == R]
    first = {}
    for train in played.trains:
        first.setdefault(train.trial_id, train.to_epoch)
    assert sum(epochs == R for epochs in first.values()) >= 3 and len(straight) >= 3
    plain = play(price(), workers=4, shuffle=1)
    assert plain.trains != played.trains


# --- spaces and searchers -----------------------------------------------------------------------------


class _Space(TableTarget):
    """Another space; objectives by the values' names."""

    def __init__(self, parameters):
        self.parameters = parameters
        super().__init__()

    def replay(self, config, seed):
        level = sum(len(str(value)) for value in config.values()) % 7 / 7
        return Recording(tuple(level + 1 / e for e in range(1, R + 1)))


@pytest.mark.parametrize(
    "parameters",
    [
        {"x": Float(0.0, 1.0)},
        {"kind": Choice("a", "bb", "ccc"), "other": Choice("d", "eeee")},
        {"only": Choice("one")},
    ],
    ids=["one hyperparameter", "no numbers, repeats", "one configuration"],
)
def test_any_space_will_do(parameters):
    done = simulate(price(), _Space(parameters), seed=0, trainings=1.5)
    assert done.conductor.winner in finished(done)


@pytest.mark.parametrize("searcher", sorted(set(names("searcher")) - {"gp"}))
def test_any_searcher_will_do(searcher):
    words = (f"searcher={searcher}", "model=table_target", "scheduler=price", f"max_epochs={R}")
    leaf = compose(*words)["searcher"]
    done = Driver(conductor(price(), searcher=make(leaf, "searcher"), budget=hours(1.2)), None)
    simulate(None, driver=done)
    assert finished(done)


def test_a_table_with_few_rows_is_used_up():
    class Few(TableTarget):
        def __init__(self):
            super().__init__()
            searcher = Random()
            searcher.begin(TableTarget().space, 0)
            self.space.rows = [searcher.propose(i, {}) for i in range(6)]

    done = simulate(price(), Few(), workers=3, trainings=9.0)
    assert finished(done) == list(range(6))


def test_all_trials_failing_ends():
    done = simulate(price(), TableTarget(diverge_below=1000), seed=0, trainings=2.0)
    assert not finished(done) and done.conductor.shutdown.status == "completed"
    half = simulate(price(), TableTarget(diverge_below=40), seed=0, trainings=2.0)
    assert half.conductor.winner in finished(half) and half.conductor.given_up


def test_equal_objectives_everywhere_decide_by_id():
    played = [play(price(), lambda i, e: (0.5,) * e, workers=3, shuffle=s) for s in (1, 1)]
    assert played[0] == played[1] and played[0].winner is not None


# --- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"policy": "best"}, "policy=best: must be price or rank"),
        ({"n_epochs": R - 1}, f"n_epochs={R - 1}: must be an integer >= {R} .one training"),
        ({"n_trials": 0}, "n_trials=0: must be .* or null"),
        ({"straight": 1.5}, r"straight=1.5: must lie in \[0, 1\]"),
        ({"lowest_share": -0.1}, r"lowest_share=-0.1: must lie in \[0, 1\]"),
        ({"n_candidates": 0}, "n_candidates=0: must be"),
        ({"random_every": 0}, "random_every=0: must be"),
    ],
)
def test_bad_parameters(wrong, says):
    with pytest.raises(ConfigError, match=says):
        price(**wrong)


SIMULATED = ("model=table_target", "algorithm=price", "backend=simulate", f"max_epochs={R}")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("budget.hours=0.2",),
            r"budget.hours=0.2: one training to max_epochs=16 takes about 0.267 h",
        ),
        (("budget.hours=2", "overlap=logical"), "overlap=logical: a virtual cluster has no clock"),
    ],
)
def test_ends_that_cannot_be_kept_are_refused_before_anything_runs(words, says):
    with pytest.raises(ConfigError, match=says):
        assemble(configured(*SIMULATED, *words))


def test_a_short_end_is_run_where_that_is_said():
    assemble(configured(*SIMULATED, "budget.hours=0.2", "budget.allow_short=true"))


@pytest.mark.parametrize("policy", ["price", "rank"])
def test_a_run_in_which_nothing_is_reckoned_to_fit_spends_its_time_all_the_same(policy):
    """All trainings take 1 R; with 2 % for stragglers none fits into 1.01 R once it has begun."""
    even = {"trial_sigma": 0.0, "epoch_noise": 0.0, "straggler_share": 0.0}
    done = simulate(price(policy), trainings=1.01, **even)
    assert finished(done), "what was paused went on, and came to R"
    assert done.conductor.shutdown.status == "completed"
    # Less than a training: the best ones go on until the end.
    done = simulate(price(policy), trainings=0.5, **even)
    assert not finished(done) and done.conductor.ending.spent
    assert max(len(trial.curve) for trial in done.conductor.trials.values()) >= R // 4


def test_trials_are_trials_of_the_searchers_order():
    """Trial k has the configuration that random search gives it: runs of one seed share them."""
    done = simulate(price(), seed=7, trainings=1.5)
    searcher = Random()
    searcher.begin(TableTarget().space, 7)
    trials = done.conductor.trials
    assert all(trial.config == searcher.propose(i, {}) for i, trial in trials.items())
    assert max(trials) >= len(trials), "the forest chose among those to come"


def test_power_laws_are_ranked():
    played = play(price(n_epochs=400), workers=4, shuffle=2)
    others = sorted(power_law(i, R)[-1] for i in played.epochs)
    assert power_law(played.winner, R)[-1] <= others[len(others) // 5]
