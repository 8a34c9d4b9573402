"""The job's end: why and when a run must pause."""

import os
import signal

import pytest

from suite.core.errors import ConfigError
from suite.run import limit
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
    assert Limit().due() == ""
    Limit().check(1e9)


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
    assert limit.end_time_s() == 2000.0


def test_a_signal_makes_it_due_on_rank_0_and_is_ignored_by_workers():
    limit.listen(worker=True)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert not Limit().due()
    limit.listen(worker=False)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert Limit().due() == "SIGUSR1 came"


def test_what_is_wrong_is_said(monkeypatch):
    with pytest.raises(ConfigError, match=r"pause_before_s=-1: must be seconds >= 0"):
        Limit(-1)
    monkeypatch.setenv("SUITE_END_TIME", "noon")
    with pytest.raises(ConfigError, match=r"SUITE_END_TIME=noon: must be seconds"):
        Limit()


def test_less_time_than_an_epoch_is_refused_before_it_begins(monkeypatch):
    monkeypatch.setenv("SUITE_END_TIME", "1000")
    one = Limit(100.0, clock=lambda: 850.0)
    one.check(50.0)
    with pytest.raises(ConfigError, match=r"50 s are left .* one epoch takes about 51 s; .*--time"):
        one.check(51.0)
