"""`ranking`, and `Rounds`: what a generator asks for comes out of ask(), and answers go back in."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.driving import last_value, play
from suite.core.brackets import Plan, PlannedBracket, PlannedRung
from suite.core.rounds import Rounds
from suite.core.scheduler import best, ranking
from suite.core.types import DONE, WAIT, Predict, Train

_curves = st.dictionaries(
    st.integers(0, 30),
    st.none() | st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=4).map(tuple),
    max_size=12,
)


@given(_curves, st.none() | st.integers(1, 4))
def test_rank_is_by_value_then_by_trial_id_and_holds_finite_values_only(curves, at_epoch):
    ranked = ranking(curves, at_epoch)

    def value(trial_id):
        return curves[trial_id][-1 if at_epoch is None else at_epoch - 1]

    keys = [(value(trial_id), trial_id) for trial_id in ranked]
    assert keys == sorted(keys) and all(math.isfinite(v) for v, _ in keys)
    left_out = set(curves) - set(ranked)
    for trial_id in left_out:
        curve = curves[trial_id]
        assert not curve or len(curve) < (at_epoch or 1) or not math.isfinite(value(trial_id))
    assert best(curves, 2, at_epoch) == ranked[:2]


def test_ties_go_to_the_lower_trial_id_whatever_the_order():
    assert ranking({9: (1.0,), 2: (1.0,), 5: (0.5,), 3: None, 4: (math.nan,), 6: ()}) == [5, 2, 9]
    assert ranking({1: (0.0,), 2: (9.0, 1.0)}, 2) == [2]


class Twice(Rounds):
    """Two brackets of two rounds each, and a note of every answer."""

    def __init__(self, overlap):
        self.heard = []
        rungs = (PlannedRung(2, 1, 2), PlannedRung(2, 2, 1))
        super().__init__(
            Plan((PlannedBracket(1, rungs), PlannedBracket(0, rungs))), overlap=overlap
        )

    def _bracket(self, bracket, trials):
        first = yield [Train(t, 1) for t in trials]
        self.heard.append(first)
        assert (yield []) == {}
        values = yield Predict(f"key{trials[0]}", ((1.0,),), (2.0,), ((3.0,), (4.0,)))
        self.heard.append(values)
        second = yield [Train(t, 2) for t in trials]
        self.heard.append(second)


def test_one_bracket_after_the_other():
    scheduler = Twice(overlap=False)
    assert [scheduler.ask() for _ in range(3)] == [Train(0, 1), Train(1, 1), WAIT]
    scheduler.tell(1, (0.1,))
    assert scheduler.ask() == WAIT
    scheduler.tell(0, None)
    asked = scheduler.ask()
    assert isinstance(asked, Predict) and asked.key == "key0"
    assert scheduler.ask() == WAIT
    scheduler.tell_forecast("key0", [7.0, None])
    assert [scheduler.ask() for _ in range(3)] == [Train(0, 2), Train(1, 2), WAIT]
    scheduler.tell(0, (1.0, 2.0))
    scheduler.tell(1, None)
    assert scheduler.ask() == Train(2, 1)
    assert scheduler.heard == [{1: (0.1,), 0: None}, [7.0, None], {0: (1.0, 2.0), 1: None}]


def test_overlapping_brackets_share_idle_workers_older_first_and_predictions_first_of_all():
    scheduler = Twice(overlap=True)
    assert [scheduler.ask() for _ in range(5)] == [
        Train(0, 1),
        Train(1, 1),
        Train(2, 1),
        Train(3, 1),
        WAIT,
    ]
    for trial_id in (2, 3, 0):
        scheduler.tell(trial_id, (0.0,))
    assert scheduler.ask().key == "key2"
    scheduler.tell(1, (0.0,))
    scheduler.tell_forecast("key2", None)
    assert scheduler.ask().key == "key0"  # before the trainings of the other bracket
    assert scheduler.ask() == Train(2, 2)


@pytest.mark.parametrize("overlap", [True, False])
def test_done_stays_done(overlap):
    scheduler = Twice(overlap)
    play(scheduler, forecast=last_value)
    assert [scheduler.ask() for _ in range(3)] == [DONE] * 3


def test_an_answer_nobody_asked_for_is_an_error():
    scheduler = Twice(overlap=False)
    scheduler.ask()
    with pytest.raises(KeyError):
        scheduler.tell(3, (0.0,))
    with pytest.raises(KeyError):
        scheduler.tell_forecast("key9", None)


class Given(Rounds):
    """A bracket of one epoch for each generator that is given."""

    def __init__(self, *generators):
        self._generators = list(generators)
        one = PlannedBracket(0, (PlannedRung(1, 1, 1),))
        super().__init__(Plan((one,) * len(generators)), overlap=False)

    def _bracket(self, bracket, trials):
        return self._generators[trials[0]]


def _nothing():
    yield []


def _trains():
    yield [Train(0, 1)]


def _predicts_first():
    values = yield Predict("k", ((1.0,),), (1.0,), ((1.0,),))
    assert values == [1.0]
    yield [Train(0, 1)]


@pytest.mark.parametrize("first", [_nothing, _predicts_first])
def test_a_bracket_may_be_empty_or_begin_with_a_prediction(first):
    scheduler = Given(*([first(), _trains()] if first is _nothing else [first()]))
    assert [train.trial_id for train in play(scheduler).trains] == [0]
