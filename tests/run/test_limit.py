"""The job's end: why and when a run must pause."""

import os
import signal

import pytest

from suite.core.errors import ConfigError
from suite.run import batch, limit
from suite.run.limit import Limit


@pytest.fixture(autouse=True)
def no_job(monkeypatch):
    for name in ("SUITE_END_TIME", "SLURM_JOB_END_TIME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(limit, "_asked", False)
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_without_a_job_nothing_is_due():
    assert Limit(120.0).due() == ""
    Limit(120.0).check(1e9)


def test_due_so_long_before_the_end(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", "1000")
    now = [879.0]
    one = Limit(120.0, clock=lambda: now[0])
    assert not one.due()
    now[0] = 880.0
    assert one.due() == "the job ends in 120 s (backend.pause_before_s=120)"


def test_ours_counts_before_slurms(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", "1000")
    monkeypatch.setenv("SUITE_END_TIME", "2000")
    assert batch.end_time_s() == 2000.0


def test_a_signal_makes_it_due_on_rank_0_and_is_ignored_by_workers():
    limit.listen(worker=True)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert not Limit(120.0).due()
    limit.listen(worker=False)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert Limit(120.0).due() == "SIGUSR1 came"


def test_what_is_wrong_is_said(monkeypatch):
    with pytest.raises(ConfigError, match=r"pause_before_s=-1: must be seconds >= 0"):
        Limit(-1)
    monkeypatch.setenv("SUITE_END_TIME", "noon")
    with pytest.raises(ConfigError, match=r"SUITE_END_TIME=noon: must be seconds"):
        Limit(120.0)


def test_less_time_than_an_epoch_is_refused_before_it_begins(monkeypatch):
    monkeypatch.setenv("SUITE_END_TIME", "1000")
    one = Limit(100.0, clock=lambda: 850.0)
    one.check(50.0)
    with pytest.raises(ConfigError, match=r"50 s are left .* one epoch takes about 51 s; .*--time"):
        one.check(51.0)


def test_an_epoch_that_takes_longer_than_the_setting_makes_it_due_earlier(monkeypatch):
    """A pause comes at the end of an epoch: asked for later, the job would end first."""
    monkeypatch.setenv("SUITE_END_TIME", "1000")
    now = [700.0]
    one = Limit(45.0, clock=lambda: now[0])
    one.measured(25.0)
    assert one.before_s == 45.0 and not one.due()
    one.measured(240.0)
    assert one.before_s == 320.0
    assert one.due() == "the job ends in 300 s (backend.pause_before_s=45, an epoch takes 240 s)"
    one.measured(25.0)
    assert not one.due()


def test_a_pause_waits_until_a_quarter_is_left(monkeypatch):
    assert Limit(120.0).wait_s() == 90.0 and Limit(0.0).wait_s() == 5.0
    monkeypatch.setenv("SUITE_END_TIME", "1000")
    assert Limit(120.0, clock=lambda: 880.0).wait_s() == 90.0
    assert Limit(120.0, clock=lambda: 500.0).wait_s() == 470.0
    assert Limit(120.0, clock=lambda: 990.0).wait_s() == 5.0
    longer = Limit(45.0, clock=lambda: 700.0)
    longer.measured(240.0)
    assert longer.wait_s() == 220.0
