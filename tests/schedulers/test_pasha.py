"""PASHA: an example by hand, when its top rung moves up, the noise it measures, and the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.driving import play, power_law
from suite.core.errors import ConfigError
from suite.core.types import DONE, WAIT, Train
from suite.schedulers.asha import Asha
from suite.schedulers.pasha import Pasha, crossings


def cut(curves, rest=9.0):
    """A play's curve: that of `curves`, its last value going on; of any other trial `rest`."""

    def curve(trial_id, to_epoch):
        values = curves.get(trial_id, (rest,))
        return (values + (values[-1],) * to_epoch)[:to_epoch]

    return curve


# Rungs of 1, 2, 4 and 8 epochs: at 1 epoch 3 is before 1, at 2 and at 4 it is behind.
CROSSED = {0: (0.5, 0.6), 1: (0.3, 0.35), 2: (0.4, 0.5), 3: (0.1, 0.4)}


def test_an_example_by_hand():
    scheduler = Pasha(8, 8, eta=2)
    assert play(scheduler, cut(CROSSED)).trains == [
        Train(0, 1),
        Train(1, 1),  # of two, the top one: 1
        Train(1, 2),  # alone in the top rung: it has no ranking
        Train(2, 1),
        Train(3, 1),  # of four, the top two: 3 and 1
        Train(3, 2),  # 1 before 3, and 3 before 1 in the rung below: the top is the rung of 4
        Train(1, 4),  # of two in the rung of 2, the top one
        Train(4, 1),
        Train(5, 1),  # of six, the top three: 3, 1, 2
        Train(2, 2),
        Train(6, 1),
        Train(7, 1),  # of eight, the top four: 3, 1, 2, 0
        Train(0, 2),  # of four in the rung of 2, the top two: 1 and 3
        Train(3, 4),  # 1 before 3 as in the rung below: the top stays, and nothing is left
        Train(1, 8),  # the best of the highest rung, so that a trial is at max_epochs
    ]
    assert scheduler.diagnostics == {"final_max_epochs": 4, "grown": 1, "epsilon": 0.0}


def test_within_epsilon_another_order_is_the_same_ranking():
    scheduler = Pasha(8, 8, eta=2, epsilon=0.25)  # 1 and 3 differ by 0.2 in the rung of 1
    played = play(scheduler, cut(CROSSED))
    assert scheduler.diagnostics == {"final_max_epochs": 2, "grown": 0, "epsilon": 0.25}
    assert [train for train in played.trains if train.to_epoch > 2] == [Train(1, 8)]


def test_epsilon_is_a_distance_in_the_rung_below():
    """In the top rung they are 0.05 apart, in the rung below 0.2: only the latter counts."""
    for epsilon, grown in ((0.1, 1), (0.19, 1), (0.21, 0)):
        scheduler = Pasha(8, 8, eta=2, epsilon=epsilon)
        play(scheduler, cut(CROSSED))
        assert scheduler.diagnostics["grown"] == grown


@given(st.permutations(range(64)), st.integers(1, 12), st.integers(0, 10**6))
def test_a_stable_ranking_costs_fewer_epochs_than_asha_and_finds_the_same(levels, workers, shuffle):
    scheduler, asha = Pasha(64, 64), Asha(64, 64)
    ours, theirs = (
        play(s, lambda i, e: (float(levels[i]),) * e, workers=workers, shuffle=shuffle)
        for s in (scheduler, asha)
    )
    assert scheduler.diagnostics["grown"] == 0 and ours.n_epochs < theirs.n_epochs
    assert ours.winner == levels.index(0)
    assert sorted(ours.epochs.values())[-2] <= 4


