"""The fold: zombies, retries, lost workers, affinity, the winner. Fed by hand; no backend, no
journal.
"""

import math

import pytest

from kit.driving import carry_out, conductor, do, power_law, reports, starts
from models.synthetic_curves import TableTarget
from suite.core import types as t
from suite.core.errors import ConfigError, JournalError
from suite.run.conductor import Conductor
from suite.run.trials import GivenUp
from suite.schedulers.hyperband import Hyperband
from suite.schedulers.random_search import RandomSearch
from suite.schedulers.successive_halving import SuccessiveHalving
from suite.searchers.random import Random

CONST = lambda trial_id, epoch: 1.0 / epoch  # noqa: E731


def join(done, *workers):
    return [
        command for worker in workers for command in done.handle(t.WorkerJoined(worker)).commands
    ]


def failed(start, reason, message="why"):
    return t.JobFailed(start.worker, start.job.job_id, reason, message)


def test_every_idle_worker_gets_a_job_and_no_other():
    done = conductor(RandomSearch(3, 5))
    first = starts(join(done, 1, 2, 3))
    assert [(s.worker, s.job.trial_id, s.job.from_epoch, s.job.to_epoch) for s in first] == [
        (1, 0, 0, 3),
        (2, 1, 0, 3),
        (3, 2, 0, 3),
    ]
    assert len({s.job.job_id for s in first}) == 3
    assert [s.worker for s in starts(do(done, first[1]))] == [2]


def test_trials_meet_the_space_and_their_own_seed():
    done = conductor(RandomSearch(3, 4))
    join(done, *range(3))
    assert done.handle(t.WorkerJoined(3)).notes.trials[3] == {
        "config": done.trials[3].config,
        "seed": done.trials[3].seed,
        "bracket": None,
    }
    assert len({trial.seed for trial in done.trials.values()}) == 4
    for trial in done.trials.values():
        TableTarget().space.check(trial.config)


# --- messages that come too late ------------------------------------------------------------------


def test_a_zombies_messages_are_dropped_and_counted():
    done = conductor(RandomSearch(4, 2), max_attempts=3)
    one, two = starts(join(done, 1, 2))
    done.handle(reports(one)[0])
    again = starts(
        done.handle(t.WorkerLost(1, "silent")).commands
    )  # worker 2 is busy: nothing to hand out
    assert again == []
    before = done.trials[0].curve
    for event in (
        *reports(one)[1:],
        t.Checkpointed(1, one.job.job_id, 4),
        t.JobFinished(1, one.job.job_id),
        failed(one, "retry"),
    ):
        assert done.handle(event).commands == []
    assert done.n_dropped == 6 and done.trials[0].curve == before
    (retried,) = starts(do(done, two))
    assert retried.job.trial_id == 0 and retried.job.job_id not in (one.job.job_id, two.job.job_id)


def test_another_workers_report_of_a_job_in_flight_is_a_zombies():
    done = conductor(RandomSearch(4, 2))
    one, _ = starts(join(done, 1, 2))
    done.handle(t.EpochReport(2, one.job.job_id, 1, 0.5, {}, 0.0, 0.0))
    assert done.n_dropped == 1 and done.trials[0].curve == ()


def test_a_forecast_that_nobody_waits_for_is_dropped():
    done = conductor(RandomSearch(2, 1))
    done.handle(t.Forecast("bracket0/rung9", (1.0,), 0.0, 0.0))
    done.handle(t.ForecastFailed("bracket0/rung9", "ValueError", "x"))
    done.handle(t.WorkerLost(7, "never joined"))
    assert done.n_dropped == 3


def test_after_the_end_everything_is_dropped():
    done = conductor(RandomSearch(2, 1))
    carry_out(done, join(done, 1))
    assert done.shutdown.status == "completed"
    assert done.handle(t.WorkerLost(1, "late")).commands == [] and done.n_dropped == 1


def test_reports_out_of_order_stop_the_run():
    done = conductor(RandomSearch(4, 1))
    (start,) = starts(join(done, 1))
    with pytest.raises(JournalError, match="epoch=2 reported after epoch 0"):
        done.handle(reports(start)[1])
    with pytest.raises(JournalError, match="finished at epoch 0, must reach 4"):
        done.handle(t.JobFinished(1, start.job.job_id))


