"""ASHA: an example by hand, the promotion rule, and that nobody is waited for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.driving import play, power_law
from suite.core.errors import ConfigError
from suite.core.types import DONE, WAIT, Train
from suite.schedulers.asha import Asha


def test_an_example_by_hand():
    """eta 2, rungs of 1, 2 and 4 epochs, one worker; the objective is the trial's, at any epoch."""
    value = {0: 0.5, 1: 0.3, 2: 0.4, 3: 0.1, 4: 0.9}
    played = play(Asha(4, 5, eta=2), lambda i, e: (value[i],) * e)
    assert played.trains == [
        Train(0, 1),
        Train(1, 1),  # of two, the top one: 1
        Train(1, 2),  # alone in rung 1: nobody goes further
        Train(2, 1),  # of three, the top one: 1 again
        Train(3, 1),  # of four, the top two: 3 and 1
        Train(3, 2),  # of two in rung 1, the top one: 3
        Train(3, 4),
        Train(4, 1),  # of five, the top two: 3 and 1, both promoted; then nothing is left
    ]
    assert played.winner == 3


def test_the_highest_promotion_comes_first():
    scheduler = Asha(4, 8, eta=2)
    for trial_id in range(4):
        assert scheduler.ask() == Train(trial_id, 1)
    for trial_id in (0, 1):
        scheduler.tell(trial_id, (float(trial_id),))
    assert scheduler.ask() == Train(0, 2)
    for trial_id in (2, 3):
        scheduler.tell(trial_id, (float(trial_id),))
    assert scheduler.ask() == Train(1, 2)
    assert [scheduler.ask(), scheduler.ask()] == [Train(4, 1), Train(5, 1)]
    for trial_id in (4, 5):
        scheduler.tell(trial_id, (float(trial_id),))
    for trial_id in (0, 1):
        scheduler.tell(trial_id, (float(trial_id),) * 2)
    assert scheduler.ask() == Train(0, 4)  # although rung 0 has one to give, too
    assert scheduler.ask() == Train(2, 2)


def test_a_straggler_blocks_nobody():
    """Trial 0 never answers: every other trial is trained and promoted; only DONE waits for it."""
    scheduler = Asha(16, 64)
    assert scheduler.ask() == Train(0, 1)
    reached = {}
    while isinstance(train := scheduler.ask(), Train):
        assert train.trial_id != 0
        reached[train.trial_id] = train.to_epoch
        scheduler.tell(train.trial_id, power_law(train.trial_id, train.to_epoch))
    assert train == WAIT and sorted(reached) == list(range(1, 64)) and 16 in reached.values()
    scheduler.tell(0, None)
    assert scheduler.ask() == DONE


@given(
    st.integers(2, 4),
    st.integers(0, 60),
    st.integers(1, 12),
    st.integers(0, 10**6),
    st.sets(st.integers(0, 60)),
)
def test_whoever_is_promoted_is_in_the_top_of_its_rung_and_in_the_end_all_of_the_top_is(
    eta, more, workers, shuffle, diverging
):
    scheduler = Asha(eta**2, eta**2 + more, eta=eta)
    told = {}  # rung -> trial -> objective
    ask, tell = scheduler.ask, scheduler.tell

    def top(epoch):
        here = told.get(epoch, {})
        finite = sorted((y, i) for i, y in here.items() if y is not None)
        return {i for _, i in finite[: len(here) // eta]}

    def watched_ask():
        decision = ask()
        if isinstance(decision, Train) and decision.to_epoch > 1:
            assert decision.trial_id in top(decision.to_epoch // eta)
        return decision

    def watched_tell(trial_id, curve):
        epoch = len(curve) if curve else asked[trial_id]
        told.setdefault(epoch, {})[trial_id] = curve[-1] if curve else None
        tell(trial_id, curve)

    asked = {}

    def curve(trial_id, epoch):
        asked[trial_id] = epoch
        return None if trial_id in diverging and epoch > 1 else power_law(trial_id, epoch)

    scheduler.ask, scheduler.tell = watched_ask, watched_tell
    played = play(scheduler, curve, workers=workers, shuffle=shuffle)
    for epoch in (1, eta):
        assert top(epoch) <= set(told.get(epoch * eta, {}))
    assert sorted(played.epochs) == list(range(eta**2 + more))


def test_a_diverged_trial_counts_in_its_rung_and_is_never_promoted():
    scheduler = Asha(2, 4, eta=2)
    for _ in range(4):
        scheduler.ask()
    scheduler.tell(0, None)
    assert scheduler.ask() == WAIT
    scheduler.tell(1, (0.9,))
    assert scheduler.ask() == Train(1, 2)  # of two, the top one
    scheduler.tell(2, None)
    scheduler.tell(3, None)
    assert scheduler.ask() == WAIT  # of four, the top two: no other is finite
    scheduler.tell(1, (0.9, 0.9))
    assert scheduler.ask() == DONE


def test_ties_go_to_the_lower_trial_id():
    played = play(Asha(4, 4, eta=2), lambda i, e: (0.5,) * e, workers=4)
    assert [t.trial_id for t in played.trains if t.to_epoch == 4] == [0]


@pytest.mark.parametrize(
    ("parameters", "epochs"),
    [
        ({"max_epochs": 64}, [1, 4, 16, 64]),
        ({"max_epochs": 100}, [1, 4, 16, 100]),  # the last rung is R, not 64
        ({"max_epochs": 27, "eta": 3, "min_epochs": 3}, [3, 9, 27]),
        ({"max_epochs": 27, "eta": 3, "s": 2}, [9, 27]),
        ({"max_epochs": 1}, [1]),
    ],
)
def test_rungs(parameters, epochs):
    assert [r.to_epoch for r in Asha(n_trials=64, **parameters).plan().brackets[0].rungs] == epochs


def test_the_plan_is_met_where_each_trial_is_better_than_all_before():
    scheduler = Asha(16, 24)
    assert play(scheduler, lambda i, e: (1.0 / (i + 1),) * e).n_epochs == scheduler.plan().n_epochs


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"eta": 1}, "eta=1: must be an integer >= 2"),
        ({"max_epochs": 0}, "max_epochs=0: must be"),
        ({"n_trials": 0}, "n_trials=0: must be"),
        ({"n_trials": 15}, "n_trials=15: must be at least eta\\^2 = 16"),
        ({"s": -1}, "s=-1: must be"),
        ({"min_epochs": 0}, "min_epochs=0: must be"),
        ({"min_epochs": 17}, "min_epochs=17, s=0: the first rung"),
        ({"min_epochs": 2, "s": 2}, "s=2: the first rung, min_epochs·eta\\^s = 32 epochs"),
        ({"n_trials": 2.5}, "n_trials=2.5: must be an integer"),
    ],
)
def test_bad_parameters(wrong, says):
    with pytest.raises(ConfigError, match=says):
        Asha(**({"max_epochs": 16, "n_trials": 64} | wrong))
