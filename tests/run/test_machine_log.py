"""What a scheduler is told of times: integers, the same from events and from the journal's lines."""

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from kit.driving import conductor
from suite.core import types as t
from suite.run.budget import Spending
from suite.run.journal import decode, encode
from suite.run.machine_log import MachineLog
from suite.run.trials import Notes
from suite.run.workforce import Workforce
from suite.schedulers.hyperband import Hyperband
from suite.schedulers.price import Price

JOB = t.Job(0, 7, 0, 9, {}, 0)
FLYING = {0: (1, JOB)}


def log(*events, flying=FLYING):
    made = MachineLog(Workforce(1), Spending())
    for event in events:
        made.saw(event, flying)
    return made


def report(epoch, train_s, time_s, eval_s=0.0, worker=1):
    return t.EpochReport(worker, 0, epoch, 0.5, {}, train_s, eval_s, time_s)


@given(st.floats(0, 1e6), st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=9), st.integers(1, 4))
# Raw, the second epoch has 1.4994 ms; of times with six decimals, as the journal has them, 1.5.
@example(4e-7, [0.001, 0.0014994], 1)
def test_a_batch_and_its_line_of_the_journal_are_the_same_milliseconds(origin_s, seconds, first):
    ends = [0.0, *itertools.accumulate(seconds)]
    n, over_s = len(seconds), round(origin_s + ends[-1], 6)
    batch = t.EpochBatch(1, 0, first, [0.5] * n, "loss", [0.5] * n, origin_s, ends, over_s)
    one, other = log(batch), log(*decode(encode([batch], [], Notes())))
    assert one.epochs_ms(7) == other.epochs_ms(7) and one.now_ms == other.now_ms
    assert all(type(ms) is int and ms >= 1 for ms in one.epochs_ms(7))


def test_time_never_goes_back():
    made = log(t.WorkerJoined(1, 5.0), t.WorkerLost(2, "", 3.0), t.Checkpointed(1, 0, 1, 4.0))
    assert made.now_ms == 5000 and made.last_busy_ms == [5000]


def test_overhead_is_what_a_job_takes_besides_its_epochs():
    made = log(
        report(1, 1.0, 3.0, eval_s=0.5),
        report(2, 1.0, 4.0),
        t.JobFinished(1, 0, 0.3, 0.2, 3.25, 5.0),
    )
    assert (
        made.epochs_ms(7) == [1500, 1000]
        and made.overhead_ms == 750
        and made.last_busy_ms == [5000]
    )


def test_messages_of_jobs_that_are_not_in_flight_say_what_time_it_is_and_no_more():
    made = log(report(1, 1.0, 3.0, worker=2), t.JobFinished(1, 5, 0, 0, 9.0, 7.0))
    assert made.epochs_ms(7) == () and made.overhead_ms == 0 and made.now_ms == 7000


def test_a_worker_that_is_gone_hands_nothing_back():
    joined = [t.WorkerJoined(1, 1.0), t.WorkerJoined(2, 1.5)]
    assert log(*joined).last_busy_ms == [1000, 1500]
    assert log(*joined, t.WorkerLost(1, "", 3.0)).last_busy_ms == [1500]
    assert log(*joined, t.Resumed(3.0)).last_busy_ms == []


def test_an_epoch_trained_again_takes_the_place_of_the_first():
    made = log(report(1, 1.0, 3.0), report(2, 2.0, 5.0), report(2, 4.0, 9.0), report(9, 1.0, 10.0))
    assert made.epochs_ms(7) == [1000, 4000]


def test_only_schedulers_that_ask_for_the_clock_have_one():
    assert conductor(Hyperband(4, 2))._machine is None
    machine = conductor(Price(4))._machine
    assert machine is not None and not machine.has_end and machine.end_ms is None


def test_a_job_that_the_end_has_stopped_says_how_long_its_worker_was_busy_and_nothing_of_overhead():
    made = log(t.WorkerJoined(1, 0.0), report(1, 1.0, 3.0), t.JobStopped(1, 0, 4.0))
    assert (made.epochs_ms(7), made.last_busy_ms, made.overhead_ms) == ([1000], [4000], 0)


def test_the_end_is_that_of_the_limit_which_comes_first():
    spending = Spending()
    made = MachineLog(Workforce(1), spending)
    spending.adjust({"budget_hours_ms": 5000, "budget_node_hours_ms": 6000})
    assert made.has_end and made.end_ms == 5000, "no node is there yet"
    for worker in (1, 2):
        spending.saw(t.WorkerJoined(worker, 1.0))
    assert made.end_ms == 4000
    spending.saw(t.WorkerLost(2, "", 3.0))
    assert made.end_ms == 5000
    spending.adjust({"budget_hours_ms": 9000})
    assert made.end_ms == 5000 and spending.left("budget_node_hours_ms", 5000) == 0
