"""Fast-Hyperband: who is watched, by which threshold, and who is stopped."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.driving import DATA, power_law
from kit.driving import play as play_values
from kit.mlpf_curves import TABLE, mlpf_curves
from suite.core.errors import ConfigError
from suite.core.types import Train
from suite.predictors.loo_svr import LooSVR
from suite.schedulers.fast_hyperband import FastHyperband
from suite.schedulers.hyperband import Hyperband

STD = 0.05


def steady(request):
    """The curve stays where it is, give or take."""
    return [(row[-1], STD) for row in request.X_new]


def play(scheduler, curve=power_law, *, forecast=steady, **how):
    """`driving.play`, whose forecasts carry standard deviations."""
    tell = scheduler.tell_forecast

    def tell_pairs(key, pairs):
        if pairs is None:
            tell(key, None)
        else:
            tell(key, [value for value, _ in pairs], [std for _, std in pairs])

    scheduler.tell_forecast = tell_pairs
    try:
        return play_values(scheduler, curve, forecast=forecast, **how)
    finally:
        del scheduler.tell_forecast


def parts(request):
    """bracket, rung, trial and epoch of a question's key."""
    return [int("".join(filter(str.isdigit, part))) for part in request.key.split("/")[:4]]


# --- totals and timing ----------------------------------------------------------------------------


@pytest.mark.parametrize(("max_epochs", "n_epochs"), [(100, 3213), (35, 872)])
@pytest.mark.parametrize("forecast", [lambda r: None, lambda r: [(None, STD)] * len(r.X_new)])
def test_without_forecasts_it_is_hyperband(max_epochs, n_epochs, forecast):
    fast = play(FastHyperband(max_epochs, 2), forecast=forecast)
    assert fast.n_epochs == n_epochs and fast.predicts
    assert fast.epochs == play_values(Hyperband(max_epochs, 2)).epochs


def test_a_forecast_without_its_error_stops_nobody():
    scheduler = FastHyperband(27, 2, n_curves=3)
    played = play_values(scheduler, forecast=lambda r: [1e6] * len(r.X_new))
    assert played.predicts and not scheduler.stopped_at


@given(
    st.integers(4, 30),
    st.integers(2, 8),
    st.sampled_from([1, 2, None]),
    st.integers(1, 3),
    st.integers(1, 12),
    st.integers(0, 10**6),
    st.sets(st.integers(0, 60)),
)
def test_no_order_of_completion_changes_anything(
    max_epochs, n_curves, batch, every, workers, shuffle, diverging
):
    curve = lambda i, e: None if i in diverging else power_law(i, e)  # noqa: E731
    make = lambda: FastHyperband(max_epochs, 2, n_curves, batch=batch, every=every)  # noqa: E731
    one, two = make(), make()
    alone, other = play(one, curve), play(two, curve, workers=workers, shuffle=shuffle)
    assert set(other.trains) == set(alone.trains) and len(other.trains) == len(alone.trains)
    assert other.predicts == alone.predicts
    assert dict(two.stopped_at) == dict(one.stopped_at) and other.winner == alone.winner
    assert not diverging & set(one.stopped_at)
    for request in alone.predicts:
        assert np.isfinite(request.y).all() and np.isfinite(request.X_new).all()


@given(st.integers(4, 30), st.integers(1, 12), st.integers(0, 10**6))
def test_overlapping_it_ends_within_hyperbands_budget(max_epochs, workers, shuffle):
    scheduler = FastHyperband(max_epochs, 2, n_curves=3, overlap=True)
    played = play(scheduler, workers=workers, shuffle=shuffle)
    assert played.n_epochs <= scheduler.plan().n_epochs and played.winner is not None


# --- the rule -------------------------------------------------------------------------------------


