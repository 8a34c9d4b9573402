"""The ablation: the mean of y for everybody; with Swift-Hyperband only the quotas are left."""

import numpy as np
import pytest

from kit.driving import play
from suite.predictors.constant import Constant
from suite.schedulers.swift_hyperband import SwiftHyperband


def test_everybody_is_predicted_the_mean_with_the_spread_of_y():
    values, stds = (
        Constant()
        .fit([[0.0], [1.0], [2.0]], [1.0, 2.0, 6.0])
        .predict([[5.0], [-5.0]], return_std=True)
    )
    assert values.tolist() == [3.0, 3.0]
    assert stds == pytest.approx([np.std([1.0, 2.0, 6.0])] * 2)


def test_with_swift_hyperband_the_first_by_position_fill_up_or_all_are_finished():
    scheduler = SwiftHyperband(64, 2, n_curves=2)
    asked = []

    def constant(request):
        asked.append(request)
        return Constant().fit(request.X, request.y).predict(request.X_new).tolist()

    played = play(scheduler, forecast=constant)
    assert scheduler.stopped_at
    by_bracket = {}
    for trial_id, epoch in scheduler.stopped_at.items():
        by_bracket.setdefault((scheduler.bracket_of[trial_id], epoch), []).append(trial_id)
    assert len(asked) > len(by_bracket)
    for request in asked:
        s, rung, epoch = (
            int("".join(filter(str.isdigit, part))) for part in request.key.split("/")[:3]
        )
        trial_of = {c[:epoch]: i for i, c in played.curves.items()}
        partial = [trial_of[row] for row in request.X_new]  # by position in the rung
        stopped = by_bracket.get((s, epoch), [])
        reached = [played.epochs[i] >= rung for i in partial]
        assert not stopped or reached == sorted(reached, reverse=True)