# --- jobs that fail -------------------------------------------------------------------------------


def test_a_lost_workers_trial_goes_to_the_front_of_the_queue_and_starts_from_its_checkpoint():
    done = conductor(RandomSearch(9, 3))
    one, two = starts(join(done, 1, 2))
    for report in reports(one, 5):
        done.handle(report)
    done.handle(t.Checkpointed(1, one.job.job_id, 4))
    done.handle(t.WorkerLost(1, "signal 9"))
    (again,) = starts(do(done, two))
    assert (again.job.trial_id, again.job.from_epoch, again.job.to_epoch) == (0, 4, 9)


def test_a_trial_that_cost_max_attempts_workers_is_given_up_ranked_last_and_the_run_goes_on():
    done = conductor(RandomSearch(2, 3), max_attempts=2)
    (start,) = starts(join(done, 1))
    (start,) = starts(done.handle(failed(start, "retry", "first")).commands)
    assert start.job.trial_id == 0
    step = done.handle(failed(start, "retry", "second"))
    (after,) = starts(step.commands)
    why = GivenUp("attempts", "cost 2 workers (max_attempts=2), last: second")
    assert done.given_up == {0: why} == step.notes.given_up
    assert after.job.trial_id == 1
    carry_out(done, [after], lambda trial_id, epoch: 9.0)
    assert done.shutdown.status == "completed" and done.winner == 1


def test_a_given_up_trial_never_wins_however_good_its_curve():
    done = conductor(RandomSearch(3, 2), max_attempts=1)
    (start,) = starts(join(done, 1))
    for report in reports(start, objective=lambda *_: -100.0):
        done.handle(report)
    carry_out(done, done.handle(failed(start, "retry")).commands, lambda *_: 1.0)
    assert done.winner == 1 and 0 in done.given_up


@pytest.mark.parametrize("reason", ["diverged", "trial"])
def test_a_diverged_trial_is_given_up_at_once(reason):
    done = conductor(SuccessiveHalving(4, 2, 4), max_attempts=5)
    (start,) = starts(join(done, 1))
    carry_out(done, done.handle(failed(start, reason, "train_loss=nan")).commands)
    assert done.given_up == {0: GivenUp(reason, "train_loss=nan")}
    assert done.winner not in (None, 0) and done.shutdown.status == "completed"


def test_all_trials_diverging_completes_without_a_winner():
    done = conductor(Hyperband(9, 3))
    todo = join(done, 1, 2)
    while todo and isinstance(todo[0], t.Start):
        todo += done.handle(failed(todo.pop(0), "diverged")).commands
    assert [type(c) for c in todo] == [t.Shutdown]
    assert (
        done.shutdown.status == "completed"
        and "no trial reached max_epochs=9" in done.shutdown.reason
    )
    assert done.winner is None and len(done.given_up) == 17


def test_a_damaged_checkpoint_restarts_the_job_from_an_older_one_and_costs_no_attempt():
    done = conductor(SuccessiveHalving(8, 2, 2, 2), max_attempts=1)
    (start,) = starts(join(done, 1))
    (start,) = starts(do(done, start))
    (second,) = starts(do(done, start))
    assert second.job.from_epoch == 2
    (older,) = starts(done.handle(failed(second, "checkpoint")).commands)
    assert (older.job.trial_id, older.job.from_epoch, older.job.to_epoch) == (
        second.job.trial_id,
        0,
        second.job.to_epoch,
    )
    assert done.given_up == {}


def test_a_full_disk_stops_the_run_and_loses_nothing():
    done = conductor(RandomSearch(2, 3))
    (start,) = starts(join(done, 1))
    (stop,) = done.handle(failed(start, "storage", "No space left on device")).commands
    assert stop == t.Shutdown("failed", "No space left on device") == done.shutdown
    done.handle(t.Resumed())
    (again,) = starts(join(done, 4))
    assert again.job.trial_id == 0
    carry_out(done, [again])
    assert done.shutdown.status == "completed" and len(done.trials) == 3


def test_after_a_resume_jobs_in_flight_come_first_and_in_job_order():
    done = conductor(RandomSearch(2, 5))
    flying = starts(join(done, 1, 2, 3))
    done.handle(t.Resumed())
    again = starts(join(done, 7, 8, 9, 10))
    assert [s.job.trial_id for s in again] == [0, 1, 2, 3]
    assert min(s.job.job_id for s in again) > max(s.job.job_id for s in flying)