def last_bracket(forecast, **other):
    """The last bracket of R = 16 alone: 5 trials to 16 epochs, n_next 2; three in full."""
    scheduler = FastHyperband(16, 2, **({"n_curves": 2} | other))
    trials = [i for i, s in scheduler.bracket_of.items() if s == 0]
    played = play(
        scheduler, forecast=lambda r: forecast(r) if r.key.startswith("bracket0/") else None
    )
    mine = [r for r in played.predicts if r.key.startswith("bracket0/")]
    stopped = {i: e for i, e in scheduler.stopped_at.items() if i in trials}
    return trials, mine, stopped, [t for t in played.trains if t.trial_id in trials]


def test_a_share_is_trained_in_full_and_the_others_are_asked_about_after_every_epoch():
    trials, asked, stopped, trains = last_bracket(steady, delta=0.999)
    assert trains[:3] == [Train(i, 16) for i in trials[:3]]  # half of five, rounded up
    assert [t for t in trains[3:] if t.trial_id == trials[3]] == [
        Train(trials[3], e) for e in range(1, stopped.get(trials[3], 16) + 1)
    ]
    assert [parts(r)[2:] for r in asked] == [
        [i, e] for i in trials[3:] for e in range(1, min(stopped.get(i, 15), 15) + 1)
    ]


@pytest.mark.parametrize(
    ("delta", "deviations"), [(0.95, 1.6448536269514722), (0.99, 2.3263478740408408)]
)
def test_it_stops_where_the_chance_to_be_promoted_falls_below_one_minus_delta(delta, deviations):
    trials, _, stopped, _ = last_bracket(lambda r: None)
    assert not stopped
    full = sorted(power_law(i, 16)[-1] for i in trials[:3])
    threshold = full[1]  # the n_next-th best
    edge = threshold + deviations * STD  # P(y < threshold) = 1 - delta
    for value, stops in ((edge + 1e-9, True), (edge - 1e-9, False), (-1e6, False)):
        _, _, stopped, _ = last_bracket(
            lambda r, value=value: [(value if parts(r)[2:] == [trials[3], 4] else -1e6, STD)],
            delta=delta,
        )
        assert stopped == ({trials[3]: 4} if stops else {})


@pytest.mark.parametrize(("value", "stops"), [(1e6, True), (-1e6, False)])
def test_a_predictor_that_is_certain_is_believed(value, stops):
    trials, _, stopped, _ = last_bracket(lambda r: [(value, 0.0)] * len(r.X_new))
    assert stopped == (dict.fromkeys(trials[3:], 1) if stops else {})


def test_the_threshold_becomes_stricter_from_batch_to_batch_only():
    """Trial by trial the second watched one meets the first one's objective; side by side not."""

    def curve(trial_id, epoch):
        return ({0: 0.1, 1: 0.5, 2: 0.6, 3: 0.2, 4: 0.4}[trial_id - first],) * epoch

    first = min(i for i, s in FastHyperband(16, 2).bracket_of.items() if s == 0)
    for batch, stopped in ((1, {first + 4: 1}), (None, {})):
        scheduler = FastHyperband(16, 2, n_curves=2, batch=batch)
        play(
            scheduler,
            lambda i, e: curve(i, e) if i >= first else power_law(i, e),
            forecast=lambda r: (
                [(row[-1], 0.01) for row in r.X_new] if r.key.startswith("bracket0/") else None
            ),
        )
        assert dict(scheduler.stopped_at) == stopped


def test_enough_are_always_finished_to_be_promoted():
    scheduler = FastHyperband(32, 4, n_curves=2, full_share=0.01)
    played = play(scheduler, forecast=lambda r: [(1e6, STD)] * len(r.X_new))
    assert scheduler.stopped_at
    for bracket in scheduler.plan().brackets:
        mine = [i for i, s in scheduler.bracket_of.items() if s == bracket.s]
        for rung in bracket.rungs:
            assert sum(played.epochs[i] >= rung.to_epoch for i in mine) >= rung.n_next