@given(st.integers(1, 12), st.integers(0, 10**6))
def test_a_ranking_that_turns_over_at_every_rung_grows_to_max_epochs(workers, shuffle):
    def turning(trial_id, to_epoch):  # rungs of 1, 3, 9 and 27 epochs
        sides = [1 if e < 3 or 9 <= e < 27 else -1 for e in range(1, to_epoch + 1)]
        return tuple(float(side * (1 + trial_id * 37 % 81)) for side in sides)

    scheduler = Pasha(27, 81, eta=3, epsilon=0)
    played = play(scheduler, turning, workers=workers, shuffle=shuffle)
    assert scheduler.diagnostics == {"final_max_epochs": 27, "grown": 2, "epsilon": 0.0}
    assert list(played.epochs.values()).count(27) > 1


@pytest.mark.parametrize(
    ("one", "two", "n"),
    [
        ((1, 1, 1), (2, 2, 2), 0),
        ((1, 3, 3), (2, 2, 2), 1),
        ((1, 3, 1), (2, 2, 2), 2),
        ((1, 2, 1), (2, 2, 2), 0),  # touched
        ((1, 2, 3, 2, 1), (2, 2, 2, 2, 2), 2),
        ((1, 3, 1), (2, 2), 1),  # only the epochs that both have
        ((), (), 0),
    ],
)
def test_crossings(one, two, n):
    assert crossings(one, two) == crossings(two, one) == n


# Rungs of 4, 8 and 16 epochs; 0 to 3 are in the rung of 8, in the same order as in the rung of 4.
NOISY = {
    0: (0.5,),
    1: (0.4, 0.6, 0.4),  # crosses 0 twice: 0.1 apart at 8 epochs
    2: (0.45, 0.8),  # crosses 0 once, 1 never
    3: (0.7, 0.3, 0.8, 0.8, 0.9),  # crosses 0, 1 and 2 twice: 0.4, 0.5 and 0.1 apart
}


def test_epsilon_is_the_90th_percentile_of_the_pairs_that_criss_crossed():
    scheduler = Pasha(16, 8, eta=2, min_epochs=4)
    play(scheduler, cut(NOISY))
    assert scheduler.diagnostics["epsilon"] == pytest.approx(0.47)  # of 0.1, 0.1, 0.4, 0.5
    assert scheduler.diagnostics["grown"] == 0


@pytest.mark.parametrize(("diverges", "epsilon"), [(False, 0.3), (True, 0.1)])
def test_a_higher_top_rung_measures_anew_and_without_a_pair_keeps_what_was(diverges, epsilon):
    """At 4 epochs 6 leads 1 by 0.2, at 8 it is behind: more than the 0.1 between 0 and 1.

    In the rung of 16, 0 and 1 are 0.3 apart, or 0 has diverged and 1 is alone.
    """
    falls = {
        0: (0.5,),
        1: (0.4, 0.6) + (0.4,) * 6 + (0.2,),
        6: (0.2, 0.2, 0.2, 0.2, 0.85),  # when it comes, 0 and 1 have been at 8
    }

    def curve(trial_id, to_epoch):
        if diverges and (trial_id, to_epoch) == (0, 16):
            return None
        return cut(falls)(trial_id, to_epoch)

    scheduler = Pasha(16, 8, eta=2, min_epochs=4)
    play(scheduler, curve)
    assert scheduler.diagnostics["grown"] == 1
    assert scheduler.diagnostics["epsilon"] == pytest.approx(epsilon)


def test_noise_keeps_the_top_rung_where_it_is():
    """0 and 1 swap places between the rungs, but they do so at every epoch."""
    swapping = {0: (0.5,), 1: (0.45, 0.55, 0.45, 0.45, 0.55), 2: (0.8,), 3: (0.9,)}
    estimated, exact = (Pasha(16, 8, eta=2, min_epochs=4, epsilon=e) for e in (None, 0.0))
    for scheduler in (estimated, exact):
        play(scheduler, cut(swapping))
    assert (estimated.diagnostics["grown"], exact.diagnostics["grown"]) == (0, 1)


