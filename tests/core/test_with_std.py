"""A question that wants standard deviations: through forecaster, journal, conductor and rounds."""

import pytest

from kit.driving import Forecaster, conductor
from suite.core import types as t
from suite.core.brackets import Plan, PlannedBracket, PlannedRung
from suite.core.rounds import Rounds
from suite.run import journal as journals
from suite.run.trials import Notes

X = ((0.0, 1.0), (1.0, 2.0), (2.0, 2.5), (3.0, 4.0))
Y = (0.0, 1.0, 2.0, 3.0)
LOO = {"_target_": "suite.predictors.loo_svr.LooSVR"}
SVR = {"_target_": "suite.predictors.svr.SVR"}


class Asking(Rounds):
    def __init__(self, with_std):
        self.heard = []
        self.with_std = with_std
        super().__init__(Plan((PlannedBracket(0, (PlannedRung(1, 1, 1),)),)), overlap=False)

    def _bracket(self, bracket, trials):
        self.heard.append((yield t.Predict("key", X, Y, X[:2], self.with_std)))


def test_the_answer_is_pairs_where_it_was_asked_for():
    for with_std, stds, heard in (
        (True, [0.1, None], [(1.0, 0.1), (None, None)]),
        (True, None, None),
        (False, None, [1.0, None]),
        (False, [0.1, 0.2], [1.0, None]),
    ):
        scheduler = Asking(with_std)
        assert scheduler.ask().with_std is with_std
        scheduler.tell_forecast("key", [1.0, None], stds)
        assert scheduler.heard == [heard]


def test_a_predictor_without_standard_deviations_cannot_answer():
    answer = Forecaster(SVR, 0).answer(t.Predict("key", X, Y, X[:2], with_std=True))
    assert isinstance(answer, t.ForecastFailed) and "return_std" in answer.message


def test_a_predictor_that_has_them_gives_them_only_if_asked():
    plain = Forecaster(LOO, 0).answer(t.Predict("key", X, Y, X[:2]))
    asked = Forecaster(LOO, 0).answer(t.Predict("key", X, Y, X[:2], with_std=True))
    assert plain.stds is None and plain.values == asked.values
    assert len(asked.stds) == 2 and asked.stds[0] == asked.stds[1] > 0


@pytest.mark.parametrize("stds", [None, (0.5, None)])
def test_a_journal_line_holds_them_only_where_there_are_any(stds):
    event = t.Forecast("key", (1.0, 2.0), 0.1, 0.2, None, 3.0, stds)
    line = journals.encode([event], [], Notes())
    assert ("stds" in line) == (stds is not None)
    assert journals.decode(line) == [event]


def test_the_conductor_hands_them_on():
    scheduler = Asking(True)
    done = conductor(scheduler, score=False)
    (ask,) = done.handle(t.WorkerJoined(1)).commands
    assert isinstance(ask, t.Ask)
    done.handle(t.Forecast("key", (1.0, 2.0), 0.0, 0.0, stds=(0.1, 0.2)))
    assert scheduler.heard == [[(1.0, 0.1), (2.0, 0.2)]]