def test_a_threshold_needs_as_many_full_trials_as_are_promoted():
    trials, asked, _, trains = last_bracket(lambda r: None, full_share=0.1, batch=None)
    assert trains[:5] == [Train(i, 16) for i in trials[:2]] + [Train(i, 1) for i in trials[2:]]
    assert [len(r.X_new) for r in asked] == [3] * 15


def test_fewer_curves_than_d_are_made_up_from_the_rung_by_position():
    scheduler = FastHyperband(16, 2, n_curves=40)
    assert not play(scheduler).predicts  # no rung ever has as many
    assert not scheduler.stopped_at


def test_a_diverged_full_trial_is_replaced_by_the_next_of_the_rung():
    scheduler = FastHyperband(16, 2, n_curves=2)
    trials = [i for i, s in scheduler.bracket_of.items() if s == 0]
    played = play(scheduler, lambda i, e: None if i == trials[0] else power_law(i, e))
    mine = [t for t in played.trains if t.trial_id in trials]
    assert mine[:4] == [Train(i, 16) for i in trials[:4]]
    assert mine[4] == Train(trials[4], 1)


def test_every_spares_questions_and_jobs():
    _, asked, _, trains = last_bracket(lambda r: None, every=5)
    assert [parts(r)[3] for r in asked] == [5, 10, 15] * 2
    assert [t.to_epoch for t in trains] == [16] * 3 + [5, 10, 15, 16] * 2


def test_a_row_is_curve_differences_and_hyperparameters():
    use = ["curve", "differences", "hyperparameters"]
    scheduler = FastHyperband(16, 2, n_curves=2, features={"use": use})
    for request in play(scheduler).predicts:
        e = parts(request)[3]
        width = e + max(e - 1, 0) + max(e - 2, 0) + 1
        assert all(len(row) == width and row[-1] == 0.5 for row in (*request.X, *request.X_new))
        assert request.with_std and len(request.y) == len(request.X) >= 2


# --- recorded curves ------------------------------------------------------------------------------


@pytest.mark.skipif(not TABLE.exists(), reason=f"no curve table in {DATA}: set SUITE_DATA")
@pytest.mark.slow
def test_on_mlpf_it_saves_epochs_and_finds_the_same():
    """Asked every tenth epoch, to be done in seconds: after each it stops twice as many."""
    table, epochs, equal = mlpf_curves(), [], 0
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(table))
        curve = lambda i, e, order=order: table[order[i]][:e]  # noqa: E731
        hyperband = play_values(Hyperband(100, 2), curve)
        fast = play(
            FastHyperband(100, 2, every=10, features={"use": ["curve", "differences"]}),
            curve,
            forecast=lambda r: list(
                zip(*LooSVR().fit(r.X, r.y).predict(r.X_new, return_std=True), strict=True)
            ),
        )
        epochs.append(fast.n_epochs)
        equal += fast.curves[fast.winner][99] == hyperband.curves[hyperband.winner][99]
    print(f"\nMLPF, 5 seeds: {np.mean(epochs):.0f} of 3213 epochs, best equal on {equal}")
    assert np.mean(epochs) < 0.98 * 3213 and max(epochs) <= 3213
    assert equal >= 4


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"eta": 1}, "eta=1: must be"),
        ({"max_epochs": 0}, "max_epochs=0: must be"),
        ({"n_curves": 1}, "n_curves=1: must be an integer >= 2"),
        ({"every": 0}, "every=0: must be"),
        ({"batch": 0}, "batch=0: must be an integer >= 1 or null"),
        ({"delta": 1}, "delta=1: must lie"),
        ({"full_share": math.nan}, "full_share=nan: must lie"),
        ({"features": {"use": ["loss"]}}, "loss: unknown; known are curve"),
    ],
)
def test_bad_parameters(wrong, says):
    with pytest.raises(ConfigError, match=says):
        FastHyperband(**({"max_epochs": 27, "eta": 2} | wrong))
