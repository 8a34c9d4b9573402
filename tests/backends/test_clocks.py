"""Deadlines follow progress: nobody is silent while rank 0 does not look, nor within an epoch's time."""

from suite.backends.clock import AttentiveClock
from suite.backends.mpi.silence import Silence


class Time:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def made(limit_s=10.0):
    time = Time()
    clock = AttentiveClock(time)
    return time, clock, Silence(clock, limit_s)


def pass_by(time, clock, seconds):
    """Time in which rank 0 looks often."""
    for _ in range(int(seconds * 2)):
        time.now_s += 0.5
        clock.now()


def test_a_step_of_the_clock_is_a_second_at_most():
    time, clock, _ = made()
    pass_by(time, clock, 5)
    assert clock.now() == 5.0
    time.now_s += 3600.0
    assert clock.now() == 6.0
    time.now_s -= 100.0  # no clock that may be read here goes back; if it does, nothing is lost
    assert clock.now() == 6.0


def test_a_worker_is_overdue_when_it_was_silent_for_longer_than_the_setting():
    time, clock, silence = made()
    silence.begin(1)
    pass_by(time, clock, 9)
    assert silence.overdue() == []
    silence.heard(1)
    pass_by(time, clock, 11)
    ((rank, silent_s),) = silence.overdue()
    assert rank == 1 and 10 < silent_s < 13


def test_suspended_for_an_hour_nobody_is_overdue():
    time, _, silence = made()
    silence.begin(1)
    for _ in range(5):
        time.now_s += 3600.0
        assert silence.overdue() == []


def test_epochs_that_take_longer_than_the_setting_are_waited_for():
    time, clock, silence = made()
    silence.begin(1)
    pass_by(time, clock, 9)
    silence.heard(1, epoch_s=9.0)
    pass_by(time, clock, 25)
    assert silence.overdue() == [] and silence.epoch_s() == 9.0
    pass_by(time, clock, 4)
    assert [rank for rank, _ in silence.overdue()] == [1]


def test_what_an_epoch_takes_is_known_in_the_next_job_too():
    time, clock, silence = made()
    silence.begin(1)
    pass_by(time, clock, 9)
    silence.heard(1, epoch_s=9.0)
    silence.end(1)
    assert silence.epoch_s() == 0.0 and 1 not in silence and len(silence) == 0
    silence.begin(1)
    assert silence.epoch_s() == 9.0


def test_an_epoch_that_was_stopped_is_not_long():
    """The worker's own clock counted the hour in which the job was suspended."""
    time, _, silence = made()
    silence.begin(1)
    time.now_s += 3600.0
    silence.heard(1, epoch_s=3600.5)
    assert silence.epoch_s() <= 1.0


def test_one_disturbed_epoch_of_two_does_not_count():
    time, clock, silence = made()
    silence.begin(1)
    for seconds in (2, 300, 2):
        pass_by(time, clock, seconds)
        silence.heard(1, epoch_s=float(seconds))
        assert silence.epoch_s() == 2.0


def test_who_is_idle_is_never_overdue():
    time, clock, silence = made()
    silence.begin(1)
    silence.end(1)
    silence.end(2)
    silence.heard(2, epoch_s=1.0)
    pass_by(time, clock, 100)
    assert silence.overdue() == []