def test_below_min_workers_the_run_stops_with_the_reason():
    done = conductor(RandomSearch(2, 9), min_workers=2, max_attempts=9)
    join(done, 1, 2, 3)
    assert done.handle(t.WorkerLost(1, "signal 9")).commands == []
    (stop,) = done.handle(t.WorkerLost(3, "silent for 900 s")).commands
    assert (
        stop.status == "failed"
        and "1 workers left, min_workers=2 (last: silent for 900 s)" in stop.reason
    )


def test_retrained_epochs_are_compared_and_the_first_report_stays_below_the_last_decision():
    done = conductor(SuccessiveHalving(4, 2, 2, 2), max_attempts=3)
    (start,) = starts(join(done, 1))
    (start,) = starts(do(done, start, CONST))
    (start,) = starts(
        do(done, start, CONST)
    )  # trial 0, from 2 to 4: a decision rests on epochs 1 and 2
    assert (start.job.trial_id, start.job.from_epoch) == (0, 2)
    done.handle(reports(start, objective=CONST)[0])  # epoch 3
    (start,) = starts(done.handle(failed(start, "checkpoint")).commands)
    assert start.job.from_epoch == 0
    other = {1: 1.0, 2: 0.75, 3: 0.5, 4: 0.25}
    carry_out(done, do(done, start, lambda _, epoch: other[epoch]))
    assert done.trials[0].curve == (1.0, 0.5, 0.5, 0.25)  # epoch 2: first report; epoch 3: the last
    assert (done.counts.n_retrained, done.counts.n_differences) == (3, 2)
    assert done.counts.max_difference == pytest.approx(0.25)
    assert done.n_epochs == 2 + 2 + 2  # first reports only


# --- placement ------------------------------------------------------------------------------------


def test_trials_stay_at_home():
    done = conductor(SuccessiveHalving(8, 2, 4, 1))
    first = {s.job.trial_id: s for s in starts(join(done, 1, 2, 3, 4))}
    for trial_id in (2, 0, 3):
        assert do(done, first[trial_id]) == []
    second = starts(do(done, first[1]))
    assert {s.job.trial_id: s.worker for s in second} == {
        s.job.trial_id: first[s.job.trial_id].worker for s in second
    }
    assert len(second) == 2


def test_a_home_that_took_another_trial_is_none():
    done = conductor(Hyperband(4, 2))
    todo = starts(join(done, 1, 2))
    held = {}
    while todo:
        start = todo.pop(0)
        if start.job.from_epoch and held.get(start.worker) != start.job.trial_id:
            home = [w for w, trial_id in held.items() if trial_id == start.job.trial_id]
            assert not home or done.workers.get(home[0]) is not None, (
                "its home was idle and another worker got it"
            )
        held[start.worker] = start.job.trial_id
        todo += starts(do(done, start))
    assert done.ending.is_over


def test_a_retry_goes_to_another_worker_where_one_is_idle():
    done = conductor(RandomSearch(2, 1))
    (start, *_) = starts(join(done, 1, 2))
    (again,) = starts(done.handle(failed(start, "retry")).commands)
    assert again.worker == 2


# --- the end --------------------------------------------------------------------------------------


def test_the_winner_is_the_lowest_at_max_epochs_and_ties_go_to_the_lower_trial_id():
    done = conductor(SuccessiveHalving(4, 2, 4))
    carry_out(done, join(done, 1, 2), lambda trial_id, epoch: 1.0)
    assert done.winner == 0
    done = conductor(RandomSearch(3, 4))
    carry_out(
        done,
        join(done, 1),
        lambda trial_id, epoch: {1: -5.0 if epoch < 3 else 2.0}.get(trial_id, 1.0),
    )
    assert done.winner == 0  # trial 1 was better before, not at the end


def test_the_winner_is_scored_once_on_the_worker_that_holds_it():
    done = conductor(RandomSearch(2, 2))
    one, two = starts(join(done, 1, 2))
    do(done, one, lambda *_: 5.0)
    (score,) = do(done, two, lambda *_: 1.0)
    assert (type(score), score.worker, score.job.trial_id, score.job.to_epoch) == (t.Score, 2, 1, 2)
    (stop,) = done.handle(t.Scored(2, score.job.job_id, 0.9)).commands
    assert stop == t.Shutdown("completed")


