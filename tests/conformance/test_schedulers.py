"""What every scheduler promises: each file of conf/scheduler is tested the moment it exists."""

import pytest
from driving import compose, last_value, names, play, power_law
from hypothesis import given
from hypothesis import strategies as st

from suite.core.errors import ConfigError
from suite.core.plugins import make
from suite.core.scheduler import Scheduler
from suite.core.types import DONE

SCHEDULERS = names("scheduler")
SMALL = ("max_epochs=16", "eta=2", "n_curves=3", "overlap=false", "predictor=svr")
every = pytest.mark.parametrize("name", SCHEDULERS)
_leaves = {name: compose(f"scheduler={name}", *SMALL)["scheduler"] for name in SCHEDULERS}


def build(name):
    return make(_leaves[name], "scheduler")


@every
def test_it_is_a_scheduler_and_its_name_is_its_files(name):
    scheduler = build(name)
    assert isinstance(scheduler, Scheduler)
    module, cls = _leaves[name]["_target_"].rsplit(".", 1)
    assert module.rsplit(".", 1)[1] == name and cls.lower() == name.replace("_", "")
    assert type(scheduler).__doc__


@every
@given(workers=st.integers(1, 9), shuffle=st.integers(0, 10**6))
def test_it_ends_within_its_plan_and_never_exceeds_max_epochs(name, workers, shuffle):
    scheduler = build(name)
    played = play(scheduler, workers=workers, shuffle=shuffle)  # asserts: no trial twice at once
    plan = scheduler.plan()
    assert scheduler.max_epochs == 16
    assert all(1 <= train.to_epoch <= scheduler.max_epochs for train in played.trains)
    assert sorted(played.epochs) == list(range(plan.n_trials))
    assert 0 < played.n_epochs <= plan.n_epochs
    assert max(played.epochs.values()) == scheduler.max_epochs and played.winner is not None


@every
def test_a_trial_is_only_ever_trained_further(name):
    reached = {}
    for train in play(build(name), workers=4, shuffle=1).trains:
        assert train.to_epoch > reached.get(train.trial_id, 0)
        reached[train.trial_id] = train.to_epoch


@every
@given(workers=st.integers(1, 9), shuffle=st.integers(0, 10**6))
def test_the_same_answers_give_the_same_decisions(name, workers, shuffle):
    one, two = (play(build(name), workers=workers, shuffle=shuffle) for _ in range(2))
    assert one == two


@every
@given(
    diverging=st.sets(st.integers(0, 60)), workers=st.integers(1, 9), shuffle=st.integers(0, 10**6)
)
def test_it_survives_diverging_trials_and_trains_them_no_further(name, diverging, workers, shuffle):
    def curve(trial_id, to_epoch):
        return None if trial_id in diverging else power_law(trial_id, to_epoch)

    played = play(build(name), curve, workers=workers, shuffle=shuffle)
    for trial_id in diverging & set(played.curves):
        assert sum(train.trial_id == trial_id for train in played.trains) == 1
    assert played.winner not in diverging


@every
@given(after=st.integers(0, 16))
def test_all_trials_diverging_does_not_raise(name, after):
    play(build(name), lambda i, e: None if e > after else power_law(i, e), workers=3, shuffle=0)


@every
@pytest.mark.parametrize("forecast", [last_value, lambda r: None, lambda r: [None] * len(r.X_new)])
def test_done_stays_done(name, forecast):
    scheduler = build(name)
    play(scheduler, forecast=forecast)
    assert [scheduler.ask() for _ in range(3)] == [DONE] * 3


@every
def test_stopped_trials_are_those_that_were_not_finished(name):
    scheduler = build(name)
    played = play(scheduler, workers=2, shuffle=5)
    for trial_id, epoch in scheduler.stopped.items():
        assert played.epochs[trial_id] == epoch < scheduler.max_epochs
    assert set(scheduler.bracket_of) <= set(played.epochs)


@every
@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"max_epochs": 0}, "max_epochs=0"), ({"eta": 1}, "eta=1"), ({"max_epoch": 9}, "max_epoch")],
)
def test_bad_values_name_themselves(name, wrong, says):
    if not set(wrong) <= {*_leaves[name], "max_epoch"}:
        return
    with pytest.raises(ConfigError, match=says):
        make(_leaves[name] | wrong, "scheduler")
