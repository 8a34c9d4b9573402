"""Batch jobs that end in time for a test."""

import time

import pytest

from suite.launch.slurm_energy import JobMeter
from suite.run import limit
from suite.run.job_end import JobEnd


@pytest.fixture
def job(monkeypatch):
    """job(seconds): a batch job that ends so many seconds from now."""

    def begin(seconds, number="17"):
        monkeypatch.setenv("SUITE_END_TIME", f"{time.time() + seconds:.3f}")
        monkeypatch.setenv("SLURM_JOB_ID", number)

    monkeypatch.setattr(limit, "_asked", False)
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    # Slurm's programs, where a machine has them, know no such job: each question would wait for 10 s.
    monkeypatch.setattr(JobMeter, "_read", lambda self: None)
    return begin


@pytest.fixture
def short(monkeypatch):
    """The end comes a second after workers are ready (`short(seconds)`: so many), however long that takes."""
    after = {"s": 1.0}
    said = JobEnd.allocation

    def soon(self, now_s):
        if self._said_ms is None:
            self._end_s = self._clock() + self.margin_s + after["s"]
        return said(self, now_s)

    monkeypatch.setattr(JobEnd, "allocation", soon)
    return lambda seconds: after.update(s=seconds)