def test_without_score_the_run_ends_with_the_search():
    done = conductor(RandomSearch(2, 1), score=False)
    (start,) = starts(join(done, 1))
    assert do(done, start) == [t.Shutdown("completed")]


def test_a_winner_whose_worker_is_lost_is_scored_by_another():
    done = conductor(RandomSearch(2, 1), max_attempts=2)
    (start, *_) = starts(join(done, 1, 2))
    (score,) = do(done, start)
    (again,) = done.handle(t.WorkerLost(score.worker, "signal 9")).commands
    assert type(again) is t.Score and again.worker != score.worker


@pytest.mark.parametrize("reason", ["checkpoint", "retry", "diverged"])
def test_a_winner_that_cannot_be_scored_does_not_hold_the_run(reason):
    """In the end the run completes without a test value; it neither raises nor asks for ever."""
    done = conductor(RandomSearch(3, 1), max_attempts=2)
    (start,) = starts(join(done, 1))
    done.handle(reports(start)[0])
    done.handle(t.Checkpointed(1, start.job.job_id, 1))
    for report in reports(start)[1:]:
        done.handle(report)
    todo = done.handle(t.JobFinished(1, start.job.job_id)).commands
    for _ in range(10):
        if done.shutdown is not None:
            break
        command = todo.pop(0)
        todo += (
            done.handle(failed(command, reason)).commands
            if isinstance(command, t.Score)
            else do(done, command)
        )
    assert done.shutdown is not None and done.shutdown.status == "completed"
    assert done.winner == 0


def test_bad_settings():
    for wrong in ({"max_attempts": 0}, {"min_workers": 0}):
        with pytest.raises(ConfigError, match="=0: must be an integer >= 1"):
            conductor(RandomSearch(2, 1), **wrong)


def test_a_scheduler_that_waits_for_nothing_is_found_out():
    class Stuck(RandomSearch):
        def ask(self):
            return t.WAIT

    with pytest.raises(ConfigError, match="waits although nothing is in flight"):
        conductor(Stuck(2, 1)).handle(t.WorkerJoined(1))


@pytest.mark.parametrize("overlap", [True, False])
def test_the_number_of_workers_changes_nothing(overlap):
    results = []
    for n_workers in (1, 3, 40):
        done = conductor(Hyperband(9, 3, overlap))
        carry_out(done, join(done, *range(n_workers)), lambda i, e: power_law(i, e)[-1])
        results.append(({i: x.curve for i, x in done.trials.items()}, done.winner, done.n_epochs))
    assert (
        results[0][0] == results[1][0] == results[2][0]
        and results[0][1:] == results[1][1:] == results[2][1:]
    )


def test_a_target_without_its_metric_fails_the_run_and_the_trial_is_trained_again_on_resume():
    done = conductor(RandomSearch(2, 3))
    (start, *_) = starts(join(done, 1))
    (stop,) = done.handle(failed(start, "contract", "returned val_acc")).commands
    assert stop == t.Shutdown("failed", "returned val_acc") and not done.given_up
    done.handle(t.Resumed())
    (again,) = starts(join(done, 1))
    assert again.job.trial_id == start.job.trial_id


def test_a_test_split_without_its_metric_fails_the_run_and_is_scored_again_on_resume():
    done = conductor(RandomSearch(2, 1))
    (start,) = starts(join(done, 1))
    (score,) = do(done, start)
    (stop,) = done.handle(failed(score, "contract", "returned acc")).commands
    assert stop == t.Shutdown("failed", "returned acc")
    done.handle(t.Resumed())
    (again,) = join(done, 1)
    assert type(again) is t.Score and again.job.trial_id == score.job.trial_id


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), {1, 2}])
def test_a_configuration_that_no_journal_holds_is_the_searcher_s_error(value):
    class Wrong(Random):
        def propose(self, trial_id, trials):
            return {**super().propose(trial_id, trials), "width": value}

    made = conductor(RandomSearch(2, 1))
    done = Conductor(made.scheduler, Wrong(), made.space, seed=0, max_attempts=2, score=False)
    with pytest.raises(ConfigError, match="searcher=Wrong: proposed width="):
        join(done, 1)