def test_a_diverged_trial_is_in_no_ranking():
    """1 leads the rung of 1 epoch and diverges before 2: of 3 and 0 the order is the same."""

    def curve(trial_id, to_epoch):
        if trial_id == 1 and to_epoch > 1:
            return None
        return cut({0: (0.2,), 1: (0.1,), 3: (0.15,)})(trial_id, to_epoch)

    scheduler = Pasha(8, 8, eta=2)
    played = play(scheduler, curve)
    assert scheduler.diagnostics["grown"] == 0
    assert played.trains[-1] == Train(3, 8) and played.epochs[1] == 2


def test_where_the_best_diverges_on_its_way_to_the_end_the_next_goes():
    """0 and 1, the best two, diverge after the rung of 2 epochs, which is the top to the end."""

    def curve(trial_id, to_epoch):
        return None if trial_id < 2 and to_epoch > 2 else (float(trial_id),) * to_epoch

    played = play(Pasha(8, 8, eta=2), curve)
    assert [t for t in played.trains if t.to_epoch > 2] == [Train(i, 8) for i in range(3)]
    assert played.winner == 2


def test_where_all_of_the_top_rung_diverged_one_of_the_rung_below_goes():
    played = play(Pasha(4, 4, eta=2), lambda i, e: None if i < 2 and e > 1 else (float(i),) * e)
    assert played.trains[-1] == Train(2, 4) and played.winner == 2


def test_the_last_training_waits_for_what_is_in_flight():
    scheduler = Pasha(4, 4, eta=2)
    for trial_id in range(4):
        assert scheduler.ask() == Train(trial_id, 1)
    for trial_id in range(3):
        scheduler.tell(trial_id, (0.1 * (1 + trial_id),))
    assert scheduler.ask() == Train(0, 2)
    scheduler.tell(0, (0.1, 0.1))
    assert scheduler.ask() == WAIT
    scheduler.tell(3, (0.05,))
    assert scheduler.ask() == Train(3, 2)
    assert scheduler.ask() == WAIT
    scheduler.tell(3, (0.05, 0.05))
    assert scheduler.ask() == Train(3, 4)
    assert scheduler.ask() == WAIT
    scheduler.tell(3, (0.05,) * 4)
    assert scheduler.ask() == DONE


@given(st.integers(1, 200), st.integers(1, 12), st.integers(0, 10**6))
def test_but_for_the_first_and_the_last_no_job_goes_beyond_n_epochs(n_epochs, workers, shuffle):
    scheduler = Pasha(16, 32, eta=2, min_epochs=2, n_epochs=n_epochs)
    played = play(scheduler, power_law, workers=workers, shuffle=shuffle)
    reached = {train.trial_id: train.to_epoch for train in played.trains[:-1]}
    assert sum(reached.values()) <= max(n_epochs, 2) and played.winner is not None


def test_one_rung_is_random_search():
    played = play(Pasha(1, 5), power_law)
    assert played.trains == [Train(i, 1) for i in range(5)]


def test_the_rungs_and_the_plan_are_asha_s():
    assert Pasha(100, 64).plan() == Asha(100, 64).plan()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"epsilon": -0.1}, "epsilon=-0.1: must be a finite number >= 0, or null"),
        ({"epsilon": float("nan")}, "epsilon=nan: must be"),
        ({"epsilon": float("inf")}, "epsilon=inf: must be"),
        ({"epsilon": "auto"}, "epsilon=auto: must be"),
        ({"epsilon": True}, "epsilon=True: must be"),
        ({"eta": 1}, "eta=1: must be an integer >= 2"),
        ({"max_epochs": 0}, "max_epochs=0: must be"),
        ({"n_trials": 15}, "n_trials=15: must be at least eta\\^2 = 16"),
        ({"n_epochs": 0}, "n_epochs=0: must be"),
        ({"min_epochs": 2, "s": 2}, "s=2: the first rung, min_epochs·eta\\^s = 32 epochs"),
    ],
)
def test_bad_parameters(wrong, says):
    with pytest.raises(ConfigError, match=says):
        Pasha(**({"max_epochs": 16, "n_trials": 64} | wrong))
