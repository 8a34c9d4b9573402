"""Epochs reported again: when the first report stays, and what is counted."""

from __future__ import annotations

from suite.run.reported_curve import ReportCounts
from suite.run.trials import GivenUp


def test_a_first_report_enters_the_curve():
    counts = ReportCounts()
    assert counts.counts(1, 0.5, None, 0) and counts == ReportCounts(n_epochs=1)


def test_a_second_report_replaces_the_first_only_where_it_differs_and_nothing_rests_on_it():
    counts = ReportCounts()
    assert not counts.counts(2, 0.5, 0.5, decided=0)
    assert not counts.counts(2, 0.75, 0.5, decided=2)
    assert counts.counts(3, 0.625, 0.5, decided=2)
    assert counts == ReportCounts(0, n_retrained=3, n_differences=2, max_difference=0.25)


def test_why_a_trial_was_given_up_survives_the_journal():
    for why in (
        GivenUp("diverged", "loss: nan"),
        GivenUp("trial", "lr=0"),
        GivenUp("attempts", "cost 2 workers (max_attempts=2), last: trial: x"),
    ):
        assert GivenUp.read(str(why)) == why
